"""Spread of the ensemble against an observable, for every process."""

from __future__ import annotations

import numpy as np

from toolkit.diagnostics.spread import SpreadProfile
from toolkit.plots.names import observable_label, process_label
from toolkit.plots.style import CYCLE, DASHES, PLAIN, PlotStyle, StyledFigure, new_figure


def plot_spread(profile: SpreadProfile, *, style: PlotStyle = PLAIN) -> StyledFigure:
    """Draw the median spread of each process's log ratio, with a band between the 16 % and 84 % quantiles.

    Args:
        profile: The quantiles; 0.16, 0.5 and 0.84 must be among them.
        style: Look and header.

    Returns:
        The figure; its numbers are `profile.to_json()`. The legend gives the median over all events.
    """
    low, mid, high = (profile.quantiles.index(q) for q in (0.16, 0.5, 0.84))
    with new_figure(style, numbers=profile.to_json()) as (figure, (ax,)):
        for j, process in enumerate(profile.processes):
            color, values = CYCLE[j % len(CYCLE)], profile.binned[j]
            text = f"{process_label(process)}: {profile.overall[j, mid]:.3f}"
            ax.stairs(values[:, mid], profile.edges, baseline=None, color=color, linestyle=DASHES[j % len(DASHES)], lw=1.8, label=text)
            ax.stairs(
                np.nan_to_num(values[:, high]), profile.edges, baseline=np.nan_to_num(values[:, low]), fill=True, color=color, alpha=0.15
            )
        known = profile.binned[..., [low, high]]
        known = known[np.isfinite(known) & (known > 0)]
        if known.size:
            top = float(known.max())
            ax.set_ylim(0, 1.45 * top)
        ax.set_xlim(profile.edges[0], profile.edges[-1])
        ax.set_xlabel(observable_label(profile.observable))
        ax.set_ylabel(r"spread of $\ln\,p\,/\,p_{\mathrm{ref}}$ over the members")
        members = f" of {profile.n_members} members" if profile.n_members else ""
        ax.legend(loc="upper left", title=f"median spread{members}; bands: central 68%", ncols=2)
    return figure
