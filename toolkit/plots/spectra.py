"""One observable: the processes, the total at several values of the parameter, and the ratio to the standard one."""

from __future__ import annotations

from typing import Any

import mplhep
import numpy as np
from matplotlib.axes import Axes
from scipy.stats import chi2, norm

from toolkit.diagnostics.observables import Spectrum
from toolkit.diagnostics.serialise import jsonable
from toolkit.plots.names import events_label, hypothesis_label, observable_label, process_color, process_label
from toolkit.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PLAIN,
    PURPLE,
    VERMILION,
    PlotStyle,
    StyledFigure,
    log_limits,
    new_figure,
)
from toolkit.typing import FloatArray

YELLOW = "#f0e442"
"""Fill of an interfering part that is no process of its own."""
HYPOTHESES = ((BLUE, "--"), (BLACK, "-"), (VERMILION, "-"), (GREEN, "-."), (PURPLE, ":"), (ORANGE, "--"))
"""Colour and line of the values of the parameter, in their order."""


def plot_spectrum(
    spectrum: Spectrum, *, data: FloatArray | None = None, log_y: bool | None = None, style: PlotStyle = PLAIN
) -> StyledFigure:
    """Draw the stacked prediction, other hypotheses as lines, and their ratio below.

    Args:
        spectrum: Expected events. The stack holds the backgrounds and, on top, the interfering part at the
            denominator of the ratio; each interfering process alone is a thin line, and so is their interference SBI - S - B. On a
            logarithmic axis what is negative of it is drawn upside down, and the legend says so.
        data: (k,) numbers of data events in the same bins, drawn as points with their central 68.3 % Poisson intervals; None draws
            none.
        log_y: Logarithmic axis; None chooses it when the total spans more than a factor of 30.
        style: Look and header.

    Returns:
        The figure. Its numbers are `spectrum.to_json()` and `divided_by`, the bin widths if contents are shown per unit, and `data`
        where there are data.
    """
    label, divisor = events_label(spectrum.observable, np.diff(spectrum.edges))
    numbers = {**spectrum.to_json(), "divided_by": jsonable(divisor), **({} if data is None else {"data": jsonable(data)})}
    base = spectrum.denominator
    with new_figure(style, numbers=numbers, size=(6.4, 6.2), panels=(3.0, 1.2)) as (figure, (top, low)):
        _stack(top, spectrum, divisor)
        for m, value in enumerate(spectrum.values):
            color, dashes = HYPOTHESES[m % len(HYPOTHESES)]
            if m != base:
                text = f"total, {hypothesis_label(spectrum.parameter, value)}"
                step(top, spectrum.total[m] / divisor, spectrum.edges, color=color, linestyle=dashes, label=text)
            step(low, spectrum.ratio[m], spectrum.edges, color=color, linestyle=dashes)
            band(low, spectrum.ratio[m], spectrum.ratio_error[m], spectrum.edges, color=color)
        total = spectrum.total[base] / divisor
        positive = total[total > 0]
        log = log_y if log_y is not None else bool(positive.size) and positive.max() > 30 * positive.min()
        lowest_linear = _interference(top, spectrum, divisor, log=log)
        band(top, total, spectrum.total_error[base] / divisor, spectrum.edges, color="0.3", label="simulation error")
        top.set_ylabel(label)
        entries = len(top.get_legend_handles_labels()[1]) + (data is not None)
        headroom = max(0.33, 0.04 + 0.068 * -(-entries // 2))
        if log and positive.size:
            drawn = np.concatenate([spectrum.expected / divisor, spectrum.total / divisor])
            lowest = max(float(drawn[drawn > 0].min()), 1e-5 * float(positive.max()))
            top.set_yscale("log")
            top.set_ylim(*log_limits(lowest, float(np.max(drawn)), headroom=headroom))
        else:
            highest = max(float(np.nanmax(spectrum.total / divisor, initial=0.0)), 1e-12)
            top.set_ylim(1.1 * lowest_linear, (highest - headroom * 1.1 * lowest_linear) / (1.0 - headroom))
        if data is not None:
            _data_points(top, data, divisor, spectrum.edges, label="Data")
            top.set_ylim(top=max(top.get_ylim()[1], (3.0 if log else 1.5) * float(np.max(data / divisor, initial=0.0))))
        top.legend(loc="upper right", ncols=2, fontsize="small")
        low.set_ylabel(f"ratio to {hypothesis_label(spectrum.parameter, spectrum.values[base])}")
        low.set_xlabel(observable_label(spectrum.observable))
        low.set_xlim(spectrum.edges[0], spectrum.edges[-1])
        _ratio_range(low, spectrum)
        if data is not None:
            _data_points(low, data, spectrum.total[base], spectrum.edges)
            _widen(low, data, spectrum.total[base])
    return figure


def poisson_interval(counts: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the central 68.3 % intervals of Poisson means (Garwood), (k,) lower and (k,) upper ends.

    Examples:
        >>> low, high = poisson_interval(np.array([0.0, 4.0]))
        >>> low.round(2), high.round(2)
        (array([0.  , 2.09]), array([1.84, 7.16]))
    """
    tail = float(norm.sf(1.0))
    low = np.where(counts > 0, chi2.ppf(tail, 2 * np.maximum(counts, 1)) / 2, 0.0)
    return low, np.asarray(chi2.isf(tail, 2 * (counts + 1)) / 2)


def _data_points(ax: Axes, counts: FloatArray, divisor: FloatArray, edges: FloatArray, *, label: str | None = None) -> None:
    """Draw data as points; an empty bin has a point at zero and an upper bar."""
    low, high = poisson_interval(counts)
    scale = np.where(divisor > 0, divisor, np.nan)
    look: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 4, "color": BLACK, "elinewidth": 1.2, "label": label}
    ax.errorbar((edges[1:] + edges[:-1]) / 2, counts / scale, yerr=np.stack([counts - low, high - counts]) / scale, **look)


def _widen(ax: Axes, counts: FloatArray, expected: FloatArray) -> None:
    """Let the ratios of data into the frame, up to 3."""
    known = expected > 0
    ends = np.stack(poisson_interval(counts))[:, known] / expected[known]
    low, high = ax.get_ylim()
    low, high = min(low, 0.95 * float(np.min(ends, initial=1.0))), max(high, 1.05 * float(np.max(ends, initial=1.0)))
    ax.set_ylim(max(low, 0.0), min(high, 3.0))


def step(ax: Axes, content: Any, edges: Any, **look: Any) -> None:
    """Draw a histogram as a line."""
    mplhep.histplot(content, edges, ax=ax, yerr=False, histtype="step", flow="none", edges=False, **look)


def band(ax: Axes, content: Any, error: Any, edges: Any, *, color: str, label: str | None = None) -> None:
    """Draw an error band around a histogram; bins without a number stay empty."""
    low, high = np.nan_to_num(content - error), np.nan_to_num(content + error)
    ax.stairs(high, edges, baseline=low, fill=True, color=color, alpha=0.3, linewidth=0, label=label)


def _stack(ax: Axes, spectrum: Spectrum, divisor: Any) -> None:
    base = spectrum.denominator
    at = {name: spectrum.expected[i] / divisor for i, name in enumerate(spectrum.processes)}
    names = [name for name in spectrum.processes if name in spectrum.backgrounds]
    contents = [at[name] for name in names] + [spectrum.interfering[base] / divisor]
    both = hypothesis_label(spectrum.parameter, spectrum.values[base])
    same = [name for name in spectrum.processes if name not in names and np.allclose(at[name], contents[-1])]
    texts = [process_label(name) for name in names] + [process_label(same[0]) if same else f"interfering, {both}"]
    order = {name: i for i, name in enumerate(spectrum.processes)}
    fills = [process_color(name, order[name]) for name in names] + [process_color(same[0], order[same[0]]) if same else YELLOW]
    look: dict[str, Any] = {"stack": True, "histtype": "fill", "alpha": 0.75, "yerr": False, "flow": "none"}
    mplhep.histplot(contents, spectrum.edges, ax=ax, color=fills, label=texts, **look)
    step(ax, spectrum.total[base] / divisor, spectrum.edges, color=BLACK, linewidth=1.2, label=f"total, {both}")
    thin = iter(("-", "-.", (0, (5, 1, 1, 1, 1, 1)), ":"))
    for name in spectrum.processes:
        if name not in spectrum.backgrounds and not np.allclose(at[name], contents[-1]):
            look = {"color": process_color(name, order[name]), "linestyle": next(thin, ":"), "linewidth": 1.3}
            step(ax, at[name], spectrum.edges, label=process_label(name), **look)


def _interference(ax: Axes, spectrum: Spectrum, divisor: Any, *, log: bool) -> float:
    """Draw SBI - S - B, where the processes are these; return how far below zero a linear axis has to reach."""
    if spectrum.interference is None:
        return 0.0
    content = spectrum.interference / divisor
    look: dict[str, Any] = {"color": GREY, "linewidth": 1.3}
    if not log:
        step(ax, content, spectrum.edges, linestyle=(0, (4, 1, 1, 1)), label="interference SBI $-$ S $-$ B", **look)
        return min(0.0, float(np.nanmin(content, initial=0.0)))
    for sign, dashes, text in ((-1.0, (0, (4, 1, 1, 1)), r"$-$(SBI $-$ S $-$ B)"), (1.0, (0, (1, 1)), "SBI $-$ S $-$ B")):
        if np.any(sign * content > 0):
            step(ax, np.where(sign * content > 0, sign * content, np.nan), spectrum.edges, linestyle=dashes, label=text, **look)
    return 0.0


def _ratio_range(ax: Axes, spectrum: Spectrum) -> None:
    """Hold every bin whose ratio is known to a third of its own distance from 1, or to 0.05."""
    far = np.abs(spectrum.ratio - 1)
    known = spectrum.ratio[np.isfinite(spectrum.ratio) & (spectrum.ratio_error < np.maximum(far / 3, 0.05))]
    low, high = min(float(known.min(initial=1.0)), 0.98), max(float(known.max(initial=1.0)), 1.02)
    pad = 0.15 * (high - low)
    ax.set_ylim(max(low - pad, 0.0), min(high + pad, 5.0))
