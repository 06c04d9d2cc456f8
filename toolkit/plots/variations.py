"""What a systematic variation does to every observable of a process, and what a learned ratio makes of nominal events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from toolkit.diagnostics.serialise import jsonable
from toolkit.diagnostics.variations import VariationClosure
from toolkit.plots.names import observable_label, process_label
from toolkit.plots.style import BLACK, BLUE, ORANGE, PLAIN, PlotStyle, StyledFigure, add_header, new_figure
from toolkit.typing import FloatArray

COLUMNS = 3
COLORS = (BLUE, ORANGE)


def plot_variation(
    closures: Mapping[str, Sequence[VariationClosure]], *, process: str, systematic: str, style: PlotStyle = PLAIN
) -> StyledFigure:
    """Draw varied over nominal (lines) and reweighted over nominal (points) shapes of every observable, one small panel each.

    Args:
        closures: By direction, the observables in one order.
        process: The process.
        systematic: The systematic.
        style: Look and header.

    Returns:
        The figure; its numbers hold every histogram.
    """
    observables = [c.observable for c in next(iter(closures.values()), ())]
    rows = max(1, -(-len(observables) // COLUMNS))
    numbers = {"process": process, "systematic": systematic, "directions": {d: [_numbers(c) for c in own] for d, own in closures.items()}}
    with new_figure(style, numbers=numbers, size=(9.6, 0.5 + 1.9 * rows)) as (figure, (first,)):
        first.remove()
        figure.set_layout_engine("constrained", h_pad=0.05, w_pad=0.05)
        grid = figure.subplots(rows, COLUMNS, squeeze=False)
        for k, ax in enumerate(grid.flat):
            if k < len(observables):
                _panel(ax, {direction: own[k] for direction, own in closures.items()})
            else:
                ax.set_axis_off()
        figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside lower center", fontsize="small", ncols=2 * len(COLORS))
        figure.supylabel(f"shape / nominal, {process_label(process)}, {systematic}", fontsize="medium")
        add_header(grid[0, 0], style, right=grid[0, -1])
    return figure


def _panel(ax: Axes, closures: Mapping[str, VariationClosure]) -> None:
    reach = 1e-3
    for color, (direction, closure) in zip(COLORS, closures.items(), strict=False):
        centres = (closure.edges[1:] + closure.edges[:-1]) / 2
        varied, reweighted = (_ratio(side, closure.nominal) for side in (closure.varied, closure.reweighted))
        ax.stairs(varied, closure.edges, baseline=None, color=color, linewidth=1.6, label=f"{direction}: varied")
        ax.plot(centres, reweighted, linestyle="none", marker="o", markersize=3, color=color, label=f"{direction}: reweighted")
        reach = max(reach, float(np.nanmax(np.abs(np.concatenate([varied, reweighted]) - 1.0), initial=0.0)))
    any_closure = next(iter(closures.values()))
    ax.axhline(1, color=BLACK, linewidth=0.9, zorder=0)
    ax.set_xlim(any_closure.edges[0], any_closure.edges[-1])
    ax.set_ylim(1 - 1.3 * reach, 1 + 1.3 * reach)
    ax.minorticks_off()
    ax.locator_params(nbins=5)
    ax.ticklabel_format(axis="y", useOffset=False)
    ax.set_xlabel(observable_label(any_closure.observable))


def _ratio(side: FloatArray, nominal: FloatArray) -> FloatArray:
    return np.asarray(side / np.where(nominal > 0.0, nominal, np.nan))


def _numbers(closure: VariationClosure) -> dict[str, Any]:
    names = ("observable", "edges", "nominal", "varied", "reweighted", "visible_before", "visible_after")
    return {name: jsonable(getattr(closure, name)) for name in names}
