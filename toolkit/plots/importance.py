"""Permutation importance: what each feature is worth, one panel per figure of merit."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from toolkit.diagnostics.importance import Importance
from toolkit.plots.names import observable_label, parameter_symbol, plain
from toolkit.plots.style import BLUE, CYCLE, GREY, PLAIN, PlotStyle, StyledFigure, add_header, new_figure


def plot_importance(results: Sequence[Importance], *, style: PlotStyle = PLAIN) -> StyledFigure:
    """Draw the loss of every figure of merit as horizontal bars, features in the order of the first one.

    Args:
        results: One per figure of merit, all of the same features.
        style: Look and header.

    Returns:
        The figure; its numbers hold every result. Error bars are standard errors (shuffles and finite simulation).
    """
    numbers = {"metrics": [result.to_json() for result in results]}
    rows = len(results[0].names) if results else 1
    size = (3.2 + 3.0 * max(len(results), 1), 1.3 + 0.34 * rows)
    with new_figure(style, numbers=numbers, size=size) as (figure, (first,)):
        first.remove()
        figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.06)
        axes = list(figure.subplots(1, max(len(results), 1), sharey=True, squeeze=False).flat)
        order = results[0].order[::-1] if results else np.zeros(0, dtype=np.int64)
        place = np.arange(order.size)
        for i, (ax, result) in enumerate(zip(axes, results, strict=False)):
            loss, error = result.loss[order], result.error[order]
            ax.barh(place, loss, height=0.62, color=CYCLE[i % len(CYCLE)] if len(results) > 1 else BLUE, alpha=0.75)
            ax.errorbar(loss, place, xerr=error, linestyle="none", color="black", capsize=2.5, elinewidth=1.2)
            ax.axvline(0, color=GREY, linewidth=0.9)
            ax.set_xlabel(
                f"loss of {_metric(result.metric)}\n(all features: {_with_error(result.baseline, result.baseline_error)})", loc="center"
            )
            ax.locator_params(axis="x", nbins=5)
            ax.tick_params(axis="y", which="both", length=0)
            low, high = float(np.min(loss - error, initial=0.0)), float(np.max(loss + error, initial=0.0))
            ax.set_xlim(low - 0.06 * (high - low), high + 0.12 * (high - low) or 1.0)
        if results:
            axes[0].set_yticks(place, [_label(results[0], k) for k in order])
            axes[0].set_ylim(-0.6, order.size - 0.4)
        add_header(axes[0], style, right=axes[-1])
    return figure


def _metric(text: str) -> str:
    """Write the parameter of "t(mu_EW = 0)" as its symbol."""
    found = re.fullmatch(r"t\((\w+) = (\S+)\)", text)
    return text if found is None else f"t({parameter_symbol(found[1])} = {found[2]})"


def _with_error(value: float, error: float) -> str:
    """Write both with the decimals that two digits of the error need."""
    digits = max(0, 1 - math.floor(math.log10(error))) if math.isfinite(error) and error > 0 else 3
    return f"{value:.{digits}f} $\\pm$ {error:.{digits}f}"


def _label(result: Importance, k: int) -> str:
    members = result.members[k]
    if members != (result.names[k],):
        return plain(result.names[k])
    return observable_label(members[0]).partition(" [")[0]
