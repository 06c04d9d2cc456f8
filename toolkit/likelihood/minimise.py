"""Global minimum of a likelihood that may have several.

What to use when: `Likelihood.fit()` for a best fit; `minimise(..., fixed=...)` for a conditional one. With interference the
yield is the same at two signal strengths, so two minima are normal: the range of the parameter of interest is scanned first, and a
descent starts from every minimum of that scan. Where the likelihood knows its second derivatives the descent is Newton's, with
curvatures made positive and steps that never climb; otherwise, or if that does not arrive, it is MIGRAD with exact gradients and a constant
offset subtracted, polished by Newton steps. The edges of the range are compared explicitly, because MIGRAD's own treatment of
limits stalls there. The outcome is data, never an exception.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from iminuit import Minuit
from numpy.typing import NDArray

from toolkit.likelihood.coordinates import FreeCoordinates, Objective
from toolkit.likelihood.results import FitResult, Minimum, Status
from toolkit.typing import FloatArray

GRID_POINTS = 61
MAX_STARTS = 6
EQUAL = 1e-7
"""Two minima are equally good if their twice_nll differ by less."""
CLOSE = 1e-3
"""Two solutions are one minimum if they are closer than this fraction of every range."""
CONVERGED_EDM = 1e-4
NEWTON_DONE = 1e-18
"""A Newton descent is over when the squared length of its next step, in units of twice_nll, is below this."""
FROZEN = 1e-2
"""Squared length of a step below which the next one keeps the second derivatives, unless it hardly got shorter."""
NEARLY_DONE = 1e-6
"""Squared length of a step from which on rounding errors may show."""
ROUNDING = 1e-9


def minimise(
    objective: Objective, *, fixed: Mapping[str, float] | None = None, starts: Sequence[FloatArray] | None = None, errors: bool = True
) -> FitResult:
    """Minimise twice the negative log-likelihood over the allowed range.

    Args:
        objective: The likelihood.
        fixed: Parameters held at the values given.
        starts: Full parameter points (n_parameters,) to start from instead of the automatic ones.
        errors: Compute the curvature at the minimum itself. Without, errors and covariance are those of the last step of the
            descent, which saves time and is good to about 1e-2.

    Returns:
        The fit. Of minima that are equally good within 1e-7 the one nearest to the starting value of the parameter of
        interest is reported, and `advice` names the others.

    Raises:
        SchemaError: A fixed parameter is not known.
        PhysicsDomainError: The density is not positive somewhere in the allowed range.

    Examples:
        Two minima that are equally good, as interference makes them:

        >>> from toolkit.likelihood.unbinned import UnbinnedLikelihood
        >>> likelihood = UnbinnedLikelihood(log_ratios=np.zeros((4, 3)), weights=np.full(4, 1.8125), yields=[1.0, 1.0, 8.0],
        ...     coefficients=("mu", "-4 * sqrt(mu)", "1"), parameters=("mu",), bounds={"mu": (0.0, 16.0)})
        >>> sorted(round(m.parameters["mu"], 4) for m in minimise(likelihood).minima)
        [0.0389, 14.4611]
    """
    space = FreeCoordinates.of(objective, fixed or {})
    if not len(space.free):
        return _without_freedom(space)
    given = [space.inward(np.asarray(s, dtype=np.float64)[space.free]) for s in starts or ()]
    begin = given or automatic_starts(space)
    found = [_descend(space, start) for start in begin]
    minima = _distinct(space, found)
    best = _preferred(space, minima)
    return _result(space, best, [best, *(m for m in minima if m is not best)], errors=errors)


def automatic_starts(space: FreeCoordinates) -> list[FloatArray]:
    """Choose starting coordinates: the initial point and the minima of a scan of the parameter of interest, edges included."""
    start = np.clip(space.inward(space.base[space.free]), space.low, space.high)
    poi = space.objective.poi
    if poi not in space.names:
        return [start]
    k = space.names.index(poi)
    low, high = space.low[k], space.high[k]
    if not (math.isfinite(low) and math.isfinite(high)):
        return [start]
    grid = space.grid(poi, np.linspace(low, high, GRID_POINTS))
    values = space.values(grid)
    padded = np.concatenate([[np.inf], values, [np.inf]])
    lowest = np.flatnonzero((values <= padded[:-2]) & (values <= padded[2:]))
    lowest = lowest[np.argsort(values[lowest], kind="stable")][:MAX_STARTS]
    starts = [grid[i] for i in lowest]
    if len(space.free) > 1:
        spacing = (high - low) / (GRID_POINTS - 1)
        near = any(abs(s[k] - start[k]) <= spacing for s in starts)
        starts += [*([] if near else [start]), grid[GRID_POINTS // 5], grid[4 * GRID_POINTS // 5]]
    return starts


def _descend(space: FreeCoordinates, start: FloatArray) -> FloatArray:
    """Find the local minimum that belongs to a start, on the edges of the range too."""
    reached = newton_descent(space, start)
    if reached is None:
        reached = _migrad(space, start)
    return _compare_with_edges(space, reached, start)


def newton_descent(space: FreeCoordinates, start: FloatArray, *, steps: int = 25) -> FloatArray | None:
    """Descend with exact second derivatives.

    Negative curvatures count with their absolute value, steps are limited and halved until the value falls.

    Args:
        space: Coordinates.
        start: Where to begin, (n_free,).
        steps: Largest number of steps.

    Returns:
        The minimum, (n_free,); None if second derivatives are not known or it was not reached.
    """
    at = np.clip(start, space.low, space.high)
    value, hessian, before = space.value(at), None, math.inf
    for _ in range(steps):
        gradient = space.gradient(at)
        active = _interior(space, at, gradient)
        if not active.any():
            return at
        if hessian is None or before > FROZEN:
            hessian, fresh = space.hessian(at), True
        else:  # so near, the second derivatives hardly change
            fresh = False
        if hessian is None or not np.all(np.isfinite(hessian)):
            return None
        curvatures, axes = np.linalg.eigh(hessian[np.ix_(active, active)])
        if not np.abs(curvatures).max() > 0.0:
            return None
        sizes = np.maximum(np.abs(curvatures), 1e-9 * np.abs(curvatures).max())
        projected = axes.T @ gradient[active]
        length = float(np.sum(projected**2 / sizes))
        if not fresh and before > NEARLY_DONE and length > 0.1 * before:
            hessian = None
            continue
        if curvatures.min() > 0.0 and (length < NEWTON_DONE or (before <= NEARLY_DONE and length > 0.25 * before)):
            return at
        step = np.zeros(len(at))
        step[active] = -axes @ (projected / sizes)
        step *= min(1.0, float(np.min(0.3 * space.widths() / np.maximum(np.abs(step), 1e-300))))
        moved = _shorten(space, at, value, step, slack=ROUNDING if length < NEARLY_DONE else 0.0)
        if moved is None:
            return at if length < NEARLY_DONE else None
        at, value = moved
        before = length
    return None


def _shorten(space: FreeCoordinates, at: FloatArray, value: float, step: FloatArray, *, slack: float) -> tuple[FloatArray, float] | None:
    """Halve a step until the value falls (or rises by less than the slack); None if it never does."""
    for _ in range(12):
        trial = np.clip(at + step, space.low, space.high)
        if np.array_equal(trial, at):
            return None
        new = space.value(trial)
        if new < value + slack:
            return trial, min(new, value)
        step = 0.5 * step
    return None


def _migrad(space: FreeCoordinates, start: FloatArray) -> FloatArray:
    inside = _pull_inside(space, start)
    minuit = Minuit(space.value, inside, grad=space.gradient, name=space.names)
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
        active = _interior(space, solution, gradient)
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


def _compare_with_edges(space: FreeCoordinates, solution: FloatArray, start: FloatArray) -> FloatArray:
    """Take the edge of a range instead of a solution that stopped just short of it, or of one that began on it."""
    value = space.value(solution)
    for k, (low, high) in enumerate(zip(space.low, space.high, strict=True)):
        for edge in (low, high):
            near = abs(solution[k] - edge) < 0.02 * space.widths()[k] or start[k] == edge
            if not math.isfinite(edge) or not near or solution[k] == edge:
                continue
            trial = solution.copy()
            trial[k] = edge
            if _points_outward(space, trial, k):
                trial = _newton(space, trial)
                new = space.value(trial)
                if new < value + EQUAL:
                    solution, value = trial, new
    return solution


def _points_outward(space: FreeCoordinates, at: FloatArray, k: int) -> bool:
    """Whether descending from an edge would leave the range."""
    slope = float(space.gradient(at)[k])
    return slope >= 0.0 if at[k] == space.low[k] else slope <= 0.0


def _interior(space: FreeCoordinates, at: FloatArray, gradient: FloatArray) -> NDArray[np.bool_]:
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
    exact = space.hessian(at)
    if exact is not None:
        return np.asarray(exact[np.ix_(active, active)])
    indices = np.flatnonzero(active)
    matrix = np.stack([space.row(at, int(k))[indices] for k in indices])
    return np.asarray(0.5 * (matrix + matrix.T))


def _pull_inside(space: FreeCoordinates, start: FloatArray) -> FloatArray:
    margin = 0.01 * space.widths()
    return np.clip(start, space.low + margin, space.high - margin)


def _limit(low: float, high: float) -> tuple[float | None, float | None]:
    return (low if math.isfinite(low) else None, high if math.isfinite(high) else None)


def _distinct(space: FreeCoordinates, found: Sequence[FloatArray]) -> list[FloatArray]:
    """Sort solutions by value and drop repetitions."""
    kept: list[FloatArray] = []
    for solution in sorted(found, key=space.value):
        if all(np.any(np.abs(solution - other) > CLOSE * space.widths()) for other in kept):
            kept.append(solution)
    return kept


def _preferred(space: FreeCoordinates, minima: Sequence[FloatArray]) -> FloatArray:
    best = space.value(minima[0])
    equal = [m for m in minima if space.value(m) <= best + EQUAL]
    start = space.inward(space.base[space.free])
    k = space.names.index(space.objective.poi) if space.objective.poi in space.names else 0
    return min(equal, key=lambda m: abs(m[k] - start[k]))


def _result(space: FreeCoordinates, best: FloatArray, minima: Sequence[FloatArray], *, errors: bool) -> FitResult:
    gradient = space.gradient(best)
    active = _interior(space, best, gradient)
    sigmas, edm = dict.fromkeys((p.name for p in space.objective.parameters), math.nan), 0.0
    names = [n for n, a in zip(space.names, active, strict=True) if a]
    covariance: FloatArray = np.zeros((0, 0))
    if active.any():
        recent = None if errors else space.recent_hessian
        hessian = curvature(space, best, active) if recent is None else recent[np.ix_(active, active)]
        try:
            covariance = np.asarray(2.0 * np.linalg.inv(hessian))
            edm = float(0.25 * gradient[active] @ covariance @ gradient[active])
        except np.linalg.LinAlgError:
            covariance, edm = np.asarray(np.full(hessian.shape, np.nan)), math.inf
        scale = np.where(space.root, 2.0 * best, 1.0)[active]
        covariance = np.asarray(covariance * scale[:, None] * scale)
        with np.errstate(invalid="ignore"):
            sigma = np.sqrt(np.diag(covariance))
        sigmas.update({name: float(s) for name, s in zip(names, sigma, strict=True) if s > 0})
    listed = tuple(Minimum(parameters=_named(space, m), twice_nll=space.value(m) + space.offset) for m in minima)
    status, advice = _diagnose(space, best, listed, edm)
    return FitResult(
        parameters=listed[0].parameters,
        errors=sigmas,
        twice_nll=listed[0].twice_nll,
        status=status,
        advice=advice,
        minima=listed,
        edm=edm,
        n_evaluations=space.n_evaluations,
        free=tuple(names),
        covariance=tuple(tuple(row) for row in covariance.tolist()),
    )


def _diagnose(space: FreeCoordinates, best: FloatArray, minima: Sequence[Minimum], edm: float) -> tuple[Status, str]:
    advice = []
    status: Status = "converged"
    edges = [n for n, x, a, b in zip(space.names, best, space.low, space.high, strict=True) if x in (a, b)]
    if edges:
        status = "at_boundary"
        advice.append(f"{', '.join(edges)} at the edge of the allowed range: quote an interval, and check that the range is meant")
    if not 0.0 <= edm <= CONVERGED_EDM:
        status = "not_converged"
        advice.append(
            f"the distance to the minimum is {edm:.3g}, wanted is below {CONVERGED_EDM:g}: scan the parameters, narrow their ranges"
        )
    others = [m for m in minima[1:] if m.twice_nll - minima[0].twice_nll < 4.0]
    poi = space.objective.poi
    if others and poi in space.names:
        shown = ", ".join(
            f"{poi} = {m.parameters[poi]:.4g} (twice_delta_nll {max(m.twice_nll - minima[0].twice_nll, 0.0):.2g})" for m in others
        )
        advice.append(f"another minimum at {shown}: quote intervals from the scan, not a symmetric error")
    return status, "; ".join(advice)


def _named(space: FreeCoordinates, solution: FloatArray) -> dict[str, float]:
    point = space.points(solution[None, :])[0]
    return {p.name: float(x) for p, x in zip(space.objective.parameters, point, strict=True)}


def _without_freedom(space: FreeCoordinates) -> FitResult:
    parameters = {p.name: float(x) for p, x in zip(space.objective.parameters, space.base, strict=True)}
    minimum = Minimum(parameters=parameters, twice_nll=space.offset)
    return FitResult(
        parameters=parameters,
        errors=dict.fromkeys(parameters, math.nan),
        twice_nll=space.offset,
        status="converged",
        advice="no parameter is free",
        minima=(minimum,),
        edm=0.0,
        n_evaluations=space.n_evaluations,
    )
