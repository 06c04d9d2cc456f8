"""One method's measurement: global fit, scan, intervals, test statistic at zero."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from toolkit.errors import PhysicsDomainError
from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.descent import EQUAL
from toolkit.likelihood.intervals import THRESHOLD_68, THRESHOLD_95, find_intervals, scan_with_minima
from toolkit.likelihood.profiles import Profile
from toolkit.likelihood.results import MethodResult
from toolkit.likelihood.scans import Scan


def measure(likelihood: Likelihood, *, method: str, values: ArrayLike, poi: str | None = None, truth: float | None = None) -> MethodResult:
    """Fit, scan and find intervals.

    Args:
        likelihood: Any likelihood.
        method: Name of the method in the result.
        values: Scan points of the parameter of interest, (n_points,), increasing.
        poi: Parameter of interest; the likelihood's own if not given.
        truth: Value in the Asimov set, if there is one: checked to be inside the allowed range.

    Returns:
        The result. Intervals lie inside the scanned range; `at_boundary` says that one reaches its edge. All minima of the fit are
        points of the search for intervals, so that no piece is lost between scan points, however few they are.

    Raises:
        PhysicsDomainError: The truth is outside the allowed range, or the density is not positive somewhere.

    Examples:
        >>> from toolkit.likelihood.binned import BinnedLikelihood
        >>> likelihood = BinnedLikelihood(templates=[[10.0], [5.0]], data=[15.0], coefficients=("mu", "1"), parameters=("mu",),
        ...     bounds={"mu": (0.0, 4.0)})
        >>> result = measure(likelihood, method="rate", values=np.linspace(0.0, 4.0, 41))
        >>> round(result.mu_hat, 6), [(round(i.low, 3), round(i.high, 3)) for i in result.interval_68]
        (1.0, [(0.645, 1.421)])
    """
    poi = likelihood.poi if poi is None else poi
    grid = likelihood.scan_values(poi, values)
    parameter = likelihood.parameters[likelihood.parameter_names.index(poi)]
    if truth is not None and not parameter.low <= truth <= parameter.high:
        what = f"range of {poi!r}"
        raise PhysicsDomainError(
            what,
            got=f"[{parameter.low:g}, {parameter.high:g}]",
            expected=f"a range that contains the truth {truth:g}",
            remedy="widen the range or move the truth",
        )
    fit = likelihood.fit()
    profile = Profile(likelihood, poi, fit=fit)
    profiled = profile.scan(grid)
    if profiled.min() < fit.twice_nll - EQUAL:
        fit = likelihood.fit_near(poi, float(grid[np.argmin(profiled)]), fit=fit)
    lowest = min(fit.twice_nll, float(profiled.min()))

    def curve(value: float) -> float:
        return profile(value) - lowest

    scan = Scan(values=grid, twice_delta_nll=profiled - lowest, parameter=poi)
    with_minima = scan_with_minima(scan, [m.parameters[poi] for m in fit.minima], curve)
    at_zero = max(curve(0.0), 0.0) if parameter.low <= 0.0 <= parameter.high else math.inf  # infinite also where events forbid 0
    edges = (max(parameter.low, float(grid[0])), min(parameter.high, float(grid[-1])))
    return MethodResult(
        method=method,
        mu_hat=fit.parameters[poi],
        twice_nll_at_0=at_zero if math.isfinite(at_zero) else None,
        interval_68=find_intervals(with_minima, threshold=THRESHOLD_68, bounds=edges, curve=curve),
        interval_95=find_intervals(with_minima, threshold=THRESHOLD_95, bounds=edges, curve=curve),
        scan=scan,
        fit=fit,
    )
