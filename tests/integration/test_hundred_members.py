"""An ensemble of 100 members on two dask workers, killed twice, ends with the bits of one that nobody disturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


def start(folder: Path, executor: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.integration.hundred_members", str(folder), executor]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)


def finished(folder: Path) -> set[str]:
    return {file.name for file in folder.glob("member_*.pt")}


def kill_after(folder: Path, members: int) -> set[str]:
    """Start, kill the whole process group once so many members are finished, and return them."""
    process = start(folder, "dask")
    deadline = time.monotonic() + 400.0
    while len(finished(folder)) < members and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert process.poll() is None, "killed while it trains"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return finished(folder)


def test_killed_twice_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="the dask extra is not installed")
    quiet, killed = tmp_path / "quiet", tmp_path / "killed"
    for folder in (quiet, killed):
        folder.mkdir()
    assert start(quiet, "sequential").wait() == 0
    first = kill_after(killed, 15)
    second = kill_after(killed, 55)
    assert 15 <= len(first) < len(second) < 100
    times = {name: (killed / name).stat().st_mtime_ns for name in second}
    assert start(killed, "dask").wait() == 0
    assert len(finished(killed)) == 100
    assert {name: (killed / name).stat().st_mtime_ns for name in second} == times, "no member is trained twice"
    np.testing.assert_array_equal(np.load(killed / "out_of_bag.npy"), np.load(quiet / "out_of_bag.npy"))
