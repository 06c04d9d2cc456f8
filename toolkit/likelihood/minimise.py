"""Global minimum of a likelihood that may have several.

What to use when: `Likelihood.fit()` for a best fit; `minimise(..., fixed=...)` for a conditional one, with `near` if a fit close by is
known. With interference the yield is the same at two signal strengths, so several minima are normal: they are looked for in every
parameter that can have them (`toolkit.likelihood.search`), and descents (`toolkit.likelihood.descent`) lead to each. A constant offset
is subtracted, so that the descents see small numbers. The outcome is data, never an exception.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import null_space

from toolkit.likelihood.coordinates import FreeCoordinates, Objective
from toolkit.likelihood.descent import EQUAL, Descent, curvature, interior, polish
from toolkit.likelihood.fit_result import FitResult, Minimum, Status
from toolkit.likelihood.limit_descent import along_limit
from toolkit.likelihood.search import find_minima, is_same
from toolkit.typing import FloatArray

CONVERGED_EDM = 1e-4
NEAR = 1.0
"""Another minimum up to this height above the best one is as good an explanation of the data: `advice` says so."""
POLISHED = 4.0
"""Minima up to this height above the best one are made exact and listed in `advice`."""


def minimise(
    objective: Objective,
    *,
    fixed: Mapping[str, float] | None = None,
    starts: Sequence[FloatArray] | None = None,
    errors: bool = True,
    near: FitResult | None = None,
    search: bool | None = None,
) -> FitResult:
    """Minimise twice the negative log-likelihood over the allowed range.

    Args:
        objective: The likelihood.
        fixed: Parameters held at the values given.
        starts: Full parameter points (n_parameters,) to start from.
        errors: Compute the curvature at the minimum itself. Without, errors and covariance are those of the last step of the
            descent, estimates good to about a tenth; the position is good to 1e-4 of the errors, the value to 1e-10.
        near: A fit of the same or a similar likelihood whose minimum is close to the starts: its covariance replaces second
            derivatives as long as the descent gets on with it.
        search: Look for minima that the starts do not lead to; by default where no starts are given.

    Returns:
        The fit. Of minima that are equally good within 1e-7 the one nearest to the starting value of the parameter of
        interest is reported, and `advice` names the others. Starts that are forbidden move to allowed points; if there are none, the
        status is "forbidden" and `twice_nll` is infinite.

    Raises:
        SchemaError: A fixed parameter is not known.

    Examples:
        Two minima that are equally good, as interference makes them, at (2 - r)^2 and (2 + r)^2 with r^2 = 3.25:

        >>> from toolkit.likelihood.unbinned import UnbinnedLikelihood
        >>> likelihood = UnbinnedLikelihood(log_ratios=np.zeros((4, 3)), weights=np.full(4, 1.8125), yields=[1.0, 1.0, 8.0],
        ...     coefficients=("mu", "-4 * sqrt(mu)", "1"), parameters=("mu",), bounds={"mu": (0.0, 16.0)})
        >>> sorted(round(m.parameters["mu"], 4) for m in minimise(likelihood).minima)
        [0.0389, 14.4611]
    """
    first = None if not starts else np.asarray(starts[0], dtype=np.float64)
    space = FreeCoordinates.of(objective, fixed or {}, start=first)
    if not np.isfinite(space.offset):
        return _forbidden(space)
    if not len(space.free):
        return _without_freedom(space)
    asked = [np.clip(space.to_internal(np.asarray(s, dtype=np.float64)[space.free]), space.low, space.high) for s in starts or ()]
    given = [at for at in (space.allowed(s) for s in asked) if at is not None]
    hessian = None if near is None or not given else _hessian_of(near, space, given[0])
    found = find_minima(space, given, hessian=hessian, search=not given if search is None else search)
    if errors:
        found = _polished(space, found)
    if space.n_forbidden:
        found = sorted((along_limit(space, d) for d in found), key=lambda d: d.value)
    best = _preferred(space, found)
    return _result(space, best, [best, *(m for m in found if m is not best)], errors=errors)


def _polished(space: FreeCoordinates, found: Sequence[Descent]) -> list[Descent]:
    """Make the lowest minima exact; those that turn out to be the same, or saddles above another minimum, are one."""
    kept: list[Descent] = []
    for minimum in found:
        exact = _at_edges(space, polish(space, minimum)) if minimum.value <= found[0].value + POLISHED else minimum
        if not any(is_same(space, exact, other) for other in kept):
            kept.append(exact)
    return sorted(kept, key=lambda m: m.value)


def _at_edges(space: FreeCoordinates, reached: Descent) -> Descent:
    """Take the edge of a range instead of a solution that stopped just short of it."""
    for k in range(len(space.free)):
        for edge in (float(space.low[k]), float(space.high[k])):
            distance = abs(float(reached.at[k]) - edge)
            if not 0.0 < distance < 0.02 * space.widths()[k]:
                continue
            trial = reached.at.copy()
            trial[k] = edge
            value, slope = space.value(trial), float(space.gradient(trial)[k])
            outward = slope >= 0.0 if edge == space.low[k] else slope <= 0.0
            indistinguishable = distance < 1e-4 * space.scales()[k] and value <= reached.value + 1e-9
            if not math.isfinite(value) or not (outward or indistinguishable):
                continue
            moved = polish(space, Descent(trial, value))
            if moved.at[k] == edge and moved.value < reached.value + EQUAL:
                reached = moved
    return reached


def _hessian_of(fit: FitResult, space: FreeCoordinates, start: FloatArray) -> FloatArray | None:
    """Turn the covariance of a fit into second derivatives by the coordinates, (n_free, n_free); None if it lacks a parameter."""
    covariance = np.array(fit.covariance, dtype=np.float64)
    if not set(space.names) <= set(fit.free) or not np.all(np.isfinite(covariance)):
        return None
    chosen = [fit.free.index(name) for name in space.names]
    try:
        hessian = 2.0 * np.linalg.inv(covariance)[np.ix_(chosen, chosen)]
        np.linalg.cholesky(hessian)
    except np.linalg.LinAlgError:
        return None
    stretch = np.where(space.root, 2.0 * start, 1.0)
    return np.asarray(hessian * stretch[:, None] * stretch) if np.all(stretch > 0.0) else None


def _preferred(space: FreeCoordinates, minima: Sequence[Descent]) -> Descent:
    equal = [m for m in minima if m.value <= minima[0].value + EQUAL]
    start = space.to_internal(space.base[space.free])
    k = space.names.index(space.objective.poi) if space.objective.poi in space.names else 0
    return min(equal, key=lambda m: abs(m.at[k] - start[k]))


def _result(space: FreeCoordinates, best: Descent, minima: Sequence[Descent], *, errors: bool) -> FitResult:
    active, edm, inverse = _curvature_at(space, best, errors=errors)
    sigmas = _fixed_errors(space)
    names = [n for n, a in zip(space.names, active, strict=True) if a]
    scale = np.where(space.root, 2.0 * best.at, 1.0)[active]
    covariance = np.asarray(2.0 * inverse * scale[:, None] * scale)
    with np.errstate(invalid="ignore"):
        sigma = np.sqrt(np.diag(covariance))
    sigmas.update({name: float(s) for name, s in zip(names, sigma, strict=True) if s > 0})
    listed = tuple(Minimum(parameters=_named(space, m.at), twice_nll=m.value + space.offset) for m in minima)
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
        n_forbidden=space.n_forbidden,
    )


def _curvature_at(space: FreeCoordinates, best: Descent, *, errors: bool) -> tuple[NDArray[np.bool_], float, FloatArray]:
    """Return the active coordinates (n_free,), the distance to the minimum and the inverse second derivatives (n_active, n_active)."""
    gradient = space.gradient(best.at)
    active = interior(space, best.at, gradient)
    if best.hessian is None or (errors and not _fits(best.hessian, active)):
        hessian = curvature(space, best.at, active)
    else:
        hessian = best.hessian[np.ix_(active, active)]
    if not active.any():
        return active, 0.0, np.zeros((0, 0))
    if best.normals is not None and gradient is not None:
        return active, *_along(hessian, gradient[active], best.normals[:, active])
    try:
        inverse = np.asarray(np.linalg.inv(hessian))
    except np.linalg.LinAlgError:
        return active, math.inf, np.full(hessian.shape, np.nan)
    return active, 0.5 * float(gradient[active] @ inverse @ gradient[active]), inverse


def _fits(hessian: FloatArray, active: NDArray[np.bool_]) -> bool:
    """Tell whether second derivatives belong to the coordinates that are active: those of the others are zero."""
    return bool(np.all(np.diag(hessian)[active] != 0.0))


def _along(hessian: FloatArray, gradient: FloatArray, normals: FloatArray) -> tuple[float, FloatArray]:
    """Return the distance to the minimum and the inverse second derivatives on a limit with the normals (n_bins, n_active)."""
    tangents = null_space(normals)
    if not tangents.shape[1]:
        return 0.0, np.zeros_like(hessian)
    try:
        inside = np.linalg.inv(tangents.T @ hessian @ tangents)
    except np.linalg.LinAlgError:
        return math.inf, np.full(hessian.shape, np.nan)
    left = tangents.T @ gradient
    return 0.5 * float(left @ inside @ left), np.asarray(tangents @ inside @ tangents.T)


def _diagnose(space: FreeCoordinates, best: Descent, minima: Sequence[Minimum], edm: float) -> tuple[Status, str]:
    advice = []
    status: Status = "converged"
    edges = [n for n, x, a, b in zip(space.names, best.at, space.low, space.high, strict=True) if x in (a, b)]
    if edges:
        status = "at_boundary"
        advice.append(f"{', '.join(edges)} at the edge of the allowed range: quote an interval, and check that the range is meant")
    if best.normals is not None:
        status = "at_boundary"
        advice.append(f"{len(best.normals)} bins without data expect nothing at the best fit: quote an interval, not a symmetric error")
    if not 0.0 <= edm <= CONVERGED_EDM:
        status = "not_converged"
        advice.append(
            f"the distance to the minimum is {edm:.3g}, wanted is below {CONVERGED_EDM:g}: scan the parameters, narrow their ranges"
        )
    others = [m for m in minima[1:] if m.twice_nll - minima[0].twice_nll < POLISHED]
    if others:
        shown = ", ".join(
            f"{_where(space, m, minima[0])} (twice_delta_nll {max(m.twice_nll - minima[0].twice_nll, 0.0):.2g})" for m in others
        )
        as_good = ", as good within 1 unit" if others[0].twice_nll - minima[0].twice_nll < NEAR else ""
        advice.append(f"another minimum at {shown}{as_good}: quote intervals from the scan, not a symmetric error")
    return status, "; ".join(advice)


def _where(space: FreeCoordinates, minimum: Minimum, best: Minimum) -> str:
    """Name a minimum by the parameter of interest and the interfering parameters in which it differs from the best one."""
    poi = space.objective.poi
    moved = [
        name
        for name, width in zip(space.names, space.scales(), strict=True)
        if name in space.objective.interfering and abs(minimum.parameters[name] - best.parameters[name]) > 0.1 * width
    ]
    names = list(dict.fromkeys([*([poi] if poi in space.names else []), *moved])) or space.names[:1]
    return " and ".join(f"{name} = {minimum.parameters[name]:.4g}" for name in names)


def _named(space: FreeCoordinates, solution: FloatArray) -> dict[str, float]:
    point = space.points(solution[None, :])[0]
    return {p.name: float(x) for p, x in zip(space.objective.parameters, point, strict=True)}


def _without_freedom(space: FreeCoordinates) -> FitResult:
    parameters = {p.name: float(x) for p, x in zip(space.objective.parameters, space.base, strict=True)}
    minimum = Minimum(parameters=parameters, twice_nll=space.offset)
    return FitResult(
        parameters=parameters,
        errors=_fixed_errors(space),
        twice_nll=space.offset,
        status="converged",
        advice="no parameter is free",
        minima=(minimum,),
        edm=0.0,
        n_evaluations=space.n_evaluations,
    )


def _forbidden(space: FreeCoordinates) -> FitResult:
    """Say that no allowed point was found."""
    parameters = {p.name: float(x) for p, x in zip(space.objective.parameters, space.base, strict=True)}
    cause = space.objective.not_positive(space.base)
    return FitResult(
        parameters=parameters,
        errors=_fixed_errors(space),
        twice_nll=math.inf,
        status="forbidden",
        advice=f"no point was found at which all expectations are positive: {'' if cause is None else cause.error}",
        minima=(Minimum(parameters=parameters, twice_nll=math.inf),),
        edm=math.inf,
        n_evaluations=space.n_evaluations,
        n_forbidden=space.n_forbidden,
    )


def _fixed_errors(space: FreeCoordinates) -> dict[str, float]:
    """Return the errors of a fit that are known without it: 0 of the fixed parameters, NaN of the free ones."""
    return {p.name: math.nan if k in space.free else 0.0 for k, p in enumerate(space.objective.parameters)}
