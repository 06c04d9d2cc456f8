"""Closure of every method: fitted against true value, with the error of the finite simulation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from toolkit.diagnostics.closure import MAX_DEVIATION, ClosureVerdict
from toolkit.plots.names import method_label, parameter_symbol
from toolkit.plots.style import GREY, PLAIN, PlotStyle, StyledFigure, band_height, legend_band, method_look, new_figure


def plot_closure(verdicts: Sequence[ClosureVerdict], *, parameter: str = "mu", style: PlotStyle = PLAIN) -> StyledFigure:
    """Draw best fit against truth for all methods, above their difference.

    Args:
        verdicts: One per method, with its closure points.
        parameter: Name of the parameter.
        style: Look and header.

    Returns:
        The figure; its numbers hold every point with standard error and pull. Points of one truth are moved apart
        sideways to be readable; a point that is off by more than the grey band or two standard errors is hollow. Error bars are
        one standard error.
    """
    symbol = parameter_symbol(parameter)
    inner = symbol.strip("$")
    numbers = {"parameter": parameter, "methods": {v.method: v.to_json() for v in verdicts}}
    truths = sorted({c.mu for v in verdicts for c in v.checks})
    with new_figure(style, numbers=numbers, size=(6.4, 6.0), panels=(2.2, 1.6)) as (figure, (top, low)):
        ends = np.array([truths[0] - 0.4, truths[-1] + 0.4]) if truths else np.array([0.0, 1.0])
        spacing = 0.14 * min(np.diff(truths), default=1.0)
        top.plot(ends, ends, color=GREY, linewidth=1.0, linestyle="--", zorder=0)
        low.axhline(0, color=GREY, linewidth=1.0, linestyle="--", zorder=0)
        for ax, base in ((top, ends), (low, np.zeros(2))):
            ax.fill_between(ends, base - MAX_DEVIATION, base + MAX_DEVIATION, color="0.92", linewidth=0, zorder=-1)
        for i, verdict in enumerate(verdicts):
            color, _, marker = method_look(verdict.method, i)
            shift = (i - (len(verdicts) - 1) / 2) * spacing
            for fails in (False, True):
                chosen = [c for c in verdict.checks if bool(c.fails) is fails]
                x = np.array([c.mu + shift for c in chosen])
                y = np.array([c.mu_hat for c in chosen])
                error = np.nan_to_num(np.array([c.standard_error for c in chosen]))
                look: dict[str, Any] = {
                    "color": color,
                    "marker": marker,
                    "markerfacecolor": "white" if fails else color,
                    "linestyle": "none",
                }
                top.errorbar(x, y, yerr=error, **look)
                low.errorbar(x, y - np.array([c.mu for c in chosen]), yerr=error, **look)
            top.errorbar([], [], yerr=[], color=color, marker=marker, linestyle="none", label=method_label(verdict.method))
        top.set_xlim(*ends)
        top.set_ylabel(rf"best fit $\hat{{{inner}}}$")
        low.set_ylabel(rf"$\hat{{{inner}}} - {inner}_{{\mathrm{{true}}}}$")
        low.set_xlabel(rf"${inner}_{{\mathrm{{true}}}}$")
        low.set_xticks(truths)
        low.set_xticks([], minor=True)
        if verdicts:
            bottom, highest = top.get_ylim()
            top.set_ylim(bottom, bottom + (highest - bottom) / (1 - band_height(len(verdicts), titled=True)))
            top.yaxis.set_major_locator(MaxNLocator(nbins=6, prune="lower"))
            legend_band(top, title=f"hollow: off    grey: $\\pm${MAX_DEVIATION:g}")
    return figure
