"""Fits in other parameters: what every fit says about every parameter on one table, and a part of the page for each fit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

from toolkit.likelihood.results import MethodResult, Results
from toolkit.plots import PlotStyle, plot_scans
from toolkit.report import prose
from toolkit.report.contours import areas_page_table, pairs_of
from toolkit.report.drawing import PlotJob
from toolkit.report.figures import slug
from toolkit.report.fitted_figures import contour_jobs
from toolkit.report.observed_tables import observed_page_tables
from toolkit.report.page import PageFigure, PageSection, PageTable
from toolkit.report.page_tables import methods_page_table
from toolkit.report.systematics_figures import systematics_jobs
from toolkit.report.systematics_tables import systematics_page_tables
from toolkit.report.wording import interval_lines, is_histogram, method_name, number, parameter_name

SUMMARY = "All fits"


def fit_views(results: Results) -> dict[str, Results]:
    """Return every fit in other parameters as results of their own, by name."""
    return {name: results.in_other_parameters(name) for name in results.fit_parameters}


def fits_page_table(results: Results) -> PageTable | None:
    """NSBI beside the best histogram: every parameter of interest of the analysis and of all fits; None without one of the methods."""
    rows = []
    for fit, view in {"": results, **fit_views(results)}.items():
        for poi in view.interest:
            methods = view.of(poi).methods
            nsbi, best = methods.get("nsbi"), _best_histogram(methods)
            if nsbi is not None and best is not None:
                ratio = _length(nsbi) / _length(best) if _length(best) > 0.0 else math.nan
                rows.append((fit or "analysis", parameter_name(poi), *_cells(nsbi), method_name(best.method), *_cells(best), number(ratio)))
    columns = ("fit", "parameter", "NSBI", "68 %", "95 %", "best histogram", "best fit", "68 %", "95 %", "68 %: NSBI over it")
    note = (
        "All other parameters profiled. Best histogram: the one with the shortest 68 % interval. Last column: length of the 68 % interval "
        "of NSBI over its length, inside the allowed range; a star marks an interval that reaches the edge of it."
    )
    return PageTable("Parameters of all fits", columns, tuple(rows), note=note) if rows else None


def fit_sections(results: Results, figures: Mapping[str, tuple[PageFigure, ...]]) -> tuple[PageSection, ...]:
    """Show all fits on one table, then each fit: intervals, areas of contours, sources of the uncertainty; nothing without any."""
    if not results.fit_parameters:
        return ()
    table = fits_page_table(results)
    sections = [PageSection(SUMMARY, text=(prose.OTHER_FITS,), tables=(table,))] if table is not None else []
    for name, view in fit_views(results).items():
        sections.append(fit_section(name, view, results.fit_parameters[name].express, figures.get(part_of(name), ())))
    return tuple(sections)


def fit_section(name: str, view: Results, express: Mapping[str, str], figures: tuple[PageFigure, ...]) -> PageSection:
    """Show one fit: intervals, areas of contours, sources of the uncertainty.

    Args:
        name: Name of the fit.
        view: Its results, as those of an analysis.
        express: Expressions in the place of parameters; empty where these are measured themselves.
        figures: Its plots.
    """
    text = "; ".join(f"{parameter_name(old)} = {_in_words(new, view)}" for old, new in express.items())
    tables = (
        *(methods_page_table(view.of(poi), ()) for poi in view.interest),
        *(t for poi in view.interest for t in observed_page_tables(view.of(poi))),
        *(areas_page_table(view, pair) for pair in pairs_of(view)),
        *(t for poi in view.interest for t in systematics_page_tables(view.of(poi))),
    )
    words = (f"In this fit {text}.",) if express else ()
    return PageSection(f"Fit {name}", text=words, tables=tables, figures=figures)


def fit_jobs(results: Results, *, style: PlotStyle) -> Iterator[PlotJob]:
    """List scans, contours and impacts of every fit in other parameters."""
    for name, view in fit_views(results).items():
        yield from view_jobs(name, view, style=style)


def view_jobs(name: str, view: Results, *, style: PlotStyle) -> Iterator[PlotJob]:
    """List scans, contours and impacts of one fit."""
    for poi in view.interest:
        text = f"{name}: scans of {parameter_name(poi)} of every method, the other parameters profiled."
        own = view.of(poi)
        seen = [] if own.observed is None else list(own.observed.methods.values())
        draw = partial(plot_scans, list(own.methods.values()), observed=seen, style=style.for_data() if seen else style)
        yield PlotJob(part_of(name), f"scans_{slug(name)}_{slug(poi)}", text, draw)
    for job in (*contour_jobs(view, style=style), *systematics_jobs(view, style=style)):
        kind, _, rest = job.name.partition("_")
        yield replace(job, part=part_of(name), name=f"{kind}_{slug(name)}_{rest}", caption=f"{name}: {job.caption}")


def part_of(fit: str) -> str:
    """Return the part of the report that the plots of a fit belong to.

    Examples:
        >>> part_of("width")
        'fit width'
    """
    return f"fit {fit}"


def _in_words(text: str, view: Results) -> str:
    """Write an expression with the names of its parameters as readers know them."""
    for name in sorted(view.parameters, key=len, reverse=True):
        text = text.replace(name, parameter_name(name)) if parameter_name(name) not in text else text
    return text


def _best_histogram(methods: Mapping[str, MethodResult]) -> MethodResult | None:
    found = [m for name, m in methods.items() if is_histogram(name)]
    return min(found, key=_length) if found else None


def _length(result: MethodResult) -> float:
    return sum(i.high - i.low for i in result.interval_68)


def _cells(result: MethodResult) -> tuple[str, str, str]:
    inner, outer = ("\n".join(interval_lines(i)) for i in (result.interval_68, result.interval_95))
    return number(result.mu_hat), inner, outer
