"""Contours of two parameters of all methods together, with the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from toolkit.likelihood.parameter_results import Contour
from toolkit.plots.names import method_label, parameter_symbol
from toolkit.plots.style import BLACK, GREY, PLAIN, PlotStyle, StyledFigure, band_height, legend_band, method_look, new_figure
from toolkit.typing import BoolArray, FloatArray

STYLES = {0.68: ("-", 2.0), 0.95: ("--", 1.4)}
"""Line style and width of every level."""
MARGIN = 0.06
"""Room around the contours, in fractions of their extent."""


def plot_contours(
    contours: Mapping[str, Sequence[Contour]],
    *,
    truth: tuple[float, float] | None = None,
    truth_label: str = "truth",
    style: PlotStyle = PLAIN,
) -> StyledFigure:
    """Draw the 68 % and 95 % contours of a pair of parameters for several methods.

    Args:
        contours: The contours of one pair by method, in the order of the legend.
        truth: The two parameters of the Asimov set, marked by a star.
        truth_label: What the legend calls the star.
        style: Look and header.

    Returns:
        The figure; its numbers hold the lines, areas and best fits. Crosses are best fits.
    """
    numbers = {"truth": None if truth is None else list(truth), "methods": {n: [c.to_json() for c in own] for n, own in contours.items()}}
    names = next((c.parameters for own in contours.values() for c in own), ("", ""))
    with new_figure(style, numbers=numbers, size=(6.4, 5.6)) as (figure, (ax,)):
        for i, (name, own) in enumerate(contours.items()):
            color, _, _ = method_look(name, i)
            for contour in own:
                dashes, width = STYLES.get(contour.level, (":", 1.2))
                for line in contour.lines:
                    ax.plot(*np.array(line).T, color=color, linestyle=dashes, linewidth=width)
            if own:
                ax.plot(*own[0].best_fit, color=color, marker="x", markersize=7, markeredgewidth=1.6, linestyle="none", zorder=4)
        handles = [Line2D([], [], color=method_look(name, i)[0], linewidth=2.0) for i, name in enumerate(contours)]
        labels = [method_label(name) for name in contours]
        for level, (dashes, width) in STYLES.items():
            handles.append(Line2D([], [], color=BLACK, linestyle=dashes, linewidth=width))
            labels.append(f"{100 * level:.0f}% CL, two parameters")
        handles.append(Line2D([], [], color=BLACK, marker="x", markersize=7, markeredgewidth=1.6, linestyle="none"))
        labels.append("best fit")
        if truth is not None:
            ax.plot(*truth, color=BLACK, marker="*", markersize=11, markerfacecolor="white", linestyle="none", zorder=5)
            handles.append(Line2D([], [], color=BLACK, marker="*", markersize=11, markerfacecolor="white", linestyle="none"))
            labels.append(truth_label)
        _set_limits(ax, contours, truth, headroom=band_height(len(labels)))
        ax.set_xlabel(parameter_symbol(names[0]))
        ax.set_ylabel(parameter_symbol(names[1]))
        legend_band(ax, entries=(handles, labels))
    return figure


def _set_limits(ax: Axes, contours: Mapping[str, Sequence[Contour]], truth: tuple[float, float] | None, *, headroom: float) -> None:
    """Show all lines, with room around them and below the legend; lines that end at an edge of the range end at the frame, or at a line."""
    points = [point for own in contours.values() for c in own for point in (c.best_fit, *(p for line in c.lines for p in line))]
    corners = np.array([*points, *([truth] if truth is not None else [])])
    if not len(corners):
        return
    low, high = corners.min(axis=0), corners.max(axis=0)
    room = MARGIN * np.where(high > low, high - low, 1.0)
    ends = [line[k] for own in contours.values() for c in own for line in c.lines if line[0] != line[-1] for k in (0, -1)]
    at_low, at_high = _edges(np.array(ends).reshape(-1, 2), low, high)
    if at_high[1]:
        ax.axhline(high[1], color=GREY, linewidth=0.9, zorder=0)
    low, high = np.where(at_low, low, low - room), np.where(at_high, high, high + room)
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], low[1] + (high[1] - low[1]) / (1.0 - headroom))


def _edges(ends: FloatArray, low: FloatArray, high: FloatArray) -> tuple[BoolArray, BoolArray]:
    """Say which sides of the box around all lines are edges of the range: open lines end there, two of them or one that ends nowhere else.

    Args:
        ends: Ends of open lines, (n, 2).
        low: Lower left corner, (2,).
        high: Upper right corner, (2,).
    """
    found = np.stack([np.isclose(ends, low), np.isclose(ends, high)])  # side, end, axis
    alone = found.sum(axis=(0, 2)) == 1
    edges = (found.sum(axis=1) > 1) | (found & alone[None, :, None]).any(axis=1)
    return edges[0], edges[1]
