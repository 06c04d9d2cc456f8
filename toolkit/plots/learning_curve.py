"""Learning curve: what the networks tell against the number of events that they learn from."""

from __future__ import annotations

import numpy as np

from toolkit.diagnostics.learning_curve import LearningCurve
from toolkit.plots.names import hypothesis_label, method_label
from toolkit.plots.style import CYCLE, PLAIN, PlotStyle, StyledFigure, new_figure


def plot_learning_curve(curve: LearningCurve, *, style: PlotStyle = PLAIN) -> StyledFigure:
    """Draw the lower bound of -2 Delta lnL of every share with its error, and that of the histogram as a band.

    Args:
        curve: The numbers.
        style: Look and header.

    Returns:
        The figure; its numbers are `curve.to_json()`.
    """
    with new_figure(style, numbers=curve.to_json()) as (figure, (ax,)):
        events, bounds, errors = np.array([[p.events, p.bound, p.error] for p in curve.points]).T
        ax.errorbar(events, bounds, yerr=errors, color=CYCLE[0], marker="o", lw=1.6, capsize=3, label="unbinned")
        ax.axhline(curve.bound, color=CYCLE[1], lw=1.4, ls="--", label=method_label(curve.histogram))
        ax.axhspan(curve.bound - curve.error, curve.bound + curve.error, color=CYCLE[1], alpha=0.2, lw=0)
        ax.set_xscale("log")
        ax.set_xlabel("training events")
        ax.set_ylabel(r"lower bound of $-2\,\Delta\ln L$")
        ax.set_ylim(0, 1.35 * max(float((bounds + errors).max()), curve.bound + curve.error))
        truth, against = (", ".join(hypothesis_label(*item) for item in point.items()) for point in (curve.truth, curve.against))
        ax.legend(loc="upper left", title=f"{truth} against {against}")
    return figure
