"""A histogram of two observables: what is expected, and where the parameter of interest moves it."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from numpy.typing import ArrayLike

from toolkit.errors import ShapeError
from toolkit.likelihood.planes import Plane
from toolkit.plots.names import hypothesis_label, observable_label
from toolkit.plots.style import PLAIN, PlotStyle, StyledFigure, add_header, new_figure


def plot_plane(
    plane: Plane, nominal: ArrayLike, other: ArrayLike, *, poi: str = "mu", values: tuple[float, float], style: PlotStyle = PLAIN
) -> StyledFigure:
    """Draw the expected events of every bin, and its difference to another value of the parameter in units of the counting error.

    Args:
        plane: The bins.
        nominal: Expected events at the first value, (n_bins,), > 0.
        other: The same at the second value, (n_bins,).
        poi: Name of the parameter.
        values: Its two values.
        style: Look and header.

    Returns:
        The figure with two panels; its numbers hold the bins and both expectations. Cells that belong to one bin of the fit show its
        content and have no line between them.

    Raises:
        ShapeError: Not one number per bin.
    """
    one, two = (np.asarray(a, dtype=np.float64) for a in (nominal, other))
    if {one.shape, two.shape} != {(plane.n_bins,)}:
        what = "expected events of a plane"
        raise ShapeError(what, got=f"{one.shape} and {two.shape}", expected=f"({plane.n_bins},) twice")
    change = (two - one) / np.sqrt(one)
    numbers = {**plane.to_json(), "poi": poi, "values": list(values), "expected": [one.tolist(), two.tolist()], "change": change.tolist()}
    with new_figure(style, numbers=numbers, size=(11.2, 4.9)) as (figure, (first,)):
        first.remove()
        figure.set_layout_engine("constrained", w_pad=0.14, h_pad=0.06)
        left, right = figure.subplots(1, 2, sharex=True, sharey=True)
        reach = float(np.abs(change).max()) or 1.0
        label = hypothesis_label(poi, values[0])
        looks: tuple[tuple[Axes, Any, dict[str, Any], str], ...] = (
            (left, one, {"cmap": "viridis", "norm": LogNorm(one.min(), max(one.max(), 1.001 * one.min()))}, f"events per bin, {label}"),
            (right, change, {"cmap": "RdBu_r", "vmin": -reach, "vmax": reach}, f"({hypothesis_label(poi, values[1])} - {label}) / √events"),
        )
        for ax, content, look, text in looks:
            image = ax.pcolormesh(*plane.edges, plane.spread(content).T, **look)
            _draw_borders(ax, plane)
            bar = figure.colorbar(image, ax=ax, pad=0.02)
            bar.set_label(text)
            ax.set_xlabel(observable_label(plane.observables[0]))
            ax.tick_params(which="both", color="0.2")
        left.set_ylabel(observable_label(plane.observables[1]))
        first_edges = plane.edges[0]
        if first_edges[0] > 0.0 and first_edges[-1] > 5.0 * first_edges[0]:
            left.set_xscale("log")
            ticks = [t for t in (50, 100, 200, 300, 500, 1000, 2000, 3000) if first_edges[0] <= t <= first_edges[-1]]
            left.set_xticks(ticks, [f"{t:g}" for t in ticks])
            left.minorticks_off()
        add_header(left, style, right=right)
    return figure


def _draw_borders(ax: Axes, plane: Plane) -> None:
    """Draw lines between cells of different bins."""
    x, y = plane.edges
    for i, j in np.argwhere(plane.groups[:-1] != plane.groups[1:]):
        ax.plot([x[i + 1]] * 2, y[j : j + 2], color="white", linewidth=0.6, solid_capstyle="butt")
    for i, j in np.argwhere(plane.groups[:, :-1] != plane.groups[:, 1:]):
        ax.plot(x[i : i + 2], [y[j + 1]] * 2, color="white", linewidth=0.6, solid_capstyle="butt")
