"""Go down from a starting point to the local minimum of a likelihood: every fit of the toolkit ends in this file.

What to use when: `descend` finds the minimum. Without second derivatives it calls scipy's L-BFGS-B with the exact gradient; coordinates are
those in which the likelihood is smooth, each in units of its typical step. Where second derivatives are known, from a fit close by
(profiles, toys) or in closed form, it makes quasi-Newton steps that begin with them. L-BFGS-B cannot use them: it takes 11 times as
many evaluations for a profile over 20 nuisance parameters, 3 times as many for a fit of them (model of `benchmarks.likelihood`), and
2.0 to 2.8 times as many for toys of bins and of events with 4 nuisance parameters (those of `benchmarks.toys`).
`polish` adds the Newton step that makes a position exact, and finds the way down from a saddle, where every gradient vanishes.

A point where a density is not positive has the value +infinity. It is never accepted: a step that ends there is shortened.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from toolkit.likelihood.coordinates import FreeCoordinates
from toolkit.typing import BoolArray, FloatArray

EQUAL = 1e-7
"""Two minima are equally good if their twice_nll differ by less."""
DONE = 1e-10
"""A descent is over when its next step would lower twice_nll by less."""
ROUNDING = 1e-9
"""Relative to this part of the largest value seen, twice_nll may rise by rounding errors."""
MAX_ITERATIONS = 300
SMALL_STEP = 1e-12
"""After a Newton step of this squared length, in units of twice_nll, what is left is below rounding errors."""
STEPS = 60
PARABOLA = 0.02
"""A point is inside the parabola of a minimum up to this height, if value and gradient are those of the parabola."""
FLATNESS = 0.1
"""How much value and gradient may differ from the parabola's, relative; shallow valleys have minima that are close to each other."""
LONGEST = 0.5
"""Longest step of a quasi-Newton descent, in units of the widths of the coordinates."""


@dataclass(frozen=True, eq=False)
class Descent:
    """Where a descent ended.

    Attributes:
        at: The minimum, (n_free,).
        value: The objective less its offset.
        converged: Whether it ended because nothing was left to gain.
        hessian: Second derivatives there as far as they are known, (n_free, n_free); None if not at all.
        normals: Derivatives of the expectations of bins without data that hold the minimum, (n_bins, n_free); None if none does.
    """

    at: FloatArray
    value: float
    converged: bool = True
    hessian: FloatArray | None = None
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
    space: FreeCoordinates,
    start: FloatArray,
    *,
    hessian: FloatArray | None = None,
    held: BoolArray | None = None,
    known: Sequence[Descent] = (),
) -> Descent:
    """Find the local minimum that belongs to a start, on the edges of the range too.

    Args:
        space: Coordinates.
        start: Where to begin, (n_free,); an allowed point.
        hessian: Second derivatives close by, (n_free, n_free), positive definite.
        held: Coordinates that stay where they are, (n_free,).
        known: Minima found before; a descent that enters the parabola around one of them ends there.

    Returns:
        The minimum; its value is good to 1e-9, its position to 1e-4 of the errors (`polish` does better).
    """
    begin = np.clip(start, space.low, space.high)
    fixed = np.zeros(len(begin), dtype=np.bool_) if held is None else held
    if fixed.all():
        return Descent(begin, space.value(begin), hessian=hessian)
    if hessian is None and space.objective.closed_hessian:
        exact = space.hessian(begin)
        hessian = positive(exact) if exact is not None and np.all(np.isfinite(exact)) else None
    if hessian is not None:
        quick = _quasi_newton(space, begin, hessian, ~fixed, known)
        if quick.converged:
            return quick
        begin = quick.at
    return _by_scipy(space, begin, ~fixed)


def _by_scipy(space: FreeCoordinates, start: FloatArray, free: BoolArray) -> Descent:
    """Run L-BFGS-B over the free coordinates (n_free,).

    The objective is divided by the length of its first gradient: the first step then is one typical step, and stays in its basin.
    """
    # L-BFGS-B knows nothing of units: coordinates in typical steps and a first gradient of length one make its first step a typical step.
    scale = space.scales()[free]
    value, gradient = space.both(start)
    size = max(1.0, float(np.linalg.norm(gradient[free] * scale)))
    best = Descent(start, value)

    def objective(z: FloatArray) -> tuple[float, FloatArray]:
        nonlocal best
        at = start.copy()
        at[free] = np.clip(z * scale, space.low[free], space.high[free])
        value, gradient = space.both(at)
        if not (math.isfinite(value) and np.all(np.isfinite(gradient))):
            return _wall(z, best.at[free] / scale, best.value / size)
        if value < best.value:
            best = Descent(at, value)
        return value / size, gradient[free] * scale / size

    noise = 4.0 * float(np.finfo(np.float64).eps) * abs(space.offset)
    result = minimize(
        objective,
        start[free] / scale,
        jac=True,
        method="L-BFGS-B",
        bounds=list(zip(space.low[free] / scale, space.high[free] / scale, strict=True)),
        options={"maxcor": 20, "ftol": max(1e-14, noise) / size, "gtol": 1e-7 / size, "maxiter": MAX_ITERATIONS, "maxfun": 2000},
    )
    return replace(best, converged=result.nit < MAX_ITERATIONS)


def _wall(z: FloatArray, allowed: FloatArray, value: float) -> tuple[float, FloatArray]:
    """Stand in for a forbidden point: a parabola that leads back to an allowed point, high enough that no line search accepts it."""
    away = z - allowed
    steep = 1e3 * (1.0 + abs(value)) / max(float(away @ away), 1e-300)
    return value + steep * float(away @ away), 2.0 * steep * away


def _quasi_newton(space: FreeCoordinates, start: FloatArray, hessian: FloatArray, free: BoolArray, known: Sequence[Descent]) -> Descent:
    """Descend with second derivatives that are corrected from the gradients (BFGS); ends of ranges hold what pushes against them."""
    at, metric = start, hessian
    value, gradient = space.both(at)
    before = math.inf
    for _ in range(STEPS):
        active = free & interior(space, at, gradient)
        if not active.any():
            return Descent(at, value, hessian=metric)
        try:
            step = np.zeros(len(at))
            step[active] = -np.linalg.solve(metric[np.ix_(active, active)], gradient[active])
        except np.linalg.LinAlgError:
            break
        expected = -0.5 * float(gradient @ step)
        if not expected >= 0.0:
            break
        if expected < DONE:
            return Descent(at, value, hessian=metric)
        # A longer step may leave the valley of the start and end in another minimum.
        step *= min(1.0, LONGEST / max(float(np.max(np.abs(step) / space.widths())), 1e-300))
        moved = _shortened(space, at, value, gradient, step)
        if moved is None:
            return Descent(at, value, converged=expected < 1e3 * DONE or before < 1e3 * DONE, hessian=metric)
        trial, new, derivatives = moved
        metric = _corrected(metric, trial - at, derivatives - gradient)
        at, value, gradient, before = trial, new, derivatives, expected
        reached = next((m for m in known if m.attracts(at, value, gradient)), None)
        if reached is not None:
            return reached
    return Descent(at, value, converged=False, hessian=metric)


def _shortened(
    space: FreeCoordinates, at: FloatArray, value: float, gradient: FloatArray, step: FloatArray
) -> tuple[FloatArray, float, FloatArray] | None:
    """Shorten a step until the value falls as it should (Armijo); None if it never does."""
    for _ in range(12):
        trial = np.clip(at + step, space.low, space.high)
        expected = float(gradient @ (trial - at))
        new, derivatives = space.both(trial)
        usable = math.isfinite(new) and bool(np.all(np.isfinite(derivatives)))
        if usable and new <= value + 1e-4 * expected:
            return trial, new, derivatives
        step = step * (max(0.1, min(0.5, -0.5 * expected / max(new - value - expected, 1e-300))) if usable else 0.25)
    return None


def _corrected(metric: FloatArray, moved: FloatArray, change: FloatArray) -> FloatArray:
    """Correct second derivatives (n, n) by the change (n,) of the gradient over a step (n,): BFGS, damped so that they stay positive.

    References:
        Powell, Math. Programming 14 (1978) 224; Nocedal, Wright, Numerical Optimization (2006), procedure 18.2.
    """
    pushed = metric @ moved
    along, seen = float(moved @ pushed), float(moved @ change)
    if not along > 0.0:
        return metric
    # Where the function bends down along the step, plain BFGS would lose positive definiteness. Powell mixes in what the old matrix
    # says until a fifth of its curvature is left.
    if seen < 0.2 * along:
        share = 0.8 * along / (along - seen)
        change = share * change + (1.0 - share) * pushed
        seen = float(moved @ change)
    return np.asarray(metric + np.outer(change, change) / seen - np.outer(pushed, pushed) / along)


def polish(space: FreeCoordinates, reached: Descent, *, steps: int = 4) -> Descent:
    """Make a minimum exact with Newton steps; leave a saddle along the direction in which the value falls, and descend again.

    Args:
        space: Coordinates.
        reached: Where a descent ended.
        steps: Largest number of Newton steps.

    Returns:
        The minimum with its second derivatives (those of coordinates held at an edge are zero).
    """
    for _ in range(steps):
        gradient = space.gradient(reached.at)
        active = interior(space, reached.at, gradient)
        hessian = np.zeros((len(reached.at),) * 2)
        if active.any():
            hessian[np.ix_(active, active)] = curvature(space, reached.at, active)
        reached = replace(reached, hessian=hessian)
        if not active.any() or not np.all(np.isfinite(hessian)):
            break
        # Divided by typical steps, eigenvalues of different parameters can be compared; a negative one is a way down from a saddle.
        scale = space.scales()[active]
        sizes, axes = np.linalg.eigh(hessian[np.ix_(active, active)] * scale[:, None] * scale)
        if sizes[0] < -1e-6 * max(1.0, float(sizes[-1])):
            lower = _off_the_saddle(space, reached, active, axes[:, 0] * scale)
            reached = replace(reached, converged=False) if lower is None else lower
            if lower is None:
                break
            continue
        if not sizes[0] > 1e-12 * max(float(sizes[-1]), 1e-300):
            break
        step = np.zeros(len(reached.at))
        step[active] = -scale * (axes @ ((axes.T @ (gradient[active] * scale)) / sizes))
        moved = _newton_step(space, reached, step)
        if moved is None:
            break
        reached = moved
        if -float(gradient @ step) < SMALL_STEP:
            break
    return reached


def _newton_step(space: FreeCoordinates, reached: Descent, step: FloatArray) -> Descent | None:
    """Take a step (n_free,); None if it is too small to matter, or if the value rises by more than rounding errors."""
    trial = np.clip(reached.at + step, space.low, space.high)
    if float(np.max(np.abs(trial - reached.at) / space.scales())) < 1e-11:
        return None
    new = space.value(trial)
    if not new <= reached.value + ROUNDING * max(1.0, abs(space.offset) * 1e-7):
        return None
    return replace(reached, at=trial, value=min(new, reached.value))


def _off_the_saddle(space: FreeCoordinates, reached: Descent, active: BoolArray, axis: FloatArray) -> Descent | None:
    """Step both ways along an axis of negative curvature and descend; None if the value falls on neither side."""
    found = []
    for sign in (1.0, -1.0):
        trial = reached.at.copy()
        trial[active] += sign * 0.3 * axis
        trial = np.clip(trial, space.low, space.high)
        if space.value(trial) < reached.value:
            found.append(descend(space, trial))
    lower = min(found, key=lambda d: d.value, default=None)
    return lower if lower is not None and lower.value < reached.value - ROUNDING else None


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


def positive(hessian: FloatArray) -> FloatArray:
    """Take the absolute values of all curvatures, none smaller than a thousandth of the scale of its own coordinates.

    Examples:
        >>> positive(np.array([[2.0, 0.0], [0.0, -3.0]])).round(12).tolist()
        [[2.0, 0.0], [0.0, 3.0]]
    """
    scale = np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1e-12))
    curvatures, axes = np.linalg.eigh(hessian / scale[:, None] / scale)
    sizes = np.maximum(np.abs(curvatures), 1e-3)
    return np.asarray((axes * sizes) @ axes.T * scale[:, None] * scale)
