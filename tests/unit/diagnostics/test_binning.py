"""Bins, quantiles, chi-square and covariance against obvious twins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from toolkit.diagnostics import observable_edges
from toolkit.diagnostics.binning import bin_sums, clipped_index, share_edges
from toolkit.diagnostics.chi2 import chi_square
from toolkit.diagnostics.covariance import influence_covariance
from toolkit.diagnostics.serialise import jsonable
from toolkit.errors import SchemaError, ShapeError


def test_bin_index_against_loop():
    rng = np.random.default_rng(1)
    edges = np.array([-1.0, 0.0, 0.5, 2.0])
    values = np.concatenate([rng.normal(size=200), edges, [np.nan, np.inf, -np.inf]])

    def one(v):
        if np.isnan(v):
            return -1
        return min(max(sum(v >= e for e in edges) - 1, 0), 2)

    assert clipped_index(values, edges).tolist() == [one(v) for v in values]


def test_edges_must_increase():
    for edges in ([0.0], [0.0, 0.0], [1.0, 0.0], [0.0, np.nan]):
        with pytest.raises(SchemaError):
            clipped_index(np.zeros(2), np.array(edges))


def test_bin_sums_leaves_missing_out():
    sums = bin_sums(np.array([0, -1, 1, 0]), 3, np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0], [8.0, 80.0]]))
    assert sums.tolist() == [[9.0, 90.0], [4.0, 40.0], [0.0, 0.0]]


def test_quantiles_hold_equal_shares():
    rng = np.random.default_rng(2)
    values, weights = rng.normal(size=5000), rng.uniform(-0.2, 1, size=5000)
    edges = share_edges(values, weights, bins=8)
    shares = bin_sums(clipped_index(values, edges), 8, np.abs(weights))
    np.testing.assert_allclose(shares / shares.sum(), 1 / 8, atol=2e-3)


def test_quantiles_of_repeated_values():
    assert share_edges(np.array([0.0, 0, 0, 0, 1, 2]), np.ones(6), bins=4).tolist() == [0.0, 1.0, 2.0]
    with pytest.raises(SchemaError):
        share_edges(np.ones(4), np.ones(4), bins=2)
    with pytest.raises(ShapeError):
        share_edges(np.ones(4), np.ones(3), bins=2)


def test_chi_square_of_correlated_differences():
    rng = np.random.default_rng(3)
    mixing = rng.normal(size=(5, 5))
    covariance = mixing @ mixing.T
    d = rng.normal(size=5)
    result = chi_square(d, covariance)
    assert result.chi2 == pytest.approx(d @ np.linalg.solve(covariance, d))
    assert result.p_value == pytest.approx(stats.chi2.sf(result.chi2, 5))


def test_chi_square_drops_directions_fixed_by_construction():
    projection = np.eye(3) - 1 / 3
    result = chi_square(projection @ np.array([1.0, 2.0, 0.0]), projection)
    assert result.ndf == 2
    assert result.chi2 == pytest.approx(np.sum((np.array([1.0, 2.0, 0.0]) - 1) ** 2))
    nothing = chi_square(np.zeros(2), np.zeros((2, 2)))
    assert nothing.to_json() == {"chi2": 0.0, "ndf": 0, "p_value": None}
    with pytest.raises(ShapeError):
        chi_square(np.zeros(2), np.eye(3))


def test_influence_covariance_against_loop():
    rng = np.random.default_rng(4)
    index, local = rng.integers(-1, 3, size=50), rng.normal(size=50)
    columns, response = rng.normal(size=(50, 2)), rng.normal(size=(3, 2))
    slow = np.zeros((3, 3))
    for i in range(50):
        u = response @ columns[i]
        if index[i] >= 0:
            u[index[i]] += local[i]
        slow += np.outer(u, u)
    fast = influence_covariance(index, n_bins=3, local=local, columns=columns, response=response)
    np.testing.assert_allclose(fast, slow, rtol=1e-12)


def test_jsonable():
    value = {"a": np.float32(0.5), 1: (np.nan, np.inf), "s": "text", "b": np.array([True, False]), "n": None}
    assert jsonable(value) == {"a": 0.5, "1": [None, None], "s": "text", "b": [True, False], "n": None}


class TestObservableEdges:
    def test_every_bin_is_filled_by_every_process(self, make_toy):
        toy = make_toy(20_000, 1)
        edges = observable_edges(toy.events, "m_jj", bins=25, min_effective=30)
        index, w = clipped_index(toy.events.observables["m_jj"], edges), np.abs(toy.events.weights)
        sums, squares = bin_sums(index, edges.size - 1, w), bin_sums(index, edges.size - 1, w**2)
        assert (sums**2 / squares).min() >= 30
        assert edges[0] == 0.0
        assert edges.size > 5

    def test_unregistered_observable_gets_quantiles(self, make_toy):
        toy = make_toy(3000, 2)
        edges = observable_edges(toy.events, "z", bins=5)
        assert edges.size == 6
        assert edges[[0, -1]].tolist() == [toy.events.observables["z"].min(), toy.events.observables["z"].max()]

    def test_counts_get_one_bin_per_number(self, make_toy):
        toy = make_toy(3000, 3)
        counts = np.random.default_rng(4).integers(0, 4, size=3000).astype(float)
        events = replace(toy.events, observables={"n_jets": counts})
        assert observable_edges(events, "n_jets").tolist() == [-0.5, 0.5, 1.5, 2.5, 3.5]

    def test_few_events_leave_one_bin(self, make_toy):
        toy = make_toy(60, 5)
        assert observable_edges(toy.events, "m_jj", min_effective=1000).size == 2

    def test_errors(self, make_toy):
        toy = make_toy(60, 6)
        with pytest.raises(SchemaError, match="nothing"):
            observable_edges(toy.events, "nothing")
        with pytest.raises(SchemaError, match="no event"):
            observable_edges(replace(toy.events, observables={"y": np.full(60, np.nan)}), "y")
