"""Parts of the page on a fit of several parameters or regions: fitted parameters, yields of the regions."""

from __future__ import annotations

import math

from toolkit.diagnostics.regions import RegionYields
from toolkit.likelihood.fit_result import FitResult
from toolkit.likelihood.results import Results
from toolkit.report import prose
from toolkit.report.page import PageFigure, PageSection, PageTable
from toolkit.report.wording import method_name, number, parameter_name, significant, with_error

TITLE = "Fitted parameters"


def fitted_section(results: Results, figures: tuple[PageFigure, ...]) -> PageSection | None:
    """Show the best fits of the model's parameters by method; None where one parameter is fitted."""
    fits = fits_of(results)
    if not fits:
        return None
    rows = tuple(
        (method_name(name), *(_value(fit, p) for p in results.parameters), fit.status.replace("_", " ")) for name, fit in fits.items()
    )
    flagged = frozenset(k for k, fit in enumerate(fits.values()) if fit.status not in ("converged", "at_boundary"))
    columns = ("method", *(parameter_name(p) for p in results.parameters), "fit")
    table = PageTable("Best fit, all parameters free", columns, rows, flagged, note="No error: the best fit is at the edge of the range.")
    return PageSection(TITLE, text=(prose.FITTED,), tables=(table,), figures=figures)


def region_table(yields: RegionYields) -> PageTable:
    """Expected events of every density (rows) in every region (columns), and what is in no region."""
    names = tuple(f"{name} ({kind})" for name, kind, _ in yields.regions)
    rows = [(p, *(number(own[j], digits=1) for own in yields.yields)) for j, p in enumerate(yields.processes)]
    rows.append(("all, Asimov set", *(number(v, digits=1) for v in yields.expected)))
    rows.append(("simulated test events", *(significant(float(n)) for n in yields.events)))
    conditions = "; ".join(f"{name}: {condition or 'all events'}" for name, _, condition in yields.regions)
    outside = (
        f"In no region: {significant(float(yields.outside_events))} simulated test events, which stand for "
        f"{number(yields.outside_expected, digits=1)} expected events of the Asimov set."
    )
    return PageTable("Expected events in the regions of the fit", ("process", *names), tuple(rows), note=f"{conditions}. {outside}")


def fits_of(results: Results) -> dict[str, FitResult]:
    """Return the fits by method, where the model has several parameters; none where it has one."""
    if len(results.parameters) < 2:
        return {}
    return {name: method.fit for name, method in results.methods.items() if method.fit is not None}


def _value(fit: FitResult, parameter: str) -> str:
    if parameter not in fit.parameters:
        return "-"
    error = fit.errors.get(parameter, math.nan)
    return with_error(fit.parameters[parameter], error)
