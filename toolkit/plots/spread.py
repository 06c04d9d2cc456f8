"""Spread of the ensemble against an observable, for every process."""

from __future__ import annotations

from typing import Any

import numpy as np

from toolkit.diagnostics.spread import SpreadProfile
from toolkit.plots.names import observable_label, process_color, process_label
from toolkit.plots.style import DASHES, PLAIN, PlotStyle, StyledFigure, new_figure


def plot_spread(profile: SpreadProfile, *, style: PlotStyle = PLAIN) -> StyledFigure:
    """Draw the median spread of each process's log ratio, and as a thin line its 84 % quantile.

    Args:
        profile: The quantiles; 0.5 and 0.84 must be among them.
        style: Look and header.

    Returns:
        The figure; its numbers are `profile.to_json()`. The legend gives the median over all events.
    """
    mid, high = (profile.quantiles.index(q) for q in (0.5, 0.84))
    with new_figure(style, numbers=profile.to_json()) as (figure, (ax,)):
        for j, process in enumerate(profile.processes):
            color, values = process_color(process, j), profile.binned[j]
            text = f"{process_label(process)}: {profile.overall[j, mid]:.3f}"
            look: dict[str, Any] = {"baseline": None, "color": color, "linestyle": DASHES[j % len(DASHES)]}
            ax.stairs(values[:, mid], profile.edges, lw=2.4, label=text, **look)
            ax.stairs(values[:, high], profile.edges, lw=1.0, **look)
        ax.set_ylim(0, 1.4 * max(float(np.nanmax(profile.binned[..., high], initial=0.0)), 1e-12))
        ax.set_xlim(profile.edges[0], profile.edges[-1])
        ax.set_xlabel(observable_label(profile.observable))
        ax.set_ylabel(r"spread of $\ln\,p\,/\,p_{\mathrm{ref}}$ over the members")
        members = f" of {profile.n_members} members" if profile.n_members else ""
        ax.legend(loc="upper left", title=f"spread{members}: median (thick) and 84% quantile (thin)", ncols=2)
    return figure
