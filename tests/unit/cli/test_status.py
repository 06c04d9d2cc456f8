"""`h4l status` says what is done, what is in work, and who runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from toolkit.pipeline.lock import folder_lock

if TYPE_CHECKING:
    from conftest import CommandLine

    from toolkit.pipeline import StageContext


def test_an_interrupted_training_and_a_run_that_goes_on(h4l: CommandLine) -> None:
    def stop(context: StageContext) -> None:
        members = context.work / "models" / "members"
        members.mkdir(parents=True)
        (members / "member_00.pt").touch()
        raise KeyboardInterrupt

    h4l.hooks["train"] = stop
    assert h4l("run", h4l.config(), "--out", "there").code == 130
    done = h4l("status", "there")
    assert done.code == 0
    states = [line.split("│")[2].strip() for line in done.stdout.splitlines() if line.startswith("│")]
    assert states == ["done", "done", "done", "in work", "missing", "missing", "missing"]
    assert "train: 2 files written so far, 1 member trained" in done.stdout
    assert "No run is going on" in done.stdout
    with folder_lock(h4l.folder / "there" / ".stages" / "lock"):
        assert f"A run is going on: process {os.getpid()} on" in h4l("status", "there").stdout


def test_a_finished_run_names_its_versions(h4l: CommandLine) -> None:
    h4l.hooks["report"] = h4l.write_results
    h4l("run", h4l.config(), "--out", "there")
    text = h4l("status", "there").stdout
    assert text.count("│ done") == 7
    assert "h4l-toolkit" in text
    assert "report.html: there/report.html" in text


def test_another_folder_is_refused(h4l: CommandLine) -> None:
    done = h4l("status", ".")
    assert done.code == 2
    assert "a folder without .stages" in done.stderr
