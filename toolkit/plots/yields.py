"""Expected events against the parameter of interest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toolkit.diagnostics.yields import YieldCurve
from toolkit.plots.names import hypothesis_label, parameter_symbol, plain
from toolkit.plots.root_axis import root_axis
from toolkit.plots.style import CYCLE, DASHES, GREY, PLAIN, PlotStyle, StyledFigure, new_figure


def plot_yields(curves: Sequence[YieldCurve], *, style: PlotStyle = PLAIN) -> StyledFigure:
    """Draw each yield as the change from its value at the reference, with the simulation error of the change.

    Args:
        curves: Yields of the total and of parts of it; the first one sets the grey band.
        style: Look and header.

    Returns:
        The figure; its numbers hold every curve and the counting error sqrt(N) of the first one at its reference (the
        grey band: what a measurement of the rate alone can resolve).
    """
    at = [float(c.expected[0] - c.change[0]) for c in curves]
    error = float(np.sqrt(max(at[0], 0.0))) if at else 0.0
    numbers = {"curves": [c.to_json() for c in curves], "at_reference": at, "counting_error": error}
    with new_figure(style, numbers=numbers) as (figure, (ax,)):
        for i, (curve, y) in enumerate(zip(curves, at, strict=True)):
            color = CYCLE[i % len(CYCLE)]
            ax.fill_between(
                curve.values, curve.change - curve.change_error, curve.change + curve.change_error, color=color, alpha=0.25, lw=0
            )
            text = f"{plain(curve.name)}: {y:.1f} events at {hypothesis_label(curve.parameter, curve.reference)}"
            ax.plot(curve.values, curve.change, color=color, linestyle=DASHES[i % len(DASHES)], label=text)
        if curves:
            ax.axhspan(
                -error, error, color="0.92", zorder=-1, linewidth=0, label=rf"$\pm\sqrt{{N}}$ of the {plain(curves[0].name)} ({error:.0f})"
            )
            ax.set_xlabel(parameter_symbol(curves[0].parameter))
            ax.set_ylabel(f"events $-$ events at {hypothesis_label(curves[0].parameter, curves[0].reference)}")
            ax.set_xlim(curves[0].values[0], curves[0].values[-1])
            if curves[0].parameter in style.roots and ax.get_xlim()[0] == 0.0:
                root_axis(ax)
            ax.axvline(curves[0].reference, color=GREY, linewidth=0.9, linestyle=":", zorder=0)
            low, high = ax.get_ylim()
            ax.set_ylim(low, high + 0.075 * (len(curves) + 1.5) * (high - low))
            ax.legend(loc="upper left")
        ax.axhline(0, color=GREY, linewidth=0.9, zorder=0)
    return figure
