"""Parts of the report on histogram fits: events before and after the fit, by channel and in bins; significance and CLs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from toolkit.diagnostics.fitted_histograms import FittedChannel, FittedHistograms
from toolkit.likelihood.p_values import Significance
from toolkit.likelihood.results import Results
from toolkit.likelihood.scans import Interval
from toolkit.plots import PlotStyle
from toolkit.plots.fitted import plot_fitted
from toolkit.report.drawing import PlotJob
from toolkit.report.figures import slug
from toolkit.report.page import PageFigure, PageSection, PageTable
from toolkit.report.wording import asimov_text, interval_lines, method_name, number, parameter_name, probability, with_error
from toolkit.typing import FloatArray

TITLE = "Before and after the fit"
TESTS = "Significance and CLs"
PART = "post_fit"
TEXT = (
    "Expected events of every histogram fit at the nominal values (before the fit) and at its best fit (after it). Errors before the fit: "
    "every nuisance parameter moved by the width of its own measurement, in quadrature; without systematic uncertainties there are none. "
    "Errors after it: all fitted parameters with their correlations, to first order, so that they are too small where interference makes "
    "the number of events stationary. The statistical uncertainty of the data is not part of either."
)
CLS_NOTE = (
    "Significance: square root of t at 0, where the best fit is above 0. CLs: values that are not excluded at 95 % by the asymptotic "
    "q-mu-tilde, of the events that were fitted and of the Asimov set without signal, which is the expected limit of a search. With "
    "interference these need not be one interval, and near 0 the asymptotic form is not exact. A star marks the edge of the allowed range."
)


def post_fit_jobs(
    fitted: FittedHistograms, *, edges: Mapping[str, tuple[str, FloatArray]], style: PlotStyle, most: int = 12
) -> Iterator[PlotJob]:
    """List a plot per channel; their part is "post_fit".

    Args:
        fitted: The fits.
        edges: Observable and bin edges of the methods whose bins are those of one observable.
        style: Look and header.
        most: Plots, at most.
    """
    for channel in [c for c in fitted.channels if c.counts.size > 1][:most]:
        observable, own = edges.get(channel.method, ("", None))
        name = channel.method if channel.channel == channel.method else f"{channel.method}_{channel.channel}"
        what = "data" if channel.observed else "the Asimov set"
        text = f"{_label(channel)}: expected events before and after the fit to {what}, with their errors, and the ratio to after the fit."
        look = style.for_data() if channel.observed else style
        draw = partial(plot_fitted, channel.to_json(), edges=own, observable=observable, style=look)
        yield PlotJob(PART, f"post_fit_{slug(name)}", text, draw)


def post_fit_section(fitted: FittedHistograms, figures: Sequence[PageFigure]) -> PageSection | None:
    """Build the section with the yields of every channel; None without a histogram fit."""
    if not fitted.channels:
        return None
    observed = any(channel.observed for channel in fitted.channels)
    rows = [
        (_label(c), number(float(c.counts.sum()), digits=0 if c.observed else 1), *(_sum(v, e) for v, e in c.sums)) for c in fitted.channels
    ]
    columns = ("channel", "Data" if observed else "Asimov set", "before the fit", "after the fit")
    return PageSection(TITLE, text=(TEXT,), tables=(PageTable("Events per channel", columns, tuple(rows)),), figures=tuple(figures))


def significance_table(results: Results, fitted: FittedHistograms) -> PageTable | None:
    """Lay out significance and CLs of every method; None where there are several parameters of interest."""
    if len(results.interest) != 1:
        return None
    poi = parameter_name(results.poi)
    methods = results.methods if results.observed is None else results.observed.methods
    rows = []
    for name, method in methods.items():
        cells = ["-", "-"]
        if method.twice_nll_at_0 is not None:
            found = Significance(max(method.twice_nll_at_0, 0.0) if method.mu_hat > 0.0 else 0.0)
            cells = [number(found.z), probability(found.p_value)]
        rows.append((method_name(name), *cells, *(_pieces(own) for own in fitted.allowed.get(name, ((), ())))))
    what = "observed" if results.observed is not None else f"Asimov set at {asimov_text(results)}"
    columns = ("method", f"significance of {poi} > 0", "p-value", f"95 % CLs, {what}", "95 % CLs, no signal expected")
    return PageTable(TESTS, columns, tuple(rows), note=CLS_NOTE)


def _sum(value: float, error: float) -> str:
    return with_error(value, error) if error > 0.0 else number(value, digits=1)


def _pieces(pieces: Sequence[Interval]) -> str:
    return "\n".join(interval_lines(pieces)) if pieces else "-"


def _label(channel: FittedChannel) -> str:
    return method_name(channel.method) if channel.channel == channel.method else f"{method_name(channel.method)}, {channel.channel}"


def tests_section(results: Results, fitted: FittedHistograms) -> PageSection | None:
    """Build the section of significance and CLs; None where there are several parameters of interest."""
    table = significance_table(results, fitted)
    return None if table is None else PageSection(TESTS, tables=(table,))
