"""The part of the report that compares the methods: with and without the rate, with and without systematic uncertainties."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from toolkit.likelihood.planes import Plane
from toolkit.likelihood.scans import Interval
from toolkit.plots import PlotStyle
from toolkit.plots.comparison import plot_comparison
from toolkit.plots.plane import plot_plane
from toolkit.report.drawing import PlotJob
from toolkit.report.figures import slug
from toolkit.report.page import PageFigure, PageSection, PageTable
from toolkit.report.wording import interval_lines, method_name, number, parameter_name

TITLE = "Comparison of the methods"
TEXT = (
    "Every method measures the same events. Rate and shape: the fit as it is. Shape: all processes times one free normalisation, so "
    "that the total number of events says nothing; a counting experiment then says nothing at all. The length is that of all pieces of "
    "an interval together; its ratio to the unbinned method is what a method loses."
)
Row = Mapping[str, Any]


def comparison_jobs(document: Mapping[str, Any], *, truth: float, style: PlotStyle) -> Iterator[PlotJob]:
    """List the plot; its part is "comparison"."""
    rows = document["rows"]
    text = "Expected 68 % and 95 % intervals of every method. The dashed line is the truth of the Asimov set."
    draw = partial(plot_comparison, rows, poi=document["poi"], truth=truth, style=style)
    yield PlotJob("comparison", "comparison", text, draw, wide=True)
    if "observed" in document:
        text = "Observed 68 % and 95 % intervals of every method."
        observed = partial(plot_comparison, document["observed"], poi=document["poi"], style=style.for_data())
        yield PlotJob("comparison", "observed_comparison", text, observed, wide=True)
    for name, part in document["planes"].items():
        plane, values = Plane.from_json(part), (part["values"][0], part["values"][1])
        poi = parameter_name(document["poi"])
        text = f"{method_name(name)}: expected events in the bins of the fit at {poi} = {values[0]:g}; change to {poi} = {values[1]:g} "
        text += f"over the counting error. {plane.groups.size - plane.n_bins} of {plane.groups.size} cells are merged with a neighbour."
        shown = partial(plot_plane, plane, *part["expected"], poi=document["poi"], values=values, style=style)
        yield PlotJob("comparison", f"plane_{slug(name)}", text, shown, wide=True)


def comparison_section(document: Mapping[str, Any], figures: tuple[PageFigure, ...]) -> PageSection:
    """Build the section from `workspace/comparison.json`."""
    named = {"Asimov set": document["rows"]}
    if "observed" in document:
        named = {"Data": document["observed"], **named}
    tables = tuple(
        _table(rows, poi=document["poi"], uncertainties=kind, data=data)
        for data, rows in named.items()
        for kind in dict.fromkeys(row["uncertainties"] for row in rows)
    )
    return PageSection(TITLE, text=(TEXT,), tables=tables, figures=figures)


def _table(rows: Sequence[Row], *, poi: str, uncertainties: str, data: str) -> PageTable:
    chosen = [row for row in rows if row["uncertainties"] == uncertainties]
    best = {row["information"]: row for row in chosen if row["method"] == "nsbi"}
    cells = []
    for row in chosen:
        pieces = ["\n".join(interval_lines(_pieces(row, level))) for level in ("68", "95")]
        cells.append(
            (
                f"{method_name(row['method'])}, {row['information']}",
                number(row["twice_nll_at_0"]),
                *pieces,
                number(row["length_68"]),
                *(_relative(row, best.get(row["information"]), key) for key in ("length_68", "length_95")),
            )
        )
    name = {"statistical": "statistical uncertainties only", "systematic": "statistical and systematic uncertainties"}[uncertainties]
    columns = (
        "method, information",
        f"t({parameter_name(poi)} = 0)",
        "68 %",
        "95 %",
        "length 68 %",
        "length / NSBI, 68 %",
        "length / NSBI, 95 %",
    )
    return PageTable(f"{data}, {name}", columns, tuple(cells), note="A star marks the edge of the allowed range.")


def _pieces(row: Row, level: str) -> list[Interval]:
    pairs = zip(row[f"interval_{level}"], row[f"interval_{level}_at_boundary"], strict=True)
    return [Interval(low, high, flag) for (low, high), flag in pairs]


def _relative(row: Row, best: Row | None, key: str) -> str:
    return number(row[key] / best[key]) if best is not None and best[key] > 0.0 else "-"
