"""Calibration curve: true against predicted fraction, and their difference with its own error."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from toolkit.diagnostics.calibration import CalibrationCurve
from toolkit.plots.names import number_text, p_value_text, process_label
from toolkit.plots.style import BLUE, GREY, HALO, PLAIN, PlotStyle, StyledFigure, new_figure, style_context


def plot_calibration(curve: CalibrationCurve, *, style: PlotStyle = PLAIN) -> StyledFigure:
    """Draw a calibration curve above its residual.

    Args:
        curve: The curve; bins that are not used are hollow.
        style: Look and header.

    Returns:
        The figure; its numbers are `curve.to_json()`. Error bars above are those of the fraction, below those of the
        difference, in which events that carry both weights count once.
    """
    with style_context(style):
        names = process_label(curve.numerator), process_label(curve.denominator)
    with new_figure(style, numbers=curve.to_json(), size=(6.0, 6.2), panels=(3.0, 1.4)) as (figure, (top, low)):
        for used, fill in ((curve.used, BLUE), (~curve.used, "white")):
            here = used & np.isfinite(curve.fraction)
            x = curve.predicted[here]
            points: dict[str, Any] = {"color": BLUE, "markerfacecolor": fill, "linestyle": "none", "marker": "o", "capsize": 0}
            top.errorbar(x, curve.fraction[here], yerr=curve.fraction_error[here], **points)
            low.errorbar(x, curve.residual[here], yerr=curve.residual_error[here], **points)
        low_edge, high_edge = _range(curve)
        top.plot([0, 1], [0, 1], color=GREY, linewidth=1.0, linestyle="--", zorder=0)
        low.axhline(0, color=GREY, linewidth=1.0, linestyle="--", zorder=0)
        top.set_xlim(low_edge, high_edge)
        top.set_ylim(*fraction_limits((low_edge, high_edge), curve, headroom=0.06))
        top.set_ylabel("true fraction")
        low.set_ylabel("true $-$ predicted")
        low.set_xlabel("predicted fraction $s$")
        test = f"$\\chi^2$/ndf = {curve.test.chi2:.1f}/{curve.test.ndf}, {p_value_text(curve.test.p_value)}"
        text = f"{names[0]}\nagainst {names[1]}\n{test}\nmean |true $-$ predicted| = {number_text(curve.mean_residual)}"
        top.text(0.04, 0.96, text, transform=top.transAxes, va="top", linespacing=1.5, bbox=HALO)
        _symmetric(low, curve)
    return figure


def _range(curve: CalibrationCurve) -> tuple[float, float]:
    """The whole of [0, 1] when the predictions fill it, else where they are."""
    x = curve.predicted[curve.used & np.isfinite(curve.predicted)]
    if x.size == 0 or x.max() - x.min() > 0.5:
        return 0.0, 1.0
    pad = max(0.12 * (x.max() - x.min()), 1e-3)
    return float(x.min() - pad), float(x.max() + pad)


def fraction_limits(ends: tuple[float, float], *curves: CalibrationCurve, headroom: float) -> tuple[float, float]:
    """Return limits of true fractions: the predicted range and every used point with its error, within [0, 1], and room around them.

    Args:
        ends: Range of the predictions.
        *curves: The curves that are drawn.
        headroom: Room above, in units of the range; 0.06 of it is left below.

    Examples:
        >>> [round(limit, 3) for limit in fraction_limits((0.2, 0.7), headroom=0.4)]
        [0.17, 0.9]
    """
    fraction, error = (np.concatenate([[], *(getattr(c, name)[c.used] for c in curves)]) for name in ("fraction", "fraction_error"))
    reach = np.clip(np.concatenate([fraction - error, fraction + error]), 0.0, 1.0)
    low, high = float(np.nanmin(reach, initial=ends[0])), float(np.nanmax(reach, initial=ends[1]))
    return low - 0.06 * (high - low), high + headroom * (high - low)


def _symmetric(ax: Axes, curve: CalibrationCurve) -> None:
    size = (np.abs(curve.residual) + 1.3 * curve.residual_error)[curve.used]
    limit = float(np.nanmax(size, initial=0.0)) or 0.05
    ax.set_ylim(-1.1 * limit, 1.1 * limit)
