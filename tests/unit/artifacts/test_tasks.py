"""Records of finished tasks: read again bit for bit, and never believed when damaged."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolkit.artifacts.tasks import FinishedTasks

NUMBERS = {"x": 0.1 + 0.2, "y": [1e-300, -0.0, 3], "name": "fit é"}


def _never() -> dict[str, Any]:
    pytest.fail("a finished task ran again")


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _another_number(path: Path) -> None:
    text = path.read_text()
    assert "0.30000000000000004" in text
    path.write_text(text.replace("0.30000000000000004", "0.31000000000000004"))


def test_a_finished_task_is_read(tmp_path: Path) -> None:
    tasks = FinishedTasks(tmp_path / "tasks")
    assert tasks.result("a", lambda: NUMBERS) == NUMBERS
    assert FinishedTasks(tmp_path / "tasks").result("a", _never) == NUMBERS
    assert tasks.result("b", dict) == {}


@pytest.mark.parametrize("damage", [_cut, _empty, _another_number, Path.unlink])
def test_a_damaged_record_is_none(damage: Callable[[Path], Any], tmp_path: Path) -> None:
    tasks = FinishedTasks(tmp_path)
    tasks.result("a", lambda: NUMBERS)
    damage(next(tmp_path.iterdir()))
    calls = []
    assert tasks.result("a", lambda: calls.append(1) or NUMBERS) == NUMBERS  # type: ignore[func-returns-value]
    assert calls == [1]


def test_a_record_of_another_task_is_none(tmp_path: Path) -> None:
    tasks = FinishedTasks(tmp_path)
    tasks.result("a", lambda: {"x": 1})
    record = next(tmp_path.iterdir())
    tasks.result("b", lambda: {"x": 2})
    other = next(p for p in tmp_path.iterdir() if p != record)
    record.write_bytes(other.read_bytes())
    assert tasks.result("a", lambda: {"x": 3}) == {"x": 3}


def test_a_task_that_fails_leaves_nothing(tmp_path: Path) -> None:
    tasks = FinishedTasks(tmp_path)
    with pytest.raises(ZeroDivisionError):
        tasks.result("a", lambda: {"x": 1 / 0})
    with pytest.raises(ValueError, match="not JSON compliant"):
        tasks.result("a", lambda: {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_every_task_runs() -> None:
    numbers = iter(range(3))
    tasks = FinishedTasks()
    assert [tasks.result("a", lambda: {"n": next(numbers)})["n"] for _ in range(3)] == [0, 1, 2]


def test_files_count_as_there_until_they_change(tmp_path: Path) -> None:
    tasks, file = FinishedTasks(tmp_path / "tasks"), tmp_path / "plot.json"
    assert not tasks.has_files("plot", [file])
    file.write_text(json.dumps([1, 2]))
    assert not tasks.has_files("plot", [file])
    tasks.keep_files("plot", [file])
    assert tasks.has_files("plot", [file])
    file.write_text("[1, 3]")
    assert not tasks.has_files("plot", [file])
    file.write_text("[1, 2]")
    assert tasks.has_files("plot", [file])
    file.unlink()
    assert not tasks.has_files("plot", [file])
