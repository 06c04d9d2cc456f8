"""Processing under faults: no wrong result, a clear error, and a second run that completes what the first one left."""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from processors import ProcessingResult, run
from processors.histograms import read_histograms
from toolkit.artifacts import atomic, read_events
from toolkit.config import Config
from toolkit.errors import ArtifactMismatchError, InputFileError, WorkerLostError

SAMPLES = ("ggF_SBI", "qqZZ")
CHUNKSIZE = 25

DIES = """
import os, signal, sys
from processors import run
from toolkit.config import load_config

def die(label, done, total):
    if done >= 70:
        os.kill(os.getpid(), signal.SIGKILL)

run(load_config(sys.argv[1]), sys.argv[2], chunksize=25, progress=die)
"""


@pytest.fixture
def folder(tmp_path: Path, ntuples: ModuleType) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    for i in range(2):
        ntuples.write_nano(data / f"signal_{i}.root", ntuples.make_events(60, seed=i, first=1 + 60 * i))
    ntuples.write_nano(data / "qqZZ.root", ntuples.make_events(50, seed=5, first=1000), benchmarks=False)
    return data


@pytest.fixture
def config(folder: Path, ntuples: ModuleType) -> Config:
    samples = [ntuples.signal_sample("signal_*.root"), {"name": "qqZZ", "files": ["qqZZ.root"]}]
    return ntuples.make_config(folder, samples)  # type: ignore[no-any-return]


@pytest.fixture
def reference(config: Config, tmp_path: Path) -> ProcessingResult:
    return run(config, tmp_path / "reference", chunksize=CHUNKSIZE)


def _check_resumes(config: Config, out: Path, reference: ProcessingResult, *, reused: int | None = None) -> None:
    """The folder holds no result that could be taken for one; a second run gives what an undisturbed run gives."""
    assert not (out / "events" / "index.json").exists()
    with pytest.raises(InputFileError, match=r"index\.json"):
        read_events(out / "events", "qqZZ")
    resumed = run(config, out, chunksize=CHUNKSIZE)
    if reused is not None:
        assert resumed.reused == reused
    assert resumed.selected == reference.selected
    files = {p.relative_to(out) for p in (out / "events").rglob("*")}
    assert files == {p.relative_to(reference.out) for p in (reference.out / "events").rglob("*")}
    for sample in SAMPLES:
        for cut, counts in reference.cutflow[sample].items():
            assert resumed.cutflow[sample][cut]["events"] == counts["events"]
            assert resumed.cutflow[sample][cut]["sumw"] == pytest.approx(counts["sumw"], rel=1e-12)
        a, b = (read_events(where / "events", sample) for where in (reference.out, out))
        np.testing.assert_array_equal(a.event_id, b.event_id)
        np.testing.assert_array_equal(a.weight, b.weight)
        np.testing.assert_array_equal(a.benchmark_weights, b.benchmark_weights)
        for name, values in a.observables.items():
            np.testing.assert_array_equal(values, b.observables[name], err_msg=name)
        left, right = (read_histograms(where / "histograms" / f"{sample}.json") for where in (reference.out, out))
        for name, histogram in left.items():
            for field in ("value", "variance"):
                np.testing.assert_allclose(histogram.view(flow=True)[field], right[name].view(flow=True)[field], rtol=1e-12, atol=1e-12)


def _once(action: Callable[[], Any], *, after: float) -> Callable[[str, float, float], None]:
    """Return a progress callback that acts once, when that many entries are done."""
    waiting = [action]

    def progress(_label: str, done: float, _total: float) -> None:
        if waiting and done >= after:
            waiting.pop()()

    return progress


def test_a_killed_run_resumes(config: Config, folder: Path, tmp_path: Path, reference: ProcessingResult) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(_yaml(folder))
    killed = subprocess.run([sys.executable, "-c", DIES, str(path), str(tmp_path / "out")], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    _check_resumes(config, tmp_path / "out", reference, reused=3)


def test_what_a_killed_run_half_wrote_is_removed(config: Config, tmp_path: Path, reference: ProcessingResult) -> None:
    half = tmp_path / "out" / "events" / "qqZZ" / ".0000_0000000000.parquet.123.abc.tmp"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"PAR1")
    _check_resumes(config, tmp_path / "out", reference, reused=0)


def test_a_killed_worker_is_named_and_the_run_resumes(config: Config, tmp_path: Path, reference: ProcessingResult) -> None:
    def kill_workers() -> None:
        for child in multiprocessing.active_children():
            os.kill(child.pid or 0, signal.SIGKILL)

    with pytest.raises(WorkerLostError, match=r"(?s)worker process died.*run again"):
        run(config, tmp_path / "out", executor="futures", workers=1, chunksize=CHUNKSIZE, progress=_once(kill_workers, after=20))
    _check_resumes(config, tmp_path / "out", reference)


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _replace(path: Path) -> None:
    shutil.copyfile(path.with_name("signal_0.root"), path)


@pytest.mark.parametrize("action", [_truncate, Path.unlink])
def test_a_file_that_is_damaged_during_the_run_is_named(
    action: Callable[[Path], Any], config: Config, folder: Path, tmp_path: Path, reference: ProcessingResult
) -> None:
    victim, copy = folder / "signal_1.root", tmp_path / "copy.root"
    shutil.copy2(victim, copy)
    with pytest.raises(InputFileError, match=r"(?s)signal_1\.root.*(run again|produce the file again)"):
        run(config, tmp_path / "out", chunksize=CHUNKSIZE, progress=_once(lambda: action(victim), after=50))
    shutil.copy2(copy, victim)
    _check_resumes(config, tmp_path / "out", reference, reused=2)


def test_a_file_that_is_replaced_during_the_run_is_noticed(
    config: Config, folder: Path, tmp_path: Path, reference: ProcessingResult
) -> None:
    victim, copy = folder / "signal_1.root", tmp_path / "copy.root"
    shutil.copy2(victim, copy)
    with pytest.raises(ArtifactMismatchError, match=r"(?s)signal_1\.root.*as when the run began"):
        run(config, tmp_path / "out", chunksize=CHUNKSIZE, progress=_once(lambda: _replace(victim), after=50))
    shutil.copyfile(copy, victim)  # a new time of change: what came from the other file is not reused
    _check_resumes(config, tmp_path / "out", reference, reused=4)


def test_an_unreadable_file_is_named(config: Config, folder: Path, tmp_path: Path) -> None:
    victim = folder / "signal_1.root"
    victim.unlink()
    victim.mkdir()
    with pytest.raises(InputFileError, match=r"signal_\*|signal_1\.root"):
        run(config.model_copy(update={"samples": (_only(config, str(victim)),)}), tmp_path / "out")


def _only(config: Config, path: str) -> Any:
    return config.samples[0].model_copy(update={"files": (path,)})


WRITES = 10
"""Files of a run, in order: six event tables, the cut flow, the index, two of histograms."""


@pytest.mark.parametrize("position", [0, 4, 6, 7])
def test_a_full_disk_is_named_wherever_it_strikes(
    position: int, config: Config, tmp_path: Path, reference: ProcessingResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter(range(WRITES))

    def fsync(_handle: int) -> None:
        if next(calls) == position:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, "fsync", fsync)
        with pytest.raises(InputFileError, match=r"(?s)No space left on device.*free disk space"):
            run(config, tmp_path / "out", chunksize=CHUNKSIZE)
    _check_resumes(config, tmp_path / "out", reference, reused=min(position, 6))


@pytest.fixture
def small_files() -> Iterator[None]:
    """Let the kernel refuse to write more than 2 kB to any file, as a quota does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_that_the_system_cuts_short_is_an_error(config: Config, tmp_path: Path, small_files: None) -> None:
    with pytest.raises(InputFileError, match=r"(?s)cannot write .*parquet.*free disk space"):
        run(config, tmp_path / "out", chunksize=CHUNKSIZE)
    assert [p for p in (tmp_path / "out" / "events").rglob("*") if p.is_file()] == []


def _yaml(folder: Path) -> str:
    return f"""
luminosity_ifb: 100.0
samples:
  - {{name: ggF_SBI, files: ["{folder}/signal_*.root"], benchmarks: [ggF_S, ggF_B, ggF_SBI]}}
  - {{name: qqZZ, files: ["{folder}/qqZZ.root"]}}
"""
