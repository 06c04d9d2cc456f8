"""`--dry-run` says what would run and why, exits with 0 and writes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from toolkit.pipeline import STAGE_NAMES

if TYPE_CHECKING:
    from conftest import CommandLine


def _files(h4l: CommandLine) -> dict[str, int]:
    return {str(path.relative_to(h4l.folder)): path.stat().st_mtime_ns for path in h4l.folder.rglob("*")}


def test_the_first_run_is_rehearsed_without_a_trace(h4l: CommandLine) -> None:
    config = h4l.config()
    before = _files(h4l)
    done = h4l("run", config, "--out", "there", "--dry-run")
    assert done.code == 0, done.stderr
    assert h4l.ran == []
    assert _files(h4l) == before
    assert done.stdout.count("no result yet") == len(STAGE_NAMES)
    assert "7 stages would run (process, histograms, classify, train, export, fit, report)" in done.stdout


def test_a_changed_key_is_named_and_the_run_then_does_what_was_said(h4l: CommandLine) -> None:
    for stage in STAGE_NAMES[:-1]:
        assert h4l(stage, h4l.config(), "--out", "there").code == 0
    config = h4l.config(name="other")
    done = h4l("run", config, "--out", "there", "--dry-run", "--json")
    document = json.loads(done.stdout)
    assert (done.code, document["dry_run"], document["out"]) == (0, True, "there")
    assert [stage["action"] for stage in document["stages"]] == ["run"] * len(STAGE_NAMES)
    assert document["stages"][0]["reasons"] == ["config name: tiny -> other"]
    assert document["stages"][3]["reasons"] == ["process runs before it", "classify runs before it", "config name: tiny -> other"]


@pytest.mark.parametrize("stage", STAGE_NAMES)
def test_every_stage_has_it(h4l: CommandLine, stage: str) -> None:
    h4l.hooks["report"] = h4l.write_results
    config = h4l.config()
    for before in STAGE_NAMES[: STAGE_NAMES.index(stage)]:
        assert h4l(before, config).code == 0
    before_files = _files(h4l)
    done = h4l(stage, config, "--dry-run")
    assert (done.code, h4l.ran) == (0, []), done.stderr
    assert f"1 stage would run ({stage})" in done.stdout
    assert _files(h4l) == before_files
    assert h4l(stage, config).code == 0
    assert h4l.ran == [stage]


def test_nothing_to_do_is_said(h4l: CommandLine) -> None:
    assert h4l("process", h4l.config()).code == 0
    done = h4l("process", h4l.config(), "--dry-run")
    assert "Nothing would run" in done.stdout
    forced = h4l("process", h4l.config(), "--dry-run", "--force")
    assert "asked for" in forced.stdout


def test_what_is_refused_is_refused_here_too(h4l: CommandLine) -> None:
    done = h4l("fit", h4l.config(), "--dry-run", "--json")
    assert done.code == 2
    assert json.loads(done.stdout)["error"]["remedy"].startswith("run `h4l process` first")
