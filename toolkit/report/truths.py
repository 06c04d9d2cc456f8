"""Closure of all parameters of interest together: -2 Delta lnL of every truth, and how often the finite simulation makes it as large."""

from __future__ import annotations

import math

from toolkit.diagnostics.closure import MIN_P
from toolkit.likelihood.results import ClosurePoint, Results
from toolkit.report.page import PageTable
from toolkit.report.wording import method_name, number, parameter_name, probability

TITLE = "Closure of all parameters together: -2 Δ ln L of the truth against the best fit"
NOTE = (
    "In brackets p: how often the finite simulation alone makes it as large; ! is below "
    f"{MIN_P:g}. Where the likelihood hardly tells two points apart, the best fit may be far from the truth and this number small."
)


def rows_together(results: Results) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Return the truths in words and, by method, -2 Delta lnL of each with its p-value; nothing where one parameter is measured.

    Examples:
        >>> point = ClosurePoint(1.0, 1.5, 0.3, "nsbi", parameter="a", truth={"a": 1.0, "b": 0.0}, twice_delta_nll=0.061, p_value=0.06)
        >>> rows_together(Results("a", {"a": 1.0, "b": 0.0}, 140.0, {}, {}, (point,)))
        (('a = 1, b = 0',), {'nsbi': ('0.061 (p = 0.06)',)})
    """
    cells: dict[str, dict[str, str]] = {}
    for point in results.closure:
        if math.isfinite(point.p_value) and point.parameter == results.poi:
            truth = ", ".join(f"{parameter_name(name)} = {value:g}" for name, value in point.truth.items())
            cells.setdefault(point.method, {})[truth] = _cell(point)
    truths = tuple(dict.fromkeys(truth for own in cells.values() for truth in own))
    return truths, {method: tuple(own.get(truth, "-") for truth in truths) for method, own in cells.items()}


def _cell(point: ClosurePoint) -> str:
    mark = " !" if point.p_value < MIN_P else ""
    return f"{number(point.twice_delta_nll, digits=3)} (p = {probability(point.p_value)}){mark}".replace("p = <", "p <")


def together_page_table(results: Results) -> PageTable | None:
    """Lay the numbers out for the page; None where there are none."""
    truths, rows = rows_together(results)
    if not rows:
        return None
    flagged = frozenset(k for k, cells in enumerate(rows.values()) if any("!" in cell for cell in cells))
    lines = tuple((method_name(name), *cells) for name, cells in rows.items())
    return PageTable(title=TITLE, columns=("method", *truths), rows=lines, flagged=flagged, note=NOTE)
