"""Pulls of many fits with their Gaussian."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.stats import norm

from toolkit.diagnostics.pulls import Pulls
from toolkit.plots.names import p_value_text, parameter_symbol
from toolkit.plots.style import BLACK, GREY, HALO, PLAIN, SKY, VERMILION, PlotStyle, StyledFigure, new_figure


def plot_pulls(pulls: Pulls, *, style: PlotStyle = PLAIN) -> StyledFigure:
    """Draw the histogram of the pulls, the fitted Gaussian and the standard one.

    Args:
        pulls: Pulls and their fit.
        style: Look and header.

    Returns:
        The figure; its numbers are `pulls.to_json()` with the histogram (`edges`, `counts`). Pulls beyond the edges count in the end
        bins.
    """
    reach = min(pulls.window, max(4.0, float(np.abs(pulls.values).max())))
    n_bins = int(np.clip(2 * pulls.values.size ** (1 / 3), 8, 50))
    edges = np.linspace(-reach, reach, n_bins + 1)
    counts = np.histogram(np.clip(pulls.values, edges[0], edges[-1]), bins=edges)[0]
    numbers = {**pulls.to_json(), "edges": edges.tolist(), "counts": counts.tolist()}
    symbol = parameter_symbol(pulls.parameter).strip("$")
    with new_figure(style, numbers=numbers) as (figure, (ax,)):
        fill: dict[str, Any] = {"fill": True, "color": SKY, "alpha": 0.6}
        ax.stairs(counts, edges, label=f"{pulls.values.size} fits", **fill)
        middle = (edges[1:] + edges[:-1]) / 2
        ax.errorbar(middle, counts, yerr=np.sqrt(counts), linestyle="none", color=BLACK, elinewidth=1.0)
        x = np.linspace(-reach, reach, 400)
        inside = pulls.values.size - pulls.n_outside
        within = norm.cdf(pulls.window, pulls.mean, pulls.width) - norm.cdf(-pulls.window, pulls.mean, pulls.width)
        height = (edges[1] - edges[0]) * inside / within
        ax.plot(x, height * norm.pdf(x, pulls.mean, pulls.width), color=VERMILION, label="fitted Gaussian")
        ax.plot(x, (edges[1] - edges[0]) * pulls.values.size * norm.pdf(x), color=GREY, linestyle="--", label="mean 0, width 1")
        lines = [
            f"mean {pulls.mean:.2f} $\\pm$ {pulls.mean_error:.2f}",
            f"width {pulls.width:.2f} $\\pm$ {pulls.width_error:.2f}",
            f"against mean 0, width 1: {p_value_text(pulls.p_value)}",
        ]
        lines += [f"{pulls.n_outside} beyond $\\pm${pulls.window:g}"] if pulls.n_outside else []
        lines += [f"{pulls.n_failed} fits failed"] if pulls.n_failed else []
        ax.text(0.03, 0.96, "\n".join(lines), transform=ax.transAxes, va="top", linespacing=1.5, bbox=HALO)
        ax.set_ylim(0, 1.75 * max(float(counts.max()), 1.0))
        ax.set_xlim(-reach, reach)
        ax.set_xlabel(rf"pull $(\hat{{{symbol}}} - {symbol}_{{\mathrm{{true}}}})\,/\,\sigma$")
        ax.set_ylabel("fits")
        ax.legend(loc="upper right")
    return figure
