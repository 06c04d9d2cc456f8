"""Goodness of fit on the page: p-values of every test, a mark on small ones, a plot if there are toys."""

from __future__ import annotations

import numpy as np

from toolkit.likelihood.goodness import LOG_DENSITY, SATURATED, GoodnessTest
from toolkit.plots import PlotStyle, png_bytes
from toolkit.report.goodness_pages import TITLE, goodness_jobs, goodness_section

TOYS = np.random.default_rng(1).chisquare(5, 199)


def document(toys):
    drawn = TOYS if toys else np.zeros(0)
    tests = {
        "m4l": [GoodnessTest(SATURATED, 40.0, 5, drawn)],
        "nsbi": [GoodnessTest(LOG_DENSITY, float(np.median(TOYS)), None, drawn), GoodnessTest("m4l", 4.0, 5, drawn)],
    }
    return {"schema": 1, "toys": len(drawn), "methods": {name: [t.to_json() for t in own] for name, own in tests.items()}}


def test_the_table_holds_every_test():
    section = goodness_section(document(True), ())
    (table,) = section.tables
    assert section.title == TITLE
    assert [row[0] for row in table.rows] == [
        "m4l histogram: saturated model",
        "NSBI, unbinned: mean log density",
        "NSBI, unbinned: bins of m4l histogram",
    ]
    assert table.rows[0][1:] == ("40.00", "5", "< 0.001", "0.005")
    assert table.rows[1][2:] == ("-", "-", "0.51")
    assert table.flagged == {0}


def test_plots_need_toys():
    assert list(goodness_jobs(document(False), style=PlotStyle())) == []
    assert "config" in goodness_section(document(False), ()).tables[0].note
    jobs = list(goodness_jobs(document(True), style=PlotStyle()))
    assert [job.name for job in jobs] == ["goodness_m4l", "goodness_nsbi"]
    figure = jobs[1].draw()
    assert len(figure.axes) == 2
    assert sum(figure.numbers["histograms"][0]["counts"]) == 199
    assert png_bytes(figure)[:4] == b"\x89PNG"
