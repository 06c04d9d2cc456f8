"""Confidence intervals from a scan: lists of disjoint pieces, because interference makes them so.

What to use when: with a callable the ends are found by root finding to 1e-9 of the range, and dips or bumps between the scan
points that cross the threshold are found too; without one the ends are interpolated between scan points.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from toolkit.errors import SchemaError
from toolkit.likelihood.scans import Interval, Scan
from toolkit.typing import FloatArray

Curve = Callable[[float], float]

THRESHOLD_68 = 1.0
"""twice_delta_nll of 68.27 % for one parameter (Wilks)."""
THRESHOLD_95 = 3.841458820694124
"""twice_delta_nll of 95 % for one parameter (Wilks)."""

FORBIDDEN = 1e6
"""Height of forbidden points, at which the curve is infinite: an interval may end where they begin."""


BETWEEN = 5
"""Points between two minima: the top of the barrier between them is looked for next to the highest."""


def scan_with_minima(scan: Scan, minima: Sequence[float], curve: Curve) -> Scan:
    """Add the minima of a fit to a scan, and points between them, so that neither a piece nor a gap falls between scan points.

    Args:
        scan: The scan.
        minima: Values of the parameter at all minima of the fit; those outside the scan are left out.
        curve: twice_delta_nll as a function of the parameter.

    Returns:
        The scan with more points.

    Examples:
        >>> scan = Scan(values=np.array([0.0, 4.0]), twice_delta_nll=np.array([9.0, 9.0]))
        >>> scan_with_minima(scan, [2.0], lambda v: 2.25 * (v - 2.0) ** 2).values.tolist()
        [0.0, 2.0, 4.0]
    """
    low, high = float(scan.values[0]), float(scan.values[-1])
    inside = sorted({float(m) for m in minima if low < m < high})
    between = [np.linspace(a, b, BETWEEN + 2)[1:-1] for a, b in pairwise(inside) if b - a > 1e-9 * (high - low)]
    values = np.setdiff1d(np.concatenate([inside, *between]) if inside else np.zeros(0), scan.values)
    all_values = np.concatenate([scan.values, values])
    heights = np.concatenate([scan.twice_delta_nll, [curve(float(v)) for v in values]])
    order = np.argsort(all_values, kind="stable")
    return Scan(values=all_values[order], twice_delta_nll=heights[order], parameter=scan.parameter)


def find_intervals(scan: Scan, *, threshold: float, bounds: tuple[float, float], curve: Curve | None = None) -> tuple[Interval, ...]:
    """Find where twice_delta_nll <= threshold.

    Args:
        scan: The scan; the more points, the finer the structure that is found.
        threshold: Value of twice_delta_nll at the ends.
        bounds: Allowed range of the parameter; an interval that reaches it, or points that are forbidden, is marked.
        curve: twice_delta_nll as a function of the parameter, for ends that do not depend on the scan's step.

    Returns:
        Pieces in increasing order; empty if the curve stays above the threshold everywhere.

    Raises:
        SchemaError: The threshold is not positive or the scan has fewer than two points.

    Examples:
        >>> x = np.linspace(0.0, 3.0, 31)
        >>> find_intervals(Scan(values=x, twice_delta_nll=(x - 1) ** 2), threshold=1.0, bounds=(0.0, 3.0), curve=lambda v: (v - 1) ** 2)
        (Interval(low=0.0, high=2.0, at_boundary=True),)
    """
    if not threshold > 0.0 or len(scan.values) < 2:
        what = "interval"
        raise SchemaError(
            what, got=f"threshold {threshold}, {len(scan.values)} scan points", expected="a threshold > 0 and at least two points"
        )
    values, heights = scan.values, np.minimum(scan.twice_delta_nll, FORBIDDEN) - threshold
    if curve is not None:
        given = curve

        def curve(value: float) -> float:
            return min(given(value), FORBIDDEN)

        values, heights = _with_extrema(values, heights, lambda v: curve(v) - threshold)
    inside = heights <= 0.0
    pieces, low = [], float(values[0]) if inside[0] else None
    for i, (a, b) in enumerate(pairwise(range(len(values)))):
        if inside[a] == inside[b]:
            continue
        end = _crossing(values, heights, i, curve, threshold)
        if inside[b]:
            low = end
        elif low is not None:
            pieces.append((low, end))
            low = None
    if low is not None:
        pieces.append((low, float(values[-1])))
    return tuple(Interval(low=a, high=b, at_boundary=_reaches(a, b, bounds) or _is_cut(a, b, scan, curve)) for a, b in pieces)


def _with_extrema(values: FloatArray, heights: FloatArray, curve: Curve) -> tuple[FloatArray, FloatArray]:
    """Add the minimum (maximum) near a scan point that is a local minimum above (maximum below) the threshold."""
    added: list[tuple[float, float]] = []
    for i in range(len(values)):
        left, right = max(i - 1, 0), min(i + 1, len(values) - 1)
        around = (heights[left], heights[right])
        sign = 1.0 if heights[i] > 0.0 else -1.0
        if sign * heights[i] > min(sign * h for h in around):
            continue
        steepest = max(abs(h - heights[i]) for h in around)
        if abs(heights[i]) > 2.0 * steepest + 1e-12:
            continue
        best = minimize_scalar(lambda v, s=sign: s * curve(v), bounds=(values[left], values[right]), method="bounded")
        if sign * curve(best.x) < 0.0:
            added.append((float(best.x), sign * float(best.fun)))
    if not added:
        return values, heights
    all_values = np.concatenate([values, [a for a, _ in added]])
    all_heights = np.concatenate([heights, [h for _, h in added]])
    order = np.argsort(all_values, kind="stable")
    return all_values[order], all_heights[order]


def _crossing(values: FloatArray, heights: FloatArray, i: int, curve: Curve | None, threshold: float) -> float:
    a, b, ha, hb = float(values[i]), float(values[i + 1]), float(heights[i]), float(heights[i + 1])
    if curve is not None:
        ga, gb = curve(a) - threshold, curve(b) - threshold
        if ga * gb < 0.0:
            return float(brentq(lambda v: curve(v) - threshold, a, b, xtol=1e-12 + 1e-10 * abs(b - a)))
    return a + (b - a) * ha / (ha - hb)


def _is_cut(low: float, high: float, scan: Scan, curve: Curve | None) -> bool:
    """Whether an interval ends because the points beyond are forbidden."""
    if curve is None or np.all(np.isfinite(scan.twice_delta_nll)):
        return False
    first, last = float(scan.values[0]), float(scan.values[-1])
    step = 1e-6 * (last - first)
    return any(first <= x <= last and curve(x) >= FORBIDDEN for x in (low - step, high + step))


def _reaches(low: float, high: float, bounds: tuple[float, float]) -> bool:
    margin = 1e-9 * max(bounds[1] - bounds[0], 1e-300) if np.all(np.isfinite(bounds)) else 0.0
    return low <= bounds[0] + margin or high >= bounds[1] - margin
