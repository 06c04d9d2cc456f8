"""The part of the report on systematic uncertainties: sources of the uncertainty, results with and without them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from toolkit.likelihood.results import MethodResult, Results
from toolkit.likelihood.uncertainties import Impact, Pull
from toolkit.report.page import PageFigure, PageSection, PageTable
from toolkit.report.wording import interval_lines, method_name, number, parameter_name

TITLE = "Systematic uncertainties"
TEXT = (
    "Impact: shift of the best fit when a nuisance parameter moves by its fitted error and all others are fitted again. Pull: fitted value "
    "in units of its constraint; its bar is the fitted error in the same units, and shorter than one where the data know more than the "
    "constraint. On an Asimov set pulls are zero up to the finite simulation. A best fit at the edge of its range cannot move outwards, "
    "and often not at all: impacts of zero are then no sign of small uncertainties."
)


def systematics_section(results: Results, figures: tuple[PageFigure, ...]) -> PageSection | None:
    """Build the section; None if no method has systematic uncertainties."""
    documents = uncertainty_documents(results)
    if not documents:
        return None
    tables = (breakdown_page_table(documents, poi=results.poi), _intervals_table(results))
    return PageSection(TITLE, text=(TEXT,), tables=tables, figures=figures)


def breakdown_page_table(documents: Mapping[str, Mapping[str, Any]], *, poi: str) -> PageTable:
    """Sources of the uncertainty (rows) of every method (columns), up and down."""
    found = {name: {c["group"]: c for c in document.get("breakdown", ())} for name, document in documents.items()}
    groups = list(dict.fromkeys(group for of_method in found.values() for group in of_method))
    groups = [g for g in ("total", "statistical", "systematic") if g in groups] + [
        g for g in groups if g not in {"total", "statistical", "systematic"}
    ]
    rows = [(group, *(_up_down(of_method.get(group)) for of_method in found.values())) for group in groups]
    return PageTable(
        title=f"Uncertainty of {parameter_name(poi)} and its sources",
        columns=("source", *(method_name(name) for name in found)),
        rows=tuple(rows),
        note="Each source: what vanishes in quadrature when its parameters are fixed at their best fit; sources are correlated "
        "and need not add up. Statistical: with all constrained parameters fixed.",
    )


def impacts_of(document: Mapping[str, Any]) -> tuple[Impact, ...]:
    """Read the impacts, largest first, as results.json holds them."""
    return tuple(Impact(i["parameter"], _value(i["up"]), _value(i["down"])) for i in document.get("impacts", ()))


def pulls_of(document: Mapping[str, Any]) -> tuple[Pull, ...]:
    """Read the pulls as results.json holds them."""
    return tuple(Pull(p["parameter"], _value(p["pull"]), _value(p["constraint"])) for p in document.get("pulls", ()))


def uncertainty_documents(results: Results) -> dict[str, Mapping[str, Any]]:
    """Return pulls, impacts and sources of every method that has systematic uncertainties, by method."""
    return {name: result.uncertainties for name, result in results.methods.items() if result.uncertainties}


def _intervals_table(results: Results) -> PageTable:
    rows = []
    for name, result in results.methods.items():
        if result.statistical_only is not None:
            rows.append((method_name(name), *_summary(result.statistical_only), *_summary(result)))
    columns = ("method", "best fit, stat. only", "68 %, stat. only", "95 %, stat. only", "best fit", "68 %", "95 %")
    return PageTable("With and without systematic uncertainties", columns, tuple(rows))


def _summary(result: MethodResult) -> tuple[str, str, str]:
    return (number(result.mu_hat), "\n".join(interval_lines(result.interval_68)), "\n".join(interval_lines(result.interval_95)))


def _up_down(entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return "-"
    up, down = _value(entry["up"]), _value(entry["down"])
    return f"+{number(up)} -{number(down)}" if math.isfinite(up + down) else f"up {number(up)}, down {number(down)}"


def _value(value: float | None) -> float:
    return math.nan if value is None else float(value)
