"""Closure of every method: fitted minus true value, with the error of the finite simulation, one panel per method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from toolkit.diagnostics.closure import MAX_PULL, ClosureCheck, ClosureVerdict
from toolkit.plots.names import estimate_symbol, method_label, truth_symbol
from toolkit.plots.style import GREY, HALO, PLAIN, PlotStyle, StyledFigure, method_look, new_figure

MANY_TIMES = 4.0
"""A method whose points and bars reach so many times as far as those of a compatible one does not set the scale."""


def plot_closure(verdicts: Sequence[ClosureVerdict], *, parameter: str = "mu", style: PlotStyle = PLAIN) -> StyledFigure:
    """Draw best fit minus truth against truth, one panel per method, every point at its true value.

    Args:
        verdicts: One per method, with its closure points.
        parameter: Name of the parameter.
        style: Look and header.

    Returns:
        The figure; its numbers hold every point with standard error and pull, and `reach`, how far the vertical scale of all panels goes. A
        point that is off by more than two standard errors is hollow. Error bars are one standard error and are cut at the frame; a point
        beyond it is an arrow with its number.

    Notes:
        Where some method reaches more than `MANY_TIMES` as far as the median of the compatible ones, these set the scale: one method that
        tells little, or is far off, does not make the others flat.
    """
    truths = sorted({c.mu for v in verdicts for c in v.checks})
    n = max(len(verdicts), 1)
    pad = min([0.4, *(0.6 * np.diff(truths))])
    reach = _reach(verdicts, widest=truths[-1] - truths[0] + 2 * pad if truths else 1.0)
    numbers = {"parameter": parameter, "reach": reach, "methods": {v.method: v.to_json() for v in verdicts}}
    with new_figure(style, numbers=numbers, size=(6.4, 1.3 + 1.05 * n), panels=(1.0,) * n) as (figure, axes):
        for i, (verdict, ax) in enumerate(zip(verdicts, axes, strict=False)):
            color, _, marker = method_look(verdict.method, i)
            ax.axhline(0, color=GREY, linewidth=1.0, linestyle="--", zorder=0)
            for fails in (False, True):
                chosen = [c for c in verdict.checks if c.fails is fails]
                inside = [c for c in chosen if abs(c.deviation) <= reach]
                x, y = np.array([c.mu for c in inside]), np.array([c.deviation for c in inside])
                error = np.nan_to_num(np.array([c.standard_error for c in inside]))
                face = "white" if fails else color
                ax.errorbar(x, y, yerr=error, color=color, marker=marker, markerfacecolor=face, linestyle="none")
                for check in chosen:
                    if abs(check.deviation) > reach:
                        _beyond(ax, check, reach=reach, color=color, face=face)
            place: dict[str, Any] = {"transform": ax.transAxes, "va": "top", "fontsize": "small", "bbox": HALO}
            ax.text(0.015, 0.93, method_label(verdict.method), color=color, **place)
            ax.set_ylim(-reach, reach)
            ax.locator_params(axis="y", nbins=4, prune="both")
        if truths:
            axes[0].set_xlim(truths[0] - pad, truths[-1] + pad)
            axes[-1].set_xticks(truths)
            axes[-1].set_xticks([], minor=True)
        if any(c.fails for v in verdicts for c in v.checks):
            axes[0].set_title(f"hollow: off by more than {MAX_PULL:g} standard errors", fontsize="small", loc="center")
        axes[(n - 1) // 2].set_ylabel(rf"best fit {estimate_symbol(parameter)} $-$ {truth_symbol(parameter)}", loc="center")
        axes[-1].set_xlabel(truth_symbol(parameter))
    return figure


def _beyond(ax: Axes, check: ClosureCheck, *, reach: float, color: str, face: str) -> None:
    """Draw a point that is outside of the frame as an arrow at its edge, with its number beside it."""
    sign = 1 if check.deviation > 0 else -1
    arrow: dict[str, Any] = {"arrowstyle": "-|>", "edgecolor": color, "facecolor": face, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", (check.mu, 0.95 * sign * reach), (check.mu, 0.3 * sign * reach), arrowprops=arrow, zorder=4)
    look: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": "x-small", "zorder": 4, "bbox": HALO}
    text = f"{check.deviation:+.2g}".replace("-", "\N{MINUS SIGN}")
    ax.annotate(text, (check.mu, 0.35 * sign * reach), (6, 0), color=color, **look)


def _reach(verdicts: Sequence[ClosureVerdict], *, widest: float) -> float:
    """Return how far the panels reach up and down: to the ends of all bars, or of those of a compatible method, the median over these.

    Of compatible methods the points that test nothing do not count, and a bar wider than `widest` never does.
    """
    everything = [end for v in verdicts if (end := _ends(v.checks, widest=widest)) is not None]
    compatible = [end for v in verdicts if not v.flagged and (end := _ends([c for c in v.checks if c.tested], widest=widest)) is not None]
    reach = max([0.05 * widest, *everything])
    if compatible:
        typical = max(0.05 * widest, float(np.median(compatible)))
        reach = reach if reach <= MANY_TIMES * typical else typical
    return 1.45 * reach


def _ends(checks: Sequence[ClosureCheck], *, widest: float) -> float | None:
    known = [c for c in checks if np.isfinite(c.deviation)]
    return max((abs(c.deviation) + (c.standard_error if c.standard_error <= widest else 0.0) for c in known), default=None)
