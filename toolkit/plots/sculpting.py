"""What cuts on scores do to the distribution of an observable: efficiency and change of the shape, and the profile of the scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from toolkit.diagnostics.sculpting import Sculpting
from toolkit.plots.names import observable_label, plain
from toolkit.plots.style import BLACK, CYCLE, GREY, PLAIN, PlotStyle, StyledFigure, new_figure


def plot_sculpting(results: Sequence[Sculpting], *, cut: int, style: PlotStyle = PLAIN) -> StyledFigure:
    """Draw efficiency of the background, change of its shape and mean rank of the score in bins of an observable.

    Args:
        results: One per score, all of the same observable and bins.
        cut: Which of the cuts.
        style: Look and header.

    Returns:
        The figure; its numbers are the results. The upper panel has the efficiency, the second the change of the shape in per cent with
        lines at 2 %, the lowest the profile, which is 1/2 of an independent score.
    """
    first = results[0]
    numbers = {"scores": [result.to_json() for result in results], "cut": float(first.kept[cut])}
    with new_figure(style, numbers=numbers, size=(6.4, 7.2), panels=(2.0, 1.5, 1.5)) as (figure, (top, middle, low)):
        centre = np.arange(len(first.edges) - 1) + 0.5
        for i, result in enumerate(results):
            x = centre + 0.5 * (i - (len(results) - 1) / 2.0) / len(results)
            points: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": CYCLE[i % len(CYCLE)], "capsize": 0}
            top.errorbar(x, result.efficiency[cut], yerr=result.efficiency_error[cut], label=plain(result.name), **points)
            middle.errorbar(x, 100.0 * result.change[cut], yerr=100.0 * result.change_error[cut], **points)
            low.errorbar(x, result.profile, yerr=result.profile_error, **points)
        middle.axhline(0.0, color=BLACK, linewidth=0.9, zorder=0)
        for level in (-2.0, 2.0):
            middle.axhline(level, color=GREY, linewidth=0.9, linestyle="--", zorder=0)
        low.axhline(0.5, color=BLACK, linewidth=0.9, zorder=0)
        top.set_ylim(0.0, 1.45 * float(np.nanmax([r.efficiency[cut] for r in results])))
        top.set_xlim(0.0, len(centre))
        top.set_ylabel("background efficiency")
        middle.set_ylabel("change of shape [%]")
        low.set_ylabel("mean rank")
        low.set_xlabel(observable_label(first.observable))
        low.set_xticks(np.arange(len(first.edges)), [f"{edge:.4g}" for edge in first.edges], rotation=40)
        low.minorticks_off()
        top.legend(loc="upper left", title=f"cuts that keep {first.kept[cut]:.0%} of the signal")
    return figure
