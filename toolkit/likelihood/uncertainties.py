"""Where the uncertainty of a parameter comes from: MINOS errors, pulls, impacts of single nuisance parameters and of groups.

What to use when: `pulls` for what the data say about the nuisance parameters, `impacts` for the ranking plot, `breakdown` for the
uncertainty table of a paper (statistical, then groups of systematics), `minos` for asymmetric errors around one minimum. With two
minima quote intervals of a scan (`toolkit.likelihood.measure`) instead of errors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from iminuit import Minuit
from scipy.optimize import brentq

from toolkit.errors import SchemaError
from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.constraints import Constraint
from toolkit.likelihood.coordinates import FreeCoordinates
from toolkit.likelihood.minimise import minimise
from toolkit.likelihood.results import FitResult


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
) -> tuple[Impact, ...]:
    """Compute the impact of nuisance parameters on the parameter of interest, largest first.

    Args:
        likelihood: The likelihood.
        fit: Its global fit.
        poi: Parameter of interest; the likelihood's own if not given.
        parameters: Nuisance parameters; by default all that are free and have an error.
        by: How far each moves: by its fitted error, or by the width of its own measurement ("pre-fit"; parameters without one are
            left out), which says how much it could matter before the data are looked at.

    Returns:
        One entry per parameter. Fits start from the best fit and stay in its minimum.

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
    widths = fit.errors if by == "post-fit" else {c.parameter: _width(c) for c in likelihood.constraints}
    found = []
    for name in (n for n in names if n in widths):
        shifts = []
        p = likelihood.parameters[likelihood.parameter_names.index(name)]
        for sign in (1.0, -1.0):
            moved = min(max(fit.parameters[name] + sign * widths[name], p.low), p.high)
            start = likelihood.point({**fit.parameters, name: moved})
            refit = minimise(likelihood, fixed={name: moved}, starts=[start], errors=False, near=fit)
            shifts.append(refit.parameters[poi] - fit.parameters[poi])
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
    best = minimise(likelihood, fixed=fixed, starts=[likelihood.point({**fit.parameters, **(fixed or {})})], near=fit)
    space = FreeCoordinates.of(likelihood, fixed or {})
    k = space.names.index(name)
    value = best.parameters[name]
    ends = _by_minuit(space, best, k, threshold)
    parameter = likelihood.parameters[likelihood.parameter_names.index(name)]
    out = []
    for end, edge in zip(ends, (parameter.low, parameter.high), strict=True):
        found = _by_roots(likelihood, best, name, edge=edge, threshold=threshold, fixed=fixed or {}) if end is None else end
        out.append((abs(found - value), found == edge))
    return AsymmetricError(down=out[0][0], up=out[1][0], at_low=out[0][1], at_high=out[1][1])


def _by_minuit(space: FreeCoordinates, best: FitResult, k: int, threshold: float) -> tuple[float | None, float | None]:
    """Run iminuit's MINOS in the smooth coordinates; None for an end that it does not find."""
    free = [p.name for p in (space.objective.parameters[i] for i in space.free)]
    start = space.inward(np.array([best.parameters[n] for n in free]))
    if start[k] in (space.low[k], space.high[k]):
        return None, None
    minuit = Minuit(space.capped_value, start, grad=space.gradient, name=space.names)
    minuit.errordef = Minuit.LEAST_SQUARES
    minuit.strategy, minuit.tol, minuit.print_level = 1, 1e-3, 0
    minuit.limits = [(a if math.isfinite(a) else None, b if math.isfinite(b) else None) for a, b in zip(space.low, space.high, strict=True)]
    scales = [best.errors.get(n, math.nan) for n in free]
    minuit.errors = [s if math.isfinite(s) and s > 0.0 else 0.05 * w for s, w in zip(scales, space.widths(), strict=True)]
    minuit.migrad()
    if not minuit.valid or abs(minuit.values[k] - start[k]) > 1e-2 * minuit.errors[k]:
        return None, None
    minuit.minos(space.names[k], cl=math.sqrt(threshold) if threshold >= 1.0 else math.erf(math.sqrt(threshold / 2.0)))
    result = minuit.merrors[space.names[k]]
    found: list[float | None] = []
    sides = ((result.lower_valid, result.at_lower_limit, result.lower), (result.upper_valid, result.at_upper_limit, result.upper))
    for valid, limited, shift in sides:
        trial = start.copy()
        trial[k] = minuit.values[k] + shift
        found.append(float(space.outward(np.clip(trial, space.low, space.high))[k]) if valid and not limited else None)
    return found[0], found[1]


def _by_roots(likelihood: Likelihood, best: FitResult, name: str, *, edge: float, threshold: float, fixed: Mapping[str, float]) -> float:
    """Find the crossing of the profile by bisection between the best fit and an edge; the edge if there is none."""
    value = best.parameters[name]
    state = {"last": best}

    def rise(x: float) -> float:
        start = likelihood.point({**state["last"].parameters, name: x})
        local = minimise(likelihood, fixed={**fixed, name: x}, starts=[start], errors=False, near=state["last"])
        state["last"] = local
        return local.twice_nll - best.twice_nll - threshold

    if value == edge:
        return edge
    limit = edge if math.isfinite(edge) else value + math.copysign(100.0, edge)
    step = best.errors.get(name, math.nan)
    step = math.copysign(step if math.isfinite(step) and step > 0.0 else 0.05 * abs(limit - value), limit - value)
    inner, outer = value, value
    while outer != limit:
        inner, outer = outer, value + step
        if abs(outer - value) >= abs(limit - value):
            outer = limit
        if rise(outer) > 0.0:
            return float(brentq(rise, inner, outer, xtol=1e-10 * max(1.0, abs(step)), rtol=1e-10))
        step *= 1.6
    return edge


def _width(constraint: Constraint) -> float:
    """Return the standard deviation of a parameter that its own measurement gives."""
    return constraint.scale if constraint.kind == "gaussian" else 1.0 / math.sqrt(constraint.scale)


def _without(total: float, rest: float) -> float:
    return math.sqrt(max(total**2 - rest**2, 0.0))


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _check_names(likelihood: Likelihood, names: Sequence[str]) -> None:
    unknown = sorted(set(names) - set(likelihood.parameter_names))
    if unknown:
        raise SchemaError("parameters", got=unknown, expected=f"names among {list(likelihood.parameter_names)}", remedy="correct the name")
