"""AUC and background at fixed signal efficiency: slow twins, negative weights, errors against resampling."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from toolkit.diagnostics.separation import auc, rate_at_efficiency
from toolkit.errors import PhysicsDomainError, SchemaError


def slow_auc(score, a, b):
    total = 0.0
    for s, v in zip(score, a, strict=True):
        for t, w in zip(score, b, strict=True):
            total += v * w * (1.0 if s > t else 0.5 if s == t else 0.0)
    return total / (sum(a) * sum(b))


def sample(n=3000, seed=1, *, negative=0.2, shared=True):
    """Gaussian scores of signal and background one unit apart, a share of negative weights that cancel positive ones."""
    rng = np.random.default_rng(seed)
    score = rng.normal(size=n)
    a, b = norm.pdf(score, 1.0) / norm.pdf(score), np.ones(n)
    sign = np.where(rng.uniform(size=n) < negative, -1.0, 1.0) / (1 - 2 * negative)
    if not shared:
        kind = rng.uniform(size=n) < 0.5
        a, b = a * kind, b * ~kind
    return score, a * sign / n * 50.0, b * sign / n * 400.0


def test_auc_against_loop_with_ties_and_negative_weights():
    rng = np.random.default_rng(0)
    score = rng.integers(0, 8, size=60).astype(float)
    a, b = rng.normal(0.6, 1.0, size=60), rng.normal(0.8, 1.0, size=60)
    assert auc(score, signal=a, background=b).value == pytest.approx(slow_auc(score, a, b), rel=1e-12)


def test_auc_of_two_gaussians():
    exact = norm.cdf(1 / np.sqrt(2))
    for shared in (True, False):
        score, a, b = sample(20_000, 2, shared=shared)
        merit = auc(score, signal=a, background=b)
        assert abs(merit.value - exact) < 4 * merit.error
        assert merit.error < 0.02


def test_negative_weights_do_not_bias_the_auc():
    """Events split into a heavier one and a negative one leave it as it is; the mean over samples is the exact value."""
    score, a, b = sample(500, 3, negative=0.0)
    split = np.concatenate([score, score])
    factor = np.concatenate([np.full(500, 1.7), np.full(500, -0.7)])
    merged = auc(split, signal=np.tile(a, 2) * factor, background=np.tile(b, 2) * factor)
    assert merged.value == pytest.approx(auc(score, signal=a, background=b).value, rel=1e-12)
    values = []
    for seed in range(60):
        score, a, b = sample(1000, 100 + seed, shared=False)
        values.append(auc(score, signal=a, background=b).value)
    assert np.mean(values) == pytest.approx(norm.cdf(1 / np.sqrt(2)), abs=4 * np.std(values) / np.sqrt(60))


def test_auc_symmetry():
    score, a, b = sample(400, 4)
    forward, back = auc(score, signal=a, background=b), auc(-score, signal=a, background=b)
    assert forward.value + back.value == pytest.approx(1.0, abs=1e-12)
    assert forward.error == pytest.approx(back.error, rel=1e-9)
    assert auc(score, signal=b, background=a).value == pytest.approx(back.value, rel=1e-12)


@pytest.mark.parametrize("function", [auc, rate_at_efficiency])
@pytest.mark.parametrize("shared", [True, False])
def test_errors_against_resampling(function, shared):
    score, a, b = sample(4000, 6, shared=shared)
    merit = function(score, signal=a, background=b)
    rng = np.random.default_rng(7)
    values = []
    for _ in range(300):
        times = rng.poisson(1.0, size=score.size)
        values.append(function(score, signal=a * times, background=b * times).value)
    assert merit.error == pytest.approx(np.std(values), rel=0.15)


def slow_rate(score, a, b, efficiency):
    """Walk down from the highest score until the signal reaches its share; split the last score."""
    wanted = efficiency * sum(a)
    s = n_b = 0.0
    for value in sorted(set(score), reverse=True):
        more_s = sum(w for v, w in zip(score, a, strict=True) if v == value)
        more_b = sum(w for v, w in zip(score, b, strict=True) if v == value)
        if s + more_s >= wanted:
            n_b += more_b * (wanted - s) / more_s
            return wanted / n_b**0.5
        s, n_b = s + more_s, n_b + more_b
    raise AssertionError


@pytest.mark.parametrize("efficiency", [0.1, 0.6, 0.95])
def test_rate_against_loop(efficiency):
    score, a, b = sample(300, 8)
    score = np.round(score, 1)
    merit = rate_at_efficiency(score, signal=a, background=b, efficiency=efficiency)
    assert merit.value == pytest.approx(slow_rate(score, a, b, efficiency), rel=1e-12)


def test_rate_of_two_gaussians():
    score, a, b = sample(40_000, 9)
    merit = rate_at_efficiency(score, signal=a, background=b)
    exact = 0.6 * 50 / np.sqrt(400 * norm.sf(norm.isf(0.6) + 1.0))
    assert abs(merit.value - exact) < 4 * merit.error
    assert merit.error < 0.05 * exact


def test_bad_input():
    score, a, b = sample(100, 10)
    with pytest.raises(SchemaError, match="efficiency"):
        rate_at_efficiency(score, signal=a, background=b, efficiency=1.0)
    with pytest.raises(PhysicsDomainError, match="signal weights"):
        auc(score, signal=-np.abs(a), background=b)
    with pytest.raises(PhysicsDomainError, match="above the cut"):
        rate_at_efficiency(np.arange(4.0), signal=np.ones(4), background=np.array([1.0, 0, 0, 0]), efficiency=0.5)
