"""Digests of the columns of an event table, in its metadata: a reader that takes a few columns checks just these.

Parquet's own checksums cover the pages but neither their heads nor the footer: a bit that turns there can change numbers.
"""

from __future__ import annotations

import hashlib
import json
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from toolkit.artifacts.versions import other_version
from toolkit.errors import InputFileError, SchemaError

DIGESTS = b"h4l_columns"
"""Metadata key of the digests by column."""
DIGEST = b"h4l_digest"
"""Metadata key of the digest of the metadata themselves."""


REMEDY = "`h4l process` writes the tables anew"


def damaged_table(path: str | Path, got: str) -> InputFileError:
    """Return the error for a table that is not as it was written."""
    return InputFileError(f"event table {path}", got=got, expected="a complete parquet file", remedy=REMEDY)


def to_numpy(column: Any) -> NDArray[Any]:
    """Return an arrow column as numpy, nulls as NaN (only observables have nulls, and they are float64)."""
    if column.null_count:
        column = pc.fill_null(column, math.nan)
    values: NDArray[Any] = column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy()
    return values


def sealed(about: bytes, columns: Mapping[str, pa.Array], *, key: bytes) -> dict[bytes, bytes]:
    """Return the metadata of a table: what it says about itself, a digest of every column, a digest of both.

    Args:
        about: What the table says about itself.
        columns: Its columns by name.
        key: Metadata key of `about`.
    """
    digests = json.dumps({name: _digest_of(to_numpy(column)) for name, column in columns.items()}).encode()
    return {key: about, DIGESTS: digests, DIGEST: _digest(about + digests)}


def broken_seal(metadata: Mapping[bytes, bytes], *, key: bytes) -> bool:
    """Return whether the metadata of a table are not as they were written.

    Examples:
        >>> metadata = sealed(b"about", {}, key=b"h4l")
        >>> broken_seal(metadata, key=b"h4l"), broken_seal({**metadata, b"h4l": b"another"}, key=b"h4l")
        (False, True)
    """
    return metadata.get(DIGEST) != _digest(metadata.get(key, b"") + metadata.get(DIGESTS, b""))


def read_about(metadata: Mapping[bytes, bytes], path: str | Path, *, key: bytes, schema: int) -> dict[str, Any]:
    """Return what the metadata of a table say about it.

    Args:
        metadata: The metadata.
        path: The table, for messages.
        key: Metadata key of what it says.
        schema: Version of the form that can be read.

    Raises:
        SchemaError: It is no event table, or of another version, whose columns may have digests of another kind, or none.
        InputFileError: The metadata are not as they were written.
    """
    if key not in metadata:
        expected = "a table that `h4l process` wrote"
        raise SchemaError(
            f"event table {path}", got=f"a parquet file without the metadata {key.decode()!r}", expected=expected, remedy=REMEDY
        )
    try:
        document: dict[str, Any] = json.loads(metadata[key])
        found = document.get("schema")
    except (ValueError, AttributeError, RecursionError) as error:
        raise damaged_table(path, f"{type(error).__name__}: {error}") from error
    if broken_seal(metadata, key=key) and (DIGEST in metadata or found == schema):
        raise damaged_table(path, "metadata that changed after they were written")
    if found != schema:
        raise other_version(f"event table {path}", found=found, expected=schema, remedy=REMEDY)
    return document


def changed_columns(table: pa.Table) -> list[str]:
    """Return the columns of a table, or of a part of its columns, that are not as they were written."""
    digests = json.loads((table.schema.metadata or {}).get(DIGESTS, b"{}"))
    return [name for name in table.column_names if digests.get(name) != _digest_of(to_numpy(table.column(name)))]


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).hexdigest().encode()


def _digest_of(values: NDArray[Any]) -> str:
    """Return CRC-32 of type, length and content of a column.

    A checksum against damage: every error of up to 32 bits in a row is seen, others but for one in 2^32. It takes a quarter of the time
    of a cryptographic hash, which was a fifth of all processing.
    """
    start = zlib.crc32(f"{values.dtype.str} {len(values)} ".encode())
    return f"{zlib.crc32(np.ascontiguousarray(values).data, start):08x}"
