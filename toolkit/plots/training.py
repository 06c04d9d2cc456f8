"""Training curves of the ensemble: loss against epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from toolkit.diagnostics.training import TrainingCurve
from toolkit.plots.style import CYCLE, PLAIN, PlotStyle, StyledFigure, new_figure


def plot_training(curves: Sequence[TrainingCurve], *, style: PlotStyle = PLAIN) -> StyledFigure:
    """Draw training and validation loss of every member; the kept epoch is marked.

    Args:
        curves: One per ensemble member, all of the same network.
        style: Look and header.

    Returns:
        The figure; its numbers hold every curve. The first epochs may lie above the frame.
    """
    with new_figure(style, numbers={"members": [c.to_json() for c in curves]}) as (figure, (ax,)):
        for i, curve in enumerate(curves):
            color, epochs = CYCLE[i % len(CYCLE)], np.arange(1, len(curve.train_loss) + 1)
            ax.plot(epochs, curve.train_loss, color=color, linewidth=1.1, linestyle="--", alpha=0.8)
            ax.plot(epochs, curve.validation_loss, color=color, linewidth=1.6)
            ax.plot(curve.best_epoch + 1, curve.validation_loss[curve.best_epoch], color=color, marker="o", linestyle="none")
        handles = [
            Line2D([], [], color="black", linestyle="--", linewidth=1.1, label="training"),
            Line2D([], [], color="black", linewidth=1.6, label="validation"),
            Line2D([], [], color="black", marker="o", linestyle="none", label="epoch kept"),
        ]
        members = len(curves)
        network = ", ".join(dict.fromkeys(curve.network for curve in curves))
        ax.legend(handles=handles, loc="upper right", title=f"{network}: {members} member{'s' if members != 1 else ''}, one colour each")
        ax.set_xlabel("epoch")
        ax.set_ylabel("loss")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        low, high = _range(curves)
        ax.set_ylim(low, high)
        ax.set_xlim(1, max([2, *(len(c.train_loss) for c in curves)]))
    return figure


def _range(curves: Sequence[TrainingCurve]) -> tuple[float, float]:
    """Frame that shows the approach to the minimum: 92 % of all losses and every loss of the second half, room for the legend above."""
    values = np.concatenate([np.array([*c.train_loss, *c.validation_loss]) for c in curves]) if curves else np.array([0.0, 1.0])
    values = values[np.isfinite(values)]
    low, high = (float(values.min()), float(np.quantile(values, 0.92))) if values.size else (0.0, 1.0)
    late = [loss for c in curves for losses in (c.train_loss, c.validation_loss) for loss in losses[len(losses) // 2 :]]
    high = max([high, *(loss for loss in late if np.isfinite(loss))])
    span = (high - low) or abs(low) or 1.0
    return low - 0.06 * span, high + 0.5 * span
