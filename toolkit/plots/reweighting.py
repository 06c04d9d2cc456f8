"""Reweighting closure: one observable in full, and all observables at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mplhep
import numpy as np
from matplotlib.axes import Axes

from toolkit.diagnostics.reweighting import ReweightingClosure
from toolkit.diagnostics.serialise import jsonable
from toolkit.plots.layout import GridLayout
from toolkit.plots.names import events_label, observable_label, p_value_text, process_label
from toolkit.plots.spectra import band, step
from toolkit.plots.style import BLACK, GREY, PLAIN, SKY, VERMILION, PlotStyle, StyledFigure, add_header, new_figure
from toolkit.typing import FloatArray


def plot_reweighting(closure: ReweightingClosure, *, style: PlotStyle = PLAIN) -> StyledFigure:
    """Draw target, reweighted reference and untouched reference, above reweighted over target.

    Args:
        closure: One observable of one target.
        style: Look and header.

    Returns:
        The figure. Its numbers are `closure.to_json()`, `divided_by` and the `ratio` below with its error: that of the
        difference, since both histograms come from the same events.
    """
    label, divisor = events_label(closure.observable, np.diff(closure.edges))
    ratio, error = _ratio(closure)
    numbers = {**closure.to_json(), "divided_by": jsonable(divisor), "ratio": jsonable(ratio), "ratio_error": jsonable(error)}
    with new_figure(style, numbers=numbers, size=(6.4, 6.2), panels=(3.0, 1.2)) as (figure, (top, low)):
        target = closure.target / divisor
        step(top, closure.reference / divisor, closure.edges, color=GREY, linestyle="--", label="reference, scaled to the target")
        fill: dict[str, Any] = {"histtype": "fill", "color": SKY, "alpha": 0.6, "yerr": False, "flow": "none"}
        mplhep.histplot(target, closure.edges, ax=top, label=f"true {process_label(closure.target_name)}", **fill)
        band(top, target, closure.target_error / divisor, closure.edges, color="0.3")
        points(top, closure.reweighted / divisor, closure.reweighted_error / divisor, closure.edges, label="reference, reweighted")
        points(low, ratio, error, closure.edges)
        low.axhline(1, color=BLACK, linewidth=0.9, zorder=0)
        top.set_ylabel(label)
        highest = float(np.nanmax([target, closure.reweighted / divisor, closure.reference / divisor], initial=0.0))
        lowest = float(min(np.nanmin(target, initial=0.0), 0.0))
        top.set_ylim(1.3 * lowest, lowest + 1.6 * max(highest - lowest, 1e-12))
        handles, texts = top.get_legend_handles_labels()
        top.legend(handles[::-1], texts[::-1], loc="upper right")
        trained = "trained on" if closure.trained_on else "not trained on"
        test = f"$\\chi^2$/ndf = {closure.test.chi2:.1f}/{closure.test.ndf}, {p_value_text(closure.test.p_value)}"
        text = f"{trained}\n{test}\nmean deviation {100 * closure.mean_deviation:.2g}%"
        top.text(0.04, 0.96, text, transform=top.transAxes, va="top", linespacing=1.5)
        low.set_ylabel("reweighted / true")
        low.set_xlabel(observable_label(closure.observable))
        low.set_xlim(closure.edges[0], closure.edges[-1])
        limit = half_height(ratio, error)
        low.set_ylim(1 - limit, 1 + limit)
    return figure


def plot_reweighting_overview(closures: Sequence[ReweightingClosure], *, style: PlotStyle = PLAIN) -> StyledFigure:
    """Draw reweighted over true of every observable of one target, one small panel each.

    Args:
        closures: The observables of one target; a star marks those the network was not trained on.
        style: Look and header.

    Returns:
        The figure; its numbers hold every closure.
    """
    columns = 3
    rows = max(1, -(-len(closures) // columns))
    name = closures[0].target_name if closures else ""
    numbers = {"target_name": name, "observables": [c.to_json() for c in closures]}
    size = (9.6, 0.5 + 1.9 * rows)
    with new_figure(style, numbers=numbers, size=size, panels=(1.0,)) as (figure, (first,)):
        first.remove()
        figure.set_layout_engine(GridLayout(pad=(0.05, 0.05), frame=(0.045, 0.0, 0.955, 1.0)))
        grid = figure.subplots(rows, columns, squeeze=False)
        for ax, closure in zip(grid.flat, closures, strict=False):
            _panel(ax, closure)
        for ax in grid.flat[len(closures) :]:
            ax.set_axis_off()
        figure.supylabel(f"reweighted / true{', ' if rows > 1 else chr(10)}{process_label(name)}", fontsize="medium")
        add_header(grid[0, 0], style, right=grid[0, -1])
        note: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "xytext": (0, 4)}
        grid[0, columns // 2].annotate(r"$\star$ not trained on", (0.5, 1), ha="center", **note)
    return figure


HEADROOM = 2.1
"""Height of a small panel above 1, over its depth below: room for the text."""


def _panel(ax: Axes, closure: ReweightingClosure) -> None:
    ratio, error = _ratio(closure)
    limit = next(step for step in (0.03, 0.1, 0.3, 1.0) if step >= min(half_height(ratio, error), 1.0))
    points(ax, ratio, error, closure.edges, markersize=3)
    ax.axhline(1, color=BLACK, linewidth=0.9, zorder=0)
    ax.set_xlim(closure.edges[0], closure.edges[-1])
    ax.set_ylim(1 - limit, 1 + HEADROOM * limit)
    _arrows(ax, ratio, closure.edges, frame=(1 - limit, 1 + HEADROOM * limit))
    ax.minorticks_off()
    ax.locator_params(nbins=5)
    ax.set_xlabel(observable_label(closure.observable) + ("" if closure.trained_on else r" $\star$"))
    p_value = p_value_text(closure.test.p_value).replace("$", "")
    text = f"\u03c7\u00b2/ndf = {closure.test.chi2:.1f}/{closure.test.ndf}, {p_value}"  # no formula: there are hundreds
    color = VERMILION if closure.test.p_value < 0.01 else BLACK
    ax.text(0.03, 0.95, text, transform=ax.transAxes, va="top", fontsize="small", color=color)


def _arrows(ax: Axes, ratio: FloatArray, edges: FloatArray, *, frame: tuple[float, float]) -> None:
    """Point at the bins whose ratio lies outside the frame, from its edge."""
    low, high = frame
    room = 0.04 * (high - low)
    centres = (edges[1:] + edges[:-1]) / 2
    for outside, place, marker in ((ratio > high, high - room, "^"), (ratio < low, low + room, "v")):
        if np.any(outside):
            where = centres[outside]
            ax.plot(where, np.full(where.size, place), linestyle="none", marker=marker, color=VERMILION, markersize=5)


def points(ax: Axes, content: Any, error: Any, edges: Any, *, label: str | None = None, markersize: float = 4.5) -> None:
    """Draw a histogram as points with vertical errors and the bin widths as horizontal ones."""
    grid = np.asarray(edges)
    look: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": VERMILION, "markersize": markersize, "elinewidth": 1.2}
    ax.errorbar((grid[1:] + grid[:-1]) / 2, content, xerr=np.diff(grid) / 2, yerr=error, label=label, **look)


def _ratio(closure: ReweightingClosure) -> tuple[FloatArray, FloatArray]:
    scale = np.where(closure.target != 0, closure.target, np.nan)
    return closure.reweighted / scale, closure.difference_error / np.abs(scale)


def half_height(ratio: FloatArray, error: FloatArray, *, room: tuple[float, float] = (1.5, 1.15), least: float = 0.03) -> float:
    """Return how far a ratio panel reaches from 1: to nine tenths of the points with their errors, and to all that are off by two errors.

    Args:
        ratio: The points, NaN where there is none.
        error: Their errors.
        room: Factors on the distance of the former and of the latter.
        least: Smallest distance; the largest is 1.

    Examples:
        >>> round(half_height(np.array([1.0, 1.1, np.nan]), np.full(3, 0.01), room=(1.0, 2.0)), 3)
        0.2
    """
    here = np.isfinite(ratio)
    off = np.abs(ratio - 1)[here]
    if not off.size:
        return 1.0
    outlying = float(np.max(off[off > 2 * error[here]], initial=0.0))
    return float(np.clip(max(room[0] * np.quantile(off + error[here], 0.9), room[1] * outlying), least, 1.0))
