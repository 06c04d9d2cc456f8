"""Closure of every method: fitted minus true value, with the error of the finite simulation, one panel per method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from toolkit.diagnostics.closure import MAX_PULL, ClosureVerdict
from toolkit.plots.names import estimate_symbol, method_label, truth_symbol
from toolkit.plots.style import GREY, HALO, PLAIN, PlotStyle, StyledFigure, method_look, new_figure


def plot_closure(verdicts: Sequence[ClosureVerdict], *, parameter: str = "mu", style: PlotStyle = PLAIN) -> StyledFigure:
    """Draw best fit minus truth against truth, one panel per method, every point at its true value.

    Args:
        verdicts: One per method, with its closure points.
        parameter: Name of the parameter.
        style: Look and header.

    Returns:
        The figure; its numbers hold every point with standard error and pull. All panels have the same vertical scale. A point that is
        off by more than two standard errors is hollow. Error bars are one standard error.
    """
    numbers = {"parameter": parameter, "methods": {v.method: v.to_json() for v in verdicts}}
    truths = sorted({c.mu for v in verdicts for c in v.checks})
    n = max(len(verdicts), 1)
    with new_figure(style, numbers=numbers, size=(6.4, 1.3 + 1.05 * n), panels=(1.0,) * n) as (figure, axes):
        pad = min([0.4, *(0.6 * np.diff(truths))])
        reach = _reach(verdicts, widest=truths[-1] - truths[0] + 2 * pad if truths else 1.0)
        for i, (verdict, ax) in enumerate(zip(verdicts, axes, strict=False)):
            color, _, marker = method_look(verdict.method, i)
            ax.axhline(0, color=GREY, linewidth=1.0, linestyle="--", zorder=0)
            for fails in (False, True):
                chosen = [c for c in verdict.checks if c.fails is fails]
                x, y = np.array([c.mu for c in chosen]), np.array([c.deviation for c in chosen])
                error = np.nan_to_num(np.array([c.standard_error for c in chosen]))
                face = "white" if fails else color
                ax.errorbar(x, y, yerr=error, color=color, marker=marker, markerfacecolor=face, linestyle="none")
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


def _reach(verdicts: Sequence[ClosureVerdict], *, widest: float) -> float:
    """Return how far the panels reach up and down; an error bar that is wider than `widest` leaves the frame."""
    checks = [c for v in verdicts for c in v.checks if np.isfinite(c.mu_hat)]
    ends = [abs(c.deviation) + (c.standard_error if c.standard_error <= widest else 0.0) for c in checks]
    return 1.45 * max([0.05 * widest, *ends])
