"""Permutation importance: against a loop, against what is known for a linear model, weighted draws, groups, errors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from toolkit.diagnostics.importance import permutation_importance
from toolkit.diagnostics.information import information_bound
from toolkit.diagnostics.merit import Merit
from toolkit.diagnostics.separation import auc
from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError

FEATURES = ("strong", "weak", "twin", "useless")


@pytest.fixture(scope="module")
def world():
    """Signal and background in two shifted Gaussians; `twin` repeats `weak`; weights of either sign."""
    rng = np.random.default_rng(1)
    n = 8000
    is_signal = rng.uniform(size=n) < 0.5
    x = rng.normal(size=(n, 4))
    x[:, 0] += 1.5 * is_signal
    x[:, 1] += 0.5 * is_signal
    x[:, 2] = x[:, 1]
    sign = np.where(rng.uniform(size=n) < 0.1, -1.0, 1.0)
    return x, is_signal * sign, ~is_signal * sign


def model(x):
    return 1.5 * x[:, 0] + 0.25 * x[:, 1] + 0.25 * x[:, 2]


def area(signal, background):
    return lambda score: auc(score, signal=signal, background=background)


def test_against_known_areas(world):
    """After the shuffle the score is a Gaussian mixture in the shuffled part; both classes lose that part of their distance."""
    x, signal, background = world
    (result,) = permutation_importance(model, x, features=FEATURES, metrics={"auc": area(signal, background)}, seed=3, repeats=4)
    assert result.names == FEATURES
    assert result.baseline == pytest.approx(norm.cdf(np.hypot(1.5, 0.5) / np.sqrt(2)), abs=4 * result.baseline_error)
    strong, weak, twin, useless = result.loss
    assert useless == 0.0
    assert result.error[3] == 0.0
    assert strong > 5 * weak
    assert min(weak, twin) > 3 * max(result.error[1:3])
    # without `strong` the distance is 0.25 of a score whose other part is the mixture of two Gaussians 2.25 apart
    a, b = 1.5 * np.random.default_rng(9).normal(size=(2, 200_000)) + 2.25 * (np.random.default_rng(8).uniform(size=(2, 200_000)) < 0.5)
    noise = 0.5 * np.random.default_rng(7).normal(size=(2, 200_000))
    expected = np.mean(a + noise[0] + 0.25 > b + noise[1])
    assert abs(result.shuffled[0].mean() - expected) < 4 * np.hypot(result.error[0], result.baseline_error)
    assert result.order[0] == 0


def test_twins_are_worth_more_together(world):
    x, signal, background = world
    groups = {"weak": ("weak",), "weak and twin": ("weak", "twin")}
    (result,) = permutation_importance(model, x, features=FEATURES, metrics={"auc": area(signal, background)}, seed=3, groups=groups)
    assert result.members == (("weak",), ("weak", "twin"))
    assert result.loss[1] > 1.5 * result.loss[0]


def test_against_loop(world):
    x, signal, background = (part[:200] for part in world)
    metric = area(signal, background)
    (result,) = permutation_importance(model, x, features=FEATURES, metrics={"auc": metric}, seed=5, repeats=2)
    rng = np.random.default_rng(5)
    base = metric(model(x))
    for g in range(4):
        values, change = [], np.zeros(200)
        for _ in range(2):
            other = rng.permutation(200)
            rows = [[x[other[i], j] if j == g else x[i, j] for j in range(4)] for i in range(200)]
            merit = metric(model(np.array(rows)))
            values.append(merit.value)
            change += (base.influence - merit.influence) / 2
        assert result.loss[g] == pytest.approx(base.value - sum(values) / 2)
        assert result.shuffle_error[g] == pytest.approx(abs(values[0] - values[1]) / 2)
        assert result.sample_error[g] == pytest.approx(np.sqrt(np.sum(change**2)))


def test_draws_keep_the_weighted_distribution():
    """The mean of the values that events receive is the weighted mean of the feature."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(5000, 1))
    weights = np.where(x[:, 0] > 0, 3.0, -1.0)
    seen = []
    permutation_importance(
        lambda values: seen.append(values[:, 0].mean()) or values[:, 0],
        x,
        features=("a",),
        metrics={"none": lambda score: Merit(0.0, np.zeros(score.size))},
        seed=1,
        weights=weights,
    )
    assert seen[0] == pytest.approx(x.mean())
    assert np.mean(seen[1:]) == pytest.approx(np.average(x[:, 0], weights=np.abs(weights)), abs=2e-3)


def test_equal_weights_give_a_permutation():
    x = np.arange(50.0)[:, None]
    seen = []
    permutation_importance(
        lambda values: seen.append(values[:, 0]) or values[:, 0],
        x,
        features=("a",),
        metrics={"none": lambda score: Merit(0.0, np.zeros(score.size))},
        seed=1,
        repeats=1,
        weights=np.full(50, 0.3),
    )
    assert sorted(seen[1]) == x[:, 0].tolist()
    assert seen[1].tolist() != x[:, 0].tolist()


def test_information_as_the_metric(world):
    """Two rates whose exact log ratio is linear in one feature: shuffling it loses what the ratio certified, and more."""
    x = world[0]
    a, b = np.exp(0.5 * x[:, 3]) / len(x) * 100, np.full(len(x), 100.0 / len(x))
    metrics = {"t": lambda log_ratio: information_bound(log_ratio, numerator_weights=a, denominator_weights=b)}
    first, second = (permutation_importance(lambda v: 0.5 * v[:, 3], x, features=FEATURES, metrics=metrics, seed=s)[0] for s in (1, 1))
    assert first.loss[3] > first.baseline
    np.testing.assert_allclose(first.loss[:3], 0.0, atol=1e-9)
    np.testing.assert_array_equal(first.shuffled, second.shuffled)


def test_error_covers_the_spread_over_samples():
    """Losses of independent samples scatter as the error says, within what the neglected choice of drawn values adds."""
    losses, errors = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        is_signal = rng.uniform(size=800) < 0.5
        x = rng.normal(size=(800, 2)) + is_signal[:, None] * np.array([1.0, 0.7])
        metric = area(is_signal * 1.0, ~is_signal * 1.0)
        (result,) = permutation_importance(lambda v: v @ np.array([1.0, 0.7]), x, features=("a", "b"), metrics={"auc": metric}, seed=seed)
        losses.append(result.loss)
        errors.append(result.error)
    ratio = np.mean(errors, axis=0) / np.std(losses, axis=0)
    assert ((ratio > 0.7) & (ratio < 1.6)).all()


def test_bad_input(world):
    x, signal, background = (part[:100] for part in world)
    metrics = {"auc": area(signal, background)}
    with pytest.raises(ShapeError):
        permutation_importance(model, x, features=FEATURES[:3], metrics=metrics, seed=1)
    with pytest.raises(SchemaError, match="mass"):
        permutation_importance(model, x, features=FEATURES, metrics=metrics, seed=1, groups={"g": ("strong", "mass")})
    with pytest.raises(SchemaError, match="no feature"):
        permutation_importance(model, x, features=FEATURES, metrics=metrics, seed=1, groups={"g": ()})
    with pytest.raises(SchemaError, match="repeats"):
        permutation_importance(model, x, features=FEATURES, metrics=metrics, seed=1, repeats=0)
    with pytest.raises(PhysicsDomainError, match="all zero"):
        permutation_importance(model, x, features=FEATURES, metrics=metrics, seed=1, weights=np.zeros(100))
