"""Upper limits with CLs from the asymptotic distribution of the test statistic q-mu-tilde.

What to use when: `cls` for one hypothesis, `upper_limit` for the value excluded at 95 %. Both need the Asimov set of the background-only
hypothesis; `PyhfLikelihood.asimov` builds it for a binned model, for an unbinned likelihood give simulated events with the weights
of that hypothesis. With interference the statistic is not distributed so near mu = 0: construct intervals from toys there.

References:
    Cowan, Cranmer, Gross, Vitells, arXiv:1007.1727, equations 16, 62 to 66; A. L. Read, J. Phys. G 28 (2002) 2693.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy.optimize import brentq
from scipy.stats import norm

from toolkit.errors import FitError, SchemaError
from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.results import FitResult

MakeAsimov = Callable[[dict[str, float]], Likelihood]
"""Gives the likelihood of the Asimov set at a full parameter point."""


@dataclass(frozen=True)
class CLs:
    """Result of testing one value of the parameter of interest.

    Attributes:
        value: The value tested.
        observed: CLs.
        expected: CLs if background alone had fluctuated by -2, -1, 0, 1, 2 standard deviations.
        q: The test statistic q-mu-tilde.
        q_asimov: The same of the Asimov set.
    """

    value: float
    observed: float
    expected: tuple[float, float, float, float, float]
    q: float
    q_asimov: float


def cls(likelihood: Likelihood, value: float, asimov: MakeAsimov, *, poi: str | None = None, background: float = 0.0) -> CLs:
    """Test a value of the parameter of interest.

    Args:
        likelihood: The likelihood of the data.
        value: The value tested, above `background`.
        asimov: Makes the Asimov set at the background-only fit to the data.
        poi: Parameter of interest.
        background: Its value without signal.

    Returns:
        Observed and expected CLs.

    Raises:
        SchemaError: A value that is not above the background's.

    Examples:
        Three events on an expected background of 3; a signal of 10 is all but excluded:

        >>> import pyhf
        >>> from toolkit.likelihood.pyhf_model import PyhfLikelihood
        >>> model = pyhf.simplemodels.uncorrelated_background([10.0], [3.0], [0.5], validate=False)
        >>> likelihood = PyhfLikelihood(model, [3.0, *model.config.auxdata])
        >>> tested = cls(likelihood, 1.0, likelihood.asimov)
        >>> round(tested.observed, 4), round(tested.expected[2], 4)
        (0.0009, 0.0009)
    """
    poi = likelihood.poi if poi is None else poi
    if not value > background:
        raise SchemaError(f"CLs of {poi!r}", got=value, expected=f"a value above {background}, that of background alone")
    without = likelihood.fit(fixed={poi: background})
    reference = asimov(dict(without.parameters))
    return _cls_at((likelihood, likelihood.fit()), (reference, reference.fit()), value, poi)


def upper_limit(
    likelihood: Likelihood, asimov: MakeAsimov, *, poi: str | None = None, background: float = 0.0, level: float = 0.95
) -> float:
    """Find the smallest value excluded by CLs.

    Args:
        likelihood: The likelihood of the data.
        asimov: Makes the Asimov set at the background-only fit to the data.
        poi: Parameter of interest.
        background: Its value without signal.
        level: Confidence level.

    Returns:
        The upper limit, to 1e-6 of the range.

    Raises:
        FitError: Nothing inside the allowed range is excluded.

    Examples:
        >>> import pyhf
        >>> from toolkit.likelihood.pyhf_model import PyhfLikelihood
        >>> model = pyhf.simplemodels.uncorrelated_background([10.0], [3.0], [0.5], validate=False)
        >>> likelihood = PyhfLikelihood(model, [3.0, *model.config.auxdata])
        >>> round(upper_limit(likelihood, likelihood.asimov), 4)
        0.4853
    """
    poi = likelihood.poi if poi is None else poi
    high = likelihood.parameters[likelihood.parameter_names.index(poi)].high
    without = likelihood.fit(fixed={poi: background})
    reference = asimov(dict(without.parameters))
    pairs = (likelihood, likelihood.fit()), (reference, reference.fit())

    def excess(value: float) -> float:
        return _cls_at(*pairs, value, poi).observed - (1.0 - level)

    low = background + 1e-6 * (high - background if math.isfinite(high) else 1.0)
    top = low + 1.0
    while math.isfinite(top) and top < high and excess(min(top, high)) > 0.0:
        top = low + 2.0 * (top - low)
    top = min(top, high)
    if excess(top) > 0.0:
        got = f"CLs above {1 - level:g} up to {top:g}"
        raise FitError(f"upper limit of {poi!r}", got=got, expected="an excluded value", remedy="widen the range")
    return float(brentq(excess, low, top, xtol=1e-7 * max(1.0, top)))


def _cls_at(data: tuple[Likelihood, FitResult], asimov: tuple[Likelihood, FitResult], value: float, poi: str) -> CLs:
    q, q_asimov = _statistic(*data, value, poi), _statistic(*asimov, value, poi)
    root, root_asimov = math.sqrt(q), math.sqrt(q_asimov)
    distance = root - root_asimov if root <= root_asimov else 0.5 * (q - q_asimov) / root_asimov
    expected = [_ratio(n, root_asimov) for n in (-2.0, -1.0, 0.0, 1.0, 2.0)]
    return CLs(value, _ratio(-distance, root_asimov), (expected[0], expected[1], expected[2], expected[3], expected[4]), q, q_asimov)


def _ratio(fluctuation: float, root_asimov: float) -> float:
    """CLs when the background fluctuated upwards by some standard deviations."""
    return float(norm.cdf(fluctuation - root_asimov) / norm.cdf(fluctuation))


def _statistic(likelihood: Likelihood, fit: FitResult, value: float, poi: str) -> float:
    """Compute q-mu-tilde: zero where the best fit is above the value."""
    if fit.parameters[poi] > value:
        return 0.0
    conditional = likelihood.profile(poi, value, start=likelihood.point({**fit.parameters, poi: value}))
    return max(conditional.twice_nll - fit.twice_nll, 0.0)
