"""Plots of a fit of several parameters: contours of pairs, correlations, with captions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from toolkit.likelihood.results import Results
from toolkit.plots import PlotStyle, plot_contours
from toolkit.plots.correlation import plot_correlation
from toolkit.report.contours import contours_of, pairs_of
from toolkit.report.drawing import PlotJob
from toolkit.report.figures import slug
from toolkit.report.fitted import fits_of
from toolkit.report.wording import method_name, parameter_name


def contour_jobs(results: Results, *, style: PlotStyle) -> Iterator[PlotJob]:
    """List a plot of the contours of all methods per pair of parameters, their part is "results"; then those of data, in "observed"."""
    yield from _contour_jobs(results, style=style)
    if results.observed is not None:
        for job in _contour_jobs(replace(results, methods=results.observed.methods), style=style.for_data(), truth_label="Asimov set"):
            yield replace(job, part="observed", name=f"observed_{job.name}", caption=f"Data. {job.caption} Star: the Asimov set.")


def _contour_jobs(results: Results, *, style: PlotStyle, truth_label: str = "truth") -> Iterator[PlotJob]:
    for pair in pairs_of(results):
        names = " and ".join(parameter_name(name) for name in pair)
        text = (
            f"Contours of {names}, all other parameters profiled: 68 % solid, 95 % dashed, thresholds of two degrees of freedom. "
            "Lines that end at the frame meet the edge of an allowed range."
        )
        truth = (results.asimov[pair[0]], results.asimov[pair[1]])
        draw = partial(plot_contours, contours_of(results, pair), truth=truth, truth_label=truth_label, style=style)
        yield PlotJob("results", f"contours_{slug(pair[0])}_{slug(pair[1])}", text, draw)


def correlation_jobs(results: Results, *, style: PlotStyle) -> Iterator[PlotJob]:
    """List the correlations of the fitted parameters by method; their part is "fitted". None where one parameter is fitted."""
    for name, fit in fits_of(results).items():
        if len(fit.free) > 1:
            text = f"{method_name(name)}: correlations of the fitted parameters."
            draw = partial(plot_correlation, fit.free, fit.correlation, poi=results.interest, style=style)
            yield PlotJob("fitted", f"fitted_correlation_{slug(name)}", text, draw)
