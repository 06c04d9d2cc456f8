"""Two independent sets of weighted events: chi-square, shapes and yields against sums and matrices written out in numpy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from toolkit.diagnostics.two_samples import MIN_EFFECTIVE, compare_values, compare_yields
from toolkit.errors import PhysicsDomainError, SchemaError


def _histogram(x: np.ndarray, w: np.ndarray, edges: np.ndarray) -> np.ndarray:
    clipped = np.clip(x, edges[0], np.nextafter(edges[-1], -np.inf))
    return np.histogram(clipped, edges, weights=w)[0]


def test_p_values_of_halves_of_one_sample_are_uniform() -> None:
    rng = np.random.default_rng(11)
    p_values: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(200):
        x = rng.normal(size=4000)
        w = rng.choice([1.0, 0.4, -0.3], size=4000, p=[0.6, 0.3, 0.1])
        half = rng.random(4000) < 0.5
        for normalise, found in p_values.items():
            pair = compare_values((x[half], x[~half]), (w[half], w[~half]), observable="other", bins=12, normalise=normalise)
            found.append(pair.chi2.p_value)
    for found in p_values.values():
        assert stats.kstest(found, "uniform").pvalue > 0.01


def test_a_tilt_has_the_chi_square_of_numpy() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.uniform(200, 1000, size=20_000), rng.uniform(200, 1000, size=30_000)
    w_a, w_b = rng.uniform(0.5, 1.5, size=20_000), np.full(30_000, 0.7)
    w_b = w_b * (1 + 0.2 * (b - 600) / 400)
    pair = compare_values((a, b), (w_a, w_b), observable="m4l")
    edges = pair.edges
    h_a, h_b = _histogram(a, w_a, edges), _histogram(b, w_b, edges)
    v_a, v_b = _histogram(a, w_a**2, edges), _histogram(b, w_b**2, edges)
    assert pair.chi2.chi2 == pytest.approx(np.sum((h_b - h_a) ** 2 / (v_a + v_b)), rel=1e-10)
    assert (pair.chi2.ndf, edges.size - 1, pair.bins) == (20, 20, 20)
    assert pair.ratio == pytest.approx(h_b / h_a, rel=1e-12)
    assert pair.ratio_error == pytest.approx(np.abs(h_b / h_a) * np.sqrt(v_a / h_a**2 + v_b / h_b**2), rel=1e-12)

    shapes = compare_values((a, b), (w_a, w_b), observable="m4l", normalise=True)
    covariance = np.zeros((20, 20))
    for h, v in ((h_a, v_a), (h_b, v_b)):
        jacobian = (np.eye(20) - np.outer(h / h.sum(), np.ones(20))) / h.sum()
        covariance += jacobian @ np.diag(v) @ jacobian.T
    difference = h_b / h_b.sum() - h_a / h_a.sum()
    assert shapes.chi2.chi2 == pytest.approx(difference @ np.linalg.pinv(covariance, rcond=1e-9) @ difference, rel=1e-7)
    assert shapes.chi2.ndf == 19
    assert shapes.chi2.p_value < 1e-6
    assert shapes.content.sum(axis=1) == pytest.approx([1.0, 1.0])


def test_a_factor_between_both_is_no_difference_of_shape() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.uniform(200, 1000, size=20_000), rng.uniform(200, 1000, size=20_000)
    weights = (np.ones(20_000), np.full(20_000, 1.5))
    assert compare_values((a, b), weights, observable="m4l").chi2.p_value < 1e-9
    assert compare_values((a, b), weights, observable="m4l", normalise=True).chi2.p_value > 0.01


def test_bins_with_few_events_are_joined_and_those_without_events_left_out() -> None:
    rng = np.random.default_rng(7)
    a, b = 220 + rng.exponential(60, size=3000), 220 + rng.exponential(60, size=900)
    pair = compare_values((a, b), (np.ones(3000), np.where(rng.random(900) < 0.2, -1.0, 1.0)), observable="m4l")
    assert 3 < pair.edges.size - 1 < pair.bins == 20
    counts = [_histogram(x, np.ones(x.size), pair.edges) for x in (a, b)]
    assert min(c.min() for c in counts) >= MIN_EFFECTIVE
    assert sum(c.sum() for c in counts) == 3900
    assert not pair.thin
    few = compare_values((a[:5], b[:5]), (np.ones(5), np.ones(5)), observable="m4l")
    assert (few.edges.size, few.effective, few.thin) == (2, 5.0, True)


def test_events_without_the_observable_are_counted_apart() -> None:
    a, b = np.array([np.nan, *np.full(50, 1.0)]), np.array([np.nan, np.nan, *np.full(50, 1.0)])
    pair = compare_values((a, b), (np.ones(51), np.full(52, 2.0)), observable="n_jets")
    assert pair.missing.tolist() == [1.0, 4.0]
    assert pair.content.sum(axis=1).tolist() == [50.0, 100.0]


def test_yields_against_sums() -> None:
    a, b = np.array([1.0, -0.5, 2.0]), np.array([3.0, 1.0])
    pair = compare_yields(a, b)
    assert (pair.a, pair.b, pair.ratio) == (2.5, 4.0, 1.6)
    assert pair.ratio_error == pytest.approx(1.6 * np.sqrt(5.25 / 2.5**2 + 10 / 16))
    assert compare_yields(np.array([1.0, -1.0]), b).to_json()["ratio"] is None


def test_what_cannot_be_compared_is_refused() -> None:
    ones, x = np.ones(60), np.linspace(0, 1, 60)
    with pytest.raises(SchemaError, match="no event of B has a value"):
        compare_values((x, np.full(60, np.nan)), (ones, ones), observable="other")
    with pytest.raises(SchemaError, match="all equal"):
        compare_values((ones, ones), (ones, ones), observable="other")
    signs = np.where(np.arange(60) % 2 == 0, 1.0, -1.0)
    with pytest.raises(PhysicsDomainError, match="standard errors from zero"):
        compare_values((x, x), (ones, signs), observable="other", normalise=True)
    with pytest.raises(PhysicsDomainError, match="weights of B at event row 0"):
        compare_values((x, x), (ones, np.full(60, np.nan)), observable="other")
