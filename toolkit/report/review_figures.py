"""Plots of the review of the networks, with captions."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from toolkit.diagnostics.learning_curve import LearningCurve
from toolkit.diagnostics.review import Review
from toolkit.plots import PlotStyle, plot_calibration_change, plot_importance, plot_learning_curve, plot_overlay, plot_spread
from toolkit.report.drawing import PlotJob
from toolkit.report.figures import slug
from toolkit.report.wording import significant


def learning_jobs(curve: LearningCurve, *, style: PlotStyle) -> Iterator[PlotJob]:
    """List the plot of a learning curve; its part is "learning"."""
    text = "What networks that learn from a share of the training events tell, on the same test events; the last point has all of them."
    yield PlotJob("learning", "learning_curve", text, partial(plot_learning_curve, curve, style=style))


def review_jobs(review: Review, *, style: PlotStyle) -> Iterator[PlotJob]:
    """List the plots of a review.

    Args:
        review: The results.
        style: Look and header.

    Yields:
        The plots; parts are "change", "overlay", "spread" and "importance".
    """
    for before, after in review.calibrations:
        text = f"{after.numerator} against the reference, test events: true fraction in bins of the predicted one, before and after."
        yield PlotJob(
            "change", f"calibration_change_{slug(after.numerator)}", text, partial(plot_calibration_change, before, after, style=style)
        )
    for one in review.overlays:
        text = (
            f"{one.title}: score of test events, of events that the networks trained on, and of the same events by networks that did "
            "not (out of bag), each by as many networks. Shapes only."
        )
        yield PlotJob("overlay", f"train_test_{slug(one.title)}", text, partial(plot_overlay, one, style=style))
    if review.spread is not None:
        text = "How far the members of the ensemble disagree on the log ratio of a process, for the events of that process."
        yield PlotJob("spread", "ensemble_spread", text, partial(plot_spread, review.spread, style=style))
    if review.importances:
        n, repeats = review.importance_events, review.importances[0].shuffled.shape[1]
        text = (
            f"Loss when a feature is replaced by that of other events ({significant(float(n), digits=3)} test events, "
            f"{repeats} shuffle{'s' if repeats != 1 else ''} each). Correlated features stand in for each other."
        )
        yield PlotJob("importance", "importance", text, partial(plot_importance, review.importances, style=style), wide=True)
