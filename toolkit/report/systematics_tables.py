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
MOST = 20
"""Rows of a table of impacts."""


def systematics_section(results: Results, figures: tuple[PageFigure, ...]) -> PageSection | None:
    """Build the section; None if no method has systematic uncertainties."""
    tables = tuple(t for poi in results.interest for t in systematics_page_tables(results.of(poi)))
    return PageSection(TITLE, text=(TEXT,), tables=tables, figures=figures) if tables else None


def systematics_page_tables(results: Results) -> tuple[PageTable, ...]:
    """Show the sources of the uncertainty of one parameter, `results.poi`, and the impacts on it; nothing without systematic ones."""
    documents = uncertainty_documents(results)
    if not documents:
        return ()
    parts = components_page_table(documents, poi=results.poi)
    ranking = (
        impacts_page_table(name, document, poi=results.poi) for name, document in documents.items() if document.get("impacts_auxiliary")
    )
    return (breakdown_page_table(documents, poi=results.poi), *([parts] if parts else []), _intervals_table(results), *ranking)


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


def components_page_table(documents: Mapping[str, Mapping[str, Any]], *, poi: str) -> PageTable | None:
    """Independent parts of the uncertainty (rows) of every method (columns), up and down; None if no method has them."""
    found = {name: {c["group"]: c for c in document.get("components", ())} for name, document in documents.items()}
    groups = list(dict.fromkeys(group for of_method in found.values() for group in of_method))
    if not groups:
        return None
    missing = [f"{method_name(n)}: {d['components_left_out']}" for n, d in documents.items() if d.get("components_left_out")]
    note = (
        "Systematic parts: every auxiliary measurement is shifted by its own standard deviation and everything is fitted again; in "
        "quadrature. Statistical: half of the central 68 % of fits to data that are drawn again. These parts are independent, and total "
        "is their sum in quadrature."
    )
    return PageTable(
        title=f"Independent parts of the uncertainty of {parameter_name(poi)}",
        columns=("measurement", *(method_name(name) for name in found)),
        rows=tuple((group, *(_up_down(of_method.get(group)) for of_method in found.values())) for group in groups),
        note=" ".join([note, *missing]),
    )


def impacts_page_table(method: str, document: Mapping[str, Any], *, poi: str) -> PageTable:
    """Impacts of every nuisance parameter (rows): before and after the fit, and of its auxiliary measurement; the largest first."""
    kinds = ("impacts_pre_fit", "impacts", "impacts_auxiliary")
    found = [{i["parameter"]: i for i in document.get(kind, ())} for kind in kinds]
    names = list(dict.fromkeys(name for own in (found[1], found[0], found[2]) for name in own))
    pulls = {p.parameter: p for p in pulls_of(document)}
    rows = []
    for name in names[:MOST]:
        pull = pulls.get(name)
        fitted = "-" if pull is None else f"{number(pull.pull)} ± {number(pull.constraint)}"
        rows.append((parameter_name(name), fitted, *(_shifts(own.get(name)) for own in found)))
    rest = f" {len(names) - MOST} smaller ones are in results.json." if len(names) > MOST else ""
    return PageTable(
        title=f"Impacts on {parameter_name(poi)}, {method_name(method)}",
        columns=("parameter", "pull", "before the fit", "after the fit", "auxiliary measurement"),
        rows=tuple(rows),
        note="Shift of the best fit when the parameter is moved up / down by the width of its own measurement, by its fitted error, and "
        "when its measurement is moved by its width. Only the last ones are independent of each other." + rest,
    )


def impacts_of(document: Mapping[str, Any], *, kind: str = "impacts") -> tuple[Impact, ...]:
    """Read the impacts, largest first, as results.json holds them: "impacts", "impacts_pre_fit" or "impacts_auxiliary"."""
    return tuple(Impact(i["parameter"], _value(i["up"]), _value(i["down"])) for i in document.get(kind, ()))


def pulls_of(document: Mapping[str, Any]) -> tuple[Pull, ...]:
    """Read the pulls as results.json holds them."""
    return tuple(Pull(p["parameter"], _value(p["pull"]), _value(p["constraint"])) for p in document.get("pulls", ()))


def uncertainty_documents(results: Results) -> dict[str, Mapping[str, Any]]:
    """Return pulls, impacts and sources of the uncertainty of `results.poi`, by method that has systematic uncertainties."""
    return {name: result.uncertainties for name, result in results.methods.items() if result.uncertainties}


def _intervals_table(results: Results) -> PageTable:
    rows = []
    for name, result in results.methods.items():
        if result.statistical_only is not None:
            rows.append((method_name(name), *_summary(result.statistical_only), *_summary(result)))
    columns = ("method", "best fit, stat. only", "68 %, stat. only", "95 %, stat. only", "best fit", "68 %", "95 %")
    title = "With and without systematic uncertainties"
    title = f"{parameter_name(results.poi)}, {title.lower()}" if len(results.interest) > 1 else title
    return PageTable(title, columns, tuple(rows))


def _summary(result: MethodResult) -> tuple[str, str, str]:
    return (number(result.mu_hat), "\n".join(interval_lines(result.interval_68)), "\n".join(interval_lines(result.interval_95)))


def _shifts(entry: Mapping[str, Any] | None) -> str:
    return "-" if entry is None else f"{_signed(_value(entry['up']))} / {_signed(_value(entry['down']))}"


def _signed(value: float) -> str:
    return f"{value:+.3f}" if math.isfinite(value) else "-"


def _up_down(entry: Mapping[str, Any] | None) -> str:
    if entry is None:
        return "-"
    up, down = _value(entry["up"]), _value(entry["down"])
    return f"+{number(up)} -{number(down)}" if math.isfinite(up + down) else f"up {number(up)}, down {number(down)}"


def _value(value: float | None) -> float:
    return math.nan if value is None else float(value)
