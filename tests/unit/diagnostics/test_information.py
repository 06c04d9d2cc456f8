"""The information bound: exact for the exact ratio, lower for any other, with the right error."""

from __future__ import annotations

import math

import numpy as np
import pytest

from toolkit.diagnostics.information import information_bound, log_rate_ratio
from toolkit.errors import PhysicsDomainError, ShapeError


@pytest.fixture(scope="module")
def world():
    """a(x) = 60 (1 + x), b(x) = 100 on 0 < x < 1, with latent noise of the weights."""
    rng = np.random.default_rng(1)
    n = 50_000
    x = rng.uniform(size=n)
    noise = (1 + 0.8 * rng.normal(size=n))[:, None]
    weights = np.stack([60 * (1 + x), np.full(n, 100.0)], axis=1) * noise / n
    return x, np.log(0.6 * (1 + x)), weights[:, 0], weights[:, 1]


EXACT = 2 * (100 - 90 + 60 * (2 * math.log(2) - 0.75) + 90 * math.log(0.6))
"""2 int [b - a + a ln(a/b)]: int (1 + x) ln(1 + x) = 2 ln 2 - 3/4."""


def test_exact_ratio_gives_the_exact_information(world):
    x, log_ratio, a, b = world
    merit = information_bound(log_ratio, numerator_weights=a, denominator_weights=b)
    assert abs(merit.value - EXACT) < 4 * merit.error
    assert merit.error < 0.1 * EXACT
    assert merit.value == pytest.approx(sum(2 * (p * r - q * (math.exp(r) - 1)) for r, p, q in zip(log_ratio, a, b, strict=True)))
    assert x.size == merit.influence.size


@pytest.mark.parametrize("wrong", [lambda x: 0.1 + 0 * x, lambda x: -0.2 + 0 * x, lambda x: 0.4 * (x - 0.5), lambda x: np.sin(20 * x) / 3])
def test_any_other_ratio_certifies_less(world, wrong):
    x, log_ratio, a, b = world
    best = information_bound(log_ratio, numerator_weights=a, denominator_weights=b)
    other = information_bound(log_ratio + wrong(x), numerator_weights=a, denominator_weights=b)
    loss = best.value - other.value
    error = np.linalg.norm(best.influence - other.influence)
    assert loss > 4 * error
    expected = 2 * np.mean(60 * (1 + x) * (np.expm1(wrong(x)) - wrong(x)))
    assert abs(loss - expected) < 4 * error


def test_confidence_is_not_rewarded(world):
    _, log_ratio, a, b = world
    best, *exaggerated = [information_bound(k * log_ratio, numerator_weights=a, denominator_weights=b) for k in (1.0, 1.3, 2.0)]
    for merit in exaggerated:
        assert best.value - merit.value > 4 * np.linalg.norm(best.influence - merit.influence)


def test_errors_against_resampling(world):
    x, log_ratio, a, b = (part[:4000] for part in world)
    rng = np.random.default_rng(2)
    bound = []
    for _ in range(300):
        times = rng.poisson(1.0, size=x.size)
        bound.append(information_bound(log_ratio, numerator_weights=a * times, denominator_weights=b * times).value)
    one = information_bound(log_ratio, numerator_weights=a, denominator_weights=b)
    assert one.error == pytest.approx(np.std(bound), rel=0.12)


def test_combination_of_processes(make_toy, morph):
    toy = make_toy(500, 3)
    one, zero = morph(np.array([1.0, 0.0])) * toy.yields
    combined = log_rate_ratio(toy.log_ratios, numerator=one, denominator=zero)
    for i in range(0, 500, 50):
        top = sum(f * math.exp(r) for f, r in zip(one, toy.log_ratios[i], strict=True))
        below = sum(f * math.exp(r) for f, r in zip(zero, toy.log_ratios[i], strict=True))
        assert combined[i] == pytest.approx(math.log(top / below), rel=1e-9)


def test_bad_input(make_toy):
    toy = make_toy(50, 4)
    with pytest.raises(ShapeError):
        log_rate_ratio(toy.log_ratios, numerator=np.ones(3), denominator=np.ones(4))
    with pytest.raises(PhysicsDomainError, match="denominator at event row"):
        log_rate_ratio(toy.log_ratios, numerator=np.ones(4), denominator=np.array([0.0, 0.0, -1.0, 0.0]))
