"""Background against signal efficiency of several scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toolkit.diagnostics.roc import RocCurve
from toolkit.plots.names import plain
from toolkit.plots.style import CYCLE, PLAIN, PlotStyle, StyledFigure, new_figure

LINES = ("-", "--", "-.", ":")


def plot_roc(curves: Sequence[RocCurve], *, style: PlotStyle = PLAIN) -> StyledFigure:
    """Draw the rejection of the background, 1 over its efficiency, against the efficiency of the signal.

    Args:
        curves: One per score.
        style: Look and header.

    Returns:
        The figure; its numbers are the curves.
    """
    with new_figure(style, numbers={"curves": [curve.to_json() for curve in curves]}, size=(6.4, 5.2)) as (figure, (ax,)):
        for i, curve in enumerate(curves):
            here = (curve.background > 1e-4) & (curve.signal > 0.02)
            label = f"{plain(curve.name)}: {curve.area:.4f} $\\pm$ {curve.area_error:.4f}"
            ax.plot(
                curve.signal[here], 1.0 / curve.background[here], color=CYCLE[i % len(CYCLE)], linestyle=LINES[i % len(LINES)], label=label
            )
        grid = np.linspace(0.02, 1.0, 100)
        ax.plot(grid, 1.0 / grid, color="0.6", linewidth=0.9, linestyle=":")
        ax.set_yscale("log")
        ax.set_xlim(0.0, 1.0)
        ax.set_xlabel("signal efficiency")
        ax.set_ylabel("1 / background efficiency")
        ax.legend(loc="upper right", title="area under the curve")
    return figure
