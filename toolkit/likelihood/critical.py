"""Critical values of a test statistic from toys, as a smooth function of the parameter with errors.

The critical value at a parameter value is the quantile of the toys' t there. Between grid points it is interpolated: by a
smoothing spline whose strength follows from the known statistical errors, or by straight lines where the distribution is
discrete and the true curve jumps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.typing import FloatArray

PENALTIES = 10.0 ** np.arange(-8.0, 4.01, 0.5)
"""Strengths of the smoothing that are compared; the coordinate runs from 0 to 1."""
MIN_SMOOTH_POINTS = 5


@dataclass(frozen=True, eq=False)
class CriticalCurve:
    """Critical values against one parameter.

    Attributes:
        parameter: Its name.
        level: Confidence level, in (0, 1).
        points: Grid points, (n_points,), increasing.
        values: Critical values from the toys of each point alone, (n_points,).
        errors: Their standard errors from the finite number of toys, (n_points,).
        low: Lower end of the allowed range.
        root: Whether the curve is smooth in sqrt(parameter - low) rather than in the parameter.
        penalty: Strength of the smoothing; None interpolates with straight lines.

    Examples:
        >>> curve = CriticalCurve("mu", 0.683, np.array([0.0, 1.0]), np.array([0.5, 1.0]), np.array([0.02, 0.02]))
        >>> curve([0.0, 0.5, 1.0]), round(float(curve.error(0.5)), 4)
        (array([0.5 , 0.75, 1.  ]), 0.0141)
    """

    parameter: str
    level: float
    points: FloatArray
    values: FloatArray
    errors: FloatArray
    low: float = 0.0
    root: bool = False
    penalty: float | None = None

    def __post_init__(self) -> None:
        shapes = {a.shape for a in (self.points, self.values, self.errors)}
        if len(shapes) != 1 or self.points.ndim != 1 or len(self.points) < 2 or np.any(np.diff(self.points) <= 0.0):
            what = f"critical values of {self.parameter!r}"
            raise ShapeError(what, got=f"arrays of shapes {sorted(shapes)}", expected="(n_points,) each, at increasing points, at least 2")

    def __call__(self, at: ArrayLike) -> FloatArray:
        """Interpolate the critical value, at an array of parameter values, of the same shape.

        Raises:
            PhysicsDomainError: Outside the grid.
        """
        where = np.asarray(at, dtype=np.float64)
        return np.asarray((self._weights(where.ravel()) @ self.values).reshape(where.shape))

    def error(self, at: ArrayLike) -> FloatArray:
        """Propagate the errors of the grid points to parameter values."""
        where = np.asarray(at, dtype=np.float64)
        return np.asarray(np.sqrt(self._weights(where.ravel()) ** 2 @ self.errors**2).reshape(where.shape))

    @property
    def chi2(self) -> float:
        """Squared distances of the values to the curve in units of their errors: about the number of points left free."""
        present = self.errors > 0.0
        return float(np.sum(((self.values - self(self.points))[present] / self.errors[present]) ** 2))

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, with the curve at the grid points for readers that do not interpolate."""
        return {
            "level": self.level,
            "points": self.points.tolist(),
            "values": self.values.tolist(),
            "errors": self.errors.tolist(),
            "curve": self(self.points).tolist(),
            "curve_errors": self.error(self.points).tolist(),
            "low": self.low,
            "root": self.root,
            "penalty": self.penalty,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, parameter: str) -> CriticalCurve:
        """Read what `to_json` wrote."""
        points, values, errors = (np.asarray(document[name], dtype=np.float64) for name in ("points", "values", "errors"))
        level, low, penalty = document["level"], document["low"], document["penalty"]
        return cls(parameter, level, points, values, errors, low=low, root=document["root"], penalty=penalty)

    def _coordinate(self, values: FloatArray) -> FloatArray:
        shifted = values - self.low
        x = np.sqrt(np.maximum(shifted, 0.0)) if self.root else shifted
        return np.asarray(x, dtype=np.float64)

    @cached_property
    def _grid(self) -> FloatArray:
        return self._coordinate(self.points)

    @cached_property
    def _spline(self) -> CubicSpline:
        """The curve as a function of the values: a spline for each unit vector of values."""
        x = (self._grid - self._grid[0]) / (self._grid[-1] - self._grid[0])
        return CubicSpline(self._grid, influence(x, self.errors, self.penalty or 0.0), bc_type="natural")

    def _weights(self, at: FloatArray) -> FloatArray:
        """Return how the curve at values (n,) depends on the critical values, (n, n_points)."""
        margin = 1e-9 * (self.points[-1] - self.points[0])
        if len(at) and not (self.points[0] - margin <= at.min() and at.max() <= self.points[-1] + margin):
            what = f"critical value of {self.parameter!r}"
            raise PhysicsDomainError(
                what,
                got=f"values from {at.min():g} to {at.max():g}",
                expected=f"values in [{self.points[0]:g}, {self.points[-1]:g}]",
                remedy="make the construction on a wider grid",
            )
        x = np.clip(self._coordinate(at), self._grid[0], self._grid[-1])
        if self.penalty is not None:
            return np.asarray(self._spline(x))
        left = np.clip(np.searchsorted(self._grid, x, side="right") - 1, 0, len(self._grid) - 2)
        share = (x - self._grid[left]) / (self._grid[left + 1] - self._grid[left])
        weights, rows = np.zeros((len(x), len(self._grid))), np.arange(len(x))
        weights[rows, left], weights[rows, left + 1] = 1.0 - share, share
        return weights


def critical_curve(
    points: ArrayLike,
    statistics: Sequence[ArrayLike],
    *,
    level: float,
    parameter: str = "mu",
    low: float = 0.0,
    root: bool = False,
    smooth: bool = True,
) -> CriticalCurve:
    """Find the critical values from the test statistics of toys.

    Args:
        points: Grid points, (n_points,), increasing.
        statistics: t of the toys of each point, each (n_toys,).
        level: Confidence level.
        parameter: Name of the parameter.
        low: Lower end of its allowed range.
        root: Whether the likelihood is smooth in sqrt(parameter - low).
        smooth: Smooth over the grid; leave out for discrete data, where the true curve jumps.

    Returns:
        The curve.

    Raises:
        SchemaError: Too few toys for the level.

    Examples:
        >>> toys = np.random.default_rng(1).chisquare(1, size=(3, 4000))
        >>> curve = critical_curve([0.0, 1.0, 2.0], toys, level=0.6827)
        >>> bool(np.all(np.abs(curve.values - 1.0) < 4.0 * curve.errors))
        True
    """
    grid = np.asarray(points, dtype=np.float64)
    found = np.array([critical_value(t, level=level) for t in statistics])
    values, errors = found.T
    x = np.sqrt(grid - low) if root else grid - low
    x = (x - x[0]) / (x[-1] - x[0])
    if not smooth or len(grid) < MIN_SMOOTH_POINTS:
        return CriticalCurve(parameter, level, grid, values, errors, low=low, root=root)
    errors = smooth_errors(x, errors)
    penalty = choose_penalty(x, values, errors)
    return CriticalCurve(parameter, level, grid, values, errors, low=low, root=root, penalty=penalty)


def critical_value(statistics: ArrayLike, *, level: float) -> tuple[float, float]:
    """Find the value that a fraction `level` of the test statistics does not exceed.

    Args:
        statistics: t of the toys, (n_toys,).
        level: Confidence level.

    Returns:
        The order statistic number ceil(level (n + 1)): one more toy is at most that with a probability of at least `level`,
        whatever the distribution; and its standard error, from the order statistics one binomial deviation away.

    Raises:
        SchemaError: Too few toys: 1 - level is less than the probability that one toy stands for.

    Examples:
        >>> critical_value(np.arange(1.0, 100.0), level=0.95)[0]
        95.0
    """
    t = np.sort(np.asarray(statistics, dtype=np.float64))
    n = len(t)
    rank = math.ceil(level * (n + 1) - 1e-9)
    if not 0.0 < level < 1.0 or rank > n:
        what = f"critical value at level {level}"
        raise SchemaError(
            what, got=f"{n} toys", expected=f"a level in (0, 1) and more than {level / (1 - level) if level < 1 else math.inf:.0f} toys"
        )
    deviation = math.sqrt(n * level * (1.0 - level))
    below, above = np.clip([rank - deviation, rank + deviation], 1.0, n)
    around = np.interp([below, above], np.arange(1.0, n + 1.0), t)
    return float(t[rank - 1]), float((around[1] - around[0]) / (above - below) * deviation) if above > below else 0.0


def smooth_errors(x: FloatArray, errors: FloatArray) -> FloatArray:
    """Replace errors (n,) by a parabola through their logarithms against x (n,).

    The error of a quantile is estimated from few toys and moves with the quantile; weights made from it would pull a
    smoothed curve down.

    Examples:
        >>> smooth_errors(np.array([0.0, 0.25, 0.5, 0.75, 1.0]), np.array([0.1, 0.1, 0.1, 0.1, 0.1])).round(9)
        array([0.1, 0.1, 0.1, 0.1, 0.1])
    """
    typical = float(np.median(errors[errors > 0.0])) if np.any(errors > 0.0) else 0.0
    if typical == 0.0:
        return errors
    logs = np.log(np.maximum(errors, 0.1 * typical))
    return np.asarray(np.exp(np.polynomial.Polynomial.fit(x, logs, 2)(x)))


def influence(x: FloatArray, errors: FloatArray, penalty: float) -> FloatArray:
    """Compute the matrix that turns values into a natural cubic smoothing spline at the same points.

    Args:
        x: Abscissae from 0 to 1, (n,), increasing.
        errors: Standard errors of the values, (n,).
        penalty: Strength lambda.

    Returns:
        H (n, n) such that H y minimises sum ((y - g) / errors)^2 + lambda / typical error^2 times the integral of g''^2.

    References:
        Green, Silverman, Nonparametric regression and generalized linear models (1994), section 2.3.

    Examples:
        A straight line has no curvature: no smoothing changes it.

        >>> x = np.linspace(0.0, 1.0, 5)
        >>> (influence(x, np.full(5, 0.1), 100.0) @ (1.0 + x)).round(9)
        array([1.  , 1.25, 1.5 , 1.75, 2.  ])
    """
    n, step = len(x), np.diff(x)
    if penalty == 0.0 or not np.all(errors > 0.0):
        return np.eye(n)
    # Q takes second differences, R is the Gram matrix of the hat functions: Q R^-1 Q^T is the integral of g''^2 as a form in the values.
    q, r = np.zeros((n, n - 2)), np.zeros((n - 2, n - 2))
    for j in range(n - 2):
        q[j : j + 3, j] = 1.0 / step[j], -1.0 / step[j] - 1.0 / step[j + 1], 1.0 / step[j + 1]
        r[j, j] = (step[j] + step[j + 1]) / 3.0
        if j + 1 < n - 2:
            r[j, j + 1] = r[j + 1, j] = step[j + 1] / 6.0
    roughness = q @ np.linalg.solve(r, q.T)
    weights = (np.median(errors) / errors) ** 2
    return np.asarray(np.linalg.solve(np.diag(weights) + penalty * roughness, np.diag(weights)))


def choose_penalty(x: FloatArray, values: FloatArray, errors: FloatArray) -> float:
    """Choose the smoothing with the smallest estimate of the risk: chi2 + 2 trace(H), as the errors are known (Mallows).

    Examples:
        Values that scatter around a line are smoothed as much as is allowed:

        >>> x = np.linspace(0.0, 1.0, 6)
        >>> bool(choose_penalty(x, 1.0 + 0.01 * np.array([1.0, -1.0, 1.0, -1.0, 1.0, -1.0]), np.full(6, 0.01)) == PENALTIES[-1])
        True
    """
    if not np.all(errors > 0.0):
        return 0.0
    risks = []
    for penalty in PENALTIES:
        h = influence(x, errors, float(penalty))
        risks.append(float(np.sum(((values - h @ values) / errors) ** 2) + 2.0 * np.trace(h)))
    return float(PENALTIES[int(np.argmin(risks))])
