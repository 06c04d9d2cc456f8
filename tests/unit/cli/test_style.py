"""`--style` sets the look of the plots, and only that."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import CommandLine

    from toolkit.pipeline import StageContext

HEAD = {"schema": 1, "poi": "mu", "asimov": {"mu": 1.0}, "luminosity_ifb": 140.0}
EMPTY: dict[str, object] = {"yields": {}, "methods": {}, "closure": [], "timing_s": {}}


@pytest.fixture(autouse=True)
def _results(h4l: CommandLine) -> None:
    def write(context: StageContext) -> None:
        (context.work / "results.json").write_text(json.dumps({**HEAD, **EMPTY}))

    h4l.hooks["report"] = write


def test_option_comes_before_the_config(h4l: CommandLine) -> None:
    for words, expected in (((), "CMS"), (("--style", "ATLAS"), "ATLAS"), (("--style", "plain"), "plain")):
        done = h4l("run", h4l.config(report={"style": "CMS"}), "--out", "there", "--from", "report", *words)
        assert done.code == 0, done.stderr
        config = h4l.contexts[-1].config
        assert config.report.style == expected
        assert config.report.status == "Simulation"


def test_a_single_stage_takes_it(h4l: CommandLine) -> None:
    assert h4l("run", h4l.config(), "--out", "there", "--style", "CMS").code == 0
    assert h4l("report", h4l.config(), "--out", "there", "--force", "--style", "CMS").code == 0
    assert h4l.ran == ["report"]
    assert h4l.contexts[-1].config.report.style == "CMS"


def test_unknown_style_is_refused(h4l: CommandLine) -> None:
    done = h4l("run", h4l.config(), "--style", "CDF")
    assert done.code == 2
    assert "CDF" in done.stderr
    assert h4l.ran == []
