"""Quantiles of the ensemble spread against a loop, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.diagnostics.spread import spread_profile, weighted_quantiles
from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError


def slow_quantile(values, weights, q):
    pairs = sorted(zip(values, weights, strict=True))
    total, reach = sum(weights), 0.0
    for value, weight in pairs:
        reach += weight
        if weight > 0 and reach >= q * total - 1e-9:
            return value
    return float("nan")


def test_profile_against_loop(make_toy):
    toy = make_toy(400, 1)
    x = toy.events.observables["x"]
    spread = 0.05 + 0.3 * x[:, None] * np.array([1.0, 0.5, 0.2, 0.1]) * np.random.default_rng(1).uniform(size=(400, 4))
    edges = np.array([0.0, 0.4, 1.0])
    profile = spread_profile(toy.events, spread, observable="x", edges=edges, quantiles=(0.25, 0.5), n_members=6)
    assert profile.processes == toy.events.processes
    for j in range(4):
        w = np.abs(toy.events.weights[:, j])
        for i, q in enumerate((0.25, 0.5)):
            assert profile.overall[j, i] == slow_quantile(spread[:, j], w, q)
            for b in range(2):
                here = (x >= edges[b]) & (x < edges[b + 1])
                assert profile.binned[j, b, i] == slow_quantile(spread[here, j], w[here], q)
    assert profile.overall[0, 1] > profile.overall[3, 1]
    assert profile.to_json()["n_members"] == 6


def test_missing_values_and_empty_bins(make_toy):
    toy = make_toy(300, 2)
    profile = spread_profile(toy.events, np.ones((300, 4)), observable="m_jj", edges=np.array([0.0, 1e5, 2e5, 3e5]))
    assert (profile.overall == 1.0).all()
    assert np.isfinite(profile.binned[:, 0]).all()
    assert np.isnan(profile.binned[:, 1]).all()


def test_quantiles_of_equal_weights_agree_with_numpy():
    values = np.random.default_rng(3).normal(size=501)
    ours = weighted_quantiles(values, np.full(501, 0.1), (0.1, 0.5, 0.9))
    np.testing.assert_array_equal(ours, np.quantile(values, (0.1, 0.5, 0.9), method="inverted_cdf"))


def test_bad_input(make_toy):
    toy = make_toy(50, 3)
    with pytest.raises(SchemaError, match="m4l"):
        spread_profile(toy.events, np.ones((50, 4)), observable="m4l", edges=np.array([0.0, 1.0]))
    with pytest.raises(ShapeError):
        spread_profile(toy.events, np.ones((50, 3)), observable="x", edges=np.array([0.0, 1.0]))
    with pytest.raises(PhysicsDomainError, match="event row 0"):
        spread_profile(toy.events, np.full((50, 4), np.nan), observable="x", edges=np.array([0.0, 1.0]))
    with pytest.raises(ShapeError):
        weighted_quantiles(np.zeros(2), np.zeros(3), (0.5,))
    assert np.isnan(weighted_quantiles(np.zeros(2), np.zeros(2), (0.5,))).all()
