from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from toolkit.artifacts import ChunkInfo, EventTable, chunk_table, read_events, read_info, write_chunk, write_index
from toolkit.artifacts.columns import sealed
from toolkit.artifacts.events import SCHEMA, check_whole
from toolkit.errors import ArtifactMismatchError, InputFileError, SchemaError


def _info(file_index: int, start: int, stop: int, *, key: str = "k", benchmarks: tuple[str, ...] = ("S", "B")) -> ChunkInfo:
    cutflow = {"all": {"events": stop - start, "sumw": 1.5, "sumw2": 0.5}}
    return ChunkInfo("sample", benchmarks, key, "file.root", file_index, start, stop, cutflow)


def _write(folder: Path, info: ChunkInfo, entries: list[int]) -> None:
    n = len(entries)
    values = np.array(entries, dtype=float) + 1000 * info.file_index
    identity = {
        "event": values.astype(np.uint64),
        "run": np.ones(n),
        "luminosityBlock": np.ones(n),
        "file_index": np.full(n, info.file_index),
        "entry": np.array(entries),
        "channel": np.full(n, 2),
    }
    missing = np.where(np.arange(n) % 2 == 0, np.nan, values)
    write_chunk(
        folder,
        info=info,
        identity=identity,
        observables={"m4l": values + 0.25, "m_jj": missing},
        weight=values / 7,
        benchmark_weights=np.stack([values * (i + 1) for i in range(len(info.benchmarks))], axis=1)
        if info.benchmarks
        else np.empty((n, 0)),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three chunks, written in an order that is not theirs."""
    chunks = [(_info(1, 0, 10), [2, 3]), (_info(0, 10, 20), [11, 12, 19]), (_info(0, 0, 10), [0, 5])]
    for info, entries in chunks:
        _write(tmp_path, info, entries)
    write_index(tmp_path, [info for info, _ in chunks], rows={info.relative_path: len(entries) for info, entries in chunks})
    return tmp_path


def test_a_table_comes_back_exactly_and_in_the_order_of_the_ntuples(folder: Path) -> None:
    table = read_events(folder, "sample")
    expected = np.array([0, 5, 11, 12, 19, 1002, 1003])
    assert isinstance(table, EventTable)
    assert len(table) == 7
    np.testing.assert_array_equal(table.event_id, expected.astype(np.uint64))
    np.testing.assert_array_equal(table.observables["m4l"], expected + 0.25)
    np.testing.assert_array_equal(table.observables["m_jj"], [np.nan, 5, np.nan, 12, np.nan, np.nan, 1003])
    np.testing.assert_array_equal(table.weight, expected / 7)
    np.testing.assert_array_equal(table.benchmark_weights, np.stack([expected, 2 * expected], axis=1))
    assert table.benchmarks == ("S", "B")
    assert table.event_id.dtype == np.uint64
    assert table.channel.tolist() == [2] * 7


def test_only_the_wanted_observables_are_read(folder: Path) -> None:
    assert list(read_events(folder, "sample", columns=["m_jj"]).observables) == ["m_jj"]


def test_a_sample_that_does_not_interfere_has_no_benchmark_columns(tmp_path: Path) -> None:
    info = _info(0, 0, 10, benchmarks=())
    _write(tmp_path, info, [1, 2, 3])
    write_index(tmp_path, [info], rows={info.relative_path: 3})
    assert read_events(tmp_path, "sample").benchmark_weights.shape == (3, 0)


def test_a_chunk_says_what_it_is(folder: Path) -> None:
    info = read_info(folder / "sample" / "0000_0000000010.parquet")
    assert info == _info(0, 10, 20)
    assert chunk_table(folder / info.relative_path).weight.tolist() == [11 / 7, 12 / 7, 19 / 7]


def test_unknown_samples_and_columns_are_named(folder: Path) -> None:
    with pytest.raises(SchemaError, match=r"(?s)no sample 'other'.*\['sample'\]"):
        read_events(folder, "other")
    with pytest.raises(SchemaError, match=r"(?s)no column \['m5l'\].*m4l"):
        read_events(folder, "sample", columns=["m5l"])


def test_tables_without_index_are_incomplete(folder: Path) -> None:
    (folder / "index.json").unlink()
    with pytest.raises(InputFileError, match=r"(?s)index\.json.*when it comes to its end"):
        read_events(folder, "sample")


def test_a_lost_chunk_is_an_error(folder: Path) -> None:
    (folder / "sample" / "0001_0000000000.parquet").unlink()
    with pytest.raises(InputFileError, match=r"0001_0000000000\.parquet"):
        read_events(folder, "sample")


def test_a_truncated_chunk_is_an_error(folder: Path) -> None:
    path = folder / "sample" / "0001_0000000000.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputFileError, match=r"(?s)0001_0000000000\.parquet.*complete parquet file"):
        read_events(folder, "sample")


def test_a_byte_that_turned_anywhere_is_noticed_or_changes_nothing(folder: Path) -> None:
    path = folder / "sample" / "0001_0000000000.parquet"
    content, info, table, refused = path.read_bytes(), read_info(path), chunk_table(path), 0
    for position in range(0, len(content), 11):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        path.write_bytes(bytes(damaged))
        try:
            found = read_info(path)
            check_whole(path)
            read = chunk_table(path)
        except (InputFileError, SchemaError):
            refused += 1
            continue
        assert found == info
        assert set(read.observables) == set(table.observables)
        for name, values in table.observables.items():
            np.testing.assert_array_equal(read.observables[name], values)
        for name in ("event_id", "weight", "benchmark_weights"):
            np.testing.assert_array_equal(getattr(read, name), getattr(table, name))
    assert refused > 0.6 * len(content) / 11


def test_a_chunk_of_another_run_is_an_error(folder: Path) -> None:
    _write(folder, _info(1, 0, 10, key="other"), [2, 3])
    with pytest.raises(ArtifactMismatchError, match=r"(?s)key other.*key k of index\.json"):
        read_events(folder, "sample")


def test_lost_rows_are_an_error(folder: Path) -> None:
    _write(folder, _info(1, 0, 10), [2])
    with pytest.raises(ArtifactMismatchError, match=r"(?s)6 rows.*7 rows"):
        read_events(folder, "sample")


def test_another_version_of_the_form_is_refused(folder: Path) -> None:
    info = _info(0, 0, 10)
    document: dict[str, Any] = {**info.__dict__, "schema": 99}
    _write(folder, ChunkInfo(**document), [0, 5])
    for read in (read_info, check_whole):
        with pytest.raises(SchemaError, match=r"(?s)schema 99, written by another version.*schema 2.*`h4l process` writes the tables anew"):
            read(folder / info.relative_path)
    index = json.loads((folder / "index.json").read_text())
    assert index["schema"] == 2
    (folder / "index.json").write_text(json.dumps({**index, "schema": 1}))
    with pytest.raises(SchemaError, match=r"(?s)index\.json.*schema 1, written by another version.*`h4l process`"):
        read_events(folder, "sample")


def test_a_table_of_a_form_without_seal_is_not_called_damaged(folder: Path) -> None:
    """Forms before the first one with digests."""
    path = folder / _info(0, 0, 10).relative_path
    table = pq.read_table(path)
    for document, error, message in (
        ({"schema": 0}, SchemaError, "schema 0, written by another version"),
        ({"sample": "sample"}, SchemaError, "no schema, written by another version"),
        ({"schema": 2}, InputFileError, "metadata that changed"),
    ):
        pq.write_table(table.replace_schema_metadata({b"h4l": json.dumps(document).encode()}), path)
        with pytest.raises(error, match=message):
            check_whole(path)
    pq.write_table(table.replace_schema_metadata(None), path)
    with pytest.raises(SchemaError, match="a parquet file without the metadata 'h4l'"):
        read_info(path)


def test_the_form_of_this_version_is_as_it_was() -> None:
    """Tables that this version wrote must be read by the next one, or it needs another number of the form."""
    columns = {"m4l": pa.array([250.0, None]), "channel": pa.array([0, 2], pa.int8())}
    metadata = sealed(b"{}", columns, key=b"h4l")
    digests = {"m4l": "d4a91559", "channel": "0275be6a"}
    assert (SCHEMA, json.loads(metadata[b"h4l_columns"])) == (2, digests)
    assert metadata[b"h4l_digest"] == b"099329d7cd3f1333a19ed86b195aae8e"
