"""Test statistics of a goodness of fit in toys, with their value in the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import chi2

from toolkit.likelihood.goodness import LOG_DENSITY, SATURATED, GoodnessTest
from toolkit.plots.names import method_label, p_value_text
from toolkit.plots.style import BLACK, GREY, HALO, PLAIN, SKY, VERMILION, PlotStyle, StyledFigure, add_header, new_figure


def plot_goodness(tests: Sequence[GoodnessTest], *, style: PlotStyle = PLAIN) -> StyledFigure:
    """Draw the distribution of each test statistic in toys, the chi-square density where there is one, and the data as an arrow.

    Args:
        tests: Tests of one fit, with toys.
        style: Look and header.

    Returns:
        The figure, one panel per test; its numbers hold the tests and the histograms.
    """
    columns = min(len(tests), 3)
    rows = -(-len(tests) // columns)
    numbers: dict[str, Any] = {"tests": [t.to_json() for t in tests], "histograms": []}
    with new_figure(style, numbers=numbers, size=(1.0 + 4.4 * columns, 0.6 + 3.6 * rows)) as (figure, (first,)):
        first.remove()
        figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.08)
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for ax, test in zip(axes, tests, strict=False):
            low, high = float(min(test.toys.min(), test.statistic)), float(max(test.toys.max(), test.statistic))
            pad = 0.06 * (high - low) or 1.0
            edges = np.linspace(low - pad, high + pad, int(np.clip(2.0 * len(test.toys) ** (1 / 3), 10, 40)) + 1)
            counts = np.histogram(test.toys, bins=edges)[0]
            figure.numbers["histograms"].append({"edges": edges.tolist(), "counts": counts.tolist()})
            ax.stairs(counts, edges, fill=True, color=SKY, alpha=0.6, label=f"{len(test.toys)} toys")
            if test.degrees:
                x = np.linspace(max(edges[0], 0.0), edges[-1], 300)
                density = chi2.pdf(x, test.degrees) * len(test.toys) * (edges[1] - edges[0])
                ax.plot(x, density, color=GREY, linestyle="--", label=rf"$\chi^2$, {test.degrees} d.o.f.")
            top = 1.75 * float(counts.max())
            ax.annotate(
                "",
                (test.statistic, 0.0),
                xytext=(test.statistic, 0.5 * top),
                arrowprops={"arrowstyle": "-|>", "color": VERMILION, "linewidth": 2.0, "shrinkA": 0.0, "shrinkB": 0.0},
            )
            ax.plot([], [], color=VERMILION, linewidth=2.0, label="data")
            ax.text(0.04, 0.95, p_value_text(test.p_toys), transform=ax.transAxes, va="top", color=BLACK, bbox=HALO)
            ax.set_ylim(0.0, top)
            ax.set_xlim(edges[0], edges[-1])
            ax.set_xlabel(test.name if test.name in {SATURATED, LOG_DENSITY} else f"distance, {method_label(test.name)}")
            ax.set_ylabel("toys")
            ax.legend(loc="upper right", fontsize="small")
        for ax in axes[len(tests) :]:
            ax.remove()
        add_header(axes[0], style, right=axes[columns - 1])
    return figure
