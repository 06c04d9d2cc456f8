"""E_ref[r] = 1: measured against a loop, restored by division, on other events as well."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.errors import PhysicsDomainError, ShapeError
from toolkit.ratios.estimators.normalisation import Normalised, measure_normalisation, reference_mean
from toolkit.weights import Hypotheses, Morphing, SimulatedEvents


class Distorted:
    """The exact ratio of Gaussians N(mu, 1) over N(0, 1), times exp(0.2 mu)."""

    def __init__(self):
        events = SimulatedEvents(
            ("a", "b"), np.arange(4, dtype=np.uint64), np.zeros(4, dtype=np.int64), ("s",), {"x": np.arange(4.0)}, np.ones((4, 2))
        )
        line = Morphing(monomials=["mu", "1"], benchmarks={"a": 0.0, "b": 1.0})
        self.hypotheses = Hypotheses.build(events, morphing=line, benchmarks=("a", "b"), ranges=[(0.0, 1.0)])
        self.calls = 0

    def log_ratio(self, x, theta):
        self.calls += 1
        mu = float(np.atleast_1d(theta)[0])
        return mu * x[:, 0] - 0.5 * mu**2 + 0.2 * mu


def sample(n, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(scale=1.5, size=(n, 1))
    return x, np.exp(-0.5 * x[:, 0] ** 2 + 0.5 * (x[:, 0] / 1.5) ** 2)


def test_mean_against_a_loop():
    x, w = sample(200, 1)
    logs = Distorted().log_ratio(x, 0.5)
    mean, error = reference_mean(logs, w)
    slow = sum(wi * np.exp(li) for wi, li in zip(w, logs, strict=True)) / sum(w)
    assert mean == pytest.approx(slow)
    assert error == pytest.approx(sum((wi * (np.exp(li) - slow)) ** 2 for wi, li in zip(w, logs, strict=True)) ** 0.5 / sum(w))


def test_the_distortion_is_seen_and_removed_on_other_events():
    model, points = Distorted(), (0.25, 0.5, 1.0)
    calibration, other = sample(100_000, 2), sample(100_000, 3)
    before = measure_normalisation(model, *other, points=points)
    assert np.all(np.abs(before.mean - np.exp(0.2 * before.theta[:, 0])) < 4.0 * before.error)
    assert np.all(before.mean - 1.0 > 8.0 * before.error)
    normalised = Normalised(model, *calibration)
    after = measure_normalisation(normalised, *other, points=points)
    assert np.all(np.abs(after.mean - 1.0) < 4.0 * 2.0**0.5 * after.error)
    own = measure_normalisation(normalised, *calibration, points=points)
    np.testing.assert_allclose(own.mean, 1.0, rtol=1e-12)


def test_every_point_is_computed_once():
    model = Distorted()
    normalised = Normalised(model, *sample(100, 4))
    x = np.zeros((3, 1))
    for _ in range(3):
        normalised.log_ratio(x, 0.5)
    assert model.calls == 4


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError):
        reference_mean(np.zeros(3), np.ones(4))
    with pytest.raises(PhysicsDomainError):
        reference_mean(np.zeros(3), np.zeros(3))
