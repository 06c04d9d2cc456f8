from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from toolkit.likelihood.coverage import CoverageCheck
from toolkit.likelihood.critical import critical_curve
from toolkit.likelihood.neyman import NeymanBands, NeymanInterval, NeymanResult
from toolkit.likelihood.p_values import ToyPValue
from toolkit.likelihood.scans import Interval, Scan
from toolkit.plots import PlotStyle
from toolkit.report.interval_pages import TITLE, ToyIntervals, coverage_curves, interval_jobs, with_intervals
from toolkit.report.page import Page, PageFigure, PageSection


@pytest.fixture(scope="module")
def intervals():
    mu = np.linspace(0.0, 4.0, 9)
    curve = critical_curve(mu, np.random.default_rng(1).chisquare(1, size=(9, 300)), level=0.6827)
    pieces = (NeymanInterval(0.0, 0.31, True, 0.0, 0.012), NeymanInterval(0.9, 2.0, False, 0.021, 0.03))
    scan = Scan(values=mu, twice_delta_nll=(mu - 1.0) ** 2)
    result = NeymanResult(1.0, {"68": pieces}, {"68": (Interval(0.0, 2.0, True),)}, scan, NeymanBands("mu", {"68": curve}, 300, 1))
    checks = (
        CoverageCheck(0.5, "68", 0.6827, 1000, 690, 640, 0.004),
        CoverageCheck(2.0, "68", 0.6827, 1000, 600, 660, 0.004),
    )
    return ToyIntervals({"nsbi": result}, {"nsbi": checks}, "model")


def test_the_section_comes_second_and_shows_every_piece(intervals):
    page = with_intervals(Page("t", "s", (PageSection("Result"), PageSection("Closure"))), intervals, (PageFigure(b"", "c"),))
    assert [s.title for s in page.sections] == ["Result", TITLE, "Closure"]
    table, coverage = page.sections[1].tables
    assert table.rows == (("NSBI, unbinned, 68 %", "[0.00, 0.310 ± 0.012]*\n[0.900 ± 0.021, 2.000 ± 0.030]", "[0.00, 2.00]*"),)
    assert coverage.flagged == {1}
    assert coverage.rows[0][1:] == ("0.5", "0.690 ± 0.015", "0.640 ± 0.015")


def test_the_test_of_background_alone_has_a_table(intervals):
    tested = replace(intervals.results["nsbi"], p_value=ToyPValue(6.0, 3, 300))
    never = replace(intervals.results["nsbi"], p_value=ToyPValue(9.0, 0, 300))
    page = with_intervals(Page("t", "s", (PageSection("Result"),)), replace(intervals, results={"nsbi": tested, "m4l": never}), ())
    table = next(t for t in page.sections[1].tables if t.title == "Test of the background-only hypothesis")
    assert table.rows[0] == ("NSBI, unbinned, expected", "0.01 [0.0046, 0.02]", "2.33", "0.0072", "2.45")
    assert table.rows[1][1:3] == ("< 0.001 [< 0.001, 0.0061]", "> 2.71")


def test_plots_are_listed_with_captions(intervals):
    jobs = list(interval_jobs(intervals, style=PlotStyle()))
    assert [(job.part, job.name) for job in jobs] == [("intervals", "critical_values_nsbi"), ("intervals", "coverage_nsbi")]
    assert "300 toys per point" in jobs[0].caption
    numbers = jobs[1].draw().numbers["curves"]
    assert [(c["name"], c["covered"]) for c in numbers] == [("from toys", [690, 600]), ("asymptotic", [640, 660])]


def test_observed_intervals_have_a_table_and_a_plot_of_their_own(intervals):
    piece = NeymanInterval(0.4, 0.6, False, 0.021, 0.03)
    observed = replace(intervals.results["nsbi"], intervals={"68": (piece,)})
    both = replace(intervals, observed={"nsbi": observed})
    page = with_intervals(Page("t", "s", (PageSection("Result"),)), both, ())
    assert [table.title for table in page.sections[1].tables[:2]] == ["Intervals of the data", "Intervals of the Asimov set"]
    assert page.sections[1].tables[0].rows[0][1] == "[0.400 ± 0.021, 0.600 ± 0.030]"
    jobs = list(interval_jobs(both, style=PlotStyle()))
    assert [job.name for job in jobs] == ["critical_values_nsbi", "observed_critical_values_nsbi", "coverage_nsbi"]
    assert "the data" in jobs[1].caption
    for job, data in zip(jobs, ("the Asimov set", "the data"), strict=False):
        assert job.draw().axes[0].get_legend().get_texts()[-1].get_text().endswith(f"of {data}")
    page = with_intervals(Page("t", "s", (PageSection("Result"), PageSection("Observed"), PageSection("Closure"))), both, ())
    assert [s.title for s in page.sections] == ["Result", "Observed", TITLE, "Closure"]


def test_no_check_no_plot(intervals):
    bare = ToyIntervals(intervals.results, {"nsbi": ()}, "simulation")
    assert [job.name for job in interval_jobs(bare, style=PlotStyle())] == ["critical_values_nsbi"]
    assert coverage_curves((), parameter="mu") == ()
    page = with_intervals(Page("t", "s", (PageSection("Result"),)), bare, ())
    assert len(page.sections[1].tables) == 1
    assert "simulated test events" in page.sections[1].text[1]
