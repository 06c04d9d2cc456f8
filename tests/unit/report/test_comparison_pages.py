"""The comparison of the methods on the page: every number of the document, each in its place."""

from __future__ import annotations

import json

from toolkit.plots import PlotStyle, png_bytes
from toolkit.plots.comparison import plot_comparison
from toolkit.report.comparison_pages import TITLE, comparison_jobs, comparison_section


def row(method, information, uncertainties, pieces, length):
    ends = {"interval_68": pieces, "interval_95": [[0.0, 5.0]], "length_68": length, "length_95": 5.0}
    flags = {"interval_68_at_boundary": [False] * len(pieces), "interval_95_at_boundary": [True]}
    return {
        "method": method,
        "information": information,
        "uncertainties": uncertainties,
        "best_fit": 1.0,
        "twice_nll_at_0": 1.5,
        **ends,
        **flags,
    }


ROWS = [
    row("rate", "rate and shape", "statistical", [[0.1, 0.3], [0.5, 2.0]], 1.7),
    row("nsbi", "rate and shape", "statistical", [[0.4, 1.4]], 1.0),
    row("nsbi", "rate and shape", "systematic", [[0.3, 1.5]], 1.2),
    row("m4l", "shape", "statistical", [[0.2, 2.2]], 2.0),
    row("nsbi", "shape", "statistical", [[0.4, 1.65]], 1.25),
]
DOCUMENT = {"schema": 1, "poi": "mu", "rows": ROWS, "planes": {}}


def test_tables_compare_like_with_like():
    section = comparison_section(DOCUMENT, ())
    assert section.title == TITLE
    statistical, systematic = section.tables
    cells = {r[0]: r[1:] for r in statistical.rows}
    assert cells["total rate, rate and shape"] == ("1.50", "[0.10, 0.30]\n[0.50, 2.00]", "[0.00, 5.00]*", "1.70", "1.70", "1.00")
    assert cells["m4l histogram, shape"][4] == "1.60"  # of the unbinned fit without rate, not of the one with it
    assert len(systematic.rows) == 1


def test_bars_are_the_intervals():
    figure = plot_comparison(ROWS, truth=1.0)
    (ax,) = figure.axes
    bars = {(round(p.get_x(), 6), round(p.get_x() + p.get_width(), 6)) for p in ax.patches}
    assert bars == {(0.1, 0.3), (0.5, 2.0), (0.4, 1.4), (0.3, 1.5), (0.2, 2.2), (0.4, 1.65)}
    assert [t.get_text() for t in ax.get_yticklabels()][-1] == "NSBI (unbinned), shape only"
    assert json.loads(json.dumps(figure.numbers))["rows"] == ROWS
    assert png_bytes(figure)[:4] == b"\x89PNG"


def test_every_bar_is_in_its_row_without_systematics_too():
    for rows in (ROWS, [r for r in ROWS if r["uncertainties"] == "statistical"]):
        (ax,) = plot_comparison(rows).axes
        labels = {round(y): t.get_text() for y, t in zip(ax.get_yticks(), ax.get_yticklabels(), strict=True)}
        for patch in ax.patches:
            piece = [round(patch.get_x(), 6), round(patch.get_x() + patch.get_width(), 6)]
            (row,) = (r for r in rows if piece in r["interval_68"])
            label = labels[round(patch.get_y() + patch.get_height() / 2)]
            assert label.startswith({"rate": "total", "m4l": "$m", "nsbi": "NSBI"}[row["method"]])
            assert ("shape only" in label) == (row["information"] == "shape")


def test_observed_results_come_before_the_expected_ones():
    observed = [row("nsbi", "rate and shape", "statistical", [[0.7, 1.1]], 0.4)]
    section = comparison_section({**DOCUMENT, "observed": observed}, ())
    assert [table.title for table in section.tables] == [
        "Data, statistical uncertainties only",
        "Asimov set, statistical uncertainties only",
        "Asimov set, statistical and systematic uncertainties",
    ]
    assert section.tables[0].rows[0][2] == "[0.70, 1.10]"
    _, plot = comparison_jobs({**DOCUMENT, "observed": observed}, truth=1.0, style=PlotStyle())
    assert plot.name == "observed_comparison"
    assert (plot.draw().numbers["truth"], plot.draw().numbers["rows"]) == (None, observed)


def test_the_plot_is_listed():
    (job,) = comparison_jobs(DOCUMENT, truth=1.0, style=PlotStyle())
    assert (job.part, job.name) == ("comparison", "comparison")
    assert job.draw().numbers["truth"] == 1.0
