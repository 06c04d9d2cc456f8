"""A histogram fit: expected events before and after the fit, with their bands, beside the events that were fitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator, NullLocator

from toolkit.plots.names import events_label, method_label, observable_label, plain
from toolkit.plots.spectra import band, poisson_interval, step
from toolkit.plots.style import BLACK, BLUE, GREY, PLAIN, VERMILION, PlotStyle, StyledFigure, log_limits, new_figure
from toolkit.typing import FloatArray


def plot_fitted(
    numbers: Mapping[str, Any], *, edges: FloatArray | None = None, observable: str = "", style: PlotStyle = PLAIN
) -> StyledFigure:
    """Draw one channel before and after the fit, and the ratio of events and prediction to the prediction after it.

    Args:
        numbers: `FittedChannel.to_json()`: counts, and expected events with errors before and after the fit, (k,) each.
        edges: (k + 1,) edges of the observable; None draws numbered bins.
        observable: Name of the observable of the edges.
        style: Look and header.

    Returns:
        The figure; its numbers are `numbers` and the edges. Data have Poisson intervals; an Asimov set has none, because it does not
        fluctuate. A band without a number is not drawn.
    """
    counts, before, after = (np.asarray(numbers[key], dtype=np.float64) for key in ("counts", "before", "after"))
    errors = {key: np.array([np.nan if e is None else e for e in numbers[f"{key}_error"]], dtype=np.float64) for key in ("before", "after")}
    known = edges is not None and len(edges) == counts.size + 1
    grid = np.asarray(edges if known else np.arange(counts.size + 1) + 0.5, dtype=np.float64)
    label, divisor = events_label(observable, np.diff(grid)) if known else ("events", np.ones(counts.size))
    shown = {**numbers, "edges": grid.tolist()}
    with new_figure(style, numbers=shown, size=(6.4, 5.6), panels=(2.6, 1.1)) as (figure, (top, low)):
        scale = np.where(after > 0, after, np.nan)
        for ax, unit in ((top, divisor), (low, scale)):
            named = ax is top
            if np.any(errors["before"] > 0):
                band(ax, before / unit, errors["before"] / unit, grid, color=GREY, label="error before the fit" if named else None)
            step(ax, before / unit, grid, color=BLUE, linestyle="--", label="before the fit" if named else None)
            step(ax, after / unit, grid, color=VERMILION, label="after the fit" if named else None)
            band(ax, after / unit, errors["after"] / unit, grid, color=VERMILION, label="error after the fit" if named else None)
            low_end, high_end = poisson_interval(counts) if numbers["observed"] else (counts, counts)
            bars = np.stack([counts - low_end, high_end - counts]) / unit if numbers["observed"] else None
            look: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 4, "color": BLACK, "elinewidth": 1.2}
            name = "Data" if numbers["observed"] else "Asimov set"
            ax.errorbar((grid[1:] + grid[:-1]) / 2, counts / unit, yerr=bars, label=name if named else None, **look)
        drawn = np.concatenate([before / divisor, after / divisor, counts / divisor])
        if drawn.max() > 30 * max(float(after.min() / divisor.max()), 1e-12):
            top.set_yscale("log")
            top.set_ylim(*log_limits(max(float(drawn[drawn > 0].min()), 1e-5 * float(drawn.max())), float(drawn.max()), headroom=0.3))
        else:
            top.set_ylim(0, 1.5 * float(drawn.max()))
        top.legend(loc="upper right", ncols=2, fontsize="small", title=_title(numbers))
        top.set_ylabel(label)
        far = np.nanmax(np.abs(np.concatenate([counts, before, after + np.nan_to_num(errors["after"])]) / np.tile(scale, 3) - 1.0))
        low.set_ylim(1.0 - min(1.3 * max(float(far), 0.02), 1.0), 1.0 + min(1.3 * max(float(far), 0.02), 1.0))
        low.set_ylabel("ratio to\nafter the fit")
        low.set_xlabel(observable_label(observable) if known else "bin")
        low.set_xlim(grid[0], grid[-1])
        if not known:
            low.xaxis.set_major_locator(MaxNLocator(nbins=10, integer=True))
            low.xaxis.set_minor_locator(NullLocator())
    return figure


def _title(numbers: Mapping[str, Any]) -> str:
    method, channel = str(numbers["method"]), str(numbers["channel"])
    return method_label(method) if channel == method else f"{method_label(method)}, {plain(channel)}"
