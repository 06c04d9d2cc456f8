"""Progress on a terminal and in a log."""

from __future__ import annotations

import io

import pytest

from toolkit.cli import reporter as module
from toolkit.cli.console import PlainConsole
from toolkit.cli.reporter import RichReporter
from toolkit.pipeline import StageOutcome


def test_a_log_gets_a_line_with_the_time_left_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 110.0, 111.0, 140.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    reporter = RichReporter(PlainConsole(file=stream, width=100))
    for done in (0, 10, 11, 40):
        reporter.progress("train", done, 80)
    lines = stream.getvalue().splitlines()
    assert lines == ["  train: 12 %, about 1 min 10 s left", "  train: 50 %, about 40.0 s left"]


def test_time_left_counts_from_where_a_resumed_run_began(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 120.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    reporter = RichReporter(PlainConsole(file=stream, width=100))
    for done in (40, 50):
        reporter.progress("training", done, 80)
    assert stream.getvalue() == "  training: 62 %, about 1 min 00 s left\n"


@pytest.mark.parametrize("terminal", [False, True])
def test_details_stand_beside_one_bar(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> None:
    monkeypatch.setattr(module, "SHORT_S", 0.0)
    stream = io.StringIO()
    reporter = RichReporter(PlainConsole(file=stream, force_terminal=terminal, width=120))
    for done in (0.0, 1.5, 3.0):
        reporter.progress(f"training | member 2, loss {done:.4f}", done, 6.0)
    bars = list(reporter._tasks)
    reporter.close()
    text = stream.getvalue()
    if terminal:
        assert "member 2, loss 3.0000" in text.splitlines()[-2]
        assert bars == ["training"]
    else:
        assert "(member 2, loss 1.5000)" in text


def test_a_short_step_leaves_no_line_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 101.0, 104.9, 105.1])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    reporter = RichReporter(PlainConsole(file=stream, width=100))
    for done in (0, 1, 2, 3):
        reporter.progress("hashes", done, 4)
    assert stream.getvalue() == "  hashes: 75 %, about 1.7 s left\n"


def test_a_dumb_terminal_gets_lines_without_control_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 120.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    reporter = RichReporter(PlainConsole(file=stream, width=100, force_terminal=True, color_system=None, _environ={"TERM": "dumb"}))
    for done in (0, 1):
        reporter.progress("training", done, 2)
    reporter.close()
    assert stream.getvalue() == "  training: 50 %, about 20.0 s left\n"


def test_a_terminal_gets_a_bar() -> None:
    stream = io.StringIO()
    reporter = RichReporter(PlainConsole(file=stream, force_terminal=True, width=100))
    reporter.stage_started("train", number=2, of=5)
    reporter.progress("member 1 of 6", 3, 10)
    reporter.close()
    assert "[2/5] train" in stream.getvalue()
    assert "member 1 of 6" in stream.getvalue()
    assert "30%" in stream.getvalue()


@pytest.mark.parametrize("quiet", [True, False])
def test_outcomes(*, quiet: bool) -> None:
    stream = io.StringIO()
    reporter = RichReporter(PlainConsole(file=stream, width=100), quiet=quiet)
    reporter.stage_ended(StageOutcome("fit", "ran", 3.21))
    reporter.stage_ended(StageOutcome("fit", "unchanged", 3.21))
    assert stream.getvalue() == ("" if quiet else "  fit: done in 3.2 s\n  fit: unchanged, skipped\n")


def test_bars_are_full_when_their_stage_has_ended() -> None:
    stream = io.StringIO()
    reporter = RichReporter(PlainConsole(file=stream, force_terminal=True, width=100))
    reporter.progress("fits without the rate", 4, 9)
    reporter.stage_ended(StageOutcome("fit", "ran", 1.0))
    assert "100%" in stream.getvalue().splitlines()[-2]
    assert stream.getvalue().endswith("  fit: done in 1.0 s\n")
