"""Ranking of nuisance parameters: impact on the parameter of interest, beside pull and constraint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from toolkit.diagnostics.serialise import jsonable
from toolkit.likelihood.uncertainties import Impact, Pull
from toolkit.plots.names import estimate_symbol, parameter_label
from toolkit.plots.style import BLACK, BLUE, GREY, ORANGE, PLAIN, PlotStyle, StyledFigure, add_header, new_figure


def plot_impacts(
    impacts: Sequence[Impact],
    pulls: Sequence[Pull] = (),
    *,
    before: Sequence[Impact] = (),
    auxiliary: Sequence[Impact] = (),
    poi: str = "mu",
    most: int = 20,
    style: PlotStyle = PLAIN,
) -> StyledFigure:
    """Draw the largest impacts as bars, and the pull of each nuisance parameter with its constraint as error bar.

    Args:
        impacts: Impacts, largest first.
        pulls: Pulls; parameters without one (free normalisations) have no point.
        before: Impacts of moves by the width of the parameter's own measurement, drawn as grey frames.
        auxiliary: Impacts of the auxiliary measurements, drawn as diamonds, filled for up and open for down.
        poi: Name of the parameter of interest.
        most: Parameters drawn, at most.
        style: Look and header.

    Returns:
        The figure; its numbers hold every impact and pull, those that are not drawn included. Bars of both signs of the shift lie on one
        line: filled for the parameter moved up, open for down.
    """
    shown = list(impacts[:most])
    rows = max(len(shown), 1)
    numbers = {"poi": poi, "drawn": len(shown), "impacts": [i.to_json() for i in impacts], "pulls": [p.to_json() for p in pulls]}
    numbers |= {k: [i.to_json() for i in own] for k, own in (("impacts_pre_fit", before), ("impacts_auxiliary", auxiliary)) if own}
    with new_figure(style, numbers=numbers, size=(8.6, 1.6 + 0.34 * rows)) as (figure, (first,)):
        first.remove()
        figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.05)
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1.5, 1.0))
        place = np.arange(rows)[::-1]
        bars: dict[str, Any] = {"height": 0.62, "edgecolor": BLUE, "linewidth": 1.2}
        for y, impact in zip(place, shown, strict=False):
            left.barh(y, np.nan_to_num(impact.up), color=BLUE, alpha=0.75, **bars)
            left.barh(y, np.nan_to_num(impact.down), color="none", **{**bars, "edgecolor": ORANGE})
        _add_others(left, dict(zip([i.parameter for i in shown], place.tolist(), strict=False)), before=before, auxiliary=auxiliary)
        found = {p.parameter: p for p in pulls}
        known = [(y, found[i.parameter]) for y, i in zip(place, shown, strict=False) if i.parameter in found]
        points = jsonable([(p.pull, p.constraint) for _, p in known])
        x, error = (np.array([row[k] if row[k] is not None else np.nan for row in points], dtype=float) for k in (0, 1))
        right.errorbar(x, [y for y, _ in known], xerr=error, linestyle="none", marker="o", color=BLACK, elinewidth=1.4, capsize=2.5)
        right.axvspan(-1, 1, color="0.92", linewidth=0, zorder=-1)
        for ax in (left, right):
            ax.axvline(0, color=GREY, linewidth=0.9, zorder=0)
            ax.tick_params(axis="y", which="both", length=0)
        names = {i.parameter for i in shown}
        sizes = [i.size for i in (*shown, *before, *auxiliary) if i.parameter in names and np.isfinite(i.size)]
        reach = max(sizes, default=1.0) or 1.0
        left.set_xlim(-1.12 * reach, 1.12 * reach)
        far = float(np.nanmax(np.abs(np.concatenate([x - error, x + error])), initial=1.3))
        right.set_xlim(-1.15 * max(far, 1.6), 1.15 * max(far, 1.6))
        left.locator_params(axis="x", nbins=6)
        left.set_yticks(place[: len(shown)], [parameter_label(i.parameter) for i in shown])
        left.set_ylim(-0.6, rows - 0.4)
        left.set_xlabel(f"shift of {estimate_symbol(poi)} (filled: up, open: down)", loc="center")
        right.set_xlabel("pull, bar: constraint", loc="center")
        add_header(left, style, right=right)
    return figure


def _add_others(ax: Axes, rows: Mapping[str, int], *, before: Sequence[Impact], auxiliary: Sequence[Impact]) -> None:
    """Draw impacts before the fit as frames, and those of the auxiliary measurements as diamonds, in the rows of their parameters."""
    for impact in (i for i in before if i.parameter in rows):
        for width in (impact.up, impact.down):
            ax.barh(rows[impact.parameter], np.nan_to_num(width), height=0.86, color="none", edgecolor=GREY, linewidth=0.9, zorder=0)
    for impact in (i for i in auxiliary if i.parameter in rows):
        for x, face in ((impact.up, BLACK), (impact.down, "white")):
            ax.plot([x], [rows[impact.parameter]], marker="D", markersize=5, color=face, markeredgecolor=BLACK, linestyle="none", zorder=4)
