"""Scans of all methods together: -2 Delta ln L against the parameter of interest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from scipy.stats import chi2

from toolkit.diagnostics.closure import ClosureVerdict
from toolkit.likelihood.results import MethodResult
from toolkit.plots.names import method_label, parameter_symbol
from toolkit.plots.root_axis import root_axis, smooth
from toolkit.plots.style import GREY, HALO, PLAIN, PlotStyle, StyledFigure, band_height, legend_band, method_look, new_figure
from toolkit.typing import FloatArray

LEVELS = ((1.0, "68% CL"), (3.841458820694124, "95% CL"))
"""Thresholds of one degree of freedom: erf(1/sqrt 2) and 95 %."""
P_VALUES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 3e-4, 1e-4)
"""Marks of the axis on the right."""


def plot_scans(
    results: Sequence[MethodResult],
    *,
    observed: Sequence[MethodResult] = (),
    verdicts: Sequence[ClosureVerdict] = (),
    y_max: float | None = None,
    style: PlotStyle = PLAIN,
) -> StyledFigure:
    """Draw the scans of several methods with the 68 % and 95 % thresholds, on an axis of square roots where `style` says so.

    Args:
        results: One result per method, in the order of the legend.
        observed: The same of the data: then these are solid lines, and the expected results dashed ones.
        verdicts: Closure verdicts; a method that is flagged says so in the legend.
        y_max: Highest value shown, below the legend; chosen from the curves when None.
        style: Look and header.

    Returns:
        The figure; its numbers hold each scan, best fit and both intervals.
    """
    flagged = {v.method: v for v in verdicts if v.flagged}
    keys = ("mu_hat", "twice_nll_at_0", "interval_68", "interval_95", "scan")
    sets = {"methods": results, **({"observed": observed} if observed else {})}
    numbers = {
        **{name: {r.method: {key: d[key] for key in keys} for r in own for d in [r.to_json()]} for name, own in sets.items()},
        "levels": [level for level, _ in LEVELS],
        "flagged": {name: v.message for name, v in flagged.items()},
    }
    with new_figure(style, numbers=numbers) as (figure, (ax,)):
        top = y_max if y_max is not None else _top([*results, *observed])
        seen = {r.method: r for r in observed}
        for i, result in enumerate(results):
            warning = {"not_tested": " (closure not tested)", "biased": " (biased)"}
            text = method_label(result.method) + (warning[flagged[result.method].word] if result.method in flagged else "")
            x, y = _curve(result, style)
            color, dashes, _ = method_look(result.method, i)
            if result.method in seen:
                own = seen[result.method]
                ax.plot(*_curve(own, style), color=color, linestyle="-", linewidth=2.2, label=text)
                ax.plot(x, y, color=color, linestyle="--", linewidth=1.4)
            else:
                ax.plot(x, y, color=color, linestyle=dashes, linewidth=2.2, label=text)
        if observed:
            ax.plot([], [], color="black", linestyle="-", linewidth=2.2, label="observed")
            ax.plot([], [], color="black", linestyle="--", linewidth=1.4, label="expected")
        for level, name in LEVELS:
            ax.axhline(level, color=GREY, linewidth=0.9, linestyle="-", zorder=0)
            place: dict[str, Any] = {"xycoords": ax.get_yaxis_transform(), "textcoords": "offset points", "ha": "right"}
            ax.annotate(name, (1, level), xytext=(-8, 3), color="0.3", fontsize="small", bbox=HALO, zorder=3, **place)
        symbol = parameter_symbol(results[0].scan.parameter) if results else ""
        ax.set_xlabel(symbol)
        ax.set_ylabel(r"$-2\,\Delta\ln L$")
        ax.set_ylim(0, top / (1 - band_height(len(results) + 2 * bool(observed))))
        below = Rectangle((0, 0), 1, top / ax.get_ylim()[1], transform=ax.transAxes)
        for line in ax.lines:
            line.set_clip_path(below)  # curves would come out above the legend
        _add_p_values(ax)
        if results:
            ax.set_xlim(*_limits([*results, *observed], top))
            if results[0].scan.parameter in style.roots and ax.get_xlim()[0] == 0.0:
                root_axis(ax)
            legend_band(ax)
    return figure


def _curve(result: MethodResult, style: PlotStyle) -> tuple[FloatArray, FloatArray]:
    """Return a smooth curve through the points of a scan and the best fit, where it is 0: between two points it would look too high."""
    scan, best = result.scan, result.mu_hat
    root = scan.parameter in style.roots and scan.values[0] >= 0.0
    values, heights = scan.values, scan.twice_delta_nll
    near = float(np.abs(values - best).min()) <= 1e-6 * (values[-1] - values[0])
    if values[0] < best < values[-1] and not near:
        place = int(np.searchsorted(values, best))
        values, heights = np.insert(values, place, best), np.insert(heights, place, 0.0)
    return smooth(values, heights, root=root)


def _limits(results: Sequence[MethodResult], top: float) -> tuple[float, float]:
    """Show the whole range of the scans, or, if the curves leave the frame in less than half of it, the part where they are in it."""
    low, high = min(float(r.scan.values[0]) for r in results), max(float(r.scan.values[-1]) for r in results)
    seen = [(r.scan.values[inside], np.diff(r.scan.values).max()) for r in results if (inside := r.scan.twice_delta_nll <= top).any()]
    if not seen:
        return low, high
    first, last = min(float(v[0]) - 2 * step for v, step in seen), max(float(v[-1]) + 2 * step for v, step in seen)
    return (low, high) if last - first > 0.5 * (high - low) else (max(low, first), min(high, last))


def _add_p_values(ax: Axes) -> None:
    """Write on the right the probability of a larger value, for one parameter and many events."""
    right = ax.secondary_yaxis("right")
    shown = [p for p in P_VALUES if chi2.isf(p, 1) < ax.get_ylim()[1]]
    right.set_yticks([float(chi2.isf(p, 1)) for p in shown], [f"{p:g}" for p in shown])
    right.set_yticks([], minor=True)
    right.set_ylabel("p-value")
    ax.tick_params(axis="y", which="both", right=False)


def _top(results: Sequence[MethodResult]) -> float:
    """Show the 95 % threshold with room above it, and the highest t(0), up to 16."""
    at_zero = [r.twice_nll_at_0 for r in results if r.twice_nll_at_0 is not None and np.isfinite(r.twice_nll_at_0)]
    return float(np.clip(1.4 * max(at_zero, default=0.0), 7.0, 16.0))
