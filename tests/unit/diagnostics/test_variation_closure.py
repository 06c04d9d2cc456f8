"""The closure of learned variations: right ratios pass, wrong ones do not, and errors are those of paired events."""

from __future__ import annotations

import json

import numpy as np
import pytest

from toolkit.diagnostics.variations import VariationClosure, diagnose_variation, difference_covariance
from toolkit.typing import FloatArray
from toolkit.weights.pairs import EventPairs

N, NU, SHIFT = 30_000, 4_000.0, 0.02
EDGES = {"x": np.linspace(-3.0, 3.0, 13), "y": np.linspace(-3.0, 3.0, 7)}


def pairs_of(seed: int) -> EventPairs:
    """Two Gaussians: x moves by 2 % of its width, y stays; a process `other` without weight in half of the events."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, N))
    y[:50] = np.nan
    weights = np.stack([rng.uniform(0.5, 1.5, N), np.arange(N) % 2], axis=1)
    weights *= NU / weights.sum(axis=0)
    return EventPairs(("q", "other"), np.arange(N, dtype=np.uint64), {"x": x, "y": y}, {"x": x + SHIFT, "y": y}, weights, weights)


def exact(pairs: EventPairs, factor: float = 1.0) -> tuple[FloatArray, FloatArray]:
    first, second = (factor * (SHIFT * side["x"] - 0.5 * SHIFT**2) for side in (pairs.nominal, pairs.varied))
    return np.asarray(first), np.asarray(second)


def of(name: str, closures: tuple[VariationClosure, ...]) -> VariationClosure:
    return next(c for c in closures if c.observable == name)


def test_the_exact_ratio_closes() -> None:
    p_values = []
    for seed in range(8):
        found = diagnose_variation(pairs_of(seed), exact(pairs_of(seed)), "q", edges=EDGES)
        x = of("x", found.closures)
        p_values.append(x.after.p_value)
        assert x.before.p_value < 1e-12
        assert x.visible_before == pytest.approx(SHIFT * np.sqrt(NU), rel=0.15)
        assert x.visible_after < 0.4 * x.visible_before
        assert abs(found.slope - 1.0) < 4.0 * found.slope_error
        assert abs(found.mean - 1.0) < 4.0 * found.mean_error
        assert found.separation == pytest.approx(SHIFT * np.sqrt(NU), rel=0.05)
        assert found.auc_before[0] - 0.5 > 10.0 * found.auc_before[1]
        assert abs(found.auc_after[0] - 0.5) < 4.0 * found.auc_after[1]
    assert min(p_values) > 1e-3
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.3)


@pytest.mark.parametrize("factor", [0.0, 0.7, 1.4])
def test_a_wrong_ratio_does_not(factor: float) -> None:
    pairs = pairs_of(1)
    found = diagnose_variation(pairs, exact(pairs, factor), "q", edges=EDGES)
    assert of("x", found.closures).after.p_value < 1e-6
    if factor:
        assert found.slope * factor == pytest.approx(1.0, abs=0.05)


def test_what_does_not_change_has_nothing_to_test() -> None:
    pairs = pairs_of(2)
    zero = np.zeros(N)
    found = diagnose_variation(pairs, (zero, zero), "other", edges=EDGES)
    y = of("y", found.closures)
    assert y.before.ndf == y.after.ndf == 0
    assert y.visible_before == y.visible_after == 0.0
    assert found.slope == 0.0
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert document["closures"][1]["after"]["p_value"] is None
    assert document["process"] == "other"


def test_the_covariance_is_the_sum_over_events() -> None:
    rng = np.random.default_rng(4)
    n, bins = 200, 5
    i, j = rng.integers(-1, bins, (2, n))
    a, b = rng.uniform(0.1, 1.0, (2, n))
    a, b = a / a.sum(), b / b.sum()
    h, g = np.zeros(bins), np.zeros(bins)
    for k in range(n):
        if i[k] >= 0:
            h[i[k]] += a[k]
        if j[k] >= 0:
            g[j[k]] += b[k]
    slow = np.zeros((bins, bins))
    for k in range(n):
        first = a[k] * ((np.arange(bins) == i[k]) - h)
        second = b[k] * ((np.arange(bins) == j[k]) - g)
        slow += np.outer(first - second, first - second)
    np.testing.assert_allclose(difference_covariance((i, j), (a, b), n_bins=bins), slow, rtol=0, atol=1e-16)
