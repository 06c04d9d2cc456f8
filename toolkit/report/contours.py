"""Areas of the contours of two parameters, method by method, beside that of the best histogram."""

from __future__ import annotations

import math
from dataclasses import dataclass

from toolkit.likelihood.parameter_results import Contour
from toolkit.likelihood.results import Results
from toolkit.report.page import PageTable
from toolkit.report.wording import is_histogram, method_name, number, parameter_name, significant

NOTE = (
    "Area inside the contour, all other parameters profiled, in the units of the parameters and inside their allowed ranges; a star marks "
    "a contour that reaches the edge of a range. The smaller the area, the more a method knows. Best histogram: the one with the smallest "
    "68 % area."
)


@dataclass(frozen=True)
class AreaRow:
    """One method: the areas of its contours as (area, ratio) by level, as text in `cells`."""

    method: str
    areas: dict[float, tuple[float, float]]
    at_boundary: dict[float, bool]

    @property
    def cells(self) -> tuple[str, ...]:
        """The 68 % area and its ratio, then those of 95 %."""
        found = []
        for level in (0.68, 0.95):
            area, ratio = self.areas.get(level, (math.nan, math.nan))
            found += [significant(area, digits=3) + "*" * self.at_boundary.get(level, False), number(ratio)]
        return tuple(found)


def pairs_of(results: Results) -> tuple[tuple[str, str], ...]:
    """Return the pairs of parameters of which a method has contours."""
    return tuple(dict.fromkeys(c.parameters for method in results.methods.values() for c in method.contours))


def contours_of(results: Results, pair: tuple[str, str]) -> dict[str, tuple[Contour, ...]]:
    """Return the contours of a pair by method."""
    found = {name: tuple(c for c in method.contours if c.parameters == pair) for name, method in results.methods.items()}
    return {name: own for name, own in found.items() if own}


def best_histogram(results: Results, pair: tuple[str, str]) -> str | None:
    """Return the histogram with the smallest 68 % area; None if no histogram has contours."""
    areas = {name: c.area for name, own in contours_of(results, pair).items() for c in own if c.level == 0.68 and is_histogram(name)}
    return min(areas, key=lambda name: areas[name]) if areas else None


def area_rows(results: Results, pair: tuple[str, str]) -> tuple[AreaRow, ...]:
    """Compare the areas of a pair's contours with those of the best histogram.

    Examples:
        >>> from toolkit.likelihood import MethodResult, Scan
        >>> def method(name, area):
        ...     contour = Contour(("a", "b"), 0.68, area, (), (1.0, 1.0))
        ...     return MethodResult(name, 1.0, None, (), (), Scan([0.0, 1.0], [1.0, 0.0]), contours=(contour,))
        >>> methods = {name: method(name, area) for name, area in (("m4l", 2.0), ("nsbi", 1.5))}
        >>> [row.cells[:2] for row in area_rows(Results("a", {"a": 1.0, "b": 1.0}, 140.0, {}, methods), ("a", "b"))]
        [('2', '1.00'), ('1.5', '0.75')]
    """
    found, best = contours_of(results, pair), best_histogram(results, pair)
    reference = {c.level: c.area for c in found[best]} if best is not None else {}
    rows = []
    for name, own in found.items():
        areas = {c.level: (c.area, c.area / reference[c.level] if reference.get(c.level) else math.nan) for c in own}
        rows.append(AreaRow(name, areas, {c.level: is_open(c) for c in own}))
    return tuple(rows)


def is_open(contour: Contour) -> bool:
    """Say whether a line of a contour does not close: it ends at the edge of an allowed range."""
    return any(len(line) > 1 and line[0] != line[-1] for line in contour.lines)


def areas_page_table(results: Results, pair: tuple[str, str]) -> PageTable:
    """Areas of the contours of every method."""
    best = best_histogram(results, pair)
    over = "ratio" if best is None else f"over {method_name(best)}"
    return PageTable(
        title=f"Areas of the contours of {' and '.join(parameter_name(name) for name in pair)}",
        columns=("method", "68 %", f"68 % {over}", "95 %", f"95 % {over}"),
        rows=tuple((method_name(row.method), *row.cells) for row in area_rows(results, pair)),
        note=NOTE,
    )
