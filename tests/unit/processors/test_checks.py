"""Checks after a run: lost chunks, files that changed, tables of another run, events twice, tables nobody planned."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from processors.checks import check_complete, check_none_lost, check_selected, check_unchanged, check_unique, remove_stale, verify_tables
from processors.inputs import FileInput, SampleInputs
from processors.plan import Chunk
from toolkit.artifacts import ChunkInfo, sampled_digest, write_chunk
from toolkit.config import SampleConfig
from toolkit.errors import ArtifactMismatchError, PhysicsDomainError

SAMPLE = SampleConfig(name="qqZZ", files=("*.root",))


def _input(path: Path, entries: int = 4) -> FileInput:
    stat = path.stat()
    return FileInput(
        str(path), "Events", entries, b"0" * 16, stat.st_size, stat.st_mtime_ns, sampled_digest(path), frozenset({"event"}), 1.0, 1.0
    )


@pytest.fixture
def ntuple(tmp_path: Path) -> Path:
    path = tmp_path / "qqZZ.root"
    path.write_bytes(b"root and more")
    return path


@pytest.fixture
def sample(ntuple: Path) -> SampleInputs:
    return SampleInputs(config=SAMPLE, files=(_input(ntuple),), xsec_pb=1.0, sumw=1.0)


def _table(folder: Path, file: FileInput, *, key: str = "k", run: int = 1, events: tuple[int, ...] = (1, 2), index: int = 0) -> Chunk:
    """Write the table of one chunk and return the chunk."""
    info = ChunkInfo("qqZZ", (), key=key, source=f"qqZZ_{index}.root", file_index=index, start=0, stop=4, cutflow={})
    n = len(events)
    identity: dict[str, Any] = {name: np.zeros(n, dtype=np.int64) for name in ("luminosityBlock", "channel")}
    identity |= {"event": np.array(events), "run": np.full(n, run), "file_index": np.full(n, index), "entry": np.arange(n)}
    write_chunk(folder, info=info, identity=identity, observables={}, weight=np.ones(n), benchmark_weights=np.empty((n, 0)))
    return Chunk("qqZZ", file, index, 0, 4, key)


def test_chunks_without_a_result_are_counted() -> None:
    check_none_lost(["a", "b"], {"b", "a"})
    with pytest.raises(ArtifactMismatchError, match="processing") as error:
        check_none_lost(["a", "b", "c"], {"b"})
    assert error.value.got == "2 of 3 chunks missing, first a"
    assert error.value.remedy == "run again; finished chunks are reused"


@pytest.mark.parametrize("change", ["grown", "touched", "overwritten", "gone"])
def test_a_file_that_changed_while_it_was_read_is_refused(sample: SampleInputs, ntuple: Path, change: str) -> None:
    check_unchanged([sample])
    if change == "grown":
        ntuple.write_bytes(b"root and more and more")
    elif change == "touched":
        later = ntuple.stat().st_mtime_ns + 1_000_000
        os.utime(ntuple, ns=(later, later))
    elif change == "overwritten":
        before = ntuple.stat()
        ntuple.write_bytes(b"root and less")
        os.utime(ntuple, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert (ntuple.stat().st_size, ntuple.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    else:
        ntuple.unlink()
    with pytest.raises(ArtifactMismatchError, match=r"input file .*qqZZ\.root") as error:
        check_unchanged([sample])
    assert "as when the run began" in error.value.expected
    assert ("FileNotFoundError" in error.value.got) == (change == "gone")


def test_entries_that_were_not_counted_are_named(sample: SampleInputs) -> None:
    check_complete({"qqZZ": {"entries": 4}}, [sample])
    with pytest.raises(ArtifactMismatchError, match="entries processed of sample qqZZ") as error:
        check_complete({}, [sample])
    assert (error.value.got, error.value.expected) == (0, "4, the entries of its files")


def test_the_cut_that_leaves_nothing_is_named(sample: SampleInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processors.checks.explain_empty", lambda config, files: None)
    cutflow = {cut: {"events": n} for cut, n in (("all", 4), ("four leptons", 2), ("m4l", 0), ("jets", 0))}
    check_selected(sample, {"selected": 1, "cutflow": cutflow})
    with pytest.raises(PhysicsDomainError, match="selected events of sample qqZZ") as error:
        check_selected(sample, {"selected": 0, "cutflow": cutflow})
    assert error.value.remedy == "loosen the selection (cut 'm4l' leaves nothing), or check momentum units and the file list"


def test_tables_of_this_run_are_described_and_others_refused(tmp_path: Path, sample: SampleInputs) -> None:
    chunk = _table(tmp_path, sample.files[0])
    infos, rows = verify_tables(tmp_path, [chunk])
    assert [info.key for info in infos] == ["k"]
    assert rows == {"qqZZ/0000_0000000000.parquet": 2}
    with pytest.raises(ArtifactMismatchError, match="give each run its own --out") as error:
        verify_tables(tmp_path, [dataclasses.replace(chunk, key="mine")])
    assert (error.value.got, error.value.expected) == ("key k", "key mine")


def test_an_event_that_occurs_twice_is_named_with_both_places(tmp_path: Path, sample: SampleInputs) -> None:
    chunks = [_table(tmp_path, sample.files[0], events=(1, 2)), _table(tmp_path, sample.files[0], events=(3, 2), index=1)]
    infos, _ = verify_tables(tmp_path, chunks)
    with pytest.raises(ArtifactMismatchError, match="event number 2 of sample qqZZ") as error:
        check_unique(tmp_path, "qqZZ", infos)
    assert "entry 1 of qqZZ_0.root, entry 1 of qqZZ_1.root (1 repetitions in all)" in error.value.got


def test_the_same_number_in_another_run_is_another_event(tmp_path: Path, sample: SampleInputs) -> None:
    chunks = [_table(tmp_path, sample.files[0], run=1), _table(tmp_path, sample.files[0], run=2, index=1)]
    infos, _ = verify_tables(tmp_path, chunks)
    check_unique(tmp_path, "qqZZ", infos)


def test_only_tables_that_nobody_planned_go(tmp_path: Path, sample: SampleInputs) -> None:
    kept = _table(tmp_path, sample.files[0])
    _table(tmp_path, sample.files[0], index=7)
    (tmp_path / "qqZZ@old_up").mkdir()
    (tmp_path / "qqZZ@old_up" / "0000_0000000000.parquet").touch()
    (tmp_path / "qqZZ" / ".0000_0000000000.parquet.1.ab.tmp").touch()
    (tmp_path / "qqZZ" / "notes.txt").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "0000_0000000000.parquet").touch()
    remove_stale(tmp_path, [kept])
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".root")
    assert left == ["other/0000_0000000000.parquet", "qqZZ/0000_0000000000.parquet", "qqZZ/notes.txt"]
    assert not (tmp_path / "qqZZ@old_up").exists()
