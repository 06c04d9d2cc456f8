"""An observable in two independent sets of events, such as those of two generators, above the ratio of both."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from toolkit.diagnostics.serialise import jsonable
from toolkit.diagnostics.two_samples import PairedHistogram
from toolkit.plots.names import events_label, observable_label, p_value_text, plain, process_label
from toolkit.plots.spectra import band, step
from toolkit.plots.style import BLACK, GREY, PLAIN, VERMILION, PlotStyle, StyledFigure, new_figure
from toolkit.typing import FloatArray

WIDEST = 2.0
"""Largest distance from 1 that the ratio panel shows."""


def plot_two_samples(
    histogram: PairedHistogram, *, labels: tuple[str, str], title: str = "", dependent: bool = False, style: PlotStyle = PLAIN
) -> StyledFigure:
    """Draw A as points, B as a line, and B over A.

    Args:
        histogram: The observable in A and in B.
        labels: What A and B are called.
        title: What is compared, for example a sample and a term of its interference.
        dependent: Say that A and B are of the same events, in place of a p-value.
        style: Look and header.

    Returns:
        The figure; its numbers are `histogram.to_json()`, the labels and what contents are divided by. Bands and bars are one standard
        error; in the ratio the grey band is that of A, the coloured one that of B, each alone.
    """
    widths = np.diff(histogram.edges)
    label, divisor = events_label(histogram.observable, widths)
    if histogram.normalised:
        label = label.replace("events", "share", 1)
    content, error, base = histogram.content, histogram.error, np.abs(histogram.content[0])
    base = np.where(base > 0, base, np.nan)
    numbers = {**histogram.to_json(), "labels": list(labels), "title": title, "divided_by": jsonable(divisor)}
    with new_figure(style, numbers=numbers, size=(6.4, 5.8), panels=(2.6, 1.2)) as (figure, (top, low)):
        middle = (histogram.edges[1:] + histogram.edges[:-1]) / 2
        points: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": BLACK, "xerr": widths / 2, "elinewidth": 1.0, "capsize": 0}
        top.errorbar(middle, content[0] / divisor, yerr=error[0] / divisor, label=plain(labels[0]), **points)
        step(top, content[1] / divisor, histogram.edges, color=VERMILION, label=f"{plain(labels[1])}\n{_verdict(histogram, dependent)}")
        band(top, content[1] / divisor, error[1] / divisor, histogram.edges, color=VERMILION)
        band(low, np.ones_like(base), error[0] / base, histogram.edges, color=GREY)
        step(low, histogram.ratio, histogram.edges, color=VERMILION)
        band(low, histogram.ratio, error[1] / base, histogram.edges, color=VERMILION)
        low.axhline(1, color=BLACK, linewidth=0.9, zorder=0)
        if np.any(content < 0):
            top.axhline(0, color=GREY, linewidth=0.9, zorder=0)
        _limits(top, content / divisor, error / divisor)
        top.set_xlim(histogram.edges[0], histogram.edges[-1])
        handles, texts = top.get_legend_handles_labels()
        order = sorted(range(len(texts)), key=lambda i: texts[i] != plain(labels[0]))
        chosen = [handles[i] for i in order], [texts[i] for i in order]
        top.legend(*chosen, loc="upper left", title=_title(title), alignment="left")
        top.set_ylabel(label)
        low.set_ylabel("B / A")
        low.set_xlabel(observable_label(histogram.observable))
        reach = _reach(histogram.ratio, histogram.ratio_error)
        low.set_ylim(1 - reach, 1 + reach)
    return figure


def _title(title: str) -> str | None:
    sample, comma, rest = title.partition(", ")
    return f"{process_label(sample)}{comma}{plain(rest)}" if title else None


def _verdict(histogram: PairedHistogram, dependent: bool) -> str:
    test = histogram.chi2
    text = f"$\\chi^2$/ndf = {test.chi2:.1f}/{test.ndf}"
    return f"{text}, events of A: no $p$-value" if dependent else f"{text}, {p_value_text(test.p_value)}"


def _limits(ax: Axes, content: FloatArray, error: FloatArray) -> None:
    """Hold all contents with their errors, and leave the upper third to the legend."""
    high = max(0.0, float(np.max(content + error)))
    low = min(0.0, float(np.min(content - error)))
    span = (high - low) or 1.0
    ax.set_ylim(low - 0.05 * span * (low < 0), high + 0.55 * span)


def _reach(ratio: FloatArray, error: FloatArray) -> float:
    """Half height of the ratio panel: holds most bins with their errors, and every one that is off by two errors, up to `WIDEST`."""
    here = np.isfinite(ratio)
    off, own = np.abs(ratio[here] - 1), error[here]
    if not off.size:
        return 1.0
    outlying = float(np.max(off[off > 2 * own], initial=0.0))
    return float(np.clip(max(1.2 * np.quantile(off + own, 0.9), 1.2 * outlying), 0.05, WIDEST))
