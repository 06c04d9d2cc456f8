"""Where the panels of a figure stand: on a grid, each with the room that its labels need.

matplotlib's constrained layout measures all labels twice, which is a third of the time that a plot takes. Here they are measured once, in
panels of the size that they have in most plots.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpecBase
from matplotlib.layout_engine import LayoutEngine

from toolkit.typing import FloatArray

FRAME = (0.012, 0.012, 0.976, 0.976)
"""Left, bottom, width and height of what is drawn, in fractions of the figure."""
_GUESS_IN = ((0.8, 0.15), (0.3, 0.55))
"""Margins in inches, left and right, above and below, of the panels while their labels are measured: the number of ticks depends on
the size of a panel."""
_FAR_IN = 0.6
"""Labels are measured once more where the margins that were found are so much wider than those before."""

_Panels = Mapping[tuple[int, int], Axes]
"""Panels by row and column."""


class GridLayout(LayoutEngine):
    """Lays panels out on a grid: their inner sizes have the ratios of the grid, and the gaps are as wide as the labels between them.

    Args:
        pad: Width and height in inches that stay free on either side of a panel with its labels.
        frame: Left, bottom, width and height of what is drawn, in fractions of the figure.

    Notes:
        All panels belong to one grid and fill one place each; colour bars are not for it.

    Examples:
        >>> figure = Figure(layout=GridLayout(pad=(0.05, 0.05)))
        >>> figure.get_layout_engine().get()["pad"]
        (0.05, 0.05)
    """

    _adjust_compatible = False
    _colorbar_gridspec = False

    def __init__(self, *, pad: tuple[float, float] = (0.0, 0.0), frame: tuple[float, float, float, float] = FRAME) -> None:
        super().__init__()
        self._params = {"pad": pad, "frame": frame}

    def set(self, **parameters: Any) -> None:
        """Change `pad` or `frame`."""
        self._params.update(parameters)

    def execute(self, fig: Figure) -> None:
        """Place the panels of a figure."""
        panels: dict[tuple[int, int], Axes] = {}
        grid: GridSpecBase | None = None
        for ax in fig.axes:
            place = ax.get_subplotspec()
            if place is not None and ax.get_in_layout():
                panels[place.rowspan.start, place.colspan.start] = ax
                grid = place.get_gridspec()
        if grid is None:
            return
        before, found = None, _guessed(fig, grid, panels)
        while before is None or found.beyond(before, fig) > _FAR_IN:
            self._place(fig, grid, panels, found)
            before, found = found, _measured(fig, grid, panels)
        self._place(fig, grid, panels, found)

    def _place(self, fig: Figure, grid: GridSpecBase, panels: _Panels, margins: _Margins) -> None:
        left, bottom, width, height = self._params["frame"]
        pad_x, pad_y = np.asarray(self._params["pad"]) / fig.get_size_inches()
        x, widths = _spread(width, margins.columns + pad_x, grid.get_width_ratios())
        down, heights = _spread(height, margins.rows + pad_y, grid.get_height_ratios())
        for (i, j), ax in panels.items():
            ax.set_position((left + x[j], bottom + height - down[i] - heights[i], widths[j], heights[i]))
            ax.set_in_layout(True)


@dataclass(frozen=True, eq=False)
class _Margins:
    """Room for labels, in fractions of the figure.

    Attributes:
        columns: (2, n_columns) left and right of each column.
        rows: (2, n_rows) above and below each row.
    """

    columns: FloatArray
    rows: FloatArray

    def beyond(self, other: _Margins, fig: Figure) -> float:
        """Return how many inches the widest growth of a margin beyond that of the other ones is."""
        width, height = fig.get_size_inches()
        return float(max(np.max(self.columns - other.columns) * width, np.max(self.rows - other.rows) * height))


def _guessed(fig: Figure, grid: GridSpecBase, panels: _Panels) -> _Margins:
    """Guess the margins; panels that share an x axis have its labels below the last one only."""
    width, height = fig.get_size_inches()
    columns, rows = (np.tile(np.reshape(inches, (2, 1)), (1, n)) for inches, n in zip(_GUESS_IN, (grid.ncols, grid.nrows), strict=True))
    one, *others = panels.values()
    if others and all(one.get_shared_x_axes().joined(one, ax) for ax in others):
        rows[0, 1:] = rows[1, :-1] = 0.0
    return _Margins(columns / width, rows / height)


def _measured(fig: Figure, grid: GridSpecBase, panels: _Panels) -> _Margins:
    columns, rows = np.zeros((2, grid.ncols)), np.zeros((2, grid.nrows))
    to_figure = fig.transFigure.inverted()
    for (i, j), ax in panels.items():
        box = ax.get_tightbbox(for_layout_only=True)
        if box is not None:
            inner, outer = ax.get_position(), box.transformed(to_figure)
            columns[:, j] = np.maximum(columns[:, j], (inner.x0 - outer.x0, outer.x1 - inner.x1))
            rows[:, i] = np.maximum(rows[:, i], (outer.y1 - inner.y1, inner.y0 - outer.y0))
    return _Margins(columns, rows)


def _spread(length: float, margins: FloatArray, ratios: Any) -> tuple[FloatArray, FloatArray]:
    """Share a length out.

    Args:
        length: What there is.
        margins: (2, n) margins before and after each place.
        ratios: (n,) of the inner sizes.

    Returns:
        (n,) starts of the places, and (n,) inner sizes; a tenth of the length stays for these however wide the margins are.

    Examples:
        >>> _spread(1.0, np.array([[0.1, 0.0], [0.1, 0.2]]), (2, 1))
        (array([0.1, 0.6]), array([0.4, 0.2]))
    """
    inner = max(length - margins.sum(), 0.1 * length) * np.asarray(ratios, dtype=np.float64) / np.sum(ratios)
    return np.cumsum(margins[0] + inner) - inner + np.concatenate([[0.0], np.cumsum(margins[1])[:-1]]), inner
