"""Every parameter of interest of one method: intervals with the others profiled and with the others fixed, and contours of pairs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import chi2

from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.contours import find_contours
from toolkit.likelihood.fit_result import FitResult
from toolkit.likelihood.fixed import FixedLikelihood
from toolkit.likelihood.intervals import find_intervals
from toolkit.likelihood.measure import measure
from toolkit.likelihood.parameter_results import Contour, ParameterResult
from toolkit.likelihood.results import MethodResult

WIDE = 1.15
"""How much wider than the profile at the 95 % level of two parameters a contour's grid is."""


def measure_parameters(
    likelihood: Likelihood, *, method: str, interest: Sequence[str], truth: Mapping[str, float], points: int, contours: bool = True
) -> MethodResult:
    """Fit, and find the intervals of every parameter of interest.

    Args:
        likelihood: Any likelihood.
        method: Name of the method in the result.
        interest: Parameters of interest; the first is that of the result itself.
        truth: Where the others are fixed for the intervals with the others fixed, by name.
        points: Points of each scan over the allowed range.
        contours: Whether to find the contours of all pairs.

    Returns:
        The result of the first parameter, with `parameters` and `contours` of all.

    Raises:
        PhysicsDomainError: A truth is outside its range, or a density is not positive at every start.

    Examples:
        >>> from toolkit.likelihood.binned import BinnedLikelihood
        >>> likelihood = BinnedLikelihood(templates=[[100.0, 0.0], [50.0, 100.0]], data=[150.0, 100.0], coefficients=("a", "b"),
        ...     parameters=("a", "b"), bounds={"a": (0.0, 3.0), "b": (0.0, 3.0)})
        >>> found = measure_parameters(likelihood, method="counts", interest=("a", "b"), truth={"a": 1.0, "b": 1.0}, points=31)
        >>> [(name, round(p.best_fit, 3), round(p.interval_68[0].high, 2)) for name, p in found.parameters.items()]
        [('a', 1.0, 1.13), ('b', 1.0, 1.1)]
        >>> round(found.parameters["a"].fixed_others_68[0].high, 2), [c.level for c in found.contours]
        (1.13, [0.68, 0.95])
    """
    known = [name for name in interest if name in likelihood.parameter_names]
    by_name = {p.name: p for p in likelihood.parameters}
    found: dict[str, MethodResult] = {}
    parameters: dict[str, ParameterResult] = {}
    for name in known:
        values = np.linspace(by_name[name].low, by_name[name].high, points)
        profiled = measure(likelihood, method=method, values=values, poi=name, truth=truth.get(name))
        others = {other: truth[other] for other in known if other != name}
        fixed = measure(FixedLikelihood(likelihood, others), method=method, values=values, poi=name) if others else profiled
        found[name] = profiled
        parameters[name] = ParameterResult(
            best_fit=profiled.mu_hat,
            interval_68=profiled.interval_68,
            interval_95=profiled.interval_95,
            fixed_others_68=fixed.interval_68,
            fixed_others_95=fixed.interval_95,
            scan=profiled.scan,
            twice_nll_at_0=profiled.twice_nll_at_0,
        )
    first = found[known[0]]
    pairs = itertools.combinations(known, 2) if contours and first.fit is not None else ()
    lines = [c for pair in pairs for c in _contours(likelihood, pair, found, fit=first.fit)]
    return replace(first, parameters=parameters, contours=tuple(lines))


def _contours(
    likelihood: Likelihood, pair: tuple[str, str], found: Mapping[str, MethodResult], *, fit: FitResult | None
) -> tuple[Contour, ...]:
    """Find the contours of a pair on a grid that just holds them: the ends of a contour are those of the profiles at its level."""
    if fit is None:
        return ()
    threshold = float(chi2.ppf(0.95, 2))
    ranges = []
    for name in pair:
        scan = found[name].scan
        low, high = float(scan.values[0]), float(scan.values[-1])
        pieces = find_intervals(scan, threshold=threshold, bounds=(low, high))
        ends = (min(p.low for p in pieces), max(p.high for p in pieces)) if pieces else (low, high)
        margin = 0.5 * (WIDE - 1.0) * (ends[1] - ends[0])
        ranges.append((max(low, ends[0] - margin), min(high, ends[1] + margin)))
    return find_contours(likelihood, pair, fit=fit, ranges=ranges)
