"""Test a learned change of a density on events that did not train it, and scale it to what they confirm.

A network estimates f = ln(varied/nominal density) of a process. Every simulated event is known twice, with its nominal and with its varied
observables (a pair). A logistic regression finds the a and b for which a f + b tells varied from nominal observables best. a = 1: f is
right on average. a = 0: f is noise. Because both sides are the same event, an event that the variation does not move cancels, and the
error of a is small.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolkit.typing import FloatArray

STEPS = 50
TOLERANCE = 1e-10
ROUNDING = 1e-12
"""An estimate that varies by less, relative to its size, is constant."""
LARGEST_SLOPE = 3.0
"""A network that must be stretched by more than this was not trained."""


@dataclass(frozen=True)
class PairCalibration:
    """What events that did not train say about an estimate f = ln(varied/nominal density) of one process.

    Attributes:
        slope: a, the factor of f that describes the events best.
        error: Its standard error from the finite simulation.
        offset: b for which a f + b is normalised: the mean of exp(a f + b) over nominal events is 1.
        separation: sqrt(nu Var(a f)) over nominal events, nu their expected number: no parameter of a fit to this process alone moves by
            more than this many of its standard deviations per unit of alpha, if the change of shape is left out.

    Examples:
        >>> found = PairCalibration(slope=-0.2, error=0.1, offset=0.0, separation=0.5)
        >>> found.applied, found.significance
        (0.0, -2.0)
    """

    slope: float
    error: float
    offset: float
    separation: float

    @property
    def applied(self) -> float:
        """The slope as it is applied: never negative, and never above `LARGEST_SLOPE`."""
        return min(max(self.slope, 0.0), LARGEST_SLOPE)

    @property
    def significance(self) -> float:
        """Slope over its error: how sure it is that the estimate is more than noise."""
        return self.slope / self.error if self.error > 0.0 else 0.0


def calibrate_pairs(
    nominal: FloatArray, varied: FloatArray, *, nominal_weights: FloatArray, varied_weights: FloatArray, fixed: bool = False
) -> PairCalibration:
    """Find the slope of one process.

    Args:
        nominal: f at the nominal observables of every event, (n,).
        varied: f at the varied ones, (n,).
        nominal_weights: Expected events under nominal conditions, (n,); the sums of both weights must be positive.
        varied_weights: The same under varied ones.
        fixed: Report slope and error but take the estimate as it is (a = 1) for offset and separation.

    Returns:
        Slope, its error, offset and separation. An estimate that is constant has slope 0.

    Notes:
        The error is the sandwich estimate with one term per pair. It is too small where a few events carry the weight.

    Examples:
        >>> rng = np.random.default_rng(1)
        >>> x = rng.normal(size=200_000)
        >>> f = 0.02 * x - 0.0002                     # the exact log ratio of a Gaussian that moves by 0.02
        >>> w = np.full(len(x), 0.01)
        >>> found = calibrate_pairs(f, f + 0.0004, nominal_weights=w, varied_weights=w)
        >>> round(found.slope, 1), bool(found.error < 0.01), round(found.separation / 0.02 / 2000**0.5, 2)
        (1.0, True, 1.0)
    """
    w0, w1 = nominal_weights / nominal_weights.sum(), varied_weights / varied_weights.sum()
    # Slope and offset of a regression on f itself are almost collinear where f is small: centred and scaled, Newton's steps stay stable.
    centre = float(w0 @ nominal)
    spread = float(np.sqrt(max(w0 @ (nominal - centre) ** 2, 0.0)))
    if spread <= ROUNDING * abs(centre):
        return PairCalibration(0.0, 0.0, -centre, 0.0)
    slope, error = _regression((nominal - centre) / spread, (varied - centre) / spread, w0, w1)
    slope, error = slope / spread, error / spread
    used = 1.0 if fixed else PairCalibration(slope, error, 0.0, 0.0).applied
    offset = -float(np.log(w0 @ np.exp(used * nominal)))
    return PairCalibration(slope, error, offset, float(used * spread * np.sqrt(nominal_weights.sum())))


def _regression(u0: FloatArray, u1: FloatArray, w0: FloatArray, w1: FloatArray) -> tuple[float, float]:
    """Minimise sum w0 ln(1 + exp h(u0)) + sum w1 ln(1 + exp -h(u1)) of h = a u + b; return a and its error."""
    theta = np.zeros(2)
    x0, x1 = (np.stack([u, np.ones_like(u)], axis=1) for u in (u0, u1))
    for _ in range(STEPS):
        p0, p1 = (0.5 * (1.0 + np.tanh(0.5 * (x @ theta))) for x in (x0, x1))
        scores = x0 * (w0 * p0)[:, None] - x1 * (w1 * (1.0 - p1))[:, None]
        hessian = (x0 * (w0 * p0 * (1.0 - p0))[:, None]).T @ x0 + (x1 * (w1 * p1 * (1.0 - p1))[:, None]).T @ x1
        step = np.linalg.solve(hessian, scores.sum(axis=0))
        theta = theta - step
        if np.abs(step).max() < TOLERANCE:
            break
    # Sandwich: `scores` has one row per pair, both sides summed first, so that what both sides share cancels.
    inverse = np.linalg.inv(hessian)
    return float(theta[0]), float(np.sqrt((inverse @ (scores.T @ scores) @ inverse)[0, 0]))
