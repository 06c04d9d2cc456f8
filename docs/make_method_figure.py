"""Draw docs/images/networks.png, what the two networks of a member learn: `python docs/make_method_figure.py`."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

TARGET = Path(__file__).parent / "images" / "networks.png"
BLUE, GREEN, ORANGE, GREY = "#0072b2", "#009e73", "#d55e00", "#555555"


def box(ax: Axes, x: float, y: float, text: str, *, color: str = GREY) -> None:
    """Write a text in a frame around (x, y)."""
    frame = {"boxstyle": "round,pad=0.5", "facecolor": "white", "edgecolor": color, "linewidth": 1.4}
    ax.text(x, y, text, ha="center", va="center", fontsize=9, linespacing=1.4, bbox=frame)


def arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float], *, color: str = GREY) -> None:
    """Point from one place to another."""
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": color, "linewidth": 1.3, "shrinkA": 0, "shrinkB": 0})


def draw() -> Figure:
    """Draw the figure."""
    figure = Figure(figsize=(9.0, 3.3), dpi=90)
    FigureCanvasAgg(figure)
    ax = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    ax.set_xlim(0, 18)
    ax.set_ylim(0, 7.8)
    ax.set_axis_off()
    ax.text(1.7, 3.9, "event $x$\n$m_{4\\ell}$, angles,\nleptons, jets", ha="center", va="center", fontsize=9, linespacing=1.4)
    arrow(ax, (3.0, 4.2), (3.9, 5.7), color=BLUE)
    arrow(ax, (3.0, 3.6), (3.9, 2.1), color=GREEN)
    box(ax, 6.0, 5.8, "class network\nlabels of the samples,\ncross-entropy", color=BLUE)
    box(ax, 6.0, 2.0, "composition network\nexact weights of the\nsame events, regression", color=GREEN)
    arrow(ax, (8.1, 5.8), (8.9, 5.8), color=BLUE)
    arrow(ax, (8.1, 2.0), (8.9, 2.0), color=GREEN)
    ax.text(
        10.9,
        5.8,
        "how likely is each class?\n$G$: all that interferes\n$q\\bar{q}$, ...: each background",
        ha="center",
        va="center",
        fontsize=9,
        linespacing=1.5,
    )
    ax.text(
        10.9,
        2.0,
        "what is $G$ made of?\nshare of S, and coherence\n$c = I / (2\\sqrt{S B})$, $|c| < 1$",
        ha="center",
        va="center",
        fontsize=9,
        linespacing=1.5,
    )
    arrow(ax, (13.0, 5.6), (13.9, 4.4), color=BLUE)
    arrow(ax, (13.0, 2.2), (13.9, 3.4), color=GREEN)
    box(
        ax,
        15.8,
        3.9,
        "$\\log\\, p_j(x)\\, /\\, p_\\mathrm{ref}(x)$\n$j$ = S, SBI, B, $q\\bar{q}$, ...\ncalibrated, averaged\nover the members",
        color=ORANGE,
    )
    return figure


if __name__ == "__main__":
    draw().savefig(TARGET, metadata={"Software": None})
