"""Comparison of weighted samples: slow twins, uniform p-values under the hypothesis, power against a shift."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from toolkit.diagnostics.overlay import WeightedSample, kolmogorov_smirnov, overlay
from toolkit.errors import PhysicsDomainError, ShapeError


def draw(n, seed, *, shift=0.0, name="a"):
    """Gaussian scores with weights that grow with the score, a tenth of them negative: the weighted law is the same for every n."""
    rng = np.random.default_rng(seed)
    score = rng.normal(size=n) + shift
    weights = np.exp(0.8 * score) * np.where(rng.uniform(size=n) < 0.1, -1.0, 1.0)
    return WeightedSample(name, score, weights)


def test_shares_and_errors_against_loop():
    one, two = draw(60, 1), draw(40, 2, name="b")
    edges = np.array([-1.0, 0.0, 0.7, 2.0])
    result = overlay((one, two), edges=edges, seed=1, replicas=10)
    shares, covariances = [], []
    for sample in (one, two):

        def share(times, sample=sample):
            sums = [0.0, 0.0, 0.0]
            for s, w, t in zip(sample.score, sample.weights, times, strict=True):
                sums[0 if s < 0.0 else 1 if s < 0.7 else 2] += w * t
            return np.array(sums) / sum(sums)

        n = sample.score.size
        covariance = np.zeros((3, 3))
        for i in range(n):
            step = np.zeros(n)
            step[i] = 1e-5
            slope = (share(1 + step) - share(1 - step)) / 2e-5
            covariance += np.outer(slope, slope)
        shares.append(share(np.ones(n)))
        covariances.append(covariance)
    np.testing.assert_allclose(result.content, shares, rtol=1e-9)
    np.testing.assert_allclose(result.error, [np.sqrt(np.diag(c)) for c in covariances], rtol=1e-6)
    d, c = (shares[1] - shares[0])[:2], (covariances[0] + covariances[1])[:2, :2]
    assert result.chi2[0].ndf == 2
    assert result.chi2[0].chi2 == pytest.approx(d @ np.linalg.solve(c, d), rel=1e-5)


def test_distance_against_scipy_without_weights():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=150), rng.normal(size=120) + 0.4
    ours = kolmogorov_smirnov(WeightedSample("a", a, np.ones(150)), WeightedSample("b", b, np.full(120, 2.0)), rng=rng, replicas=4000)
    exact = stats.ks_2samp(a, b)
    assert ours.distance == pytest.approx(exact.statistic, abs=0.01)
    assert ours.p_value == pytest.approx(exact.pvalue, abs=0.02)


def test_p_values_are_uniform_for_equal_laws():
    chi2, ks = [], []
    for seed in range(100):
        result = overlay((draw(1000, 2 * seed), draw(500, 2 * seed + 1, name="b")), bins=8, seed=seed, replicas=200)
        chi2.append(result.chi2[0].p_value)
        ks.append(result.ks[0].p_value)
    assert stats.kstest(chi2, "uniform").pvalue > 0.01
    assert stats.kstest(ks, "uniform").pvalue > 0.01
    assert 0.02 < np.mean(np.array(ks) < 0.1) < 0.2


def test_a_shift_is_seen():
    result = overlay((draw(4000, 1), draw(4000, 2, shift=0.3, name="b"), draw(4000, 3, name="c")), seed=1)
    assert result.chi2[0].p_value < 1e-3
    assert result.ks[0].p_value < 5e-3
    assert result.chi2[1].p_value > 1e-3
    assert result.ks[1].p_value > 5e-3


def test_json_and_bad_input():
    result = overlay((draw(100, 1), draw(100, 2, name="b")), bins=4, seed=1, replicas=10)
    document = json.loads(json.dumps(result.to_json(), allow_nan=False))
    np.testing.assert_array_equal(document["content"], result.content)
    assert document["ks"][0]["distance"] == result.ks[0].distance
    with pytest.raises(ShapeError, match="weights of x"):
        WeightedSample("x", np.zeros(3), np.zeros(2))
    with pytest.raises(PhysicsDomainError, match="positive sum"):
        WeightedSample("x", np.zeros(3), -np.ones(3))
