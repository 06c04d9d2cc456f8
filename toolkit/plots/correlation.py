"""Correlation matrix of the fitted parameters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from toolkit.diagnostics.serialise import jsonable
from toolkit.errors import ShapeError
from toolkit.plots.layout import FRAME
from toolkit.plots.names import parameter_label, parameter_symbol
from toolkit.plots.style import BLACK, PLAIN, PlotStyle, StyledFigure, new_figure


def plot_correlation(
    names: Sequence[str],
    matrix: ArrayLike,
    *,
    poi: str | Sequence[str] = "mu",
    most: int = 24,
    least: float = 0.0,
    style: PlotStyle = PLAIN,
) -> StyledFigure:
    """Draw the correlations of the parameters, each as a number on its colour.

    Args:
        names: The parameters.
        matrix: Correlations in the order of the names, (n, n).
        poi: Parameter of interest, or several: they come first, with their symbols.
        most: Parameters drawn, at most: those with the largest correlations.
        least: Parameters without any correlation of at least this size are left out, except that of interest.
        style: Look and header.

    Returns:
        The figure; its numbers hold the whole matrix.

    Raises:
        ShapeError: Not one row and column per parameter.
    """
    whole = np.asarray(matrix, dtype=np.float64)
    if whole.shape != (len(names), len(names)):
        what = "correlation matrix"
        raise ShapeError(what, got=whole.shape, expected=(len(names), len(names)))
    pois = (poi,) if isinstance(poi, str) else tuple(poi)
    others = np.nan_to_num(np.abs(whole - np.diag(np.diag(whole)))).max(axis=1, initial=0.0)
    ranked = sorted((i for i, n in enumerate(names) if n not in pois and others[i] >= least), key=lambda i: -others[i])
    first = [i for i, n in enumerate(names) if n in pois]
    chosen = [*first, *sorted(ranked[: most - len(first)])]
    shown, n = whole[np.ix_(chosen, chosen)], len(chosen)
    side = 2.6 + 0.52 * n
    numbers = {"parameters": list(names), "correlation": jsonable(whole), "drawn": [names[i] for i in chosen]}
    with new_figure(style, numbers=numbers, size=(side + 0.9, side)) as (figure, (ax,)):
        figure.set_layout_engine("constrained", w_pad=0.0, h_pad=0.0, wspace=0.0, hspace=0.0, rect=FRAME)
        image = ax.imshow(shown, cmap="RdBu_r", vmin=-1.0, vmax=1.0, aspect="auto")
        for i in range(n):
            for j in range(n):
                value = shown[i, j]
                text = "" if not np.isfinite(value) else f"{value:.2f}".replace("-0.00", "0.00")
                color = "white" if abs(value) > 0.6 else BLACK
                ax.text(j, i, text, ha="center", va="center", fontsize=8.5, color=color)
        labels = [parameter_symbol(names[i]) if names[i] in pois else parameter_label(names[i]) for i in chosen]
        ax.set_xticks(range(n), labels, rotation=90)
        ax.set_yticks(range(n), labels)
        ax.tick_params(which="both", length=0)
        ax.minorticks_off()
        bar = figure.colorbar(image, ax=ax, fraction=0.046, pad=0.03)
        bar.set_label("correlation")
    return figure
