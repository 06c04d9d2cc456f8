"""Data beside what was expected: in results.json, on the terminal, on the page, in the plot of the scans."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from toolkit.likelihood.results import ObservedResults, Results
from toolkit.plots import PlotStyle, plot_scans
from toolkit.report import Comparison, Provenance, build_page, judge
from toolkit.report.figures import _result_jobs
from toolkit.report.goodness_pages import goodness_section
from toolkit.report.observed_tables import TITLE, observed_page_tables, observed_section
from toolkit.report.systematics_figures import observed_jobs


@pytest.fixture
def unblinded(results):
    methods = {name: replace(method, mu_hat=method.mu_hat + 0.25, twice_nll_at_0=3.21) for name, method in results.methods.items()}
    return replace(results, observed=ObservedResults({"early": 60, "late": 61}, 118.3, methods))


def test_a_blinded_result_says_nothing(results):
    assert "observed" not in results.to_json()
    assert observed_section(results, ()) is None
    assert list(observed_jobs(results, style=PlotStyle())) == []


def test_a_way_through_json_keeps_everything(unblinded):
    document = unblinded.to_json()
    assert document["observed"]["n_events"] == 121
    assert Results.from_json(document).to_json() == document


def test_the_page_shows_observed_beside_expected(unblinded):
    page = build_page(unblinded, judge(unblinded), None, {}, title="analysis", provenance=Provenance())
    assert page.subtitle.startswith("140/fb, 121 data events, Asimov set")
    assert [s.title for s in page.sections][:2] == ["Result", TITLE]
    section = page.sections[1]
    assert "118.3 expected at μ = 1. By sample: early: 60, late: 61." in section.text[1]
    row = dict(zip(section.tables[0].columns, section.tables[0].rows[3], strict=True))
    assert row["best fit μ"] == "1.65"
    assert (row["t(μ = 0)"], row["expected t(μ = 0)"]) == ("3.21", "1.90")
    assert row["68 %"] == row["expected 68 %"] == "[0.30, 2.40]"


def test_sources_and_impacts_of_the_data_are_called_so(unblinded):
    impacts = [{"parameter": "mu_EW_on", "up": 0.1, "down": -0.1}]
    sources = {"breakdown": [{"group": "total", "up": 0.3, "down": 0.2}], "impacts": impacts, "impacts_auxiliary": impacts}
    methods = {"nsbi": replace(unblinded.observed.methods["nsbi"], uncertainties=sources)}
    _, sources_table, impacts_table = observed_page_tables(replace(unblinded, observed=replace(unblinded.observed, methods=methods)))
    assert sources_table.title == "Uncertainty of μ and its sources, data"
    assert impacts_table.title == "Impacts on μ, NSBI, unbinned, data"
    assert impacts_table.rows[0][0] == "μ_EW_on"


@pytest.mark.parametrize("width", [80, 140])
def test_the_terminal_has_a_table_of_its_own(unblinded, width):
    console = Console(file=io.StringIO(), width=width)
    console.print(Comparison(unblinded))
    text = console.file.getvalue()
    assert "121 data events" in text
    assert "3.21" in text
    assert "…" not in text
    assert max(len(line) for line in text.splitlines()) <= width


def test_observed_scans_are_solid_and_expected_ones_dashed(unblinded):
    methods, observed = list(unblinded.methods.values()), list(unblinded.observed.methods.values())
    figure = plot_scans(methods, observed=observed)
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) > 2]
    assert [line.get_linestyle() for line in lines] == ["-", "--"] * len(methods)
    assert all(a.get_color() == b.get_color() for a, b in zip(lines[::2], lines[1::2], strict=True))
    assert figure.numbers["observed"]["nsbi"]["mu_hat"] == pytest.approx(1.65)
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert texts[-2:] == ["observed", "expected"]
    assert "observed" not in plot_scans(methods).numbers


def test_only_the_plot_with_data_is_no_simulation(unblinded):
    jobs = {job.name: job for job in _result_jobs(unblinded, judge(unblinded), PlotStyle())}
    shown = {name: [text.get_text() for text in jobs[name].draw().axes[0].texts] for name in ("scans", "closure")}
    assert "Simulation" not in shown["scans"]
    assert "Simulation" in shown["closure"]


def test_tests_of_the_data_have_their_own_table():
    one = {"m4l": [{"name": "saturated model", "statistic": 4.0, "degrees": 5, "toys": []}]}
    other = {"m4l": [{"name": "saturated model", "statistic": 40.0, "degrees": 5, "toys": []}]}
    asimov, data = goodness_section({"schema": 1, "toys": 0, "methods": one, "observed": other}, ()).tables
    assert (asimov.title, data.title) == ("Asimov set", "Data")
    assert (asimov.flagged, data.flagged) == (frozenset(), {0})
