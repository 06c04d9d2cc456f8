"""Curves, paired ratios and sculpting against closed forms of Gaussian classes and direct resampling."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from toolkit.diagnostics.roc import RocCurve, roc_curve
from toolkit.diagnostics.sculpting import Sculpting, sculpting
from toolkit.diagnostics.separation import paired_rate_ratio, rate_at_efficiency

N, SHIFT = 100_000, 1.3


def gaussians(seed: int, n: int = N) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A score of signal and background, of which every event of one kind in ten has weight 6 and one in ten -5 (mean 1)."""
    rng = np.random.default_rng(seed)
    signal = rng.uniform(size=n) < 0.5
    weight = rng.choice([1.0, 6.0, -4.0], p=[0.8, 0.1, 0.1], size=n)
    return rng.normal(np.where(signal, SHIFT, 0.0), 1.0), np.where(signal, weight, 0.0), np.where(signal, 0.0, weight)


def test_the_curve_of_two_gaussians_with_signed_weights() -> None:
    """The likelihood ratio rises with the score, so that the optimal curve is b = F(F^-1(a) - d); the area is F(d / sqrt 2)."""
    score, signal, background = gaussians(1)
    curve = roc_curve(score, signal=signal, background=background, name="gauss")
    inside = (curve.signal > 0.05) & (curve.signal < 0.95)
    assert np.sum(inside) > 50
    np.testing.assert_allclose(curve.background[inside], norm.cdf(norm.ppf(curve.signal[inside]) - SHIFT), atol=0.02)
    assert curve.area == pytest.approx(norm.cdf(SHIFT / 2**0.5), abs=3.0 * curve.area_error)
    assert (curve.signal[0], curve.background[0]) == (0.0, 0.0)
    assert (curve.signal[-1], curve.background[-1]) == pytest.approx((1.0, 1.0))
    again = RocCurve.from_json(curve.to_json())
    np.testing.assert_array_equal(again.signal, curve.signal)


def test_the_error_of_a_pair_is_that_of_repeated_experiments() -> None:
    """Two scores that share most of their noise: the ratio spreads less than either."""
    ratios, ones, quoted = [], [], []
    for seed in range(60):
        rng = np.random.default_rng(100 + seed)
        signal = rng.uniform(size=4000) < 0.5
        one = rng.normal(np.where(signal, 1.5, 0.0), 1.0)
        two = one + 0.4 * rng.normal(size=4000)
        s, b = signal.astype(float), 10.0 * ~signal
        found = paired_rate_ratio(one, two, signal=s, background=b, replicas=60, seed=seed)
        ratios.append(found.value)
        quoted.append(found.error)
        ones.append(rate_at_efficiency(one, signal=s, background=b).value)
    assert np.mean(quoted) == pytest.approx(np.std(ratios), rel=0.25)
    assert np.std(ratios) < 0.8 * np.std(ones) / np.mean(ones)
    expected = (norm.sf(norm.isf(0.6) + 1.5 / 1.16**0.5) / norm.sf(norm.isf(0.6) + 1.5)) ** 0.5
    assert np.mean(ratios) == pytest.approx(expected, abs=4.0 * np.std(ratios) / 60**0.5)


def events(seed: int, slope: float, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A uniform m, and a score that follows it with a slope."""
    rng = np.random.default_rng(seed)
    m = rng.uniform(0.0, 1.0, size=n)
    signal = np.arange(n) % 2 == 0
    return rng.normal(slope * m + signal, 1.0), m, signal.astype(float), np.where(signal, 0.0, rng.uniform(0.5, 1.5, size=n))


def test_efficiencies_and_shapes_are_those_of_the_densities() -> None:
    edges, kept = np.linspace(0.0, 1.0, 6), (0.8, 0.9)
    score, m, signal, background = events(1, 2.0, N)
    found = sculpting(score, m, signal=signal, background=background, edges=edges, kept=kept, name="x", observable_name="m")
    grid = np.linspace(0.0, 1.0, 5001)
    for j, share in enumerate(kept):
        cuts = np.linspace(-4.0, 6.0, 4001)
        passing = norm.sf(cuts[:, None] - 2.0 * grid[None, ::25] - 1.0).mean(axis=1)
        cut = np.interp(-share, -passing, cuts)
        exact = norm.sf(cut - 2.0 * grid[:-1]).reshape(5, -1).mean(axis=1)
        np.testing.assert_allclose(found.efficiency[j], exact, atol=0.015)
        assert np.all(np.abs(found.change[j] - exact / exact.mean() + 1.0) < 4.0 * found.change_error[j])
        assert found.change_error[j].max() < 0.015
    assert np.all(np.diff(found.profile) > 0.05)
    np.testing.assert_array_equal(Sculpting.from_json(found.to_json()).change, found.change)


def test_errors_of_shapes_are_those_of_repeated_experiments() -> None:
    edges = np.linspace(0.0, 1.0, 5)
    runs = []
    for seed in range(150):
        score, m, signal, background = events(seed, 0.0, 2000)
        runs.append(sculpting(score, m, signal=signal, background=background, edges=edges, kept=(0.7,)))
    for what in ("change", "efficiency", "profile"):
        spread = np.std([getattr(r, what).ravel() for r in runs], axis=0)
        quoted = np.mean([getattr(r, f"{what}_error").ravel() for r in runs], axis=0)
        np.testing.assert_allclose(quoted, spread, rtol=0.25 if what != "efficiency" else 0.4)
    assert np.abs(np.mean([r.change for r in runs], axis=0)).max() < 4.0 * np.mean(runs[0].change_error) / 150**0.5
