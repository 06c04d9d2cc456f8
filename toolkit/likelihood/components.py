"""What the uncertainty of a best fit comes from, by the measurements that it comes from: auxiliary observables and data.

What to use when: `auxiliary_impacts` and `uncertainty_components` for a table whose parts add up to the total; `impacts` and `breakdown` of
`toolkit.likelihood.uncertainties` for the usual ranking by nuisance parameters. The two answer different questions. Fixing nuisance
parameters says how the result would improve if they were known; their contributions are correlated through the fit and add up to anything.
Shifting what was measured, each auxiliary observable by its own standard deviation and the data by their fluctuations, gives independent
contributions: for a linear Gaussian model their squares add up to the square of the total exactly. Data that constrain a nuisance parameter
better than its own measurement count as statistics here, as they would in a combination with another experiment.

References:
    A. Pinto et al., Eur. Phys. J. C 84 (2024) 593, arXiv:2307.04007.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.errors import SchemaError
from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.constraints import Constraint
from toolkit.likelihood.fit_result import FitResult
from toolkit.likelihood.resampling import resampled
from toolkit.likelihood.uncertainties import Impact, piece_around, refitted

SPREAD_68 = (0.158655254, 0.841344746)
"""Quantiles whose distance is two standard deviations of a Gaussian; replicas in another minimum do not move them."""


@dataclass(frozen=True)
class Component:
    """An independent part of the uncertainty of the parameter of interest.

    Attributes:
        group: What it comes from: a group of auxiliary observables, "systematic" (all of them), "statistical" (the data), "total" (all in
            quadrature).
        up: Upwards, >= 0.
        down: Downwards, >= 0.
        error: Standard error of both from the finite number of replicas; 0 where there are none.
    """

    group: str
    up: float
    down: float
    error: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form; NaN becomes null."""
        return {
            "group": self.group,
            **{k: v if math.isfinite(v) else None for k, v in (("up", self.up), ("down", self.down), ("error", self.error))},
        }


def auxiliary_impacts(
    likelihood: Likelihood,
    fit: FitResult,
    *,
    poi: str | None = None,
    parameters: Sequence[str] | None = None,
    piece: tuple[float, float] | None = None,
) -> tuple[Impact, ...]:
    """Compute the shift of the best fit when an auxiliary measurement is one standard deviation higher or lower, largest first.

    Args:
        likelihood: The likelihood.
        fit: Its global fit.
        poi: Parameter of interest; the likelihood's own if not given.
        parameters: Constrained parameters whose measurements are shifted; by default all that are free.
        piece: What `piece_around` says, where it is known.

    Returns:
        One entry per auxiliary observable, by the parameter that it measures. A Gaussian measurement moves by its width, n counts by
        sqrt(n); all parameters are fitted again, from the best fit and in its minimum.

    Raises:
        SchemaError: A parameter without an auxiliary measurement.

    Examples:
        A background of 5 known to 1 from elsewhere is worth 0.1 of a signal of 10, whatever the data say about it:

        >>> from toolkit.likelihood.unbinned import UnbinnedLikelihood
        >>> from toolkit.likelihood.parameters import Parameter
        >>> likelihood = UnbinnedLikelihood(log_ratios=np.zeros((15, 2)), weights=np.ones(15), yields=[10.0, 5.0],
        ...     coefficients=("mu", "1 + 0.2 * b"), constraints=[Constraint("b")],
        ...     parameters=[Parameter("mu", 1.0, -1.0, 5.0), Parameter("b", 0.0, -4.0, 4.0)])
        >>> impact = auxiliary_impacts(likelihood, likelihood.fit())[0]
        >>> impact.parameter, round(impact.up, 6), round(impact.down, 6)
        ('b', -0.1, 0.1)
    """
    poi = _checked_poi(likelihood, poi)
    known = {c.parameter: c for c in likelihood.constraints}
    fixed = {p.name for p in likelihood.parameters if p.fixed}
    names = [n for n in known if n not in fixed] if parameters is None else list(parameters)
    unknown = sorted(set(names) - set(known))
    if unknown:
        expected = f"constrained parameters among {sorted(known)}"
        raise SchemaError("auxiliary observables", got=f"parameters {unknown}", expected=expected, remedy="leave them out")
    piece, found = piece_around(likelihood, fit, poi) if piece is None else piece, []
    for name in names:
        shifted = [likelihood.with_auxiliary({name: value}) for value in _moved(known[name])]
        up, down = (refitted(moved, fit, poi, piece=piece) - fit.parameters[poi] for moved in shifted)
        found.append(Impact(name, up, down))
    return tuple(sorted(found, key=lambda i: -i.size if math.isfinite(i.size) else math.inf))


def uncertainty_components(
    likelihood: Likelihood,
    fit: FitResult,
    groups: Mapping[str, Sequence[str]],
    *,
    seed: int,
    poi: str | None = None,
    replicas: int = 200,
    shifts: Sequence[Impact] | None = None,
) -> tuple[Component, ...]:
    """Split the uncertainty of the parameter of interest into independent parts.

    Args:
        likelihood: The likelihood.
        fit: Its global fit.
        groups: Constrained parameters by group; a parameter may belong to several.
        seed: Seed of the replicas of the data.
        poi: Parameter of interest.
        replicas: Bootstrap replicas of the data, each fitted again; the relative error of the statistical part is about
            1 / sqrt(replicas).
        shifts: What `auxiliary_impacts` gave for all constrained parameters, if that is known.

    Returns:
        "total", "statistical", "systematic", then the groups. Each group adds the shifts of its members in quadrature, those upwards and
        those downwards; "systematic" holds all of them; "statistical" is half of the central 68.27 % of the replicas; "total" is
        their sum in quadrature, to be compared with the error of the fit.

    Raises:
        SchemaError: A parameter of a group without an auxiliary measurement.
        PhysicsDomainError: Events of negative weight, which cannot be drawn again.

    Examples:
        >>> from toolkit.likelihood.unbinned import UnbinnedLikelihood
        >>> from toolkit.likelihood.parameters import Parameter
        >>> likelihood = UnbinnedLikelihood(log_ratios=np.zeros((15, 2)), weights=np.ones(15), yields=[10.0, 5.0],
        ...     coefficients=("mu", "1 + 0.2 * b"), constraints=[Constraint("b")],
        ...     parameters=[Parameter("mu", 1.0, -1.0, 5.0), Parameter("b", 0.0, -4.0, 4.0)])
        >>> parts = uncertainty_components(likelihood, likelihood.fit(), {"background": ["b"]}, seed=1, replicas=100)
        >>> {part.group: round(part.up, 1) for part in parts}
        {'total': 0.4, 'statistical': 0.4, 'systematic': 0.1, 'background': 0.1}
    """
    poi = _checked_poi(likelihood, poi)
    shifts = auxiliary_impacts(likelihood, fit, poi=poi) if shifts is None else shifts
    known = {s.parameter: s for s in shifts}
    fixed = {p.name for p in likelihood.parameters if p.fixed}
    unknown = sorted({n for own in groups.values() for n in own} - set(known) - fixed)
    if unknown:
        expected = f"constrained parameters among {sorted(known)}"
        raise SchemaError("groups of auxiliary observables", got=f"parameters {unknown}", expected=expected, remedy="leave them out")
    systematic = _in_quadrature("systematic", shifts)
    statistical = statistical_component(likelihood, fit, poi=poi, replicas=replicas, seed=seed)
    total = Component(
        "total",
        math.hypot(systematic.up, statistical.up),
        math.hypot(systematic.down, statistical.down),
        statistical.error * statistical.up / (math.hypot(systematic.up, statistical.up) or 1.0),
    )
    parts = [_in_quadrature(group, [known[n] for n in names if n in known]) for group, names in groups.items()]
    return (total, statistical, systematic, *parts)


def statistical_component(likelihood: Likelihood, fit: FitResult, *, seed: int, poi: str | None = None, replicas: int = 200) -> Component:
    """Compute the part of the uncertainty that comes from the fluctuations of the data, by a bootstrap of them.

    Args:
        likelihood: The likelihood; its auxiliary data stay as they are.
        fit: Its global fit, from which every replica is fitted.
        seed: Seed.
        poi: Parameter of interest.
        replicas: Number of replicas, at least 2.

    Returns:
        Half of the central 68.27 % of the best fits, up and down alike, with its standard error.
    """
    poi = _checked_poi(likelihood, poi)
    if replicas < 2:
        raise SchemaError("bootstrap of the data", got=f"{replicas} replicas", expected="at least 2")
    generator = np.random.default_rng(seed)
    piece = piece_around(likelihood, fit, poi)
    best = [refitted(resampled(likelihood, generator), fit, poi, piece=piece) for _ in range(replicas)]
    low, high = np.quantile(best, SPREAD_68)
    half = float(0.5 * (high - low))
    # the quantiles q and 1 - q of a Gaussian: variances q (1 - q) / (n phi^2), covariance q^2 / (n phi^2), phi the density at one sigma
    q, phi = SPREAD_68[0], math.exp(-0.5) / math.sqrt(2.0 * math.pi)
    share = math.sqrt(0.5 * (q * (1.0 - q) - q**2)) / phi
    return Component("statistical", half, half, half * share / math.sqrt(replicas))


def _moved(constraint: Constraint) -> tuple[float, float]:
    """Return what an auxiliary measurement would be one standard deviation higher and lower."""
    step = constraint.scale if constraint.kind == "gaussian" else math.sqrt(constraint.observed)
    lower = constraint.observed - step
    return constraint.observed + step, lower if constraint.kind == "gaussian" else max(lower, 0.0)


def _in_quadrature(group: str, shifts: Sequence[Impact]) -> Component:
    up = [max(s.up, s.down, 0.0) for s in shifts]
    down = [max(-s.up, -s.down, 0.0) for s in shifts]
    return Component(group, float(np.linalg.norm(up)), float(np.linalg.norm(down)))


def _checked_poi(likelihood: Likelihood, poi: str | None) -> str:
    name = likelihood.poi if poi is None else poi
    if name not in likelihood.parameter_names:
        raise SchemaError("parameter of interest", got=repr(name), expected=f"one of {list(likelihood.parameter_names)}")
    return name
