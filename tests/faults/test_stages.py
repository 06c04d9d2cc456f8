"""The engine under faults, in each of the stages: the results of an undisturbed run, no finished work lost, a remedy named."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from tests.faults import stages
from toolkit.cli.failures import explained
from toolkit.pipeline import STAGE_NAMES
from toolkit.pipeline.stamps import stamp_path

SCRIPT = Path(__file__).with_name("stages.py")
Refused = Callable[[Callable[[], Any]], str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "input.json").write_text("[1, 2, 3]\n")
    return tmp_path


@pytest.fixture
def expected(folder: Path) -> dict[str, str]:
    return _undisturbed(folder)


def _undisturbed(folder: Path) -> dict[str, str]:
    """Return what an undisturbed run leaves."""
    other = folder / "undisturbed"
    other.mkdir()
    shutil.copyfile(folder / "input.json", other / "input.json")
    stages.run_stages(other)
    return _results(other)


def _results(folder: Path) -> dict[str, str]:
    return {name: (folder / "out" / name / "result.json").read_text() for name in STAGE_NAMES}


def _visible(folder: Path) -> set[str]:
    paths = (p.relative_to(folder / "out") for p in (folder / "out").rglob("*") if p.is_file())
    return {p.as_posix() for p in paths if p.parts[0] != ".stages"}


def _ran(folder: Path, **keys: Any) -> list[str]:
    return [outcome.stage for outcome in stages.run_stages(folder, **keys) if outcome.status == "ran"]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Check that a call ends with exit code 2 and one message with a remedy, and return the message."""

    def check(call: Callable[[], Any]) -> str:
        with pytest.raises(typer.Exit) as stopped, explained(debug=False):
            call()
        message = capsys.readouterr().err
        assert stopped.value.exit_code == 2, message
        assert "remedy:" in message
        assert "Traceback" not in message
        return message

    return check


def _tasks(folder: Path) -> list[str]:
    return (folder / "tasks.log").read_text().splitlines()


def test_killed_in_every_stage_in_turn_nothing_finished_is_lost(folder: Path, expected: dict[str, str]) -> None:
    for victim in STAGE_NAMES:
        died = subprocess.run([sys.executable, SCRIPT, folder, victim], capture_output=True, check=False)
        assert died.returncode == -signal.SIGKILL, died.stderr.decode()
        assert not any(name.startswith(victim) for name in _visible(folder))
    stages.run_stages(folder)
    assert _results(folder) == expected
    tasks = _tasks(folder)
    for name in stages.RESUMABLE:
        assert [t for t in tasks if t.startswith(name)] == [f"{name} {i}" for i in range(stages.TASKS)]
    for name in set(STAGE_NAMES) - set(stages.RESUMABLE):
        assert sum(t.startswith(name) for t in tasks) == 2 * stages.TASKS - 1  # only the stage in hand began again


@pytest.mark.parametrize("victim", STAGE_NAMES)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_in_a_stage(code: int, victim: str, folder: Path, refused: Refused) -> None:
    def fill(stage: str, task: int) -> None:
        if (stage, task) == (victim, 1):
            raise OSError(code, os.strerror(code), f"{stage}.json")

    message = refused(lambda: stages.run_stages(folder, hook=fill))
    assert "free disk space and run the same command again: finished stages are kept" in message
    first = STAGE_NAMES.index(victim)
    assert {name.partition("/")[0] for name in _visible(folder)} == set(STAGE_NAMES[:first])
    assert _ran(folder) == list(STAGE_NAMES[first:])
    assert _results(folder) == _undisturbed(folder)
    if victim in stages.RESUMABLE:
        assert len(_tasks(folder)) == len(set(_tasks(folder)))


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("victim", STAGE_NAMES)
@pytest.mark.parametrize("damage", [_cut, _empty, _flip, Path.unlink])
def test_a_damaged_result_is_made_again(damage: Callable[[Path], Any], victim: str, folder: Path, expected: dict[str, str]) -> None:
    stages.run_stages(folder)
    time.sleep(0.01)  # a new time of change
    damage(folder / "out" / stages.target(victim))
    assert _ran(folder) == list(STAGE_NAMES[STAGE_NAMES.index(victim) :])
    assert _results(folder) == expected


@pytest.mark.parametrize("damage", [_cut, _empty, _flip, Path.unlink])
def test_a_damaged_stamp_is_no_stamp(damage: Callable[[Path], Any], folder: Path, expected: dict[str, str]) -> None:
    stages.run_stages(folder)
    damage(stamp_path(folder / "out", "export"))
    assert _ran(folder)[:1] == ["export"]
    assert _results(folder) == expected


@pytest.mark.parametrize("shift_s", [-10 * 365 * 86400, 10 * 365 * 86400])
def test_a_clock_that_jumps_changes_nothing(shift_s: int, folder: Path, expected: dict[str, str]) -> None:
    stages.run_stages(folder)
    for path in folder.rglob("*"):
        at = path.stat().st_mtime + shift_s
        os.utime(path, (at, at))
    assert _ran(folder) == []
    assert _results(folder) == expected


def test_a_clock_that_goes_backwards_during_the_run(folder: Path, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    began, calls = time.time(), iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: began - 3600.0 * next(calls))
    outcomes = stages.run_stages(folder)
    assert _results(folder) == expected
    assert all(outcome.seconds >= 0 for outcome in outcomes)


@pytest.mark.parametrize("victim", STAGE_NAMES)
def test_a_changed_config_after_a_failure_uses_nothing_of_the_old_one(victim: str, folder: Path, expected: dict[str, str]) -> None:
    def fail(stage: str, task: int) -> None:
        if (stage, task) == (victim, 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stages.run_stages(folder, hook=fail)
    assert _ran(folder, seed=2) == list(STAGE_NAMES)
    assert all('"seed": 1' not in text for text in _results(folder).values())
    assert _ran(folder, seed=1) == list(STAGE_NAMES)
    assert _results(folder) == expected


def test_a_removed_input(folder: Path, expected: dict[str, str], refused: Refused) -> None:
    stages.run_stages(folder)
    shutil.move(folder / "input.json", folder / "elsewhere.json")
    assert "input.json" in refused(lambda: stages.run_stages(folder))
    assert _results(folder) == expected
    shutil.move(folder / "elsewhere.json", folder / "input.json")
    assert _ran(folder) == []


def test_a_changed_input(folder: Path, expected: dict[str, str]) -> None:
    stages.run_stages(folder)
    (folder / "input.json").write_text("[1, 2, 4]\n")
    assert _ran(folder) == list(STAGE_NAMES)
    assert _results(folder) != expected


def test_two_runs_at_once(folder: Path, expected: dict[str, str], refused: Refused) -> None:
    messages = []

    def second(stage: str, task: int) -> None:
        if (stage, task) == ("train", 0):
            messages.append(refused(lambda: stages.run_stages(folder)))

    stages.run_stages(folder, hook=second)
    assert len(messages) == 1
    assert _results(folder) == expected
    assert len(_tasks(folder)) == len(set(_tasks(folder)))


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_folder_that_becomes_read_only(code: int, folder: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_handle: int) -> None:
        raise OSError(code, os.strerror(code))

    def lock(stage: str, task: int) -> None:
        if (stage, task) == ("fit", 1):
            monkeypatch.setattr(os, "fsync", refuse)

    assert os.strerror(code) in refused(lambda: stages.run_stages(folder, hook=lock))
    monkeypatch.undo()
    assert _ran(folder) == ["fit", "report"]
    assert _results(folder) == _undisturbed(folder)
