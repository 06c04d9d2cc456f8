"""Intervals from toys stand where the asymptotic ones stood, those beside them with what they hold, and marked where that is wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.report.test_table import printed
from toolkit.likelihood.parameter_results import CoveragePoint, ParameterResult
from toolkit.likelihood.results import Results
from toolkit.likelihood.scans import Interval
from toolkit.report import Provenance, build_page, judge, results_document
from toolkit.report.wording import dagger_note, from_toys

HOLDS = {"68": (CoveragePoint(1.4, 0.69, 0.01), CoveragePoint(2.4, 0.57, 0.015)), "95": (CoveragePoint(1.4, 0.96, 0.006),)}


@pytest.fixture
def toys(results: Results) -> Results:
    named = results.with_parameters()
    nsbi = named.methods["nsbi"]
    own = nsbi.parameters["mu"]
    made: ParameterResult = replace(
        own,
        interval_68=(Interval(0.25, 2.55),),
        interval_95=(Interval(0.0, 3.3, at_boundary=True),),
        interval_kind="neyman",
        asymptotic_68=own.interval_68,
        asymptotic_95=own.interval_95,
        coverage=HOLDS,
    )
    return replace(named, methods={**named.methods, "nsbi": replace(nsbi, parameters={"mu": made})})


def test_the_terminal_quotes_toys_and_marks_what_does_not_cover(toys: Results) -> None:
    text = printed(toys, 100)
    first = next(line for line in text.splitlines() if line.startswith("│ nsbi "))
    assert "[0.25, 2.55]" in first
    assert "[0.00, 3.30]*" in first
    beside = [line for line in text.splitlines() if line.startswith("│ nsbi ")][1]
    assert "[0.30, 2.40]†" in beside
    assert "57 ± 2 %" in beside
    assert "[0.00, 3.10]* " in beside, "96 % is near enough"
    assert "† asymptotic: at its ends or the best fit it holds the truth more than 3 % too often or too seldom." in " ".join(text.split())
    assert "at 2.40" in text


def test_the_page_has_both_kinds_in_one_table(toys: Results) -> None:
    table = build_page(toys, judge(toys), None, {}, title="toys", provenance=Provenance()).sections[0].tables[1]
    assert table.columns[2:6] == ("68 %, toys", "95 %, toys", "68 %, asymptotic", "95 %, asymptotic")
    rows = {row[0]: row for row in table.rows}
    own = "[0.30, 2.40]†\n(holds 57 ± 2 % at 2.40)"
    assert rows["NSBI, unbinned"][2:6] == ("[0.25, 2.55]", "[0.00, 3.30]*", own, "[0.00, 3.10]*\n(holds 96 ± 1 % at 1.40)")
    assert rows["m4l histogram"][2:5] == ("-", "-", "[0.00, 0.20]*\n[0.70, 2.30]")
    assert "holds p at x" in table.note


def test_json_has_both_kinds(toys: Results) -> None:
    method = results_document(toys)["methods"]["nsbi"]
    assert method["interval_68"] == method["parameters"]["mu"]["asymptotic_68"] == [[0.3, 2.4]]
    assert method["parameters"]["mu"]["interval_68"] == [[0.25, 2.55]]
    assert method["parameters"]["mu"]["asymptotic_off"] == ["68"]
    assert method["parameters"]["mu"]["asymptotic_coverage"]["68"][1] == {"at": 2.4, "coverage": 0.57, "error": 0.015}


def test_without_toys_nothing_is_marked(results: Results) -> None:
    assert not from_toys(results)
    assert dagger_note(results.with_parameters()) == ""
    assert "†" not in printed(results, 100)
