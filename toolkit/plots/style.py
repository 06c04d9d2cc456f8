"""Look of the plots: colours that colour-blind readers can tell apart, experiment styles, and a figure that keeps its style.

Nothing here changes matplotlib's global state: figures are made without pyplot, and the style is switched on only
while a figure is built or drawn.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import matplotlib as mpl
import mplhep
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from toolkit.errors import SchemaError
from toolkit.plots.layout import GridLayout
from toolkit.plots.names import ProcessLook, parameter_symbols, plain, process_looks
from toolkit.plots.ticks import lighten_minor_ticks

BLACK, GREY, BLUE, SKY = "#000000", "#8c8c8c", "#0072b2", "#56b4e9"
VERMILION, ORANGE, GREEN, PURPLE = "#d55e00", "#e69f00", "#009e73", "#cc79a7"
CYCLE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK, GREY)
"""Okabe and Ito's palette, strongest contrasts first."""
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)), (0, (3, 1)))
"""Line styles in the order of `CYCLE`: curves stay apart in black and white."""
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")
_METHODS = {
    "nsbi": (VERMILION, "-", "o"),
    "score": (GREEN, "-.", "D"),
    "score_2d": (PURPLE, (0, (5, 1, 1, 1, 1, 1)), "v"),
    "m4l": (BLUE, "--", "s"),
    "d_me": (BLACK, (0, (6, 1, 1, 1)), "P"),
    "rate": (GREY, ":", "^"),
}
_SPARE = (
    *zip((ORANGE, SKY, BLACK), DASHES[5:], MARKERS[5:], strict=True),
    (PURPLE, (0, (10, 1)), "<"),
    (GREEN, (0, (2, 1)), ">"),
    (BLUE, (0, (6, 1, 1, 1, 1, 1, 1, 1)), "h"),
    (GREY, (0, (4, 2, 1, 2)), "d"),
    (VERMILION, (0, (1, 3)), "p"),
)
"""Looks of methods with names of their own, enough for those of several runs."""

HALO: dict[str, Any] = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
"""Box behind text that may stand on curves."""

Experiment = Literal["plain", "ATLAS", "CMS"]

_COMMON: dict[str, Any] = {
    "font.size": 12,
    "axes.labelsize": 13,
    "axes.titlesize": 12,
    "xtick.labelsize": 11.5,
    "ytick.labelsize": 11.5,
    "legend.fontsize": 10.5,
    "legend.title_fontsize": 10.5,
    "legend.frameon": True,
    "legend.framealpha": 0.85,
    "legend.facecolor": "white",
    "legend.edgecolor": "none",
    "legend.fancybox": False,
    "legend.handlelength": 2.2,
    "legend.borderpad": 0.4,
    "legend.labelspacing": 0.35,
    "axes.linewidth": 1.0,
    "axes.labelpad": 4,
    "axes.autolimit_mode": "data",
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "xtick.major.size": 6,
    "xtick.minor.size": 3,
    "ytick.major.size": 6,
    "ytick.minor.size": 3,
    "xtick.major.pad": 5,
    "ytick.major.pad": 5,
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "savefig.facecolor": "white",
    "savefig.bbox": None,
    "pdf.fonttype": 3,
    "svg.fonttype": "path",
    "svg.hashsalt": "h4l",
    "axes.unicode_minus": True,
    "axes.prop_cycle": cycler(color=CYCLE),
    "mathtext.fontset": "stixsans",
    "mathtext.default": "it",
}
_TICKS: dict[str, Any] = {
    **{f"{a}tick.direction": "in" for a in "xy"},
    **{f"{a}tick.minor.visible": True for a in "xy"},
    "xtick.top": True,
    "ytick.right": True,
    "xaxis.labellocation": "right",
    "yaxis.labellocation": "top",
    "font.family": "sans-serif",
    "font.sans-serif": ["TeX Gyre Heros", "DejaVu Sans"],
}
_LEFT_ALONE = ("backend", "interactive", "toolbar", "webagg", "tk.", "docstring", "savefig.directory")
"""Settings of the session, not of the look."""

SIMULATION = "Simulation"


@dataclass(frozen=True)
class PlotStyle:
    """How plots look and what their header says.

    Args:
        experiment: "plain", or the style of a collaboration. Naming a collaboration is for its members.
        status: Word after the collaboration's name, for example "Internal".
        note: Words at the upper left of a plain plot.
        luminosity_ifb: Integrated luminosity in 1/fb, for the header.
        energy_tev: Centre-of-mass energy in TeV, for the header.
        processes: Labels and colours of processes and samples that the user chose, by name.
        roots: Parameters on whose square root everything depends: their scans have an axis of square roots.
        parameters: Symbols of parameters that the user chose, in TeX, by name.
    """

    experiment: Experiment = "plain"
    status: str = SIMULATION
    note: str = SIMULATION
    luminosity_ifb: float | None = None
    energy_tev: float | None = 13.0
    processes: Mapping[str, ProcessLook] = field(default_factory=dict)
    roots: frozenset[str] = frozenset()
    parameters: Mapping[str, str] = field(default_factory=dict)

    def for_data(self) -> PlotStyle:
        """Return the style of a plot with data: the header does not call them a simulation.

        Examples:
            >>> PlotStyle().for_data().note, PlotStyle(note="Internal").for_data().note
            ('', 'Internal')
        """
        status, note = ("" if text == SIMULATION else text for text in (self.status, self.note))
        return replace(self, status=status, note=note)

    def rc(self) -> dict[str, Any]:
        """Return the matplotlib settings of this style."""
        styles: dict[str, dict[str, Any]] = {"plain": {}, "ATLAS": mplhep.style.ATLAS, "CMS": mplhep.style.CMS}
        if self.experiment not in styles:
            raise SchemaError(
                what="plot style", got=self.experiment, expected=f"one of {sorted(styles)}", remedy="choose a known experiment style"
            )
        return {**_TICKS, **styles[self.experiment], **_COMMON}


PLAIN = PlotStyle()


class StyledFigure(Figure):
    """A figure that is always drawn with the style it was built with, and carries the numbers it shows.

    Attributes:
        style: Its style.
        numbers: The plotted numbers, as a JSON object.
    """

    style: PlotStyle
    numbers: dict[str, Any]

    def draw(self, renderer: Any) -> None:
        """Draw with the figure's own style."""
        with style_context(self.style):
            super().draw(renderer)

    def savefig(self, fname: Any, **options: Any) -> None:
        """Save with the figure's own style."""
        with style_context(self.style):
            super().savefig(fname, **options)


def method_look(name: str, order: int) -> tuple[str, Any, str]:
    """Return colour, line style and marker of a method: always the same for known methods, by `order` for others."""
    return _METHODS.get(name, _SPARE[order % len(_SPARE)])


@contextlib.contextmanager
def style_context(style: PlotStyle) -> Iterator[None]:
    """Switch the style on for the duration of a block; matplotlib's settings are as before afterwards."""
    defaults = {key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith(_LEFT_ALONE)}
    with mpl.rc_context({**defaults, **style.rc()}), process_looks(style.processes), parameter_symbols(style.parameters):
        yield


@contextlib.contextmanager
def new_figure(
    style: PlotStyle,
    *,
    numbers: Mapping[str, Any],
    size: tuple[float, float] = (6.4, 5.0),
    panels: Sequence[float] = (1.0,),
) -> Iterator[tuple[StyledFigure, list[Axes]]]:
    """Give a figure and its panels, to be filled inside the block in the figure's style.

    Args:
        style: Look and header.
        numbers: The plotted numbers, as a JSON object.
        size: Width and height in inches.
        panels: Relative heights of the panels, top first; they share the x axis without a gap.

    Yields:
        The figure and its axes, top first. The header is written above the first one.
    """
    with style_context(style):
        figure = StyledFigure(figsize=size, layout=GridLayout())
        figure.style, figure.numbers = style, dict(numbers)
        axes = list(figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=list(panels)).flat)
        add_header(axes[0], style)
        yield figure, axes
        lighten_minor_ticks(figure)


def add_header(ax: Axes, style: PlotStyle, *, right: Axes | None = None) -> None:
    """Write who made the plot (left) above an axes, and for which data above its right end or that of another one."""
    parts = []
    if style.luminosity_ifb is not None:
        parts.append(f"{style.luminosity_ifb:g} fb$^{{-1}}$")
    if style.energy_tev is not None:
        parts.append(f"({style.energy_tev:g} TeV)" if parts else f"{style.energy_tev:g} TeV")
    place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "bottom", "annotation_clip": False}
    (right or ax).annotate(" ".join(parts), (1, 1), xytext=(0, 4), ha="right", fontsize="medium", **place)
    if style.experiment == "plain":
        ax.annotate(plain(style.note), (0, 1), xytext=(0, 4), ha="left", fontsize="medium", **place)
        return
    slant = "italic" if style.experiment == "ATLAS" else "normal"
    name = ax.annotate(style.experiment, (0, 1), xytext=(0, 4), ha="left", fontsize="x-large", fontweight="bold", fontstyle=slant, **place)
    beside: dict[str, Any] = {**place, "xycoords": name, "xytext": (5, 0)}
    ax.annotate(plain(style.status), (1, 0), ha="left", fontsize="medium", fontstyle="normal" if slant == "italic" else "italic", **beside)


def band_height(entries: int, *, titled: bool = False) -> float:
    """Return the height that `legend_band` takes, in fractions of an axes of the usual size.

    Examples:
        >>> round(band_height(5), 3)  # three rows of two
        0.225
    """
    return 0.075 * (-(-entries // 2) + titled)


LONG_LABEL = 30
"""Characters from which two labels do not fit beside each other in the usual size."""


def legend_band(ax: Axes, *, title: str | None = None, entries: tuple[Sequence[Any], Sequence[str]] | None = None) -> None:
    """Put the legend in a band across the top of an axes, in two columns, over whatever reaches up there; `entries` are handles, labels."""
    look: dict[str, Any] = {"mode": "expand", "ncols": 2, "framealpha": 1.0, "borderaxespad": 0.15, "alignment": "left"}
    labels = entries[1] if entries is not None else ax.get_legend_handles_labels()[1]
    if max((len(text) for text in labels), default=0) > LONG_LABEL:
        look.update(fontsize="small", handlelength=1.5)
    ax.legend(*(entries or ()), loc="upper left", bbox_to_anchor=(0, 0, 1, 1), title=title, **look)


def log_limits(low: float, high: float, *, headroom: float) -> tuple[float, float]:
    """Return limits of a logarithmic axis that leave the fraction `headroom` of the frame free above `high`.

    Examples:
        >>> low, high = log_limits(1.0, 100.0, headroom=0.5)
        >>> round(low, 2), round(high)
        (0.63, 15849)
    """
    start, end = math.log10(low), math.log10(high)
    span = max(end - start, 0.5)
    start -= 0.1 * span
    return float(10**start), float(10 ** (end + (end - start) * headroom / (1 - headroom)))
