"""A benchmark predicted from the others: exact, statistical, and wrong parameterisations that must be noticed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from toolkit.diagnostics import leave_out_closure
from toolkit.errors import SchemaError, ShapeError

QUARTIC = ["1", "kappa", "kappa**2", "kappa**3", "kappa**4"]
KAPPA = {"0": 0.0, "0.8": 0.8, "1": 1.0, "1.2": 1.2, "1.5": 1.5, "1.35": 1.35}
EDGES = {"x": np.linspace(0.0, 1.0, 9)}


def density(x, kappa):
    """|kappa^2 A_S + A_B|^2 with an imaginary part: order 4 in kappa, with interference."""
    return np.abs(kappa**2 * (0.2 + 0.8 * x) + (0.7 - 0.9 * x + 0.2j)) ** 2 + 0.1 * kappa


@pytest.fixture(scope="module")
def one_sample():
    """10,000 events with the weights of all six kappa."""
    x = np.random.default_rng(41).uniform(size=10_000)
    return x, np.stack([density(x, k) for k in KAPPA.values()], axis=1) / len(x)


def separate(n, *, points, seed=42, model=density):
    """A sample of unweighted events per point: each event has weight in its own column."""
    rng = np.random.default_rng(seed)
    grid = np.linspace(0.0, 1.0, 4001)
    values, rows = [], []
    for k, point in enumerate(points.values()):
        pdf = model(grid, point)
        cumulative = np.concatenate([[0.0], np.cumsum(0.5 * (pdf[1:] + pdf[:-1]) * np.diff(grid))])
        values.append(np.interp(rng.uniform(0.0, cumulative[-1], n), cumulative, grid))
        row = np.zeros((n, len(points)))
        row[:, k] = cumulative[-1] / n
        rows.append(row)
    return np.concatenate(values), np.concatenate(rows)


def close(x, w, **changes):
    arguments = {"benchmarks": KAPPA, "monomials": QUARTIC, "left_out": "1.35", "observables": {"x": x}, "edges": EDGES}
    return leave_out_closure(w, **(arguments | changes))


def test_kappa_is_validated_at_1_35_event_by_event(one_sample):
    closure = close(*one_sample)
    assert closure.basis == ("0", "0.8", "1", "1.2", "1.5")
    assert closure.exact
    assert closure.event_deviation < 1e-13
    assert closure.predicted == pytest.approx(closure.true, rel=1e-10)
    assert closure.histograms[0].largest_deviation < 1e-10


def test_kappa_is_validated_at_1_35_with_separate_samples():
    x, w = separate(30_000, points=KAPPA)
    closure = close(x, w)
    assert closure.event_deviation is None
    assert not closure.exact
    histogram = closure.histograms[0]
    assert histogram.test.ndf == 8
    assert histogram.test.p_value > 0.001
    assert abs(closure.predicted - closure.true) < 3.0 * closure.error + 1e-6
    f = closure.coefficients
    own = [np.histogram(x, bins=EDGES["x"], weights=w[:, k] ** 2)[0] for k in range(6)]
    np.testing.assert_allclose(histogram.error**2, sum(c**2 * v for c, v in zip(f, own[:5], strict=True)) + own[5], rtol=1e-10)
    np.testing.assert_allclose(histogram.true_error**2, own[5], rtol=1e-10)


def test_the_chi_square_is_calibrated():
    """Over 40 simulations the p-values are uniform: their mean is 0.5 within four standard errors."""
    p_values = [close(*separate(600, points=KAPPA, seed=100 + s)).histograms[0].test.p_value for s in range(40)]
    assert abs(np.mean(p_values) - 0.5) < 4 * np.sqrt(1 / 12 / 40)


def test_a_parameterisation_of_too_low_order_is_noticed(one_sample):
    low = {"monomials": QUARTIC[:3], "benchmarks": {k: KAPPA[k] for k in ("0", "1", "1.5", "1.35")}}
    x, w = one_sample
    closure = close(x, w[:, [0, 2, 4, 5]], **low)
    assert not closure.exact
    assert closure.event_deviation > 1e-3
    points = low["benchmarks"] | {"0.5": 0.5}  # interpolating far from the benchmarks shows it in the statistics too
    y, v = separate(30_000, points=points)
    assert close(y, v, monomials=low["monomials"], benchmarks=points, left_out="0.5").histograms[0].test.p_value < 1e-6


def test_correlated_errors_are_those_of_the_difference(one_sample):
    """A model that is slightly wrong, the same events on both sides: errors far below the two counting errors."""
    x, w = one_sample
    closure = close(x, w[:, [0, 2, 4, 5]], monomials=QUARTIC[:3], benchmarks={k: KAPPA[k] for k in ("0", "1", "1.5", "1.35")})
    histogram = closure.histograms[0]
    assert np.all(histogram.error < 0.2 * histogram.true_error)
    slow = np.zeros(8)
    for i in range(len(x)):
        b = min(int(x[i] * 8), 7)
        slow[b] += (w[i, [0, 2, 4]] @ closure.coefficients - w[i, 5]) ** 2
    np.testing.assert_allclose(histogram.error**2, slow, rtol=1e-9)


def test_more_benchmarks_than_needed_use_the_variances(one_sample):
    x, w = one_sample
    variances = dict(zip(KAPPA, (1.0, 4.0, 1.0, 9.0, 1.0, 1.0), strict=True))
    closure = close(x, w, left_out="1.2", monomials=[*QUARTIC[:3], QUARTIC[4]], variances=variances)
    assert len(closure.basis) == 5
    json.dumps(closure.to_json())


def test_wrong_input(one_sample):
    x, w = one_sample
    with pytest.raises(ShapeError, match="benchmark weights"):
        close(x, w[:, :4])
    with pytest.raises(SchemaError, match="left_out"):
        close(x, w, left_out="2")
    with pytest.raises(SchemaError, match="edges"):
        close(x, w, edges={"y": EDGES["x"]})
    with pytest.raises(SchemaError, match="rank 4 for 5 monomials"):
        close(x, w[:, :5], benchmarks={k: KAPPA[k] for k in list(KAPPA)[:5]}, left_out="1.5")
