"""CSV files: one line per event, one column per number, names in the first line."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.csv as pc

from toolkit.artifacts.hashing import sampled_digest
from toolkit.errors import InputFileError, SchemaError
from toolkit.locations import Location, RemoteFile
from toolkit.typing import FloatArray

LONGEST_HEAD = 1 << 20
MOST_COLUMNS = 10_000
"""Columns that are read; NanoAOD has two thousand branches."""


def is_csv(path: Location) -> bool:
    """Return whether the name is that of a CSV file, compressed or not."""
    return path.name.removesuffix(".gz").lower().endswith(".csv")


class CsvEvents:
    """The events of a CSV file.

    Args:
        path: The file.
    """

    def __init__(self, path: Location) -> None:
        self.path = path

    @cached_property
    def entries(self) -> int:
        """Number of events, the lines below the first."""
        with self._explained():
            return sum(batch.num_rows for batch in self._batches())

    @cached_property
    def types(self) -> Mapping[str, str]:
        """Type of each column, by name."""
        self._check_width()
        with self._explained():
            schema = self._batches().schema
            names = [name.strip() for name in schema.names]
        repeated = sorted(name for name, times in Counter(names).items() if times > 1)
        if repeated:
            shown = f"{repeated[:5]}{' and others' if len(repeated) > 5 else ''}"
            raise SchemaError(f"input file {self.path}", got=f"columns {shown} twice", expected="distinct names", remedy="rename them")
        return dict(zip(names, map(str, schema.types), strict=True))

    @cached_property
    def uuid(self) -> bytes:
        """Hash of the content, 16 bytes."""
        if isinstance(self.path, RemoteFile):
            return bytes.fromhex(sampled_digest(self.path))
        with self.path.open("rb") as raw:
            digest = hashlib.sha256()
            while block := raw.read(1 << 20):
                digest.update(block)
        return digest.digest()[:16]

    def arrays(self, names: Sequence[str], start: int, stop: int) -> ak.Array:
        """Read columns of a range of lines; empty cells are NaN.

        Raises:
            InputFileError: The file is not readable as CSV.
            SchemaError: A column does not hold numbers.
        """
        batches, first = [], 0
        with self._explained():
            for batch in self._batches():
                last = first + batch.num_rows
                if last > start and first < stop:
                    batches.append(batch.slice(max(start - first, 0), min(stop, last) - max(start, first)))
                first = last
                if first >= stop:
                    break
        table = pa.Table.from_batches(batches, schema=batches[0].schema) if batches else None
        position = {name: i for i, name in enumerate(self.types)}
        return ak.Array({name: self._numbers(table, position[name], name) for name in names})

    def weight_names(self, column: str) -> tuple[str, ...]:
        """Return nothing: CSV columns are named one by one."""
        del column
        return ()

    def constants(self, tree: str, column: str) -> FloatArray | None:
        """Return nothing: a CSV file has no head."""
        del tree, column
        return None

    def _batches(self) -> Any:
        """Begin to read the file, in record batches."""
        if not isinstance(self.path, RemoteFile):
            return pc.open_csv(self.path)
        stream = pa.PythonFile(self.path.open("rb"), mode="r")
        return pc.open_csv(pa.CompressedInputStream(stream, "gzip") if self.path.suffix == ".gz" else stream)

    def _numbers(self, table: pa.Table | None, position: int, name: str) -> FloatArray:
        if table is None:
            return np.empty(0)
        column = table.column(position)
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_null(column.type)):
            raise SchemaError(
                f"column {name!r} of {self.path}",
                got=f"{column.type}, for example {column[0].as_py()!r}",
                expected="numbers",
                remedy="remove text and units from the cells; names stand in the first line",
            )
        if column.null_count or pa.types.is_null(column.type):
            try:
                column = column.cast(pa.float64())
            except pa.ArrowInvalid as error:
                raise SchemaError(
                    f"column {name!r} of {self.path}",
                    got=f"empty cells among whole numbers beyond 2^53 ({error})",
                    expected="a number in every cell, or numbers that a double holds",
                    remedy="fill the empty cells",
                ) from error
        return column.to_numpy()  # type: ignore[no-any-return]  # pyarrow is untyped

    def _check_width(self) -> None:
        """Count the columns before the file is parsed, which takes ten kilobytes for each."""
        with self._explained(), self.path.open("rb") as raw, gzip.open(raw) if self.path.suffix == ".gz" else raw as file:
            n_columns = file.readline(LONGEST_HEAD).count(b",") + 1
        if n_columns > MOST_COLUMNS:
            what, expected = f"input file {self.path}", f"at most {MOST_COLUMNS}"
            raise SchemaError(what, got=f"{n_columns} columns or more", expected=expected, remedy="leave columns out")

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except InputFileError:
            raise
        except UnicodeDecodeError as error:
            raise InputFileError(
                f"input file {self.path}",
                got=f"names that are no UTF-8: {error.object[:60]!r}",
                expected="a CSV file in UTF-8",
                remedy="save it as UTF-8, for example with iconv -f latin1 -t utf-8",
            ) from error
        except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
            raise InputFileError(
                f"input file {self.path}",
                got=str(error).splitlines()[0],
                expected="a CSV file: names in the first line, then one line per event with as many numbers",
                remedy="check the line that is named, or copy the file again",
            ) from error


@contextlib.contextmanager
def open_csv(path: Location) -> Iterator[CsvEvents]:
    """Open a CSV file.

    Yields:
        Its events.

    Raises:
        InputFileError: It cannot be read as CSV.
    """
    events = CsvEvents(path)
    _ = events.types
    yield events
