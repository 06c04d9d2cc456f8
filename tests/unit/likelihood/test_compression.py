"""Compressed normalisation of per-event variations: against the whole sample, and what it does to likelihoods and fits of toys."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.likelihood.systematics_toy import YIELDS, asimov, channel, log_ratios, shapes
from toolkit.errors import SchemaError
from toolkit.likelihood import ShapeReference, Shapes, UnbinnedLikelihood
from toolkit.likelihood.compression import (
    TOLERANCE,
    compressed,
    difference,
    leading_powers,
    merge_equal,
    quickly_normalised,
)
from toolkit.likelihood.toy_factory import toys_of
from toolkit.likelihood.toy_sources import UnbinnedToys
from toolkit.likelihood.toys import fit_toy, guide_of, toy_generator

N = 12_000
THETA = {"mu": 1.0, "t0": 1.0, "scale": 0.0, "slope": 0.0, "lumi": 1.0}


def random_points(k: int, *, n: int = 8, spread: float = 1.5) -> np.ndarray:
    return spread * np.random.default_rng(77).standard_normal((n, k))


@pytest.fixture(scope="module")
def likelihood() -> UnbinnedLikelihood:
    return channel(N, n_grid=N).likelihood(weights=asimov(channel(N).x))


@pytest.fixture(scope="module")
def whole() -> ShapeReference:
    return channel(10, n_grid=N).reference()


@pytest.fixture(scope="module")
def small(whole: ShapeReference) -> ShapeReference:
    return compressed(whole, YIELDS, seed=3)


def test_a_slow_loop_gives_nearly_the_same_normalisation(whole: ShapeReference, small: ShapeReference) -> None:
    """Event by event over the whole sample; what is left is far below the noise of the same events with their own weights."""
    assert len(small.weights) <= 1000
    rows = np.random.default_rng(1).choice(N, len(small.weights), replace=False)
    plain = ShapeReference(whole.weights[rows], whole.shapes.select(rows))
    for point in random_points(2, n=3):
        at = whole.shapes.at(point)
        for j in (0, 1, 3):
            variation = at.log_factor(j, slice(None))
            mean = sum(w * np.exp(v) for w, v in zip(whole.weights[:, j].tolist(), variation.tolist(), strict=True))
            assert small.norms(point).log[j] == pytest.approx(np.log(mean), abs=1e-6)
        assert small.norms(point).log[2] == 0.0
    assert difference(plain, whole, YIELDS, seed=3) > 100.0 * difference(small, whole, YIELDS, seed=3)


def test_derivatives_follow_the_compressed_normalisation(whole: ShapeReference, small: ShapeReference) -> None:
    for point in random_points(2):
        one, other = small.norms(point, hessian=True), whole.norms(point, hessian=True)
        np.testing.assert_allclose(one.slope, other.slope, atol=1e-5)
        np.testing.assert_allclose(one.hessian, other.hessian, atol=1e-4)


def test_equal_events_are_merged_exactly() -> None:
    """Variations in bins: one event per bin, whatever the number of events."""
    rng = np.random.default_rng(5)
    bins, weights = rng.integers(0, 12, 5000), rng.uniform(0.0, 1.0, (5000, 2))
    up, down = rng.normal(0.0, 0.1, (2, 12))
    whole = ShapeReference(weights, Shapes.of([{"a": (up[bins], down[bins])}, {}], n_events=5000))
    merged = merge_equal(whole)
    assert len(merged.weights) == 12
    for point in random_points(1):
        np.testing.assert_allclose(merged.norms(point).log, whole.norms(point).log, atol=1e-14)
    assert len(compressed(whole, [100.0, 100.0], seed=1).weights) == 12


def test_a_tighter_tolerance_takes_more_events_and_then_all(whole: ShapeReference) -> None:
    wide = Shapes.of([{"a": (u, -u)} for u in np.random.default_rng(2).standard_t(5, (4, N)) * 0.3], n_events=N)
    sizes = []
    for tolerance in (1e3, 1.0, 1e-9):
        found = compressed(replace(whole, shapes=wide), YIELDS, seed=1, tolerance=tolerance)
        assert difference(found, replace(whole, shapes=wide), YIELDS, seed=1) <= tolerance
        sizes.append(len(found.weights))
    assert sizes[0] <= sizes[1] <= sizes[2] == N
    with pytest.raises(SchemaError, match="> 0"):
        compressed(whole, YIELDS, seed=1, tolerance=0.0)


def test_the_seed_of_the_events_does_not_matter(whole: ShapeReference) -> None:
    """Events made with a generator of the same seed must not be drawn by their values."""
    for seed in (1, 2):
        x = np.random.default_rng(seed).uniform(0.0, 1.0, N)
        reference = ShapeReference(np.exp(log_ratios(x)), shapes(x))
        assert len(compressed(reference, YIELDS, seed=seed).weights) <= 1000


def test_leading_powers_are_the_largest_terms() -> None:
    """All monomials up to the sixth order by hand."""
    spreads = [0.8, 0.5, 0.2]
    every = [(a, b, c) for a in range(7) for b in range(7) for c in range(7) if 0 < a + b + c <= 6]
    sizes = {p: np.prod([s**e / np.prod(range(1, e + 1)) for s, e in zip(spreads, p, strict=True)]) for p in every}
    expected = sorted(every, key=lambda p: -sizes[p])[:25]
    assert {tuple(p.count(k) for k in range(3)) for p in leading_powers(spreads, most=25)} == set(expected)
    assert len(leading_powers(spreads, most=10**6)) == len(every)


def test_likelihoods_differ_by_less_than_the_tolerance(likelihood: UnbinnedLikelihood) -> None:
    """Whatever the point: 0.01 in twice_nll, where a standard deviation is 1."""
    quick = quickly_normalised(likelihood, seed=3)
    assert quick.reference is not None
    assert len(quick.reference.weights) <= 1000
    points = np.array([[mu, 1.0, *a, 1.0] for mu, a in zip((0.2, 0.7, 1.0, 1.6), random_points(2, n=4), strict=True)])
    np.testing.assert_allclose(quick.twice_nll_points(points), likelihood.twice_nll_points(points), atol=TOLERANCE)
    plain = likelihood.with_systematics(parameters=likelihood.parameters)
    assert quickly_normalised(plain, seed=3) is plain


def test_toys_are_fitted_as_with_the_whole_sample(likelihood: UnbinnedLikelihood) -> None:
    """Best fit and t of single toys, drawn from and normalised on the same events."""
    source = toys_of(likelihood, asimov=THETA, seed=4)
    assert isinstance(source, UnbinnedToys)
    assert source.likelihood.shapes is not None
    assert source.likelihood.reference is not None
    exact = source.likelihood.with_normalisation(ShapeReference(source.expected, source.likelihood.shapes))
    assert len(source.likelihood.reference.weights) < N / 10
    guide = guide_of(source, THETA, poi="mu", seed=1)
    for index in range(2):
        rows, auxiliary = source.sample(THETA, toy_generator(1, THETA, index))
        quick = fit_toy(source.likelihood_of((rows, auxiliary)), poi="mu", truth=1.0, guide=guide)
        slow = fit_toy(exact.with_events(rows).with_auxiliary(auxiliary), poi="mu", truth=1.0, guide=guide)
        np.testing.assert_allclose(quick, slow, atol=1e-4)


def test_the_drawn_density_is_the_fitted_one(likelihood: UnbinnedLikelihood) -> None:
    """Sum over the events of drawn weights: every process has its yield in the fit as well, at any nuisance parameters."""
    source = toys_of(likelihood, asimov=THETA, seed=4)
    assert isinstance(source, UnbinnedToys)
    model, theta = source.likelihood, {**THETA, "mu": 1.7, "scale": 1.8, "slope": -1.3}
    assert model.shapes is not None
    assert model.reference is not None
    at = model.shapes.at(np.array([theta[n] for n in model.shapes.names]))
    norms = model.reference.norms(np.array([theta[n] for n in model.shapes.names])).log
    fitted = np.stack([source.expected[:, j] * np.exp(at.log_factor(j, slice(None)) - norms[j]) for j in range(4)], axis=1)
    f = model.coefficients.values(model.point(theta)[None, :])[0]
    np.testing.assert_allclose(fitted @ f, source.weights(theta), rtol=1e-5)
