"""Fit of one toy with nuisance parameters: quasi-Newton descents that start from curvatures known beforehand.

What to use when: `Likelihood.fit` for a result; `fit_on_grid` for toys with one free parameter; `fit_profiled` for thousands of toys
with nuisance parameters. All three move in the coordinate in which the likelihood is smooth (sqrt(mu) with interference) and look for
several minima. This one never asks for second derivatives: toys of one parameter point have nearly the same ones, so a `Guide` holds
them at a few values of the parameter of interest, and every toy corrects them from its own gradients (BFGS with bounds).

A toy costs some twenty evaluations of value and gradient: the conditional fit, one look at each grid value, where the guide predicts
value and slope of the profile, and one descent for each minimum that the prediction shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.coordinates import FreeCoordinates, nearest_above
from toolkit.typing import BoolArray, FloatArray

GRID_POINTS = 11
"""Values of the parameter of interest at which a guide knows the curvatures and a toy looks for minima."""
DONE = 1e-9
"""A descent is over when the next step would lower twice_nll by less."""
STEPS = 60
LONGEST = 0.5
"""Longest step, in units of the range of each coordinate."""


@dataclass(frozen=True, eq=False)
class Guide:
    """Second derivatives of a typical toy of one parameter point.

    Attributes:
        theta: The point, all parameters, (n_parameters,).
        at: Coordinates of the parameter of interest, (n_grid,), from the lower to the upper end of its range.
        hessians: Second derivatives in the free coordinates, (n_grid, n_free, n_free), positive definite.
    """

    theta: FloatArray
    at: FloatArray
    hessians: FloatArray

    @classmethod
    def of(cls, likelihood: Likelihood, theta: Mapping[str, float], *, poi: str, points: int = GRID_POINTS) -> Guide:
        """Compute the second derivatives along the parameter of interest, the others as in theta.

        Args:
            likelihood: Likelihood of a typical toy.
            theta: Parameter point of the toys.
            poi: Parameter of interest, free, with a finite range.
            points: Grid values.

        Returns:
            The guide. Where the likelihood does not know its second derivatives they come from differences of its gradient.
        """
        space = FreeCoordinates.of(likelihood, {})
        full, k = likelihood.point(theta), space.names.index(poi)
        start = np.clip(space.inward(full[space.free]), space.low, space.high)
        at = np.linspace(space.low[k], space.high[k], points)
        hessians = []
        for x in at:
            trial = start.copy()
            trial[k] = x
            with np.errstate(invalid="ignore"):  # at the edge where a derivative diverges; the coordinates replace that row
                exact = space.hessian(trial)
            rows = exact if exact is not None else np.stack([space.row(trial, i) for i in range(len(trial))])
            hessians.append(_positive(0.5 * (rows + rows.T)))
        return cls(full, at, np.array(hessians))

    def near(self, x: float) -> FloatArray:
        """Return the second derivatives at the nearest grid value, (n_free, n_free)."""
        return np.asarray(self.hessians[int(np.argmin(np.abs(self.at - x)))])


@dataclass(frozen=True)
class ToyFit:
    """Outcome of a fast fit with nuisance parameters.

    Attributes:
        parameters: Best fit of all parameters, (n_parameters,).
        twice_nll: Value there.
        conditional: The same with the parameter of interest at the value tested.
        conditional_twice_nll: Value there.
        at_boundary: Whether the best fit of the parameter of interest is an end of its range.
        converged: Whether all descents ended at a minimum, and no forbidden point was met that may hide another.
        n_evaluations: Evaluations of value and gradient.
    """

    parameters: FloatArray
    twice_nll: float
    conditional: FloatArray
    conditional_twice_nll: float
    at_boundary: bool
    converged: bool
    n_evaluations: int

    @property
    def t(self) -> float:
        """-2 ln of the likelihood ratio between the value tested and the best fit, >= 0."""
        return max(self.conditional_twice_nll - self.twice_nll, 0.0)


def fit_profiled(likelihood: Likelihood, guide: Guide, *, poi: str, test: float) -> ToyFit:
    """Find the global minimum of a toy, and the one with the parameter of interest held.

    Args:
        likelihood: Likelihood of the toy.
        guide: Second derivatives of toys of that parameter point.
        poi: Parameter of interest.
        test: The value that is tested.

    Returns:
        Both fits; the best of all minima that the profile shows on the grid, between its points, and at the ends of the range.
    """
    descent = _Descent.of(likelihood, poi)
    k, rest = descent.k, descent.rest
    begin = descent.clip(descent.space.inward(guide.theta[descent.space.free]))
    begin[k] = descent.inward(test)
    held = descent.run(begin, guide.near(begin[k]), free=rest)
    found = [descent.run(start, guide.near(start[k]), free=np.ones_like(rest)) for start in _starts(descent, guide, held)]
    best = min([*found, held], key=lambda m: m.value)
    low, high = descent.space.low[k], descent.space.high[k]
    return ToyFit(
        parameters=descent.outward(best.at),
        twice_nll=best.value,
        conditional=descent.outward(held.at),
        conditional_twice_nll=held.value,
        at_boundary=best.at[k] in (low, high),
        converged=held.converged and all(m.converged for m in found) and not descent.met_forbidden,
        n_evaluations=descent.n_evaluations,
    )


def _starts(descent: _Descent, guide: Guide, held: _Minimum) -> list[FloatArray]:
    """Look at the grid, predict the profile by one Newton step in the other parameters, and return where it has minima."""
    k, rest = descent.k, descent.rest
    x = np.unique(np.append(guide.at, held.at[k]))
    heights, slopes, points = np.empty(len(x)), np.empty(len(x)), np.tile(held.at, (len(x), 1))
    for i, value in enumerate(x):
        points[i, k] = value
        height, gradient = descent.evaluate(points[i])
        hessian = guide.near(value)
        step = np.zeros(len(held.at))
        step[rest] = -np.linalg.solve(hessian[np.ix_(rest, rest)], gradient[rest])
        heights[i] = height + 0.5 * float(gradient @ step)
        slopes[i] = gradient[k] + float(hessian[k, rest] @ step[rest])
        points[i] = descent.clip(points[i] + step)
    starts = [points[i] for i in (0, len(x) - 1) if (slopes[i] >= 0.0) == (i == 0)]
    for i in np.flatnonzero((slopes[:-1] < 0.0) & (slopes[1:] > 0.0)).tolist():
        share = slopes[i] / (slopes[i] - slopes[i + 1])
        starts.append((1.0 - share) * points[i] + share * points[i + 1])
    return starts or [points[int(np.argmin(heights))]]


@dataclass(frozen=True)
class _Minimum:
    """Where a descent ended."""

    at: FloatArray
    value: float
    converged: bool


@dataclass
class _Descent:
    """Value and gradient of a likelihood in its free coordinates, and descents in them."""

    likelihood: Likelihood
    space: FreeCoordinates
    k: int
    n_evaluations: int = 0
    met_forbidden: bool = False

    @classmethod
    def of(cls, likelihood: Likelihood, poi: str) -> _Descent:
        space = FreeCoordinates.of(likelihood, {})
        return cls(likelihood, space, space.names.index(poi))

    @property
    def rest(self) -> BoolArray:
        """Which coordinates are not that of the parameter of interest, (n_free,)."""
        out: BoolArray = np.ones(len(self.space.free), dtype=np.bool_)
        out[self.k] = False
        return out

    def inward(self, value: float) -> float:
        """Turn a value of the parameter of interest into its coordinate."""
        p = self.likelihood.parameters[self.space.free[self.k]]
        return float(np.sqrt(max(value - p.low, 0.0))) if self.space.root[self.k] else value

    def outward(self, at: FloatArray) -> FloatArray:
        """Turn coordinates (n_free,) into a full parameter point (n_parameters,)."""
        return np.asarray(self.space.points(at[None, :])[0])

    def clip(self, at: FloatArray) -> FloatArray:
        """Move coordinates into their ranges."""
        return np.clip(at, self.space.low, self.space.high)

    def evaluate(self, at: FloatArray) -> tuple[float, FloatArray]:
        """Evaluate value and derivatives by the coordinates (n_free,); at a root's zero the limit from above."""
        self.n_evaluations += 1
        root, inside = self.space.root, at.copy()
        for i in np.flatnonzero(root):
            inside[i] = max(inside[i], nearest_above(self.likelihood.parameters[self.space.free[i]].low))
        value, slopes = self.likelihood.value_and_gradient(self.outward(inside))
        self.met_forbidden |= not np.isfinite(value)
        return value, np.where(root, 2.0 * inside, 1.0) * slopes[self.space.free]

    def run(self, start: FloatArray, hessian: FloatArray, *, free: BoolArray) -> _Minimum:
        """Descend from a start, moving only the coordinates that are free; ends of ranges hold those that push against them."""
        at, metric = self.clip(start), hessian.copy()
        value, gradient = self.evaluate(at)
        for _ in range(STEPS):
            held = ((at <= self.space.low) & (gradient >= 0.0)) | ((at >= self.space.high) & (gradient <= 0.0))
            active = free & ~held
            if not active.any():
                return _Minimum(at, value, converged=True)
            step = np.zeros(len(at))
            step[active] = -np.linalg.solve(metric[np.ix_(active, active)], gradient[active])
            if -0.5 * float(gradient @ step) < DONE:
                return _Minimum(at, value, converged=True)
            step *= min(1.0, LONGEST / float(np.max(np.abs(step) / self.space.widths())))
            moved = self._shorten(at, value, gradient, step)
            if moved is None:
                return _Minimum(at, value, converged=-0.5 * float(gradient @ step) < 1e3 * DONE)
            trial, value, slopes = moved
            metric = _corrected(metric, trial - at, slopes - gradient)
            at, gradient = trial, slopes
        return _Minimum(at, value, converged=False)

    def _shorten(self, at: FloatArray, value: float, gradient: FloatArray, step: FloatArray) -> tuple[FloatArray, float, FloatArray] | None:
        """Shorten a step until the value falls as it should (Armijo); None if it never does."""
        for _ in range(12):
            trial = self.clip(at + step)
            expected = float(gradient @ (trial - at))
            new, slopes = self.evaluate(trial)
            if new <= value + 1e-4 * expected:
                return trial, new, slopes
            step = step * max(0.1, min(0.5, -0.5 * expected / max(new - value - expected, 1e-300)))
        return None


def _corrected(metric: FloatArray, moved: FloatArray, change: FloatArray) -> FloatArray:
    """Correct second derivatives (n, n) by the change (n,) of the gradient over a step (n,): BFGS, damped so that they stay positive.

    References:
        Powell, Math. Programming 14 (1978) 224; Nocedal, Wright, Numerical Optimization (2006), procedure 18.2.
    """
    pushed = metric @ moved
    bend, seen = float(moved @ pushed), float(moved @ change)
    if not bend > 0.0:
        return metric
    if seen < 0.2 * bend:
        share = 0.8 * bend / (bend - seen)
        change = share * change + (1.0 - share) * pushed
        seen = float(moved @ change)
    return np.asarray(metric + np.outer(change, change) / seen - np.outer(pushed, pushed) / bend)


def _positive(hessian: FloatArray) -> FloatArray:
    """Take the absolute values of all curvatures, none smaller than a thousandth of the scale of its own coordinates."""
    scale = np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1e-12))
    curvatures, axes = np.linalg.eigh(hessian / scale[:, None] / scale)
    sizes = np.maximum(np.abs(curvatures), 1e-3)
    return np.asarray((axes * sizes) @ axes.T * scale[:, None] * scale)
