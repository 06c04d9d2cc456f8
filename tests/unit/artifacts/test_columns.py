"""Digests of columns: every number, type and length counts, wherever in the file the damage was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from toolkit.artifacts.columns import DIGEST, DIGESTS, broken_seal, changed_columns, sealed
from toolkit.artifacts.events import IDENTITY, ChunkInfo, check_whole, chunk_table, read_table, write_chunk
from toolkit.errors import InputFileError

COLUMNS = {"a": pa.array([1.0, None, np.nan]), "b": pa.array([1, 2, 3]), "c": pa.array([True, False, True])}
SEAL = sealed(b"about", COLUMNS, key=b"k")


def _table(**changes: pa.Array) -> pa.Table:
    return pa.table({**COLUMNS, **changes}).replace_schema_metadata(SEAL)


def test_what_is_unchanged_passes_whole_and_in_part() -> None:
    assert not broken_seal(SEAL, key=b"k")
    assert changed_columns(_table()) == []
    assert changed_columns(_table().select(["b"])) == []
    assert changed_columns(pa.table({"a": pa.array([1.0, np.nan, None])}).replace_schema_metadata(SEAL)) == []  # a null is a NaN


@pytest.mark.parametrize(
    "changes",
    [
        {"a": pa.array([1.0, 2.0, np.nan])},
        {"b": pa.array([1, 2, 4])},
        {"b": pa.array([1.0, 2.0, 3.0])},
        {"b": pa.array([1, 2, 3], pa.int32())},
        {"c": pa.array([True, True, True])},
        {"new": pa.array([0, 0, 0])},
    ],
)
def test_every_change_is_found(changes: dict[str, pa.Array]) -> None:
    assert changed_columns(_table(**changes)) == list(changes)
    assert changed_columns(_table().slice(1)) == ["a", "b", "c"]


@pytest.mark.parametrize("key", [b"k", DIGESTS, DIGEST])
def test_changed_or_lost_metadata_break_the_seal(key: bytes) -> None:
    assert broken_seal({**SEAL, key: SEAL[key] + b" "}, key=b"k")
    assert broken_seal({name: value for name, value in SEAL.items() if name != key}, key=b"k")


def test_another_column_in_a_file_whose_pages_are_sound_is_refused(tmp_path: Path) -> None:
    """What a bit in the head of a page does: parquet's own checksums are right, the numbers are not."""
    info = ChunkInfo("qqZZ", (), key="0a1b", source="qqZZ.root", file_index=0, start=0, stop=3, cutflow={})
    identity = {name: np.arange(3) for name in IDENTITY}
    path = write_chunk(
        tmp_path, info=info, identity=identity, observables={"m4l": np.ones(3)}, weight=np.ones(3), benchmark_weights=np.empty((3, 0))
    )
    table = pq.read_table(path)
    changed = table.set_column(table.column_names.index("channel"), "channel", pa.array([0, 1, 1], pa.int8()))
    pq.write_table(changed.replace_schema_metadata(table.schema.metadata), path, write_page_checksum=True)
    for read in (chunk_table, check_whole):
        with pytest.raises(InputFileError, match=r"columns \['channel'\] that changed"):
            read(path)
    assert read_table(path, ["m4l"]).num_rows == 3
