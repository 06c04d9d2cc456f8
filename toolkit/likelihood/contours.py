"""Contours of two parameters, all others profiled: the lines on which -2 Delta ln L is the quantile of chi-squared with two degrees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import contourpy
import numpy as np
from scipy.interpolate import RectBivariateSpline
from scipy.stats import chi2

from toolkit.errors import SchemaError
from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.fit_result import FitResult
from toolkit.likelihood.parameter_results import Contour
from toolkit.typing import FloatArray

LEVELS = (0.68, 0.95)
"""Probability contents; 0.68 stands for 68.27 %."""
POINTS = 25
"""Grid points per parameter."""
FINER = 12
"""Points of the interpolated surface per interval of the grid."""


def find_contours(
    likelihood: Likelihood, names: tuple[str, str], *, fit: FitResult, ranges: Sequence[tuple[float, float]], points: int = POINTS
) -> tuple[Contour, ...]:
    """Find the 68 % and 95 % contours of two parameters.

    Args:
        likelihood: The likelihood.
        names: The two parameters.
        fit: Its global fit.
        ranges: Where to look for each, at least as wide as the 95 % contour or the allowed range.
        points: Grid points per parameter; the surface is interpolated between them by cubic splines.

    Returns:
        One contour per level. Areas are those of the allowed set inside the ranges.

    Raises:
        SchemaError: A parameter with itself, or one that the likelihood does not have.

    Examples:
        Two counts of 10,000: errors of 1 %, a circle of area pi * 2.30 * 0.01^2.

        >>> from toolkit.likelihood.binned import BinnedLikelihood
        >>> likelihood = BinnedLikelihood(templates=[[1e4, 0.0], [0.0, 1e4]], data=[1e4, 1e4], coefficients=("a", "b"),
        ...     parameters=("a", "b"), bounds={"a": (0.5, 1.5), "b": (0.5, 1.5)})
        >>> inner, outer = find_contours(likelihood, ("a", "b"), fit=likelihood.fit(), ranges=[(0.96, 1.04), (0.96, 1.04)])
        >>> round(inner.area / (np.pi * 2.2957 * 1e-4), 2), round(outer.area / (np.pi * 5.9915 * 1e-4), 2)
        (1.0, 1.0)
    """
    first, second = names
    known = likelihood.parameter_names
    if first == second or first not in known or second not in known:
        remedy = "name two parameters"
        raise SchemaError(f"contour of {first!r} and {second!r}", got="not two parameters", expected=f"two of {list(known)}", remedy=remedy)
    axes = [np.linspace(low, high, points) for low, high in ranges]
    surface = likelihood.surface(names, (axes[0], axes[1]), fit=fit)
    fine = [np.linspace(a[0], a[-1], (points - 1) * FINER + 1) for a in axes]
    heights = _interpolated(axes, surface, fine)
    best = (fit.parameters[first], fit.parameters[second])
    found = []
    for level in LEVELS:
        threshold = float(chi2.ppf(0.682689492 if level == LEVELS[0] else level, 2))
        lines: Any = contourpy.contour_generator(fine[0], fine[1], heights.T).lines(threshold)
        edges = tuple(tuple((float(x), float(y)) for x, y in line) for line in lines)
        found.append(Contour((first, second), level, _area(fine, heights, threshold), edges, best))
    return tuple(found)


def _interpolated(axes: Sequence[FloatArray], surface: FloatArray, fine: Sequence[FloatArray]) -> FloatArray:
    """Interpolate the square root of the surface's finite part, which is nearly straight far from the minimum."""
    finite = np.where(np.isfinite(surface), surface, np.nanmax(np.where(np.isfinite(surface), surface, np.nan)))
    spline = RectBivariateSpline(axes[0], axes[1], finite, kx=3, ky=3, s=0.0)
    return np.asarray(spline(fine[0], fine[1]))


def _area(fine: Sequence[FloatArray], heights: FloatArray, threshold: float) -> float:
    """Add up the parts of the cells below a threshold, each by the mean of its corners."""
    inside = np.clip(0.5 + (threshold - heights) / np.maximum(_rise(heights), 1e-12), 0.0, 1.0)
    weights = [np.gradient(a) * np.where((np.arange(len(a)) == 0) | (np.arange(len(a)) == len(a) - 1), 0.5, 1.0) for a in fine]
    return float(weights[0] @ inside @ weights[1])


def _rise(heights: FloatArray) -> FloatArray:
    """Return by how much the surface rises across a cell, for the share of a cell that the edge cuts."""
    along = np.gradient(heights)
    return np.asarray(np.abs(along[0]) + np.abs(along[1]))
