"""Templates: slow twin, edges, covariance, quantile bins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.likelihood import bin_index, fill_templates, quantile_edges

EDGES = [220.0, 240.0, 300.0, 2001.0]


def by_loop(values: Any, weights: Any, edges: Any) -> tuple[Any, Any, Any]:
    """Slow twin: sums of weights and of products of weights, bin by bin."""
    n_bins, n_processes = len(edges) - 1, len(weights[0])
    sums, products, counts = np.zeros((n_processes, n_bins)), np.zeros((n_bins, n_processes, n_processes)), np.zeros(n_bins)
    for x, row in zip(values, weights, strict=True):
        for b in range(n_bins):
            last = b == n_bins - 1 and x == edges[-1]
            if edges[b] <= x < edges[b + 1] or last:
                counts[b] += 1
                for j, a in enumerate(row):
                    sums[j, b] += a
                    for k, c in enumerate(row):
                        products[b, j, k] += a * c
    return sums, products, counts


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(0, 60))
def test_equals_a_loop(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    values, weights = rng.choice([220.0, 230.0, 240.0, 299.9, 300.0, 2001.0, 500.0], n), rng.normal(0.5, 1.0, (n, 3))
    templates = fill_templates(values, weights, EDGES, processes=("a", "b", "c"))
    sums, products, counts = by_loop(values, weights.tolist() or [[0.0] * 3][:0] or np.zeros((0, 3)), EDGES) if n else (0.0, 0.0, 0.0)
    np.testing.assert_allclose(templates.values, np.broadcast_to(sums, (3, 3)), atol=1e-12)
    np.testing.assert_allclose(templates.covariance, np.broadcast_to(products, (3, 3, 3)), atol=1e-12)
    np.testing.assert_array_equal(templates.counts, np.broadcast_to(counts, 3))


def test_variance_of_a_mixture_counts_correlations() -> None:
    rng = np.random.default_rng(0)
    weights = rng.normal(1.0, 0.5, (500, 2))
    x = rng.uniform(0.0, 2.0, 500)
    templates = fill_templates(x, weights, [0.0, 1.0, 2.0], processes=("a", "b"))
    f = np.array([1.7, -0.4])
    mixed = fill_templates(x, (weights @ f)[:, None], [0.0, 1.0, 2.0], processes=("sum",))
    np.testing.assert_allclose(templates.expected(f), mixed.values[0], rtol=1e-12)
    np.testing.assert_allclose(templates.variance(f), mixed.variances[0], rtol=1e-12)
    np.testing.assert_allclose(templates.variances[0], templates.covariance[:, 0, 0])


def test_labels_name_the_bins() -> None:
    assert fill_templates([230.0], [[1.0]], EDGES, processes=("a",)).labels == ("220 ... 240", "240 ... 300", "300 ... 2001")


def test_events_outside_are_never_lost_in_silence() -> None:
    values = [100.0, 230.0, 3000.0]
    with pytest.raises(PhysicsDomainError, match="2 of 3 events"):
        bin_index(values, EDGES)
    assert bin_index(values, EDGES, outside="drop").tolist() == [-1, 0, -1]
    assert bin_index(values, EDGES, outside="clip").tolist() == [0, 0, 2]
    with pytest.raises(PhysicsDomainError, match="1 NaN"):
        bin_index([np.nan, 230.0], EDGES, outside="clip")
    assert bin_index([np.nan, 230.0], EDGES, outside="drop").tolist() == [-1, 0]
    with pytest.raises(SchemaError, match="outside"):
        bin_index(values, EDGES, outside="ignore")  # type: ignore[arg-type]


@pytest.mark.parametrize("edges", [[1.0], [1.0, 1.0], [2.0, 1.0], [0.0, np.nan, 1.0], [[0.0, 1.0]]])
def test_bad_edges(edges: Any) -> None:
    with pytest.raises(SchemaError, match="bin edges"):
        bin_index([0.5], edges)


def test_infinite_outer_edges_take_everything() -> None:
    assert bin_index([-1e9, 0.0, 1e9], [-np.inf, 0.0, np.inf]).tolist() == [0, 1, 1]


def test_bad_weights() -> None:
    with pytest.raises(PhysicsDomainError, match="weight of event 1 under b"):
        fill_templates([230.0, 230.0], [[1.0, 1.0], [1.0, np.nan]], EDGES, processes=("a", "b"))
    with pytest.raises(ShapeError):
        fill_templates([230.0], [[1.0, 2.0]], EDGES, processes=("a",))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), bins=st.integers(1, 30))
def test_quantile_bins_share_the_sample(seed: int, bins: int) -> None:
    rng = np.random.default_rng(seed)
    x, w = rng.normal(0.0, 1.0, 5_000), rng.uniform(0.5, 1.5, 5_000)
    edges = quantile_edges(x, w, bins=bins)
    assert (edges[0], edges[-1]) == (x.min(), x.max())
    content = fill_templates(x, w[:, None], edges, processes=("a",)).values[0]
    np.testing.assert_allclose(content, w.sum() / bins, atol=2 * w.max())


def test_quantile_bins_refuse_what_they_cannot_do() -> None:
    with pytest.raises(SchemaError, match="2 distinct scores for 5 bins"):
        quantile_edges([1.0, 2.0, 1.0, 2.0], np.ones(4), bins=5)
    with pytest.raises(PhysicsDomainError, match="1 scores not finite"):
        quantile_edges([1.0, np.nan], np.ones(2), bins=2)
    with pytest.raises(PhysicsDomainError, match="sum of weights -2"):
        quantile_edges([1.0, 2.0], -np.ones(2), bins=2)
    with pytest.raises(ShapeError):
        quantile_edges([1.0, 2.0], np.ones(3), bins=2)
