"""Closure of every method: fitted against true value, with the error of the finite simulation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from toolkit.diagnostics.closure import MAX_PULL, ClosureVerdict
from toolkit.plots.names import estimate_symbol, method_label, truth_symbol
from toolkit.plots.style import GREY, PLAIN, PlotStyle, StyledFigure, band_height, legend_band, method_look, new_figure


def plot_closure(verdicts: Sequence[ClosureVerdict], *, parameter: str = "mu", style: PlotStyle = PLAIN) -> StyledFigure:
    """Draw best fit against truth for all methods, above their difference.

    Args:
        verdicts: One per method, with its closure points.
        parameter: Name of the parameter.
        style: Look and header.

    Returns:
        The figure; its numbers hold every point with standard error and pull. Points of one truth are moved apart
        sideways to be readable, those that differ in other parameters in groups; a point that is off by more than two
        standard errors is hollow. Error bars are one standard error.
    """
    numbers = {"parameter": parameter, "methods": {v.method: v.to_json() for v in verdicts}}
    truths = sorted({c.mu for v in verdicts for c in v.checks})
    with new_figure(style, numbers=numbers, size=(6.4, 6.0), panels=(2.2, 1.6)) as (figure, (top, low)):
        pad = min([0.4, *(0.6 * np.diff(truths))])
        ends = np.array([truths[0] - pad, truths[-1] + pad]) if truths else np.array([0.0, 1.0])
        places = _places(verdicts, gap=min(np.diff(truths), default=1.0))
        top.plot(ends, ends, color=GREY, linewidth=1.0, linestyle="--", zorder=0)
        low.axhline(0, color=GREY, linewidth=1.0, linestyle="--", zorder=0)
        for i, (verdict, own) in enumerate(zip(verdicts, places, strict=True)):
            color, _, marker = method_look(verdict.method, i)
            for fails in (False, True):
                chosen = [c for c in verdict.checks if c.fails is fails]
                x = np.array([place for c, place in zip(verdict.checks, own, strict=True) if c.fails is fails])
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
        top.set_ylabel(f"best fit {estimate_symbol(parameter)}")
        low.set_ylabel(rf"{estimate_symbol(parameter)} $-$ {truth_symbol(parameter)}")
        low.set_xlabel(truth_symbol(parameter))
        low.set_xticks(truths)
        low.set_xticks([], minor=True)
        _hold(top, low, verdicts, widest=float(ends[1] - ends[0]))
        if verdicts:
            bottom, highest = top.get_ylim()
            top.set_ylim(bottom, bottom + (highest - bottom) / (1 - band_height(len(verdicts), titled=True)))
            top.yaxis.set_major_locator(MaxNLocator(nbins=6, prune="lower"))
            legend_band(top, title=f"hollow: off by more than {MAX_PULL:g} standard errors")
    return figure


def _hold(top: Axes, low: Axes, verdicts: Sequence[ClosureVerdict], *, widest: float) -> None:
    """Let no error bar that is wider than `widest` set the scale: it leaves the frame."""
    checks = [c for v in verdicts for c in v.checks if np.isfinite(c.mu_hat)]
    if not any(c.standard_error > widest for c in checks):
        return
    error = np.array([c.standard_error if c.standard_error <= widest else 0.0 for c in checks])
    for ax, values in ((top, np.array([c.mu_hat for c in checks])), (low, np.array([c.deviation for c in checks]))):
        bottom, highest = float(np.nanmin(values - error)), float(np.nanmax(values + error))
        pad = 0.1 * max(highest - bottom, 0.05 * widest)
        ax.set_ylim(bottom - pad, highest + pad)


def _places(verdicts: Sequence[ClosureVerdict], *, gap: float) -> list[list[float]]:
    """Return where each check of each verdict is drawn: around its truth, methods side by side, group by group of other parameters."""
    rank: dict[float, dict[tuple[tuple[str, float], ...], int]] = {}
    for verdict in verdicts:
        for check in verdict.checks:
            groups = rank.setdefault(check.mu, {})
            groups.setdefault(tuple(sorted(check.truth.items())), len(groups))
    most = max((len(groups) for groups in rank.values()), default=1)
    spacing = gap * (0.14 if most == 1 else min(0.14, 0.75 / (most * (len(verdicts) + 1))))
    found = []
    for i, verdict in enumerate(verdicts):
        own = []
        for check in verdict.checks:
            groups = rank[check.mu]
            group = groups[tuple(sorted(check.truth.items()))] - (len(groups) - 1) / 2
            own.append(check.mu + spacing * (i - (len(verdicts) - 1) / 2 + group * (len(verdicts) + 1)))
        found.append(own)
    return found
