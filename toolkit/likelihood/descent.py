"""Descent to the minimum that belongs to a starting point.

What to use when: `descend` for one local minimum, edges of the range included. Where the likelihood knows its second derivatives, or
where those of a fit close by are given, the descent is Newton's, with curvatures made positive and steps that never climb;
otherwise, or if that does not arrive, it is MIGRAD with exact gradients, polished by Newton steps. The edges of the range are compared
explicitly, because MIGRAD's own treatment of limits stalls there.

A step costs one pass over the data. Second derivatives are kept as long as the steps shrink quickly with them, and a
descent that enters the parabola around a minimum that is known already ends there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from iminuit import Minuit
from numpy.typing import NDArray

from toolkit.likelihood.coordinates import FreeCoordinates
from toolkit.typing import FloatArray

EQUAL = 1e-7
"""Two minima are equally good if their twice_nll differ by less."""
NEWTON_DONE = 1e-18
"""A Newton descent is over when the squared length of its next step, in units of twice_nll, is below this."""
PROFILE_DONE = 1e-11
"""The same where only the value counts."""
SHRINKING = 0.1
"""Second derivatives are kept while every step has at most this squared length of the one before."""
NEARLY_DONE = 1e-6
"""Squared length of a step from which on rounding errors may show."""
ROUNDING = 1e-9
PARABOLA = 0.02
"""A point is inside the parabola of a minimum up to this height, if value and gradient are those of the parabola."""
FLATNESS = 0.1
"""How much value and gradient may differ from the parabola's, relative; shallow valleys have minima that are close to each other."""


@dataclass(frozen=True, eq=False)
class Descent:
    """Where a descent ended.

    Attributes:
        at: The minimum, (n_free,).
        value: The objective less its offset.
        left: Squared length of the step that would come next, in units of twice_nll; NaN if not known.
        hessian: The second derivatives that were used last, (n_free, n_free); None if there were none.
        active: Coordinates that are not held at an edge, (n_free,).
        normals: Derivatives of the expectations of bins without data that hold the minimum, (n_bins, n_free); None if none does.
    """

    at: FloatArray
    value: float
    left: float = math.nan
    hessian: FloatArray | None = None
    active: NDArray[np.bool_] | None = None
    normals: FloatArray | None = None

    def attracts(self, at: FloatArray, value: float, gradient: FloatArray) -> bool:
        """Whether a point (n_free,) with a value and a gradient lies inside the parabola around this minimum."""
        if self.hessian is None:
            return False
        away = at - self.at
        slope = self.hessian @ away
        height = 0.5 * float(away @ slope)
        if not 0.0 <= height < PARABOLA or abs(value - self.value - height) > FLATNESS * height + EQUAL:
            return False
        try:
            wrong = np.linalg.solve(np.linalg.cholesky(self.hessian), gradient - slope)
        except np.linalg.LinAlgError:
            return False
        return float(wrong @ wrong) <= FLATNESS**2 * 2.0 * height + EQUAL


def descend(
    space: FreeCoordinates, start: FloatArray, *, hessian: FloatArray | None = None, known: Sequence[Descent] = (), exact: bool = True
) -> Descent:
    """Find the local minimum that belongs to a start, on the edges of the range too.

    Args:
        space: Coordinates.
        start: Where to begin, (n_free,).
        hessian: Second derivatives close by, (n_free, n_free), positive definite.
        known: Minima found before.
        exact: Whether the position counts; else it is good enough when the value is.

    Returns:
        The minimum; one of `known` if the descent leads there.
    """
    reached = newton_descent(space, start, hessian=hessian, known=known, done=NEWTON_DONE if exact else PROFILE_DONE)
    if reached is None:
        at = _migrad(space, start)
        reached = Descent(at, space.value(at))
    return _compare_with_edges(space, reached, start)


def newton_descent(
    space: FreeCoordinates,
    start: FloatArray,
    *,
    hessian: FloatArray | None = None,
    known: Sequence[Descent] = (),
    done: float = NEWTON_DONE,
    steps: int = 40,
) -> Descent | None:
    """Descend with second derivatives; negative curvatures count with their absolute value.

    Args:
        space: Coordinates.
        start: Where to begin, (n_free,).
        hessian: Second derivatives to begin with; those of the start if not given.
        known: Minima found before.
        done: Squared length of a step at which to stop.
        steps: Largest number of steps.

    Returns:
        The minimum; None if second derivatives are not known or it was not reached.
    """
    walk = _Walk(space, start, hessian)
    while walk.n_steps < steps and not walk.ended(known):
        if not walk.look() or not walk.go(done):
            return None
    return walk.end


class _Walk:
    """A Newton descent on its way.

    Args:
        space: Coordinates.
        start: Where to begin, (n_free,).
        hessian: Second derivatives to begin with; None for those of the start.

    Attributes:
        end: Where the descent ended; None on the way.
        n_steps: Number of steps taken.
    """

    def __init__(self, space: FreeCoordinates, start: FloatArray, hessian: FloatArray | None) -> None:
        self.space, self.hessian = space, hessian
        self.at = np.clip(start, space.low, space.high)
        self.value, self.gradient = space.both(self.at)
        self.active = interior(space, self.at, self.gradient)
        self.before, self.length, self.fresh, self.convex = math.inf, math.inf, False, False
        self.step = np.zeros(len(self.at))
        self.end: Descent | None = None
        self.n_steps = 0

    def ended(self, known: Sequence[Descent]) -> bool:
        """Whether the descent is over: no coordinate can move, or a known minimum attracts the point."""
        if self.end is None and not self.active.any():
            self.end = self._here(0.0)
        if self.end is None:
            self.end = next((m for m in known if m.attracts(self.at, self.value, self.gradient)), None)
        return self.end is not None

    def look(self) -> bool:
        """Find the next step; second derivatives are evaluated again if the steps do not shrink with the old ones. False if that fails.

        Those that were evaluated here stay: a second time they would lead nowhere else.
        """
        if self.fresh:
            return True
        if self.hessian is not None:
            self._solve(self.hessian)
            if self.convex and (self.before <= NEARLY_DONE or self.length <= SHRINKING * self.before):
                return True
        return self._renew()

    def go(self, done: float) -> bool:
        """Take the step, or end here if it is too small to matter; False if the value does not fall."""
        rounding = self.before <= NEARLY_DONE
        if self.convex and (self.length < done or (rounding and self.length > 0.25 * self.before)):
            self.end = self._here(self.length)
            return True
        expected = self.length * (self.length / self.before) if math.isfinite(self.before) else math.inf
        last = self.convex and expected < done
        moved = self._shorten(last=last)
        if moved is None and not self.fresh and not rounding:
            return self._renew()
        if moved is None:
            self.end = self._here(self.length)
            return self.length < NEARLY_DONE
        before, slopes = self.at, self.gradient
        self.at, self.value = moved
        self.n_steps += 1
        self.fresh = False
        if last:
            self.end = self._here(expected)
            return True
        self.gradient = self.space.gradient(self.at)
        self._learn(self.at - before, self.gradient - slopes)
        self.active = interior(self.space, self.at, self.gradient)
        self.before = self.length
        return True

    def _learn(self, step: FloatArray, change: FloatArray) -> None:
        """Correct the second derivatives by how the gradient changed along a step (BFGS); they stay positive."""
        if self.hessian is None or not self.convex or not np.array_equal(step != 0.0, self.active):
            return
        part = np.ix_(self.active, self.active)
        s, y, bends = step[self.active], change[self.active], self.hessian[part]
        expected, curved = bends @ s, float(s @ y)
        height = float(s @ expected)
        if curved > 0.1 * height > 0.0:
            self.hessian = self.hessian.copy()
            self.hessian[part] = bends + np.outer(y, y) / curved - np.outer(expected, expected) / height

    def _renew(self) -> bool:
        """Evaluate the second derivatives here and find the step; False if they are not known."""
        hessian = self.space.hessian(self.at)
        if hessian is None or not np.all(np.isfinite(hessian)):
            return False
        self.hessian, self.fresh = hessian, True
        self._solve(hessian)
        return math.isfinite(self.length)

    def _solve(self, hessian: FloatArray) -> None:
        """Compute the step, its squared length in units of twice_nll (NaN if flat) and whether all curvatures are positive."""
        curvatures, axes = np.linalg.eigh(hessian[np.ix_(self.active, self.active)])
        largest, self.step = float(np.abs(curvatures).max()), np.zeros(len(self.at))
        self.convex, self.length = bool(curvatures.min() > 0.0), math.nan
        if largest > 0.0:
            sizes = np.maximum(np.abs(curvatures), 1e-9 * largest)
            projected = axes.T @ self.gradient[self.active]
            self.step[self.active] = -axes @ (projected / sizes)
            self.length = float(np.sum(projected**2 / sizes))

    def _shorten(self, *, last: bool) -> tuple[FloatArray, float] | None:
        """Halve the step until the value falls (or rises by less than the slack); None if it never does."""
        space, slack = self.space, ROUNDING if self.length < NEARLY_DONE else 0.0
        step = self.step * min(1.0, float(np.min(0.3 * space.widths() / np.maximum(np.abs(self.step), 1e-300))))
        for _ in range(12 if self.fresh else 1):
            trial = np.clip(self.at + step, space.low, space.high)
            if np.array_equal(trial, self.at):
                return None
            new = space.value(trial) if last else space.both(trial)[0]
            if new < self.value + slack:
                return trial, min(new, self.value)
            step = 0.5 * step
        return None

    def _here(self, left: float) -> Descent:
        return Descent(self.at, self.value, left, self.hessian, self.active)


def _migrad(space: FreeCoordinates, start: FloatArray) -> FloatArray:
    inside = _pull_inside(space, start)
    minuit = Minuit(space.capped_value, inside, grad=space.gradient, name=space.names)
    minuit.errordef = Minuit.LEAST_SQUARES
    minuit.strategy = 0
    minuit.tol = 1e-3
    minuit.limits = [_limit(a, b) for a, b in zip(space.low, space.high, strict=True)]
    minuit.errors = [0.05 * w for w in space.widths()]
    minuit.migrad(ncall=2000 + 200 * len(space.free))
    return _newton(space, np.clip(np.array(minuit.values, dtype=np.float64), space.low, space.high))


def _newton(space: FreeCoordinates, solution: FloatArray, steps: int = 6) -> FloatArray:
    """Polish an interior solution; coordinates on an edge with the gradient pointing outwards stay there."""
    value = space.value(solution)
    for _ in range(steps):
        gradient = space.gradient(solution)
        active = interior(space, solution, gradient)
        if not active.any():
            break
        hessian = curvature(space, solution, active)
        try:
            step = -np.linalg.solve(hessian, gradient[active])
        except np.linalg.LinAlgError:
            break
        trial = solution.copy()
        trial[active] += step
        trial = np.clip(trial, space.low, space.high)
        moved = np.abs(trial - solution) / space.widths()
        if moved.max() < 1e-13 or not np.all(np.isfinite(trial)):
            break
        new = space.value(trial)
        if new > value + ROUNDING:
            break
        solution, value = trial, min(new, value)
        if moved.max() < 1e-10:
            break
    return solution


def _compare_with_edges(space: FreeCoordinates, reached: Descent, start: FloatArray) -> Descent:
    """Take the edge of a range instead of a solution that stopped just short of it, or of one that began on it."""
    for k, (low, high) in enumerate(zip(space.low, space.high, strict=True)):
        for edge in (low, high):
            near = abs(reached.at[k] - edge) < 0.02 * space.widths()[k] or start[k] == edge
            if not math.isfinite(edge) or not near or reached.at[k] == edge:
                continue
            trial = reached.at.copy()
            trial[k] = edge
            if _points_outward(space, trial, k):
                trial = _newton(space, trial)
                new = space.value(trial)
                if new < reached.value + EQUAL:
                    reached = Descent(trial, new)
    return reached


def _points_outward(space: FreeCoordinates, at: FloatArray, k: int) -> bool:
    """Whether descending from an edge would leave the range."""
    slope = float(space.gradient(at)[k])
    return slope >= 0.0 if at[k] == space.low[k] else slope <= 0.0


def interior(space: FreeCoordinates, at: FloatArray, gradient: FloatArray) -> NDArray[np.bool_]:
    """Return which coordinates are not held at an edge by the gradient, (n_free,)."""
    held = ((at <= space.low) & (gradient >= 0.0)) | ((at >= space.high) & (gradient <= 0.0))
    return np.asarray(~held)


def curvature(space: FreeCoordinates, at: FloatArray, active: NDArray[np.bool_]) -> FloatArray:
    """Compute the Hessian of the active coordinates: exact, or from differences of the exact gradient.

    Args:
        space: Coordinates.
        at: Where, (n_free,).
        active: Which coordinates, (n_free,).

    Returns:
        Symmetric matrix, (n_active, n_active).
    """
    exact = space.hessian(at) if active.any() else None
    if exact is not None:
        return np.asarray(exact[np.ix_(active, active)])
    indices = np.flatnonzero(active)
    if not len(indices):
        return np.zeros((0, 0))
    matrix = np.stack([space.row(at, int(k))[indices] for k in indices])
    return np.asarray(0.5 * (matrix + matrix.T))


def _pull_inside(space: FreeCoordinates, start: FloatArray) -> FloatArray:
    margin = 0.01 * space.widths()
    return np.clip(start, space.low + margin, space.high - margin)


def _limit(low: float, high: float) -> tuple[float | None, float | None]:
    return (low if math.isfinite(low) else None, high if math.isfinite(high) else None)
