"""Where the uncertainty of a parameter comes from: MINOS errors, pulls, impacts of single nuisance parameters and of groups.

What to use when: `pulls` for what the data say about the nuisance parameters, `impacts` for the ranking plot, `breakdown` for the
uncertainty table of a paper (statistical, then groups of systematics), `minos` for asymmetric errors around one minimum. With two
minima quote intervals of a scan (`toolkit.likelihood.measure`) instead of errors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from scipy.optimize import brentq

from toolkit.errors import SchemaError
from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.branches import other_directions
from toolkit.likelihood.constraints import Constraint
from toolkit.likelihood.fit_result import FitResult
from toolkit.likelihood.minimise import minimise
from toolkit.likelihood.profiles import Profile

STARTS = 4
"""Minima of the fit that every refit starts from."""
BARRIER_POINTS = 5
"""Points between two minima at which a barrier is looked for."""


@dataclass(frozen=True)
class AsymmetricError:
    """Distances from the best fit to the ends where twice_delta_nll reaches a threshold.

    Attributes:
        down: Downwards, >= 0.
        up: Upwards, >= 0.
        at_low: Whether the lower end is the edge of the allowed range.
        at_high: Whether the upper end is.
    """

    down: float
    up: float
    at_low: bool = False
    at_high: bool = False


@dataclass(frozen=True)
class Pull:
    """A fitted nuisance parameter in units of its constraint.

    Attributes:
        parameter: Its name.
        pull: (fitted - observed) / width of the constraint.
        constraint: Fitted error / width of the constraint; below 1 where the data know more than the constraint.
    """

    parameter: str
    pull: float
    constraint: float

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form; NaN becomes null."""
        return {"parameter": self.parameter, "pull": _finite(self.pull), "constraint": _finite(self.constraint)}


@dataclass(frozen=True)
class Impact:
    """Shift of the parameter of interest when something moves up or down by its error and everything else is fitted again.

    What moves is a nuisance parameter (`impacts`) or its auxiliary measurement (`toolkit.likelihood.auxiliary_impacts`).

    Examples:
        >>> Impact("jet_scale", up=0.1, down=-0.15).size
        0.15
    """

    parameter: str
    up: float
    down: float

    @property
    def size(self) -> float:
        """The larger of the two shifts."""
        return max(abs(self.up), abs(self.down))

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"parameter": self.parameter, "up": _finite(self.up), "down": _finite(self.down)}


@dataclass(frozen=True)
class Contribution:
    """Part of the uncertainty that vanishes in quadrature when a group of nuisance parameters is fixed at its best fit."""

    group: str
    up: float
    down: float

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"group": self.group, "up": _finite(self.up), "down": _finite(self.down)}


def pulls(likelihood: Likelihood, fit: FitResult) -> tuple[Pull, ...]:
    """Compute the pull of every constrained parameter, in the order of the constraints.

    Examples:
        A single bin cannot tell background from signal: the data say no more about it than its own measurement does.

        >>> import pyhf
        >>> from toolkit.likelihood.pyhf_model import PyhfLikelihood
        >>> model = pyhf.simplemodels.uncorrelated_background([10.0], [5.0], [1.0], validate=False)
        >>> likelihood = PyhfLikelihood(model, [15.0, *model.config.auxdata])
        >>> pull = pulls(likelihood, likelihood.fit())[0]
        >>> round(pull.pull, 3) + 0.0, round(pull.constraint, 3)
        (0.0, 1.0)
    """
    found = []
    for c in likelihood.constraints:
        width = _width(c)
        observed = c.observed if c.kind == "gaussian" else c.observed / c.scale
        value, error = fit.parameters[c.parameter], fit.errors.get(c.parameter, math.nan)
        found.append(Pull(c.parameter, (value - observed) / width, error / width))
    return tuple(found)


def impacts(
    likelihood: Likelihood,
    fit: FitResult,
    *,
    poi: str | None = None,
    parameters: Sequence[str] | None = None,
    by: Literal["post-fit", "pre-fit"] = "post-fit",
    piece: tuple[float, float] | None = None,
) -> tuple[Impact, ...]:
    """Compute the impact of nuisance parameters on the parameter of interest, largest first.

    Args:
        likelihood: The likelihood.
        fit: Its global fit.
        poi: Parameter of interest; the likelihood's own if not given.
        parameters: Nuisance parameters; by default all that are free and have an error.
        by: How far each moves: by its fitted error, or by the width of its own measurement ("pre-fit"; parameters without one are
            left out), which says how much it could matter before the data are looked at.
        piece: What `piece_around` says, where it is known.

    Returns:
        One entry per parameter. The other parameters may change to another minimum; the parameter of interest stays on the side of
        every barrier of 1 unit on which its best fit is.

    Raises:
        SchemaError: No such parameter.

    Examples:
        A background of 5 that is known to 1 event moves a signal of 10 by 0.1:

        >>> import pyhf
        >>> from toolkit.likelihood.pyhf_model import PyhfLikelihood
        >>> model = pyhf.simplemodels.uncorrelated_background([10.0], [5.0], [1.0], validate=False)
        >>> likelihood = PyhfLikelihood(model, [15.0, *model.config.auxdata])
        >>> impact = impacts(likelihood, likelihood.fit())[0]
        >>> impact.parameter, round(impact.up, 3), round(impact.down, 3)
        ('uncorr_bkguncrt[0]', -0.1, 0.1)
    """
    poi = likelihood.poi if poi is None else poi
    names = [n for n in fit.free if n != poi] if parameters is None else list(parameters)
    _check_names(likelihood, [poi, *names])
    piece = piece_around(likelihood, fit, poi) if piece is None else piece
    widths = fit.errors if by == "post-fit" else {c.parameter: _width(c) for c in likelihood.constraints}
    found = []
    for name in (n for n in names if n in widths):
        p, shifts = likelihood.parameters[likelihood.parameter_names.index(name)], []
        for sign in (1.0, -1.0):
            moved = min(max(fit.parameters[name] + sign * widths[name], p.low), p.high)
            shifts.append(refitted(likelihood, fit, poi, piece=piece, fixed={name: moved}) - fit.parameters[poi])
        found.append(Impact(name, *shifts))
    return tuple(sorted(found, key=lambda i: -i.size if math.isfinite(i.size) else math.inf))


def breakdown(
    likelihood: Likelihood, fit: FitResult, groups: Mapping[str, Sequence[str]], *, poi: str | None = None
) -> tuple[Contribution, ...]:
    """Split the uncertainty of the parameter of interest into its sources.

    Args:
        likelihood: The likelihood.
        fit: Its global fit.
        groups: Nuisance parameters by group.
        poi: Parameter of interest.

    Returns:
        "total"; each group: the quadratic difference between the total and the error with the group fixed at its best fit;
        "systematic": the same for all constrained parameters; "statistical": the error with all of them fixed. Groups are
        correlated through the fit, so they need not add up.

    Examples:
        >>> import pyhf
        >>> from toolkit.likelihood.pyhf_model import PyhfLikelihood
        >>> model = pyhf.simplemodels.uncorrelated_background([10.0], [5.0], [1.0], validate=False)
        >>> likelihood = PyhfLikelihood(model, [15.0, *model.config.auxdata])
        >>> {part.group: round(part.up, 2) for part in breakdown(likelihood, likelihood.fit(), {"background": ["uncorr_bkguncrt[0]"]})}
        {'total': 0.43, 'background': 0.09, 'systematic': 0.09, 'statistical': 0.42}
    """
    poi = likelihood.poi if poi is None else poi
    _check_names(likelihood, [poi, *(n for own in groups.values() for n in own)])
    constrained = [c.parameter for c in likelihood.constraints]

    def error(fixed: Sequence[str]) -> AsymmetricError:
        return minos(likelihood, fit, poi, fixed={n: fit.parameters[n] for n in fixed})

    total, statistical = error(()), error(constrained)
    found = [Contribution("total", total.up, total.down)]
    for group, names in {**groups, "systematic": constrained}.items():
        rest = statistical if group == "systematic" else error(names)
        found.append(Contribution(group, _without(total.up, rest.up), _without(total.down, rest.down)))
    return (*found, Contribution("statistical", statistical.up, statistical.down))


def minos(
    likelihood: Likelihood, fit: FitResult, name: str, *, threshold: float = 1.0, fixed: Mapping[str, float] | None = None
) -> AsymmetricError:
    """Compute the MINOS error of a parameter: where the profile around the best fit rises by a threshold.

    Args:
        likelihood: The likelihood.
        fit: Its global fit; the error belongs to this minimum.
        name: The parameter.
        threshold: Rise of twice_delta_nll.
        fixed: Parameters held at values.

    Returns:
        The distances; an end that is not reached inside the allowed range is the edge, and marked.

    Examples:
        Without nuisance parameters the profile of a counting experiment rises by 1 at asymmetric distances:

        >>> from toolkit.likelihood.binned import BinnedLikelihood
        >>> likelihood = BinnedLikelihood(templates=[[10.0], [5.0]], data=[15.0], coefficients=("mu", "1"), parameters=("mu",),
        ...     bounds={"mu": (0.0, 4.0)})
        >>> error = minos(likelihood, likelihood.fit(), "mu")
        >>> round(error.down, 4), round(error.up, 4)
        (0.3547, 0.4213)
    """
    _check_names(likelihood, [name, *(fixed or {})])
    held = dict(fixed or {})
    best = minimise(likelihood, fixed=held, starts=[likelihood.point({**fit.parameters, **held})], near=fit)
    profile = Profile(likelihood, name, fit=replace(best, minima=(*best.minima, *fit.minima)), fixed=held)
    value = best.parameters[name]
    parameter = likelihood.parameters[likelihood.parameter_names.index(name)]
    out = []
    for edge in (parameter.low, parameter.high):
        found = _crossing(profile, best, name, edge=edge, threshold=threshold)
        out.append((abs(found - value), found == edge))
    return AsymmetricError(down=out[0][0], up=out[1][0], at_low=out[0][1], at_high=out[1][1])


def _crossing(profile: Profile, best: FitResult, name: str, *, edge: float, threshold: float) -> float:
    """Find the nearest crossing of the profile between the best fit and an edge; the edge if there is none."""
    value = best.parameters[name]

    def rise(x: float) -> float:
        return profile(x) - best.twice_nll - threshold

    if value == edge:
        return edge
    limit = edge if math.isfinite(edge) else value + math.copysign(100.0, edge)
    step = best.errors.get(name, math.nan)
    step = math.copysign(step if math.isfinite(step) and step > 0.0 else min(0.05 * abs(limit - value), 0.5), limit - value)
    inner, outer = value, value
    while outer != limit:
        inner, outer = outer, value + step
        if abs(outer - value) >= abs(limit - value):
            outer = limit
        if rise(outer) > 0.0:
            allowed = _last_finite(rise, inner, outer)
            if rise(allowed) <= 0.0:
                return allowed
            return float(brentq(rise, inner, allowed, xtol=1e-10 * max(1.0, abs(step)), rtol=1e-10))
        step *= 1.6
    return edge


def _width(constraint: Constraint) -> float:
    """Return the standard deviation of a parameter that its own measurement gives."""
    return constraint.scale if constraint.kind == "gaussian" else 1.0 / math.sqrt(constraint.scale)


def _last_finite(rise: Callable[[float], float], inner: float, outer: float) -> float:
    """Return the outer end, or where all points beyond are forbidden the last one that is above the threshold or allowed."""
    if math.isfinite(rise(outer)):
        return outer
    for _ in range(60):
        middle = 0.5 * (inner + outer)
        height = rise(middle)
        if math.isfinite(height) and height > 0.0:
            return middle
        inner, outer = (middle, outer) if math.isfinite(height) else (inner, middle)
    return inner


def piece_around(likelihood: Likelihood, fit: FitResult, poi: str) -> tuple[float, float]:
    """Return the range of the parameter of interest around its best fit that no barrier of 1 unit separates from it.

    Args:
        likelihood: The likelihood.
        fit: Its global fit, with all minima.
        poi: Parameter of interest.

    Returns:
        The ends: where the barriers are highest, or infinite.
    """
    best, low, high = fit.parameters[poi], -math.inf, math.inf
    others = sorted({m.parameters[poi] for m in fit.minima[1:] if abs(m.parameters[poi] - best) > 1e-6 * max(1.0, abs(best))})
    profile = Profile(likelihood, poi, fit=fit) if others else None
    for other in others:
        between = np.linspace(best, other, BARRIER_POINTS + 2)[1:-1]
        heights = [profile(float(x)) for x in between] if profile is not None else []
        top = int(np.argmax(heights))
        if heights[top] > fit.twice_nll + 1.0:
            low, high = (max(low, between[top]), high) if other < best else (low, min(high, between[top]))
    return low, high


def refitted(
    likelihood: Likelihood, fit: FitResult, poi: str, *, piece: tuple[float, float], fixed: Mapping[str, float] | None = None
) -> float:
    """Fit again after something moved, the other parameters in whatever minima they then have.

    Args:
        likelihood: The likelihood, or one of slightly different data.
        fit: The fit before, whose minima are starts.
        poi: Parameter of interest.
        piece: Where it stays, from `piece_around`.
        fixed: Parameters held at values.

    Returns:
        The parameter of interest at the lowest minimum inside the piece.
    """
    held = dict(fixed or {})
    starts = [likelihood.point({**m.parameters, **held}) for m in fit.minima[:STARTS]]
    several = bool(other_directions(likelihood, (poi, *held)))
    again = minimise(likelihood, fixed=held, starts=starts, errors=False, near=fit, search=several)
    inside = [m for m in again.minima if piece[0] <= m.parameters[poi] <= piece[1]]
    return (inside or again.minima)[0].parameters[poi]


def _without(total: float, rest: float) -> float:
    return math.sqrt(max(total**2 - rest**2, 0.0))


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _check_names(likelihood: Likelihood, names: Sequence[str]) -> None:
    unknown = sorted(set(names) - set(likelihood.parameter_names))
    if unknown:
        raise SchemaError("parameters", got=unknown, expected=f"names among {list(likelihood.parameter_names)}", remedy="correct the name")
