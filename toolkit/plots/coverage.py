"""Coverage of intervals against the true value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toolkit.diagnostics.coverage import CoverageCurve
from toolkit.plots.names import parameter_symbol, plain
from toolkit.plots.style import CYCLE, DASHES, GREY, MARKERS, PLAIN, PlotStyle, StyledFigure, new_figure

ALONE = 0.5
"""Half width of the frame around a truth that stands alone."""


def plot_coverage(curves: Sequence[CoverageCurve], *, style: PlotStyle = PLAIN) -> StyledFigure:
    """Draw the coverage of each kind of interval with its binomial error, and the nominal levels.

    Args:
        curves: One per kind of interval and level.
        style: Look and header.

    Returns:
        The figure; its numbers hold every curve. Points of one truth are moved apart sideways to be readable.
    """
    with new_figure(style, numbers={"curves": [c.to_json() for c in curves]}) as (figure, (ax,)):
        truths = np.unique(np.concatenate([c.truth for c in curves])) if curves else np.zeros(1)
        spacing = 0.1 * float(np.min(np.diff(truths), initial=np.inf)) if truths.size > 1 else ALONE / 4
        for i, curve in enumerate(curves):
            x = curve.truth + (i - (len(curves) - 1) / 2) * spacing
            bars = np.maximum(np.stack([curve.coverage - curve.low, curve.high - curve.coverage]), 0.0)
            look = {"color": CYCLE[i % len(CYCLE)], "marker": MARKERS[i % len(MARKERS)], "linestyle": DASHES[i % len(DASHES)]}
            ax.errorbar(
                x, curve.coverage, yerr=bars, linewidth=1.0, elinewidth=1.4, label=f"{curve.level:.3g}: {plain(curve.name)}", **look
            )
        for level in sorted({c.level for c in curves}):
            ax.axhline(level, color=GREY, linewidth=1.0, linestyle="--", zorder=0)
        if curves:
            low = min(float(c.low.min()) for c in curves)
            high = max(float(c.high.max()) for c in curves)
            low, high = min(low, *(c.level for c in curves)), max(high, *(c.level for c in curves))
            pad = max(0.08 * (high - low), 0.005)
            ax.set_ylim(low - pad, high + pad + 0.09 * (len(curves) + 1) * (high - low + 2 * pad))
            if truths.size == 1:
                ax.set_xlim(truths[0] - ALONE, truths[0] + ALONE)
                ax.set_xticks(truths)
                ax.tick_params(axis="x", which="minor", bottom=False, top=False)
            ax.set_xlabel(f"true {parameter_symbol(curves[0].parameter)}")
            ax.legend(loc="upper right", title="dashed: nominal")
        ax.set_ylabel("coverage")
    return figure
