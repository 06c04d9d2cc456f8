from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from processors.inputs import inspect_inputs
from processors.plan import entry_ranges, plan_chunks
from processors.runner import run
from toolkit.errors import SchemaError


@pytest.mark.parametrize(("entries", "chunksize"), [(0, 10), (1, 10), (10, 10), (14, 10), (16, 10), (1000, 7), (99, 100)])
def test_ranges_cover_every_entry_once_in_nearly_equal_parts(entries: int, chunksize: int) -> None:
    ranges = entry_ranges(entries, chunksize)
    assert [i for start, stop in ranges for i in range(start, stop)] == list(range(entries))
    lengths = [stop - start for start, stop in ranges]
    assert max(lengths) <= 1.5 * chunksize
    assert len(ranges) == 1 or max(lengths) - min(lengths) <= len(ranges)


def test_a_chunksize_of_zero_is_refused() -> None:
    with pytest.raises(SchemaError, match="chunksize"):
        entry_ranges(10, 0)


@pytest.fixture
def folder(tmp_path: Path, ntuples: ModuleType) -> Path:
    ntuples.write_nano(tmp_path / "a.root", ntuples.make_events(30, seed=1))
    return tmp_path


def _keys(folder: Path, ntuples: ModuleType, sample: dict[str, Any] | None = None, **sections: Any) -> list[str]:
    config = ntuples.make_config(folder, [ntuples.signal_sample("a.root", **(sample or {}))], **sections)
    return [chunk.key for chunk in plan_chunks(config, inspect_inputs(config), chunksize=10)]


def test_each_chunk_has_its_own_key_and_the_keys_repeat(folder: Path, ntuples: ModuleType) -> None:
    keys = _keys(folder, ntuples)
    assert len(set(keys)) == 3
    assert keys == _keys(folder, ntuples)


def test_learning_the_variations_changes_no_key(folder: Path, ntuples: ModuleType) -> None:
    assert _keys(folder, ntuples) == _keys(folder, ntuples, systematics={"ratios": {"shape": "networks"}})


def _tables(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Time of change and content of every event table below a folder."""
    paths = sorted((folder / "events").glob("*/*.parquet"))
    return {path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}


def test_chunks_of_a_former_run_are_taken_over_where_they_are_still_right(folder: Path, ntuples: ModuleType) -> None:
    ntuples.write_nano(folder / "b.root", ntuples.make_events(20, seed=2, first=100))
    signal, more = ntuples.signal_sample("a.root"), {"name": "qqZZ", "files": ["b.root"], "xsec_pb": 1.0}
    first = run(ntuples.make_config(folder, [signal]), folder / "first", chunksize=10)
    before = _tables(folder / "first")
    assert len(before) == first.chunks == 3
    broken = folder / "first" / list(before)[1]
    broken.write_bytes(broken.read_bytes()[:-1])
    both = ntuples.make_config(folder, [signal, more])
    second = run(both, folder / "second", chunksize=10, former=[folder / "nothing", folder / "first"])
    assert (second.chunks, second.reused) == (5, 2)
    after = _tables(folder / "second")
    assert {name for name in before if after[name] == before[name]} == set(before) - {list(before)[1]}
    fresh = run(both, folder / "fresh", chunksize=10)
    assert second.yields == pytest.approx(fresh.yields, rel=1e-12)
    assert second.selected == fresh.selected
    assert {n: c for n, (_, c) in after.items()} == {n: c for n, (_, c) in _tables(folder / "fresh").items()}


@pytest.mark.parametrize(
    ("sample", "sections"),
    [
        ({"k_factor": 1.5}, {}),
        ({"xsec_pb": 1.0}, {}),
        ({}, {"selection": {"m4l": [220, 1999]}}),
        ({}, {"luminosity_ifb": 140.0}),
        ({}, {"observables": ["m4l"]}),
    ],
)
def test_what_changes_the_tables_changes_every_key(folder: Path, ntuples: ModuleType, sample: Any, sections: Any) -> None:
    assert not set(_keys(folder, ntuples)) & set(_keys(folder, ntuples, sample, **sections))


def test_what_does_not_change_the_tables_changes_no_key(folder: Path, ntuples: ModuleType) -> None:
    assert _keys(folder, ntuples) == _keys(folder, ntuples, name="other", ratios={"epochs": 3}, parameter={"asimov": 2.0})


def test_a_moved_file_keeps_its_keys_and_a_changed_one_does_not(folder: Path, ntuples: ModuleType) -> None:
    before = _keys(folder, ntuples)
    (folder / "moved").mkdir()
    shutil.move(folder / "a.root", folder / "moved" / "a.root")
    assert _keys(folder / "moved", ntuples) == before
    status = (folder / "moved" / "a.root").stat()
    os.utime(folder / "moved" / "a.root", ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert not set(_keys(folder / "moved", ntuples)) & set(before)
