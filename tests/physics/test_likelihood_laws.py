"""Laws of the likelihoods: Asimov sets, the binned limit, invariances, information, the distribution of the test statistic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from toolkit.likelihood import BinnedLikelihood, UnbinnedLikelihood, fill_templates, measure, morphing_expressions

GGF = morphing_expressions(n_backgrounds=1)
BOUNDS = {"mu": (0.0, 6.0)}
SCAN = np.linspace(0.0, 6.0, 61)


@dataclass(frozen=True)
class Sample:
    """Events x (n,) uniform in [0, 1] with the expectations of S, SBI, B and a background that each stands for, (n, 4)."""

    x: NDArray[np.float64]
    weights: NDArray[np.float64]
    amplitudes: NDArray[np.float64]

    @property
    def yields(self) -> NDArray[np.float64]:
        return self.weights.sum(axis=0)

    @property
    def log_ratios(self) -> NDArray[np.float64]:
        return np.log(self.weights * len(self.x) / self.yields)

    def asimov(self, mu: float) -> NDArray[np.float64]:
        return self.weights @ coefficients(mu)


def coefficients(mu: float) -> NDArray[np.float64]:
    root = np.sqrt(mu)
    return np.array([mu - root, root, 1 - root, 1.0])


@pytest.fixture(scope="module")
def sample() -> Sample:
    x = np.random.default_rng(1).uniform(0.0, 1.0, 20_000)
    a_s, a_b = 0.3 + 0.9 * x**3, -1.2 * np.exp(-2.0 * x) - 0.5
    interference = 1.2 * a_s * a_b
    q = 4.0 * np.exp(-3.0 * x) + 0.1
    scale = 48.1 / np.mean(a_s**2) / len(x)
    columns = [a_s**2 * scale, (a_s**2 + a_b**2 + interference) * scale, a_b**2 * scale, q * 2412.0 / q.sum()]
    return Sample(x, np.stack(columns, axis=1), np.stack([a_s**2, interference, a_b**2], axis=1) * scale)


def unbinned(sample: Sample, mu: float, **changes: Any) -> UnbinnedLikelihood:
    options = {"log_ratios": sample.log_ratios, "weights": sample.asimov(mu), "yields": sample.yields, "coefficients": GGF}
    return UnbinnedLikelihood(**{**options, **changes}, parameters=("mu",), bounds=BOUNDS)


def binned(sample: Sample, mu: float, n_bins: int) -> BinnedLikelihood:
    templates = fill_templates(sample.x, sample.weights, np.linspace(0, 1, n_bins + 1), processes=("S", "SBI", "B", "q"))
    return BinnedLikelihood(
        templates=templates.values, data=templates.expected(coefficients(mu)), coefficients=GGF, parameters=("mu",), bounds=BOUNDS
    )


@pytest.mark.parametrize("mu", [0.3, 1.0, 1.7])
def test_asimov_returns_the_truth(sample: Sample, mu: float) -> None:
    assert unbinned(sample, mu).fit().parameters["mu"] == pytest.approx(mu, abs=1e-6)
    assert binned(sample, mu, 12).fit().parameters["mu"] == pytest.approx(mu, abs=1e-6)
    rate = binned(sample, mu, 1).fit()
    assert min(abs(m.parameters["mu"] - mu) for m in rate.minima) < 1e-6


@pytest.mark.parametrize("n_bins", [1, 7, 40])
def test_piecewise_constant_ratios_give_the_binned_likelihood(sample: Sample, n_bins: int) -> None:
    reference = binned(sample, 1.3, n_bins)
    index = np.minimum((sample.x * n_bins).astype(int), n_bins - 1)
    logs = np.log(reference.templates / sample.yields[:, None]).T[index]
    events = unbinned(sample, 1.3, log_ratios=logs)
    mu = np.linspace(0.0, 6.0, 25)[:, None]
    difference = events.twice_nll_points(mu) - reference.twice_nll_points(mu)
    np.testing.assert_allclose(difference, difference[0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(events.gradient(0.8), reference.gradient(0.8), rtol=1e-9)


def test_many_bins_approach_the_unbinned_limit(sample: Sample) -> None:
    heights = [measure(binned(sample, 1.0, n), method="bins", values=SCAN).twice_nll_at_0 or 0.0 for n in (1, 3, 12, 60)]
    limit = measure(unbinned(sample, 1.0), method="nsbi", values=SCAN).twice_nll_at_0
    assert limit is not None
    assert heights == sorted(heights)
    assert heights[-1] <= limit
    assert heights[-1] == pytest.approx(limit, rel=0.01)


def test_the_reference_density_drops_out(sample: Sample) -> None:
    other = unbinned(sample, 1.0, log_ratios=sample.log_ratios + np.sin(9.0 * sample.x)[:, None] * 5.0)
    mu = SCAN[:, None]
    one, two = unbinned(sample, 1.0).twice_nll_points(mu), other.twice_nll_points(mu)
    np.testing.assert_allclose(one - one[0], two - two[0], atol=1e-8)


def test_any_basis_of_benchmarks_gives_one_likelihood(sample: Sample) -> None:
    """S, SBI, B and mu = 0, 1, 10 span the same densities."""
    at = np.stack([sample.amplitudes @ [m, np.sqrt(m), 1.0] for m in (0.0, 1.0, 10.0)] + [sample.weights[:, 3]], axis=1)
    assert np.all(at > 0)
    other = unbinned(
        sample,
        1.0,
        log_ratios=np.log(at / at.sum(axis=0)),
        yields=at.sum(axis=0),
        coefficients=morphing_expressions("EW", n_backgrounds=1),
    )
    mu = SCAN[:, None]
    one, two = unbinned(sample, 1.0).twice_nll_points(mu), other.twice_nll_points(mu)
    np.testing.assert_allclose(one - one[0], two - two[0], atol=1e-8)


def test_likelihood_scales_with_the_luminosity(sample: Sample) -> None:
    doubled = unbinned(sample, 1.0, weights=3.0 * sample.asimov(1.0), yields=3.0 * sample.yields)
    single = unbinned(sample, 1.0)
    for mu in (0.0, 0.5, 4.0):
        assert doubled.twice_nll(mu) - doubled.twice_nll(1.0) == pytest.approx(3 * (single.twice_nll(mu) - single.twice_nll(1.0)), abs=1e-8)


def test_intervals_end_where_the_statistic_says(sample: Sample) -> None:
    likelihood = unbinned(sample, 1.7)
    result = measure(likelihood, method="nsbi", values=SCAN, truth=1.7)
    assert len(result.interval_95) == 2
    best = likelihood.twice_nll(1.7)
    for pieces, height in ((result.interval_68, 1.0), (result.interval_95, 3.841458820694124)):
        for end in (e for p in pieces for e in (p.low, p.high) if e > 0.0):
            assert likelihood.twice_nll(end) - best == pytest.approx(height, abs=1e-6)


def test_statistic_at_the_truth_is_chi_squared_without_interference() -> None:
    """300 toys of a narrow signal on a wide background: mean 1 and variance 2 of t, pull of width 1."""
    rng = np.random.default_rng(4)
    t, pulls = [], []
    for _ in range(300):
        x = np.concatenate([rng.normal(1.0, 0.3, rng.poisson(150)), rng.normal(0.0, 1.0, rng.poisson(600))])
        logs = np.stack([norm.logpdf(x, 1.0, 0.3) - norm.logpdf(x), np.zeros(len(x))], axis=1)
        likelihood = UnbinnedLikelihood(
            log_ratios=logs,
            weights=np.ones(len(x)),
            yields=[150.0, 600.0],
            coefficients=("mu", "1"),
            parameters=("mu",),
            bounds={"mu": (0, 3)},
        )
        fit = likelihood.fit()
        t.append(likelihood.twice_nll(1.0) - fit.twice_nll)
        pulls.append((fit.parameters["mu"] - 1.0) / fit.errors["mu"])
    assert np.mean(t) == pytest.approx(1.0, abs=4 * np.sqrt(2 / 300))
    assert np.mean(pulls) == pytest.approx(0.0, abs=4 / np.sqrt(300))
    assert np.std(pulls) == pytest.approx(1.0, abs=4 / np.sqrt(600))
