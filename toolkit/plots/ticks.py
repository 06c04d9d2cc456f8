"""Minor ticks that are one mark each.

A tick of matplotlib is three lines and two texts. Making those of the minor ticks, which have no labels, is a third of the time that a plot
takes; here they are one line for each side of a panel.
"""

from __future__ import annotations

from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import TICKDOWN, TICKLEFT, TICKRIGHT, TICKUP
from matplotlib.ticker import Locator, NullLocator

from toolkit.typing import FloatArray

_SIDES: dict[str, tuple[tuple[str, float, Any], ...]] = {
    "x": (("bottom", 0.0, TICKUP), ("top", 1.0, TICKDOWN)),
    "y": (("left", 0.0, TICKRIGHT), ("right", 1.0, TICKLEFT)),
}
"""Name of a side, where it is in fractions of the panel, and the mark that points into the panel."""


class MinorTicks(Artist):
    """The minor ticks of one axis, where its locator would put them when they are drawn."""

    def __init__(self, ax: Axes, name: Literal["x", "y"], locator: Locator) -> None:
        super().__init__()
        self._ax, self._name, self._locator = ax, name, locator
        params = self._axis.get_tick_params("minor")
        self._lines = []
        for side, place, mark in _SIDES[name]:
            if params.get(side, mpl.rcParams[f"{name}tick.{side}"]):
                look = {
                    "markersize": params.get("length", mpl.rcParams[f"{name}tick.minor.size"]),
                    "markeredgewidth": params.get("width", mpl.rcParams[f"{name}tick.minor.width"]),
                    "color": params.get("color", mpl.rcParams[f"{name}tick.color"]),
                }
                self._lines.append((place, Line2D([], [], linestyle="none", marker=mark, clip_on=False, **look)))
        self.set_in_layout(False)
        self.set_zorder(self._axis.get_zorder())

    @property
    def _axis(self) -> Axis:
        return self._ax.xaxis if self._name == "x" else self._ax.yaxis

    def draw(self, renderer: Any) -> None:
        """Draw them."""
        where, along_x = self._places(), self._name == "x"
        transform = self._ax.get_xaxis_transform(which="tick1") if along_x else self._ax.get_yaxis_transform(which="tick1")
        for place, line in self._lines:
            line.set_figure(self._ax.figure)
            line.set_transform(transform)
            sides = np.full(where.size, place)
            line.set_data(*((where, sides) if along_x else (sides, where)))
            line.draw(renderer)

    def _places(self) -> FloatArray:
        """Return what is inside the frame and no major tick."""
        transform = self._axis.get_transform()
        found = np.asarray(self._locator(), dtype=np.float64)
        low, high = np.sort(transform.transform(np.asarray(self._axis.get_view_interval())))
        near = 1e-5 * (high - low)
        here, major = transform.transform(found), transform.transform(np.asarray(self._axis.get_majorticklocs()))
        alone = ~np.isclose(here[:, None], major[None, :], atol=near, rtol=0.0).any(axis=1)
        edge = 1e-10 * (high - low)
        inside: FloatArray = found[alone & (here >= low - edge) & (here <= high + edge)]
        return inside


def lighten_minor_ticks(figure: Figure) -> None:
    """Let minor ticks without labels be drawn by `MinorTicks`; the limits and scales of all axes must be final.

    Args:
        figure: Its minor ticks point into the panels, or stay as they are.
    """
    names: tuple[Literal["x", "y"], ...] = ("x", "y")
    found = [(ax, name) for ax in figure.axes for name in names if _is_plain(ax, name)]
    replaced = [MinorTicks(ax, name, getattr(ax, f"{name}axis").get_minor_locator()) for ax, name in found]
    for (ax, name), ticks in zip(found, replaced, strict=True):  # after all are made: axes that share have one locator
        ax.add_artist(ticks)
        getattr(ax, f"{name}axis").set_minor_locator(NullLocator())


def _is_plain(ax: Axes, name: Literal["x", "y"]) -> bool:
    axis: Axis = ax.xaxis if name == "x" else ax.yaxis
    locator, params = axis.get_minor_locator(), axis.get_tick_params("minor")
    if not ax.axison or not axis.get_visible() or isinstance(locator, NullLocator):
        return False
    if params.get("direction", mpl.rcParams[f"{name}tick.direction"]) != "in":
        return False
    return not any(axis.get_minor_formatter().format_ticks(list(locator())))
