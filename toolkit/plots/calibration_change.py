"""Calibration of one process before and after the calibration step."""

from __future__ import annotations

from typing import Any

import numpy as np

from toolkit.diagnostics.calibration import CalibrationCurve
from toolkit.plots.calibration import fraction_limits
from toolkit.plots.names import number_text, p_value_text, process_label
from toolkit.plots.style import BLUE, GREY, PLAIN, VERMILION, PlotStyle, StyledFigure, new_figure


def plot_calibration_change(before: CalibrationCurve, after: CalibrationCurve, *, style: PlotStyle = PLAIN) -> StyledFigure:
    """Draw true against predicted fraction before (hollow squares) and after (dots) the calibration, above the residuals.

    Args:
        before: Curve of the networks alone.
        after: Curve of the same events with the calibration.
        style: Look and header.

    Returns:
        The figure; its numbers hold both curves. Bins that hold too few effective events are not drawn.
    """
    numbers = {"before": before.to_json(), "after": after.to_json()}
    with new_figure(style, numbers=numbers, size=(6.0, 6.2), panels=(2.6, 1.6)) as (figure, (top, low)):
        for curve, text, color, marker, fill in ((before, "before", BLUE, "s", "white"), (after, "after", VERMILION, "o", VERMILION)):
            here = curve.used & np.isfinite(curve.fraction)
            x = curve.predicted[here]
            look: dict[str, Any] = {"color": color, "markerfacecolor": fill, "linestyle": "none", "marker": marker, "capsize": 0}
            test = f"$\\chi^2$/ndf = {curve.test.chi2:.0f}/{curve.test.ndf}, {p_value_text(curve.test.p_value)}"
            label = f"{text}: {test}\nmean |true $-$ predicted| = {number_text(curve.mean_residual)}"
            top.errorbar(x, curve.fraction[here], yerr=curve.fraction_error[here], label=label, **look)
            low.errorbar(x, curve.residual[here], yerr=curve.residual_error[here], **look)
        top.plot([0, 1], [0, 1], color=GREY, linewidth=1.0, linestyle="--", zorder=0)
        low.axhline(0, color=GREY, linewidth=1.0, linestyle="--", zorder=0)
        start, end = _range(before, after)
        top.set_xlim(start, end)
        top.set_ylim(*fraction_limits((start, end), before, after, headroom=0.45))
        top.legend(
            loc="upper left", title=f"{process_label(after.numerator)}\nagainst {process_label(after.denominator)}", alignment="left"
        )
        top.set_ylabel("true fraction")
        low.set_ylabel("true $-$ predicted")
        low.set_xlabel("predicted fraction $s$")
        reach = np.concatenate([(np.abs(c.residual) + 1.3 * c.residual_error)[c.used] for c in (before, after)])
        limit = 1.1 * (float(np.nanmax(reach, initial=0.0)) or 0.05)
        low.set_ylim(-limit, limit)
    return figure


def _range(*curves: CalibrationCurve) -> tuple[float, float]:
    x = np.concatenate([c.predicted[c.used & np.isfinite(c.predicted)] for c in curves])
    if x.size == 0:
        return 0.0, 1.0
    pad = max(0.05 * float(x.max() - x.min()), 1e-3)
    return max(float(x.min() - pad), 0.0), min(float(x.max() + pad), 1.0)
