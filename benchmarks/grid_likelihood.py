"""The extended likelihood of any estimator that gives log p(x|mu) / p_ref(x): on a grid of mu, interpolated, with bootstrap.

The grid is uniform in sqrt(mu), so fine near 0, and -2 ln L is smooth in sqrt(mu): cubic splines through its values are minimised.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from toolkit.ratios.estimators.combination import combine_log_ratios
from toolkit.typing import FloatArray
from toolkit.weights.hypotheses import Hypotheses

NODES = 37
FINE = 3001
BLOCK = 8192


@dataclass(frozen=True, eq=False)
class GridLikelihood:
    """-2 ln L(mu) of events from log densities on a grid.

    Attributes:
        roots: sqrt(mu) of the grid, (n_nodes,).
        log_density: log nu(mu) p(x|mu) / p_ref(x), (n_events, n_nodes).
        expected: nu(mu), (n_nodes,).
        n_floored: Events whose ratio is at the floor somewhere.
    """

    roots: FloatArray
    log_density: FloatArray
    expected: FloatArray
    n_floored: int = 0

    @classmethod
    def build(cls, model: Any, x: FloatArray, hypotheses: Hypotheses, *, floor: float) -> GridLikelihood:
        """Evaluate a model on the grid; what does not depend on mu is computed once.

        Args:
            model: With `log_ratio(x, mu)`, or `log_ratios(x)` of the processes.
            x: Observables, (n_events, n_features).
            hypotheses: Range of mu and yields.
            floor: Smallest ratio over the reference.
        """
        low, high = hypotheses.ranges[0]
        roots = np.linspace(low**0.5, high**0.5, NODES)
        mu = np.clip(roots**2, low, high)
        expected = np.array([hypotheses.expected(m) for m in mu])
        log_density, floored = np.empty((len(x), NODES)), np.zeros(len(x), dtype=bool)
        evaluate = _evaluator(model, x, hypotheses, floor)
        for k, m in enumerate(mu):
            log_r = np.maximum(evaluate(float(m)), np.log(floor))
            floored |= log_r <= np.log(floor)
            log_density[:, k] = log_r + np.log(expected[k])
        return cls(roots, log_density, expected, int(floored.sum()))

    def normalised(self, calibration: GridLikelihood, weights: FloatArray) -> GridLikelihood:
        """Divide by E_ref[r] on calibration events with these reference weights, at every point of the grid."""
        r = np.exp(calibration.log_density - np.log(calibration.expected))
        return GridLikelihood(self.roots, self.log_density - np.log(weights @ r / weights.sum()), self.expected)

    def curve(self, weights: FloatArray) -> FloatArray:
        """Compute -2 ln L on the grid for event weights (n_events,) or (n_events, n_replicas); returns (n_nodes, ...)."""
        sums = weights.T @ self.log_density
        return np.asarray(2.0 * (self.expected - sums).T)

    def fit(self, weights: FloatArray) -> tuple[float, float]:
        """Return the best fit of mu, and -2 ln lambda(0)."""
        spline = CubicSpline(self.roots, self.curve(weights))
        best = float(self._lowest(spline)[0])
        return best**2, float(spline(0.0) - spline(best))

    def bootstrap(self, weights: FloatArray, *, replicas: int, seed: int) -> float:
        """Return the standard deviation of the best fit over Poisson replicas of the events."""
        generator = np.random.default_rng(seed)
        curves = np.tile(2.0 * self.expected[:, None], (1, replicas))
        for start in range(0, len(weights), BLOCK):
            rows = slice(start, min(start + BLOCK, len(weights)))
            draw = generator.poisson(1.0, size=(rows.stop - rows.start, replicas)) * weights[rows, None]
            curves -= 2.0 * self.log_density[rows].T @ draw
        return float(np.std(self._lowest(CubicSpline(self.roots, curves)) ** 2, ddof=1))

    def _lowest(self, spline: CubicSpline) -> FloatArray:
        fine = np.linspace(self.roots[0], self.roots[-1], FINE)
        values = np.asarray(spline(fine)).reshape(FINE, -1)
        return np.asarray(fine[np.argmin(values, axis=0)])


def _evaluator(model: Any, x: FloatArray, hypotheses: Hypotheses, floor: float) -> Callable[[float], FloatArray]:
    if hasattr(model, "log_ratios"):
        processes = model.log_ratios(x)
        return lambda mu: combine_log_ratios(processes, hypotheses, mu, floor=floor)
    return lambda mu: np.asarray(model.log_ratio(x, mu))
