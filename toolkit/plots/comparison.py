"""Expected intervals of all methods beside each other, with and without the rate, with and without systematic uncertainties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from toolkit.plots.names import method_label, parameter_symbol
from toolkit.plots.style import BLACK, GREY, PLAIN, PlotStyle, StyledFigure, method_look, new_figure

_HEIGHTS = {"systematic": 0.0, "statistical": 0.24}
"""How far a bar lies above the middle of its row."""


def plot_comparison(
    rows: Sequence[Mapping[str, Any]], *, poi: str = "mu", truth: float | None = None, style: PlotStyle = PLAIN
) -> StyledFigure:
    """Draw the 68 % and 95 % intervals of every fit as bars.

    Args:
        rows: One object per fit, as `workspace/comparison.json` lists them.
        poi: Name of the parameter of interest.
        truth: Its value in the Asimov set: a line.
        style: Look and header.

    Returns:
        The figure; its numbers hold the rows. Filled bars and thin lines are the 68 % and 95 % intervals with systematic uncertainties
        where there are any, open bars and thin lines above them the statistical ones; disjoint pieces are drawn as such.
    """
    places = list(dict.fromkeys((r["method"], r["information"]) for r in rows))
    methods = list(dict.fromkeys(r["method"] for r in rows))
    both = len({r["uncertainties"] for r in rows}) > 1
    with new_figure(style, numbers={"poi": poi, "truth": truth, "rows": [dict(r) for r in rows]}, size=(7.4, 1.9 + 0.5 * len(places))) as (
        figure,
        (ax,),
    ):
        for row in rows:
            color = method_look(row["method"], methods.index(row["method"]))[0]
            middle = len(places) - 1 - places.index((row["method"], row["information"]))
            y = middle + (_HEIGHTS[row["uncertainties"]] - 0.12 if both else 0.0)
            filled = row["uncertainties"] == "systematic" or not both
            for low, high in row["interval_95"]:
                ax.plot([low, high], [y, y], color=color, linewidth=1.2, solid_capstyle="butt", marker="|", markersize=6)
            for low, high in row["interval_68"]:
                look: dict[str, Any] = {"color": color} if filled else {"facecolor": "white", "edgecolor": color}
                ax.barh(y, high - low, left=low, height=0.2, linewidth=1.3, zorder=3, **look)
        if truth is not None:
            ax.axvline(truth, color=GREY, linewidth=1.0, linestyle="--", zorder=0)
        names = {"rate and shape": "", "shape": ", shape only"}
        labels = [method_label(method) + ("" if method == "rate" else names.get(kind, f", {kind}")) for method, kind in places]
        ax.set_yticks(np.arange(len(places))[::-1], labels)
        ax.tick_params(axis="y", which="both", length=0)
        handles: list[Any] = [Patch(color=BLACK, label="68 %" + (", all uncertainties" if both else ""))]
        handles += [Patch(facecolor="white", edgecolor=BLACK, label="68 %, statistical")] if both else []
        handles.append(Line2D([], [], color=BLACK, linewidth=1.2, marker="|", markersize=6, label="95 %"))
        ax.legend(handles=handles, loc="upper right", ncols=3, fontsize="small")
        ax.set_ylim(-0.6, len(places) - 0.4 + 0.55)
        ax.set_xlabel(parameter_symbol(poi))
        ends = [end for row in rows for piece in row["interval_95"] for end in piece]
        reach = max(ends, default=1.0) - min(ends, default=0.0)
        ax.set_xlim(min(ends, default=0.0) - 0.03 * reach, max(ends, default=1.0) + 0.03 * reach)
    return figure
