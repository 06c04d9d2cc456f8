"""Effective sample size of the simulation against the parameter of interest, in both definitions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from matplotlib.lines import Line2D

from toolkit.plots.names import parameter_symbol, plain
from toolkit.plots.style import CYCLE, PLAIN, PlotStyle, StyledFigure, log_limits, new_figure
from toolkit.typing import FloatArray


class SizeCurve(Protocol):
    """What is drawn of a curve: `YieldCurve` and `EffectiveSizeCurve` have it."""

    @property
    def name(self) -> str:
        """Name in the legend."""

    @property
    def parameter(self) -> str:
        """Name of the parameter."""

    @property
    def values(self) -> FloatArray:
        """Values of the parameter, (m,)."""

    @property
    def n_eff_kish(self) -> FloatArray:
        """(sum w)^2 / sum w^2, (m,)."""

    @property
    def n_eff_max(self) -> FloatArray:
        """|sum w| / max |w|, (m,)."""

    @property
    def n_events(self) -> int:
        """Number of simulated events."""

    def to_json(self) -> dict[str, Any]:
        """Return all numbers."""


def plot_effective_size(curves: Sequence[SizeCurve], *, style: PlotStyle = PLAIN) -> StyledFigure:
    """Draw N_eff(mu): solid (sum w)^2 / sum w^2, dashed sum w / max |w|.

    Args:
        curves: Effective sizes, of all samples together or of each alone.
        style: Look and header.

    Returns:
        The figure; its numbers hold every curve.
    """
    with new_figure(style, numbers={"curves": [c.to_json() for c in curves]}) as (figure, (ax,)):
        handles = []
        for i, curve in enumerate(curves):
            color = CYCLE[i % len(CYCLE)]
            ax.plot(curve.values, curve.n_eff_kish, color=color)
            ax.plot(curve.values, curve.n_eff_max, color=color, linestyle="--")
            handles.append(Line2D([], [], color=color, label=f"{plain(curve.name)} ({curve.n_events:,} simulated)".replace(",", "\u2009")))
        handles.append(Line2D([], [], color="black", label=r"$(\Sigma w)^2\,/\,\Sigma w^2$"))
        handles.append(Line2D([], [], color="black", linestyle="--", label=r"$|\Sigma w|\,/\,\mathrm{max}\,|w|$"))
        if curves:
            values = [v for c in curves for a in (c.n_eff_kish, c.n_eff_max) for v in a if v > 0]
            ax.set_yscale("log")
            if values:
                ax.set_ylim(*log_limits(min(values), max(values), headroom=0.06 + 0.07 * -(-len(handles) // 2)))
            ax.set_xlim(curves[0].values[0], curves[0].values[-1])
            ax.set_xlabel(parameter_symbol(curves[0].parameter))
        ax.set_ylabel(r"effective events $N_{\mathrm{eff}}$")
        ax.legend(handles=handles, loc="upper right", ncols=2, fontsize="small")
    return figure
