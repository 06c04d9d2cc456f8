"""Diagnostics are computed once: a report that only looks different takes them over."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from toolkit.analysis.layout import DIAGNOSTICS
from toolkit.config import parse_config
from toolkit.pipeline.stage import StageContext
from toolkit.pipeline.stages import examined
from toolkit.pipeline.stages.examined import BEFORE, Examined, examine
from toolkit.pipeline.stamps import Stamp, write_stamp

SAMPLE = {"name": "ggF_S", "files": ["a.root"]}


def _context(folder: Path, where: str, *former: Path, **sections: Any) -> StageContext:
    work = folder / where
    work.mkdir()
    config = parse_config({"luminosity_ifb": 140.0, "samples": [SAMPLE], **sections}, folder=folder)
    return StageContext(config=config, out=folder / "out", work=work, key="k", former=former)


@pytest.fixture
def computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the folders for which diagnostics were computed, in a run whose earlier stages are done."""
    calls: list[str] = []

    def compute(context: StageContext, *_events: Any, told: Any) -> Examined:
        calls.append(context.work.name)
        return Examined(None, None, (f"computed for {context.work.name}",))

    monkeypatch.setattr(examined, "_computed", compute)
    (tmp_path / "out" / ".stages").mkdir(parents=True)
    for name in BEFORE:
        write_stamp(tmp_path / "out", Stamp(name, key=f"key of {name}", parts={}, outputs={}, seconds=1.0))
    return calls


def _examined(context: StageContext) -> tuple[str, ...]:
    return examine(context, None, None, told=lambda _: None).left_out  # type: ignore[arg-type]


def test_another_look_takes_the_diagnostics_over(tmp_path: Path, computed: list[str]) -> None:
    first = _context(tmp_path, "first")
    assert _examined(first) == ("computed for first",)
    look = {"style": "ATLAS", "status": "Internal", "energy_tev": 13.6, "details": True}
    styled = _context(tmp_path, "styled", first.work, name="another", samples=[{**SAMPLE, "label": "signal"}], report=look)
    assert _examined(styled) == ("computed for first",)
    assert computed == ["first"]
    assert (styled.work / DIAGNOSTICS).is_file(), "the next report takes them from this one"


@pytest.mark.parametrize(
    "sections",
    [{"report": {"importance_repeats": 7}}, {"luminosity_ifb": 300.0}, {"score_histogram": {"bins": 10}}, {"ratios": {"seed": 5}}],
)
def test_what_they_depend_on_makes_them_new(tmp_path: Path, computed: list[str], sections: dict[str, Any]) -> None:
    first = _context(tmp_path, "first")
    _examined(first)
    _examined(_context(tmp_path, "second", first.work, **sections))
    assert computed == ["first", "second"]


def test_other_networks_and_unknown_ones_make_them_new(tmp_path: Path, computed: list[str]) -> None:
    first = _context(tmp_path, "first")
    _examined(first)
    write_stamp(tmp_path / "out", Stamp("train", key="others", parts={}, outputs={}, seconds=1.0))
    _examined(_context(tmp_path, "second", first.work))
    unknown = replace(_context(tmp_path, "third", first.work), out=tmp_path / "elsewhere")
    _examined(unknown)
    assert computed == ["first", "second", "third"]
    assert not (unknown.work / DIAGNOSTICS).exists()
