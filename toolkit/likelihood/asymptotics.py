"""Upper limits with CLs from the asymptotic distribution of the test statistic q-mu-tilde.

What to use when: `cls` for one hypothesis, `upper_limit` for the value excluded at 95 %, `allowed_values` for all values that are not
excluded. All need the Asimov set of the background-only hypothesis; `PyhfLikelihood.asimov` builds it for a binned model, for an unbinned
likelihood give simulated events with the weights of that hypothesis.

With interference a larger signal strength may expect what background alone does. Then the values that are not excluded need not be an
interval: `upper_limit` refuses where they are not, and names them. The statistic compares with the best fit among smaller values, which is
q-mu-tilde where there is one minimum, and its asymptotic form is that without the boundary. Near mu = 0 neither is exact:
construct intervals from toys there.

References:
    Cowan, Cranmer, Gross, Vitells, arXiv:1007.1727, equations 16, 62 to 66; A. L. Read, J. Phys. G 28 (2002) 2693.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from toolkit.errors import FitError, SchemaError
from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.coordinates import FreeCoordinates
from toolkit.likelihood.fit_result import FitResult
from toolkit.likelihood.intervals import find_intervals
from toolkit.likelihood.profiles import Profile
from toolkit.likelihood.scans import Interval, Scan
from toolkit.likelihood.search import spread_points

LIMIT_POINTS = 61
"""Values at which CLs is looked at where the set of allowed values need not be an interval; minima are added."""

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
        Observed and expected CLs; 1 where the hypothesis expects what background alone does.

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
    return _Test.of(likelihood, asimov, poi, background)(value)


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
        FitError: Nothing inside the allowed range is excluded, or the values that are not excluded are not one interval that begins at
            `background`: `allowed_values` returns them.

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
    if poi in likelihood.interfering:
        pieces = allowed_values(likelihood, asimov, poi=poi, background=background, level=level)
        return _only_edge(pieces, poi, background=background, high=high)
    test = _Test.of(likelihood, asimov, poi, background)

    def excess(value: float) -> float:
        return test(value).observed - (1.0 - level)

    low = background + 1e-6 * min(high - background, 1.0)
    top = low + 1.0
    while math.isfinite(top) and top < high and excess(min(top, high)) > 0.0:
        top = low + 2.0 * (top - low)
    top = min(top, high)
    if excess(top) > 0.0:
        got = f"CLs above {1 - level:g} up to {top:g}"
        raise FitError(f"upper limit of {poi!r}", got=got, expected="an excluded value", remedy="widen the range")
    return float(brentq(excess, low, top, xtol=1e-7 * max(1.0, top)))


def allowed_values(
    likelihood: Likelihood, asimov: MakeAsimov, *, poi: str | None = None, background: float = 0.0, level: float = 0.95
) -> tuple[Interval, ...]:
    """Find all values above that of background alone that CLs does not exclude.

    Args:
        likelihood: The likelihood of the data.
        asimov: Makes the Asimov set at the background-only fit to the data.
        poi: Parameter of interest.
        background: Its value without signal.
        level: Confidence level.

    Returns:
        Pieces in increasing order, `at_boundary` where one reaches the end of the range. With interference there may be several.

    Examples:
        40 mu - 80 sqrt(mu) + 100 events are 100 at mu = 0 and at mu = 4; of 95 observed ones, nothing between tells these apart:

        >>> from toolkit.likelihood.binned import BinnedLikelihood
        >>> def make(n):
        ...     return BinnedLikelihood(templates=[[40.0], [60.0], [100.0]], data=n, parameters=("mu",), bounds={"mu": (0.0, 9.0)},
        ...         coefficients=("mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)"))
        >>> pieces = allowed_values(make([95.0]), lambda p: make(make([95.0]).expected(p)))
        >>> [(round(piece.low, 3), round(piece.high, 3)) for piece in pieces]
        [(0.0, 0.103), (2.818, 4.839)]
    """
    poi = likelihood.poi if poi is None else poi
    test = _Test.of(likelihood, asimov, poi, background)
    parameter = likelihood.parameters[likelihood.parameter_names.index(poi)]
    space = FreeCoordinates.of(likelihood, {})
    k = space.names.index(poi)
    at = space.to_internal(np.array([test.data[1].parameters[n] for n in space.names]))
    points = spread_points(space, at, k, LIMIT_POINTS)
    line = np.tile(at, (len(points), 1))
    line[:, k] = points
    minima = [m.parameters[poi] for _, fit in (test.data, test.asimov) for m in fit.minima]
    values = np.unique([background, *space.to_external(line)[:, k].tolist(), *minima])
    values = values[(values >= background) & (values <= parameter.high)]

    def height(value: float) -> float:
        return 2.0 - level - (test(value).observed if value > background else 1.0)

    scan = Scan(values=values, twice_delta_nll=np.array([height(float(v)) for v in values]), parameter=poi)
    return find_intervals(scan, threshold=1.0, bounds=(parameter.low, parameter.high), curve=height)


def _only_edge(pieces: tuple[Interval, ...], poi: str, *, background: float, high: float) -> float:
    """Return the upper end of the values that are allowed if they are one interval from background on."""
    what = f"upper limit of {poi!r}"
    if len(pieces) != 1 or pieces[0].low > background:
        raise FitError(
            what,
            got=f"values that are not excluded: {' or '.join(f'[{p.low:.4g}, {p.high:.4g}]' for p in pieces)}",
            expected="one interval that begins at background alone",
            remedy="quote the whole set (allowed_values), or intervals from toys",
        )
    if pieces[0].high >= high:
        raise FitError(what, got=f"nothing excluded up to {high:g}", expected="an excluded value", remedy="widen the range")
    return pieces[0].high


@dataclass(frozen=True)
class _Test:
    """CLs of one data set: the likelihood of the data and that of the Asimov set, each with its fit.

    Attributes:
        data: Likelihood and fit of the data.
        asimov: The same of the Asimov set.
        profiles: twice_nll of both as functions of the parameter of interest.
        poi: Parameter of interest.
        interfering: Whether rates turn back along it.
    """

    data: tuple[Likelihood, FitResult]
    asimov: tuple[Likelihood, FitResult]
    profiles: tuple[Profile, Profile]
    poi: str
    interfering: bool

    @classmethod
    def of(cls, likelihood: Likelihood, asimov: MakeAsimov, poi: str, background: float) -> _Test:
        """Fit the data, and the Asimov set at their background-only fit."""
        reference = asimov(dict(likelihood.fit(fixed={poi: background}).parameters))
        pairs = (likelihood, likelihood.fit()), (reference, reference.fit())
        profiles = Profile(likelihood, poi, fit=pairs[0][1]), Profile(reference, poi, fit=pairs[1][1])
        return cls(*pairs, profiles, poi, poi in likelihood.interfering)

    def __call__(self, value: float) -> CLs:
        """Test a value."""
        q, q_asimov = (self._statistic(fit, p, value) for (_, fit), p in zip((self.data, self.asimov), self.profiles, strict=True))
        root, root_asimov = math.sqrt(q), math.sqrt(q_asimov)
        if self.interfering or root <= root_asimov or root_asimov == 0.0:
            distance = root - root_asimov
        else:
            distance = 0.5 * (q - q_asimov) / root_asimov
        expected = [_ratio(n, root_asimov) for n in (-2.0, -1.0, 0.0, 1.0, 2.0)]
        return CLs(value, _ratio(-distance, root_asimov), (expected[0], expected[1], expected[2], expected[3], expected[4]), q, q_asimov)

    def _statistic(self, fit: FitResult, profile: Profile, value: float) -> float:
        """Compare the conditional fit with the best one among smaller values: zero where the best fit is above the value."""
        conditional = profile(value)
        below = [m.twice_nll for m in fit.minima if m.parameters[self.poi] <= value]
        return max(conditional - min(below, default=conditional), 0.0)


def _ratio(fluctuation: float, root_asimov: float) -> float:
    """CLs when the background fluctuated upwards by some standard deviations."""
    return float(np.exp(norm.logcdf(fluctuation - root_asimov) - norm.logcdf(fluctuation)))
