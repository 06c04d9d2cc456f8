"""Systematic uncertainties on the page: the numbers of the fit, and nothing where there are none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolkit.likelihood.scans import Interval
from toolkit.plots import PlotStyle
from toolkit.report import Provenance, build_page, judge
from toolkit.report.page import PageFigure
from toolkit.report.systematics_figures import systematics_jobs
from toolkit.report.systematics_tables import impacts_of, pulls_of, systematics_section

DOCUMENT = {
    "impacts": [
        {"parameter": "qq_scale", "up": 0.3, "down": -0.25},
        {"parameter": "lumi", "up": 0.02, "down": None},
    ],
    "pulls": [{"parameter": "lumi", "pull": 0.1, "constraint": 0.98}],
    "breakdown": [
        {"group": "total", "up": 0.9, "down": 0.8},
        {"group": "theory", "up": 0.3, "down": 0.2},
        {"group": "systematic", "up": 0.31, "down": 0.21},
        {"group": "statistical", "up": 0.85, "down": None},
    ],
}


@pytest.fixture
def with_systematics(results):
    nsbi = results.methods["nsbi"]
    full = replace(nsbi, interval_68=(Interval(0.2, 2.6),), statistical_only=nsbi, uncertainties=DOCUMENT)
    return replace(results, methods={**results.methods, "nsbi": full})


def test_tables(with_systematics):
    section = systematics_section(with_systematics, ())
    sources, intervals = section.tables
    assert sources.columns == ("source", "NSBI, unbinned")
    assert sources.rows == (
        ("total", "+0.90 -0.80"),
        ("statistical", "up 0.85, down -"),
        ("systematic", "+0.31 -0.21"),
        ("theory", "+0.30 -0.20"),
    )
    assert intervals.rows == (("NSBI, unbinned", "1.40", "[0.30, 2.40]", "[0.00, 3.10]*", "1.40", "[0.20, 2.60]", "[0.00, 3.10]*"),)


def test_plots(with_systematics):
    (job,) = systematics_jobs(with_systematics, style=PlotStyle())
    assert (job.part, job.name) == ("systematics", "impacts_nsbi")
    numbers = job.draw().numbers
    assert numbers["impacts"] == DOCUMENT["impacts"]
    assert numbers["pulls"] == DOCUMENT["pulls"]
    assert impacts_of(DOCUMENT)[0].size == 0.3
    assert pulls_of(DOCUMENT)[0].constraint == 0.98


def test_place_on_the_page(with_systematics, results):
    figures = {"systematics": (PageFigure(b"png", "caption"),)}
    page = build_page(with_systematics, judge(with_systematics), None, figures, title="t", provenance=Provenance())
    assert [section.title for section in page.sections][:3] == ["Result", "Systematic uncertainties", "Closure"]
    assert len(page.sections[1].figures) == 1
    assert "statistical uncertainties only" not in page.subtitle
    without = build_page(results, judge(results), None, figures, title="t", provenance=Provenance())
    assert "Systematic uncertainties" not in [section.title for section in without.sections]
    closures = [next(section.text for section in one.sections if section.title == "Closure") for one in (page, without)]
    assert ["without systematic uncertainties" in " ".join(text) for text in closures] == [True, False]
    assert without.subtitle.endswith("statistical uncertainties only")
    assert systematics_section(results, ()) is None
    assert list(systematics_jobs(results, style=PlotStyle())) == []


def test_both_kinds_of_impacts_and_independent_parts(results):
    document = {
        **DOCUMENT,
        "impacts_pre_fit": [{"parameter": "lumi", "up": 0.025, "down": -0.025}],
        "impacts_auxiliary": [{"parameter": "lumi", "up": 0.0196, "down": None}],
        "components": [
            {"group": "total", "up": 0.91, "down": 0.82, "error": 0.03},
            {"group": "theory", "up": 0.3, "down": 0.2, "error": 0.0},
        ],
    }
    nsbi = replace(results.methods["nsbi"], statistical_only=results.methods["nsbi"], uncertainties=document)
    rate = replace(
        results.methods["rate"],
        statistical_only=results.methods["rate"],
        uncertainties={**DOCUMENT, "components": [], "components_left_out": "3 events with negative weights"},
    )
    section = systematics_section(replace(results, methods={**results.methods, "nsbi": nsbi, "rate": rate}), ())
    tables = {table.title: table for table in section.tables}
    parts = next(t for title, t in tables.items() if title.startswith("Independent parts"))
    columns = dict(zip(parts.columns, zip(*parts.rows, strict=True), strict=True))
    assert columns["NSBI, unbinned"] == ("+0.91 -0.82", "+0.30 -0.20")
    assert set(next(v for k, v in columns.items() if k not in {"measurement", "NSBI, unbinned"})) == {"-"}
    assert "3 events with negative weights" in parts.note
    (ranking,) = (t for title, t in tables.items() if title.startswith("Impacts"))
    assert ranking.rows == (
        ("qq_scale", "-", "-", "+0.300 / -0.250", "-"),
        ("lumi", "0.10 ± 0.98", "+0.025 / -0.025", "+0.020 / -", "+0.020 / -"),
    )
