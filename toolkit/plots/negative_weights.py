"""Share of negative weight in bins of an observable: where a generator subtracts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toolkit.plots.names import observable_label, process_color, process_label
from toolkit.plots.spectra import band, step
from toolkit.plots.style import DASHES, GREY, PLAIN, PlotStyle, StyledFigure, new_figure
from toolkit.weights.negative import NegativeProfile


def plot_negative_weights(profiles: Sequence[NegativeProfile], *, style: PlotStyle = PLAIN) -> StyledFigure:
    """Draw the negative share f of the weight per bin, with its simulation error; of the effective size (1 - 2 f)^2 is left.

    Args:
        profiles: One per process, all in the same observable.
        style: Look and header.

    Returns:
        The figure; its numbers hold every profile.
    """
    with new_figure(style, numbers={"profiles": [p.to_json() for p in profiles]}) as (figure, (ax,)):
        for i, profile in enumerate(profiles):
            color = process_color(profile.process, i)
            known = np.nan_to_num(profile.fraction)
            step(ax, known, profile.edges, color=color, linestyle=DASHES[i % len(DASHES)], label=process_label(profile.process))
            band(ax, known, np.nan_to_num(profile.error), profile.edges, color=color)
        highest = max([0.05, *(float(np.nanmax(p.fraction + p.error)) for p in profiles if np.any(np.isfinite(p.fraction)))])
        ax.set_ylim(0.0, min(0.75, 1.5 * highest))
        if ax.get_ylim()[1] > 0.5:
            ax.axhline(0.5, color=GREY, linewidth=0.9, linestyle=":")
        if profiles:
            ax.set_xlim(profiles[0].edges[0], profiles[0].edges[-1])
            ax.set_xlabel(observable_label(profiles[0].observable))
            ax.legend(loc="upper right")
        ax.set_ylabel(r"negative share $f$ of $\Sigma\,|w|$")
    return figure
