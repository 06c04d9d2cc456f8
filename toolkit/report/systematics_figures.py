"""Ranking plots of nuisance parameters and their correlations, with captions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from toolkit.likelihood.results import Results
from toolkit.plots import PlotStyle, plot_impacts
from toolkit.plots.correlation import plot_correlation
from toolkit.report.drawing import PlotJob
from toolkit.report.figures import slug
from toolkit.report.systematics_tables import impacts_of, pulls_of, uncertainty_documents
from toolkit.report.wording import method_name, parameter_name


def systematics_jobs(results: Results, *, style: PlotStyle) -> Iterator[PlotJob]:
    """List the ranking plots, one per method that has nuisance parameters, then their correlations; their part is "systematics"."""
    for poi in results.interest:
        tail = f"{slug(poi)}_" if len(results.interest) > 1 else ""
        yield from _impact_jobs(results.of(poi), tail, style)
    for name in uncertainty_documents(results) if len(results.parameters) < 2 else ():
        fit = results.methods[name].fit
        if fit is not None and len(fit.free) > 1:
            text = f"{method_name(name)}: correlations of the fitted parameters."
            draw = partial(plot_correlation, fit.free, fit.correlation, poi=results.poi, style=style)
            yield PlotJob("systematics", f"correlation_{slug(name)}", text, draw)


def _impact_jobs(results: Results, tail: str, style: PlotStyle) -> Iterator[PlotJob]:
    for name, document in uncertainty_documents(results).items():
        impacts, pulls = impacts_of(document), pulls_of(document)
        if impacts:
            text = f"{method_name(name)}: the largest impacts on {parameter_name(results.poi)}, and the pulls of these parameters."
            before, auxiliary = (impacts_of(document, kind=kind) for kind in ("impacts_pre_fit", "impacts_auxiliary"))
            if before or auxiliary:
                text += " Grey frames: before the fit. Diamonds: impacts of the auxiliary measurements."
            draw = partial(plot_impacts, impacts, pulls, before=before, auxiliary=auxiliary, poi=results.poi, style=style)
            yield PlotJob("systematics", f"impacts_{tail}{slug(name)}", text, draw, wide=True)


def observed_jobs(results: Results, *, style: PlotStyle) -> Iterator[PlotJob]:
    """List pulls, impacts and correlations of the fits to the data; their part is "observed"."""
    if results.observed is None:
        return
    for job in systematics_jobs(replace(results, methods=results.observed.methods), style=style.for_data()):
        yield replace(job, part="observed", name=f"observed_{job.name}", caption=f"Data. {job.caption}")
