"""Neyman construction against closed forms: the tables of arXiv:physics/9711021, exact distributions, coverage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm, poisson

from toolkit.likelihood import BinnedLikelihood, CombinedLikelihood, Constraint, ConstraintTerm, Likelihood, Parameter
from toolkit.likelihood.coverage import check_coverage
from toolkit.likelihood.critical import CriticalCurve, critical_curve
from toolkit.likelihood.neyman import NeymanBands, accepted, construct_bands, grid_points, neyman_intervals
from toolkit.likelihood.scans import Scan
from toolkit.likelihood.toy_sources import BinnedToys, CombinedToys
from toolkit.likelihood.toys import ToyRequest, run_toys, toy_generator

LEVEL_68, LEVEL_90 = 0.6827, 0.90
GAUSSIAN_TABLE = {
    LEVEL_68: {-2.0: (0.00, 0.07), -1.0: (0.00, 0.27), 0.0: (0.00, 1.00), 1.0: (0.24, 2.00), 2.0: (1.00, 3.00), 3.0: (2.00, 4.00)},
    LEVEL_90: {-2.0: (0.00, 0.40), -1.0: (0.00, 0.81), 0.0: (0.00, 1.64), 1.0: (0.00, 2.64), 2.0: (0.58, 3.64), 3.0: (1.37, 4.64)},
}
"""Table X: intervals of the mean mu >= 0 of a unit Gaussian by measured x."""
POISSON_TABLE = {
    (LEVEL_68, 0.0): {0: (0.00, 1.29), 1: (0.37, 2.75), 2: (0.74, 4.25), 3: (1.10, 5.30), 4: (2.34, 6.78)},
    (LEVEL_68, 3.0): {3: (0.00, 2.30), 4: (0.00, 3.78), 6: (1.01, 6.28), 10: (3.78, 10.80)},
    (LEVEL_90, 0.0): {0: (0.00, 2.44), 1: (0.11, 4.36), 2: (0.53, 5.91), 3: (1.10, 7.42), 4: (1.47, 8.60)},
    (LEVEL_90, 3.0): {1: (0.00, 1.88), 2: (0.00, 3.04), 3: (0.00, 4.42), 4: (0.00, 5.60), 6: (0.15, 8.47), 10: (2.63, 13.50)},
}
"""Tables II and IV: intervals of a Poisson mean mu on a known background by observed counts."""


class GaussianLikelihood(Likelihood):
    """(x - mu)^2."""

    def __init__(self, x: float, parameter: Parameter) -> None:
        self.x, self._parameters = x, (parameter,)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return self._parameters

    @property
    def diverging(self) -> frozenset[str]:
        return frozenset()

    def twice_nll_points(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((self.x - points[:, 0]) ** 2)

    def gradient_at(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        return 2.0 * (point - self.x)


@dataclass(frozen=True)
class GaussianToys:
    """x normally distributed around mu with unit width."""

    parameter: Parameter

    def sample(self, theta: Mapping[str, float], generator: np.random.Generator) -> float:
        return float(generator.normal(theta["mu"], 1.0))

    def likelihood_of(self, data: float) -> GaussianLikelihood:
        return GaussianLikelihood(data, self.parameter)

    def fingerprint(self) -> str:
        return repr(self)


def gaussian_critical_value(mu: float, level: float) -> float:
    """t <= c for x from max(mu - sqrt(c), (mu^2 - c) / (2 mu)) to mu + sqrt(c): t = (x - mu)^2 - min(x, 0)^2."""
    if mu == 0.0:
        return float(norm.ppf(level) ** 2)

    def excess(c: float) -> float:
        root = np.sqrt(c)
        low = mu - root if root <= mu else (mu * mu - c) / (2.0 * mu)
        return float(norm.cdf(root) - norm.cdf(low - mu) - level)

    return float(brentq(excess, 1e-12, 30.0))


def counting(*, background: float, high: float) -> BinnedToys:
    """mu signal events on a known background."""
    likelihood = BinnedLikelihood(
        templates=[[1.0], [background]] if background else [[1.0]],
        data=[1.0],
        coefficients=("mu", "1") if background else ("mu",),
        parameters=("mu",),
        bounds={"mu": (0.0, high)},
    )
    return BinnedToys(likelihood)


def interference() -> BinnedToys:
    """A rate 60 mu - 100 sqrt(mu) + 200, lowest (158) at mu = 0.69, the same at two values of mu; a second bin tells them apart."""
    likelihood = BinnedLikelihood(
        templates=[[50.0, 10.0], [150.0, 10.0], [190.0, 10.0]],
        data=[1.0, 1.0],
        coefficients=("mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)"),
        parameters=("mu",),
        bounds={"mu": (0.0, 5.0)},
    )
    return BinnedToys(likelihood)


MU = Parameter("mu", init=1.0, low=0.0, high=6.0)
FREE = Parameter("mu", init=0.0, low=-40.0, high=40.0)


@pytest.fixture(scope="module")
def gaussian_bands():
    points = [{"mu": float(v)} for v in np.linspace(0.0, 6.0, 13)]
    return construct_bands(GaussianToys(MU), points, poi="mu", toys=500, seed=1, levels={"68": LEVEL_68, "90": LEVEL_90})


@pytest.mark.parametrize("level", [LEVEL_68, LEVEL_90])
def test_gaussian_table_from_exact_critical_values(level):
    """The inversion alone: critical values without noise reproduce the printed digits."""
    mu = np.linspace(0.0, 6.0, 161)
    curve = CriticalCurve("mu", level, mu, np.array([gaussian_critical_value(m, level) for m in mu]), np.zeros(161))
    bands = NeymanBands("mu", {"one": curve}, toys=0, seed=0)
    for x, ends in GAUSSIAN_TABLE[level].items():
        (piece,) = neyman_intervals(bands, GaussianLikelihood(x, MU), values=mu).intervals["one"]
        assert (piece.low, piece.high) == pytest.approx(ends, abs=0.006)
        assert piece.at_boundary == (ends[0] == 0.0)


def test_gaussian_critical_values_from_toys(gaussian_bands):
    """Smoothed critical values: inside their errors, smaller than those of single points, wrong nowhere by what smoothing could do."""
    for name, level in (("68", LEVEL_68), ("90", LEVEL_90)):
        curve = gaussian_bands.curves[name]
        mu = np.linspace(0.0, 4.0, 41)  # above 5 the upper end of the range is felt, too
        pulls = (curve(mu) - [gaussian_critical_value(m, level) for m in mu]) / curve.error(mu)
        assert np.abs(pulls).max() < 3.5
        assert np.sqrt(np.mean(pulls**2)) < 1.7
        assert np.mean(curve.error(curve.points) / curve.errors) < 0.85
        assert curve.chi2 < 30.0


@pytest.mark.parametrize(("name", "level"), [("68", LEVEL_68), ("90", LEVEL_90)])
def test_gaussian_table_from_toys(gaussian_bands, name, level):
    for x, ends in GAUSSIAN_TABLE[level].items():
        (piece,) = neyman_intervals(gaussian_bands, GaussianLikelihood(x, MU), values=np.linspace(0.0, 6.0, 61)).intervals[name]
        assert piece.low == pytest.approx(ends[0], abs=3.5 * piece.low_error + 0.0055)
        assert piece.high == pytest.approx(ends[1], abs=3.5 * piece.high_error + 0.0055)
        assert piece.low_error < 0.05
        assert 0.0 < piece.high_error < 0.06


def test_gaussian_without_boundary_is_asymptotic():
    """x +- 1 and x +- 1.96, and every coverage is nominal."""
    points = [{"mu": float(v)} for v in np.linspace(-4.0, 4.0, 6)]
    source = GaussianToys(FREE)
    bands = construct_bands(source, points, poi="mu", toys=500, seed=3, low=-40.0)
    result = neyman_intervals(bands, GaussianLikelihood(0.7, FREE), values=np.linspace(-4.0, 4.0, 81))
    for name, half in (("68", 1.0), ("95", 1.959964)):
        (piece,), (asymptotic,) = result.intervals[name], result.asymptotic[name]
        assert (asymptotic.low, asymptotic.high) == pytest.approx((0.7 - half, 0.7 + half), abs=1e-5)
        assert piece.low == pytest.approx(0.7 - half, abs=3 * piece.low_error)
        assert piece.high == pytest.approx(0.7 + half, abs=3 * piece.high_error)
    for check in check_coverage(source, bands, [{"mu": -1.3}, {"mu": 2.0}], toys=600, seed=4):
        assert abs(check.coverage - check.level) < 3 * np.hypot(check.binomial_error, check.construction_error)
        assert abs(check.asymptotic_deviations) < 3


def test_gaussian_coverage_at_the_boundary(gaussian_bands):
    """The construction covers where the asymptotic interval does not: at mu = 0.3 the latter holds the truth with P(x < 1.3) = 90 %."""
    checks = check_coverage(GaussianToys(MU), gaussian_bands, [{"mu": 0.0}, {"mu": 0.3}], toys=800, seed=5)
    for check in checks:
        assert abs(check.coverage - check.level) < 3 * np.hypot(check.binomial_error, check.construction_error)
    by_name = {(c.truth, c.name): c for c in checks}
    below = norm.cdf(-(1.0 - 0.09) / 0.6 - 0.3)
    assert by_name[0.3, "68"].asymptotic_coverage == pytest.approx(norm.cdf(1.0) - below, abs=0.03)
    assert by_name[0.3, "68"].asymptotic_deviations > 5


def counting_statistics(mu, background, *, toys):
    """t of counts at evenly spaced probabilities: a sample of the exact distribution without fluctuations."""
    n = poisson.ppf((np.arange(toys) + 0.5) / toys, mu + background)
    best = np.maximum(n - background, 0.0)
    return 2.0 * (poisson.logpmf(n, best + background) - poisson.logpmf(n, mu + background))


@pytest.mark.parametrize(("level", "background"), list(POISSON_TABLE))
def test_poisson_tables(level, background):
    """The printed ends, to the step of the grid."""
    mu = np.arange(0.04, 14.5, 0.04)
    curve = critical_curve(mu, [counting_statistics(m, background, toys=1000) for m in mu], level=level, smooth=False)
    for n, ends in POISSON_TABLE[level, background].items():
        best = max(n - background, 0.0)
        t = 2.0 * (poisson.logpmf(n, best + background) - poisson.logpmf(n, mu + background))
        pieces = accepted(Scan(mu, t), curve, t=lambda v, t=t: float(np.interp(v, mu, t)), best=best)
        low = 0.0 if pieces[0].at_boundary else pieces[0].low
        assert (low, pieces[-1].high) == pytest.approx(ends, abs=0.051)


@pytest.mark.parametrize("mu", [0.5, 2.5, 6.0])
def test_poisson_toys_have_the_exact_distribution(mu):
    source = counting(background=3.0, high=20.0)
    toys = run_toys(source, [ToyRequest({"mu": mu}, 400)], poi="mu", seed=8)[0]
    for t in (0.3, 1.0, 2.7):
        exact = np.mean(counting_statistics(mu, 3.0, toys=20_000) <= t)
        assert np.mean(toys.t <= t) == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 400) + 1e-3)


def exact_statistics(source, mu):
    """t and probability of every pair of counts of the two-bin interference model, by brute force."""
    likelihood = source.likelihood
    grid = 5.0 * np.linspace(0.0, 1.0, 501) ** 2
    expected = likelihood.expected_points(np.append(grid, mu)[:, None])
    n1, n2 = np.arange(90.0, 260.0), np.arange(0.0, 50.0)
    curves = [2.0 * (e - n[:, None] * np.log(e)) for e, n in ((expected[:, 0], n1), (expected[:, 1], n2))]
    t = np.empty((len(n1), len(n2)))
    for i in range(len(n1)):
        total = curves[0][i] + curves[1]
        t[i] = total[:, -1] - total[:, :-1].min(axis=1)
    p = poisson.pmf(n1, expected[-1, 0])[:, None] * poisson.pmf(n2, expected[-1, 1])
    return np.maximum(t, 0.0), p


@pytest.fixture(scope="module")
def interference_bands():
    source = interference()
    points = grid_points(source.likelihood, points=11)
    return construct_bands(source, points, poi="mu", toys=300, seed=1, root=True)


@pytest.mark.parametrize("mu", [0.3, 0.7, 1.5])
def test_interference_has_its_exact_coverage(interference_bands, mu):
    """Probability of t <= c(mu) summed over all outcomes: nominal for the construction, not for the chi-square value."""
    source = interference()
    t, p = exact_statistics(source, mu)
    assert p.sum() == pytest.approx(1.0, abs=1e-4)
    for check in check_coverage(source, interference_bands, [{"mu": mu}], toys=500, seed=2):
        curve = interference_bands.curves[check.name]
        exact = float(p[t <= curve(mu)].sum())
        assert exact == pytest.approx(check.level, abs=3.5 * check.construction_error + 0.005)
        assert check.coverage == pytest.approx(exact, abs=3.5 * check.binomial_error)
        asymptotic = float(p[t <= (1.0 if check.name == "68" else 3.841459)].sum())
        assert check.asymptotic_coverage == pytest.approx(asymptotic, abs=3.5 * check.binomial_error)
    if mu == 1.5:
        assert float(p[t <= 1.0].sum()) < 0.63


def test_interference_gives_disjoint_intervals(interference_bands):
    """Both solutions of the rate fit: two pieces, in the order of mu; the dip between them is excluded, its ends are where t = c."""
    likelihood = interference().likelihood.with_data([178.0, 14.0])
    result = neyman_intervals(interference_bands, likelihood, values=np.linspace(0.0, 5.0, 201))
    low, high = result.intervals["68"]
    assert low.at_boundary or low.low_error > 0.0
    assert low.high < 0.69 < high.low
    curve = interference_bands.curves["68"]
    fit = likelihood.fit()
    for end in (low.high, high.low, high.high):
        assert likelihood.twice_nll(end) - fit.twice_nll == pytest.approx(float(curve(end)), abs=1e-6)


def test_an_interval_holds_the_truth_exactly_if_the_truth_is_accepted(interference_bands):
    """Intervals of single toys, found by scanning, against the count of the coverage check."""
    source, theta = interference(), {"mu": 0.9}
    toys = run_toys(source, [ToyRequest(theta, 15)], poi="mu", seed=31)[0]
    check = check_coverage(source, interference_bands, [theta], toys=15, seed=31)[0]
    inside = []
    for index in range(15):
        counts, _ = source.sample(theta, toy_generator(31, theta, index))
        result = neyman_intervals(interference_bands, source.likelihood.with_data(counts), values=np.linspace(0.0, 5.0, 51))
        inside.append(any(i.low <= 0.9 <= i.high for i in result.intervals["68"]))
    np.testing.assert_array_equal(inside, toys.t <= interference_bands.curves["68"](0.9))
    assert check.covered == sum(inside)


class ShiftedLikelihood(Likelihood):
    """(x - mu - b)^2 / 0.25, to be combined with the constraint of b."""

    def __init__(self, x: float) -> None:
        self.x = x

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return SHIFTED

    @property
    def diverging(self) -> frozenset[str]:
        return frozenset()

    def twice_nll_points(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(4.0 * (self.x - points.sum(axis=1)) ** 2)

    def gradient_at(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.full(2, -8.0 * (self.x - point.sum()))


SHIFTED = (Parameter("mu", init=1.0, low=0.0, high=9.0), Parameter("b", init=0.0, low=-8.0, high=8.0))


@dataclass(frozen=True)
class ShiftedToys:
    """x normally distributed around mu + b with width 0.5."""

    def sample(self, theta: Mapping[str, float], generator: np.random.Generator) -> float:
        return float(generator.normal(theta["mu"] + theta["b"], 0.5))

    def likelihood_of(self, data: float) -> ShiftedLikelihood:
        return ShiftedLikelihood(data)

    def fingerprint(self) -> str:
        return "shifted"


def test_profiled_nuisances_have_their_closed_form():
    """x and the measured b in one number: x - a is normal around mu with variance 0.25 + 1, with the boundary of mu."""
    combined = CombinedLikelihood([ShiftedLikelihood(2.0), ConstraintTerm([Constraint("b", observed=0.3)], SHIFTED[1:])], poi="mu")
    for point in grid_points(combined, points=4):
        assert point["b"] == pytest.approx(0.3 + (2.0 - point["mu"] - 0.3) / 1.25, abs=1e-4)
    source, theta = CombinedToys((ShiftedToys(), None), combined), {"mu": 0.8, "b": 0.5}
    toys = run_toys(source, [ToyRequest(theta, 25)], poi="mu", seed=3)[0]
    expected = []
    for index in range(25):
        (x, _), auxiliary = source.sample(theta, toy_generator(3, theta, index))
        y = x - auxiliary["b"]
        expected.append(((y - 0.8) ** 2 - min(y, 0.0) ** 2) / 1.25)
    np.testing.assert_allclose(toys.t, expected, atol=1e-6)
    assert 0 < toys.at_boundary.sum() < 15
    assert toys.converged.all()


@pytest.fixture(scope="module")
def measured_background() -> tuple[CombinedToys, NeymanBands]:
    """40 mu signal events on 400, which an auxiliary measurement knows to 5 %: two uncertainties of 20 events."""
    b = Parameter("b", init=1.0, low=0.7, high=1.3)
    count = BinnedLikelihood(
        templates=[[40.0], [400.0]],
        data=[440.0],
        coefficients=("mu", "b"),
        parameters=("mu", "b"),
        bounds={"mu": (0.0, 4.0), "b": (0.7, 1.3)},
    )
    combined = CombinedLikelihood([count, ConstraintTerm([Constraint("b", observed=1.0, scale=0.05)], [b])], poi="mu")
    source = CombinedToys((BinnedToys(count), None), combined)
    return source, construct_bands(source, grid_points(combined, points=5), poi="mu", toys=100, seed=5)


@pytest.mark.parametrize("mu", [1.0, 3.0])
def test_a_measured_background_has_its_coverage(measured_background: tuple[CombinedToys, NeymanBands], mu: float) -> None:
    """Independent toys, and the closed form for many events: mu is measured with sqrt(420 + 20^2) / 40, from 0 on."""
    source, bands = measured_background
    [narrow, _] = check_coverage(source, bands, [{"mu": mu, "b": 1.0}], toys=150, seed=6)
    error = np.hypot(narrow.binomial_error, narrow.construction_error)
    assert abs(narrow.coverage - narrow.level) < 2.0 * error
    width = np.sqrt(400.0 + 40.0 * mu + 20.0**2) / 40.0
    curve = bands.curves["68"]
    assert float(curve(mu)) == pytest.approx(gaussian_critical_value(mu / width, LEVEL_68), abs=3.0 * float(curve.error(mu)))


def test_toys_of_a_measured_background_have_their_closed_form(measured_background: tuple[CombinedToys, NeymanBands]) -> None:
    """The background profiled at a given mu is the root of a quadratic; the best fit is exact, or has mu = 0."""
    source, theta = measured_background[0], {"mu": 0.5, "b": 1.03}

    def profiled(n: float, a: float, signal: float) -> float:
        linear, variance = signal - 400.0 * a + 400.0**2 * 0.05**2, 0.05**2
        b = (-linear + np.sqrt(linear**2 + 1600.0 * (a * signal + variance * 400.0 * (n - signal)))) / 800.0
        return float(2.0 * (signal + 400.0 * b - n * np.log(signal + 400.0 * b)) + (b - a) ** 2 / variance)

    toys = run_toys(source, [ToyRequest(theta, 15)], poi="mu", seed=7)[0]
    for index in range(15):
        (counts, _), auxiliary = source.sample(theta, toy_generator(7, theta, index))
        n, a = float(counts[0][0]), auxiliary["b"]
        best = 2.0 * (n - n * np.log(n)) if n >= 400.0 * a else profiled(n, a, 0.0)
        assert toys.t[index] == pytest.approx(profiled(n, a, 20.0) - best, abs=1e-7)
