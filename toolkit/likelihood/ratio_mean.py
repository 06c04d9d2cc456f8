"""E_ref[r(x; theta)] = 1: the mean of a density ratio over the reference, measured at every theta and divided out.

A network keeps it up to its error. What it misses moves the likelihood by twice the number of events times its logarithm, so that a
per cent in 1000 events is 20 units: it is measured on events that neither train nor are fitted, and the ratio is divided by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.likelihood.theta_series import Evaluate, ThetaAxis, ThetaSeries, grid
from toolkit.typing import FloatArray

NODES = {1: 32, 2: 12}
"""Degree of the grid at which the mean is measured, by the number of components of theta."""


@dataclass(frozen=True, eq=False)
class RatioMean:
    """Mean of a density ratio over the reference at points of theta.

    Attributes:
        points: Points, (n_points, n_components).
        mean: E_ref[r], (n_points,); 1 for a ratio that is normalised.
        error: Its standard error from the finite number of events, (n_points,).

    Examples:
        >>> mean = RatioMean.of([[0.0], [1.0], [2.0]], [1.0, 1.0, 1.0], [0.01, 0.01, 0.01])
        >>> mean.series([ThetaAxis("mu", 0.0, 2.0)]).at([0.5]).round(9).tolist()
        [0.0]
    """

    points: FloatArray
    mean: FloatArray
    error: FloatArray

    @classmethod
    def of(cls, points: ArrayLike, mean: ArrayLike, error: ArrayLike) -> RatioMean:
        """Check the shapes and the signs of a table.

        Raises:
            ShapeError: Arrays of different length.
            PhysicsDomainError: A mean that is not positive.
        """
        p, m, e = (np.asarray(a, dtype=np.float64) for a in (points, mean, error))
        if p.ndim != 2 or m.shape != (len(p),) or e.shape != m.shape or not len(p):
            raise ShapeError(
                "means of a ratio", got=f"{p.shape}, {m.shape}, {e.shape}", expected="(n_points, n_components), (n_points,) twice"
            )
        if not np.all(np.isfinite(m) & (m > 0.0)):
            worst = int(np.argmin(np.where(np.isfinite(m), m, -np.inf)))
            raise PhysicsDomainError(f"mean of the ratio at theta = {p[worst].tolist()}", got=float(m[worst]), expected="> 0")
        return cls(p, m, e)

    @classmethod
    def measure(cls, evaluate: Evaluate, weights: FloatArray, axes: Sequence[ThetaAxis]) -> RatioMean:
        """Measure the mean on events.

        Args:
            evaluate: Gives log r of all events, (n_events,), at one point.
            weights: Their weights under the reference, any normalisation, (n_events,). They are neither training events of the
                networks that are evaluated nor events of the fit.
            axes: Range of theta.

        Returns:
            The means at the nodes of the range.

        Raises:
            PhysicsDomainError: The weights have no positive sum, or a mean is not positive.

        Examples:
            >>> mean = RatioMean.measure(lambda theta: np.log([0.5, 1.5]) * theta[0], np.ones(2), [ThetaAxis("mu", 0.0, 1.0)])
            >>> mean.mean[[0, -1]].tolist(), mean.error[-1].round(3)
            ([1.0, 1.0], np.float64(0.354))
        """
        total = float(weights.sum())
        if not total > 0.0:
            raise PhysicsDomainError("reference weights", got=f"a sum of {total:g}", expected="> 0")
        points = grid(axes, (NODES[len(axes)],) * len(axes))
        mean, error = np.empty(len(points)), np.empty(len(points))
        for k, point in enumerate(points):
            r = np.exp(evaluate(point))
            mean[k] = float(weights @ r) / total
            error[k] = float(np.sqrt(np.sum((weights * (r - mean[k])) ** 2))) / total
        return cls.of(points, mean, error)

    @property
    def largest(self) -> float:
        """The largest |ln E_ref[r]|."""
        return float(np.max(np.abs(np.log(self.mean))))

    def series(self, axes: Sequence[ThetaAxis]) -> ThetaSeries:
        """Interpolate ln E_ref[r] over theta, as a series of one row.

        The degree is about twice the root of the number of values along an axis, for which polynomials through any nodes are stable.

        Raises:
            SchemaError: Other components than those of the axes, or points that do not reach the ends of the range.
        """
        if self.points.shape[1] != len(axes):
            raise SchemaError("means of a ratio", got=f"{self.points.shape[1]} components", expected=f"{[a.name for a in axes]}")
        own = []
        for k, axis in enumerate(axes):
            low, high = float(self.points[:, k].min()), float(self.points[:, k].max())
            if low > axis.low or high < axis.high:
                what = f"means of a ratio along {axis.name}"
                raise SchemaError(
                    what, got=f"from {low:g} to {high:g}", expected=f"{axis.low:g} to {axis.high:g}", remedy="measure the whole range"
                )
            own.append(replace(axis, low=low, high=high))
        along = [len(np.unique(self.points[:, k])) for k in range(len(axes))]
        degrees = tuple(max(min(n - 1, int(2.5 * np.sqrt(n))), 0) for n in along)
        return ThetaSeries.through(own, self.points, np.log(self.mean)[None, :], degrees=degrees)

    def to_json(self) -> dict[str, Any]:
        """Return the object of a workspace document."""
        return {"points": self.points.tolist(), "mean": self.mean.tolist(), "error": self.error.tolist()}
