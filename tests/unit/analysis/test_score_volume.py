"""The expected region of histograms of scores, against loops over bins and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from toolkit.analysis.model import FitModel
from toolkit.analysis.score_volume import nested_bins, score_volume
from toolkit.errors import ShapeError
from toolkit.likelihood import Parameter
from toolkit.weights import SimulatedEvents


def events_of(observable: np.ndarray, weights: np.ndarray) -> SimulatedEvents:
    n = len(observable)
    names = ("S", "B")
    return SimulatedEvents(names, np.arange(n, dtype=np.uint64), np.zeros(n, dtype=np.int64), ("all",), {"x": observable}, weights)


def one(high: float = 3.0) -> FitModel:
    return FitModel.of_one(("S", "B"), ("mu", "1"), range=(0.0, high))


def test_the_interval_is_that_of_a_loop_over_the_bins() -> None:
    rng = np.random.default_rng(3)
    x = np.sort(rng.uniform(0.0, 1.0, 4000))
    events = events_of(x, np.stack([400.0 * 2.0 * x / 4000, np.full(4000, 600.0 / 4000)], axis=1))
    found = score_volume([x], events, one(), bins=5)
    expected = events.weights.sum(axis=1)
    edges = np.searchsorted(np.cumsum(expected), np.linspace(0.0, expected.sum(), 6)[1:-1])
    bins = [events.weights[part].sum(axis=0) for part in np.split(np.arange(4000), edges)]
    mu = np.linspace(0.0, 3.0, 30001)
    t = np.zeros_like(mu)
    for s, b in bins:
        t += 2.0 * (mu * s + b - (s + b) * np.log((mu * s + b) / (s + b)) - s - b)
    inside = mu[t < 3.841459]
    assert found == pytest.approx(inside[-1] - inside[0], rel=2e-3)
    assert score_volume([x], events, one(1.02), bins=5) == pytest.approx(1.02 - inside[0], rel=2e-3), "cut off by the range"


def test_two_scores_measure_two_parameters() -> None:
    """Two axes, each of which tells one of two yields from a background: an ellipse for many events."""
    rng = np.random.default_rng(4)
    n, total = 40000, 1e5
    x, y = rng.uniform(0.0, 1.0, (2, n))
    flat = np.full(n, total / n)
    weights = np.stack([2.0 * x * flat, 2.0 * y * flat, flat], axis=1)
    parameters = (Parameter("a", 1.0, 0.9, 1.1), Parameter("b", 1.0, 0.9, 1.1))
    model = FitModel(("A", "B", "C"), ("a", "b", "1"), parameters, ("a", "b"), (("a", 1.0), ("b", 1.0)))
    events = SimulatedEvents(
        model.processes, np.arange(n, dtype=np.uint64), np.zeros(n, dtype=np.int64), ("all",), {"x": x, "y": y}, weights
    )
    index = nested_bins([x, y], weights.sum(axis=1), bins=6)
    assert np.ptp(np.bincount(index, weights=weights.sum(axis=1), minlength=36)) < 0.01 * 3e5 / 36
    templates = np.stack([np.bincount(index, weights=w, minlength=36) for w in weights.T])
    fisher = (templates[:2] / templates.sum(axis=0)) @ templates[:2].T
    ellipse = math.pi * -2.0 * math.log(0.05) / math.sqrt(np.linalg.det(fisher))
    assert score_volume([x, y], events, model, bins=6) == pytest.approx(ellipse, rel=0.01)
    with pytest.raises(ShapeError, match="one or two"):
        nested_bins([x, y, x], weights.sum(axis=1), bins=2)
