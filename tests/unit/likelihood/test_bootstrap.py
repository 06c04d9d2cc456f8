"""The Poisson bootstrap: replicas equal direct fits, errors equal analytic ones."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from toolkit.errors import FitError, PhysicsDomainError, ShapeError
from toolkit.likelihood import (
    BinnedLikelihood,
    UnbinnedLikelihood,
    bin_index,
    bootstrap_binned,
    bootstrap_unbinned,
    fill_templates,
    morphing_expressions,
)
from toolkit.likelihood.bootstrap import lowest_points
from toolkit.likelihood.multiplicities import ROWS

COEFFICIENTS = morphing_expressions(n_backgrounds=1)


def test_replicas_equal_direct_fits(make_toy: Any) -> None:
    toy = make_toy(ROWS + 500, 2)
    likelihood = toy.likelihood(1.7)
    result = bootstrap_unbinned(likelihood, replicas=12, seed=5)
    draws = np.random.default_rng(5).poisson(1.0, size=(len(toy.x), 12))
    direct = [likelihood.with_weights(toy.asimov(1.7) * draws[:, r]).fit().parameters["mu"] for r in range(12)]
    np.testing.assert_allclose(result.replicas, direct, atol=1e-4)


def test_binned_replicas_equal_direct_fits_and_share_the_draws(make_toy: Any) -> None:
    toy = make_toy(5_000, 2)
    edges = np.linspace(0.0, 0.9, 10)
    templates = fill_templates(toy.x, toy.weights, edges, processes=("S", "SBI", "B", "q"), outside="drop")
    weights, index = toy.asimov(1.7), bin_index(toy.x, edges, outside="drop")
    likelihood = BinnedLikelihood(
        templates=templates.values,
        data=np.bincount(index[index >= 0], weights[index >= 0]),
        coefficients=COEFFICIENTS,
        parameters=("mu",),
        bounds={"mu": (0, 6)},
    )
    result = bootstrap_binned(likelihood, bin_index=index, weights=weights, replicas=8, seed=5)
    draws = np.random.default_rng(5).poisson(1.0, size=(len(toy.x), 8))
    direct = []
    for r in range(8):
        content = [sum(w * k for w, k, i in zip(weights, draws[:, r], index, strict=True) if i == b) for b in range(9)]
        direct.append(likelihood.with_data(content).fit().parameters["mu"])
    np.testing.assert_allclose(result.replicas, direct, atol=1e-4)


def test_error_of_a_counting_experiment_is_analytic() -> None:
    """mu_hat = (sum w - b) / s is linear in the weights: its standard error is sqrt(sum w^2) / s."""
    rng = np.random.default_rng(9)
    weights = rng.uniform(0.0, 0.1, 2_000)
    s, b = 60.0, weights.sum() - 60.0
    likelihood = UnbinnedLikelihood(
        log_ratios=np.zeros((2_000, 2)),
        weights=weights,
        yields=[s, b],
        coefficients=("mu", "1"),
        parameters=("mu",),
        bounds={"mu": (0.0, 3.0)},
    )
    result = bootstrap_unbinned(likelihood, replicas=4_000, seed=3)
    expected = np.sqrt(np.sum(weights**2)) / s
    assert result.standard_error == pytest.approx(expected, rel=4 / np.sqrt(2 * 4_000))
    assert result.error(1.0) == pytest.approx(expected, rel=0.08)
    assert result.replicas.mean() == pytest.approx(1.0, abs=4 * expected / np.sqrt(4_000))
    assert result.n_at_boundary == 0


def test_error_of_a_shape_fit_is_the_sandwich(make_toy: Any) -> None:
    """To first order mu_hat moves by sum_i w_i g_i / H with g the score of one event and H the curvature."""
    toy = make_toy(40_000, 3)
    likelihood = toy.likelihood(1.7)
    h = 1e-5

    def log_density(mu: float) -> Any:
        f = likelihood.coefficients.values(np.array([[mu]]))[0]
        return np.log(likelihood.densities @ f)

    scores = (log_density(1.7 + h) - log_density(1.7 - h)) / (2 * h)
    curvature = (likelihood.gradient(1.7 + h)[0] - likelihood.gradient(1.7 - h)[0]) / (4 * h)
    expected = np.sqrt(np.sum((toy.asimov(1.7) * scores) ** 2)) / curvature
    assert bootstrap_unbinned(likelihood, replicas=1_000, seed=1).standard_error == pytest.approx(expected, rel=0.1)


def test_same_seed_same_replicas(toy: Any) -> None:
    likelihood = toy.likelihood(1.0)
    first, second, other = (bootstrap_unbinned(likelihood, replicas=20, seed=s).replicas for s in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_boundary_replicas_are_counted(toy: Any) -> None:
    result = bootstrap_unbinned(toy.likelihood(0.0), replicas=50, seed=1)
    assert 0 < result.n_at_boundary < 50
    assert np.sum(result.replicas == 0.0) == result.n_at_boundary


def test_memory_does_not_grow_with_the_events(make_toy: Any) -> None:
    likelihood = make_toy(60_000, 3).likelihood(1.0)
    tracemalloc.start()
    bootstrap_unbinned(likelihood, replicas=100, seed=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40e6  # all replica weights at once would take 48 MB, all densities 31 MB


def test_lowest_points_at_edges() -> None:
    x = np.linspace(0.0, 1.0, 21)
    curves = np.stack([(x + 0.3) ** 2, (x - 1.4) ** 2, (x - 0.013) ** 2, (x - 0.5) ** 2, -x], axis=1)
    np.testing.assert_allclose(lowest_points(x, curves), [0.0, 1.0, 0.013, 0.5, 1.0], atol=1e-12)


def test_bad_input(toy: Any) -> None:
    likelihood = toy.likelihood(1.0)
    with pytest.raises(FitError, match="at least 2 replicas"):
        bootstrap_unbinned(likelihood, replicas=1, seed=1)
    two = UnbinnedLikelihood(
        log_ratios=np.zeros((1, 2)),
        weights=[1.0],
        yields=[1, 1],
        coefficients=("a", "b"),
        parameters=("a", "b"),
        bounds=[(0.1, 1), (0.1, 1)],
    )
    with pytest.raises(FitError, match="one free parameter"):
        bootstrap_unbinned(two, seed=1)
    binned = BinnedLikelihood(templates=[[1.0], [1.0]], data=[2.0], coefficients=("mu", "1"), parameters=("mu",), bounds={"mu": (0, 2)})
    for index, weights in (([0, 1], [1.0, 1.0]), ([0], [1.0, 1.0]), ([-2], [1.0])):
        with pytest.raises(ShapeError):
            bootstrap_binned(binned, bin_index=index, weights=weights, seed=1)
    bad = UnbinnedLikelihood(
        log_ratios=np.array([[0.0, 0.0, 0.0], [-5.0, -5.0, 2.0]]),
        weights=[1.0, 1.0],
        yields=[2.0, 2.5, 1.0],
        coefficients=morphing_expressions(),
        parameters=("mu",),
        bounds={"mu": (0, 6)},
    )
    with pytest.raises(PhysicsDomainError, match="event 1"):
        bootstrap_unbinned(bad, seed=1)
