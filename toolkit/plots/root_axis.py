"""An axis on which the square root of a parameter is linear: with interference, curves turn within a narrow strip near 0."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter
from scipy.interpolate import PchipInterpolator

from toolkit.typing import FloatArray

MARKS = (0.0, 0.02, 0.1, 0.3, 0.6, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 50.0, 100.0)
"""Values that may be written at the axis; those that would stand too close to the one before are left out."""
LEAST_DISTANCE = 0.07
"""Of two marks, as a part of the axis."""


def root_axis(ax: Axes) -> None:
    """Scale the horizontal axis of a plot that begins at 0 by the square root.

    Args:
        ax: The axes, with the limits of the horizontal axis as they shall be.
    """
    low, high = ax.get_xlim()
    ax.set_xscale("function", functions=(lambda x: np.sqrt(np.clip(x, 0.0, None)), np.square))
    ax.set_xlim(low, high)
    ax.xaxis.set_major_locator(FixedLocator(root_marks(low, high)))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def root_marks(low: float, high: float) -> list[float]:
    """Choose the values written at an axis of square roots.

    Examples:
        >>> root_marks(0.0, 6.0), root_marks(0.0, 1.0)
        ([0.0, 0.1, 0.3, 0.6, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0], [0.0, 0.02, 0.1, 0.3, 0.6, 1.0])
    """
    least = LEAST_DISTANCE * (np.sqrt(high) - np.sqrt(low))
    chosen: list[float] = []
    for mark in MARKS:
        if low <= mark <= high and (not chosen or np.sqrt(mark) - np.sqrt(chosen[-1]) >= least):
            chosen.append(mark)
    return chosen


def smooth(values: FloatArray, heights: FloatArray, *, root: bool, points: int = 400) -> tuple[FloatArray, FloatArray]:
    """Draw a curve through points as a smooth function of a parameter or of its square root, in which equal steps are wide ones near 0.

    Args:
        values: Parameter, (n,), increasing; with `root` from 0 or above.
        heights: Value at each, (n,).
        root: Whether the axis is one of square roots.
        points: Points between the first and the last, at equal steps on the axis.

    Returns:
        Parameter and value, the given points among them; they come back as they are where a value is not finite.

    Examples:
        >>> x, y = smooth(np.array([0.0, 1.0, 4.0]), np.array([2.0, 1.0, 0.0]), root=True, points=5)
        >>> x.tolist(), y.tolist()
        ([0.0, 0.25, 1.0, 2.25, 4.0], [2.0, 1.5, 1.0, 0.5, 0.0])
    """
    if len(values) < 2 or not np.isfinite(heights).all():
        return values, heights
    steps = np.sqrt(values) if root else np.asarray(values)
    fine = np.union1d(np.linspace(steps[0], steps[-1], points), steps)
    return fine**2 if root else fine, np.asarray(PchipInterpolator(steps, heights)(fine))
