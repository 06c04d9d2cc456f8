"""The documents and snippets of the pages on workspaces and intervals."""

from __future__ import annotations

import doctest
import json
from pathlib import Path

from toolkit.expressions.arithmetic import __doc__ as grammar
from toolkit.likelihood import Workspace

PAGE = Path(__file__).parents[3] / "docs" / "workspace.md"


def test_the_example_is_accepted_as_it_stands() -> None:
    workspace = Workspace(json.loads(PAGE.read_text(encoding="utf-8").split("```json")[1].split("```")[0]))
    (channel,) = workspace.unbinned_channels
    assert [s.coefficient for s in channel.samples] == ["mu - sqrt(mu)", "(t0) * (lumi)"]
    assert channel.kinds == {"t0": "free", "lumi": "lumi", "qq_theory": "unit", "jet_scale": "unit", "network": "unit"}
    assert channel.samples[1].norms == {"qq_theory": (1.05, 0.96), "jet_scale": (1.01, 0.99)}
    assert workspace.ties == {"coefficient_ggF_S": "mu - sqrt(mu)"}


def test_the_grammar_is_the_one_of_the_parser() -> None:
    shown = [
        line.split("   ")[0].split() for line in PAGE.read_text(encoding="utf-8").splitlines() if " = " in line and line.startswith("    ")
    ]
    for words in shown:
        assert " ".join(words) in " ".join((grammar or "").split())


def test_the_snippets_of_the_page_on_intervals_run() -> None:
    outcome = doctest.testfile(str(PAGE.with_name("intervals.md")), module_relative=False)
    assert outcome.attempted > 10
    assert outcome.failed == 0
