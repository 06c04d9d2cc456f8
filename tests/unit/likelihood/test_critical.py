from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.interpolate import make_smoothing_spline
from scipy.stats import chi2

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.likelihood.critical import CriticalCurve, critical_curve, critical_value, influence, smooth_errors


def test_the_order_statistic_covers():
    """Draw n toys and one more: the last is at most the critical value with probability ceil(level (n + 1)) / (n + 1)."""
    generator = np.random.default_rng(1)
    for n, level in ((20, 0.68), (99, 0.95)):
        t = generator.chisquare(1, size=(4000, n + 1))
        covered = np.mean([row[-1] <= critical_value(row[:-1], level=level)[0] for row in t])
        exact = math.ceil(level * (n + 1)) / (n + 1)
        assert covered == pytest.approx(exact, abs=3.5 * math.sqrt(exact * (1 - exact) / 4000))


def test_the_error_is_the_spread():
    generator = np.random.default_rng(2)
    found = np.array([critical_value(generator.chisquare(1, size=900), level=0.95) for _ in range(300)])
    exact = math.sqrt(0.95 * 0.05 / 900) / chi2.pdf(chi2.ppf(0.95, 1), 1)
    assert found[:, 0].std() == pytest.approx(exact, rel=0.15)
    assert found[:, 1].mean() == pytest.approx(exact, rel=0.1)


def test_too_few_toys_are_refused():
    with pytest.raises(SchemaError, match="more than 19 toys"):
        critical_value(np.arange(18.0), level=0.95)
    assert critical_value(np.arange(19.0), level=0.95)[0] == 18.0
    with pytest.raises(SchemaError):
        critical_value(np.arange(19.0), level=1.0)


def test_equal_statistics_have_no_error():
    assert critical_value(np.zeros(50), level=0.9) == (0.0, 0.0)
    curve = critical_curve(np.arange(6.0), [np.full(50, 2.0)] * 6, level=0.9)
    np.testing.assert_allclose(curve(np.linspace(0.0, 5.0, 11)), 2.0)
    assert float(curve.error(1.3)) == 0.0


def test_the_smoother_is_that_of_scipy():
    generator = np.random.default_rng(3)
    x, errors = np.sort(generator.uniform(0.0, 1.0, 12)), generator.uniform(0.5, 2.0, 12)
    x = (x - x[0]) / (x[-1] - x[0])
    y = generator.normal(size=12)
    for penalty in (1e-4, 1e-2):
        weights = (np.median(errors) / errors) ** 2
        expected = make_smoothing_spline(x, y, w=weights, lam=penalty)(x)
        np.testing.assert_allclose(influence(x, errors, penalty) @ y, expected, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(influence(x, errors, 1e4) @ y, np.polynomial.Polynomial.fit(x, y, 1, w=1 / errors)(x), atol=1e-3)
    np.testing.assert_array_equal(influence(x, errors, 0.0), np.eye(12))


def test_smoothing_keeps_the_curve_and_shrinks_its_error():
    """Known curve and noise: pulls of the smoothed curve are standard, at the points and between them."""
    generator, mu = np.random.default_rng(4), np.linspace(0.0, 6.0, 21)
    between = np.linspace(0.1, 5.9, 30)

    def truth(m):
        return 1.0 + 0.5 * np.exp(-m) * np.cos(2 * m)

    pulls, gains = [], []
    for _ in range(40):
        scales = truth(mu)
        curve = critical_curve(mu, [s * generator.chisquare(1, 600) for s in scales], level=0.68, root=True)
        pulls.append((curve(between) - truth(between) * chi2.ppf(0.68, 1)) / curve.error(between))
        gains.append(np.mean(curve.error(mu) / curve.errors))
    assert np.std(pulls) == pytest.approx(1.0, abs=0.35)
    assert abs(np.mean(pulls)) < 0.35
    assert np.mean(gains) < 0.75


def test_weights_do_not_follow_fluctuations():
    errors = np.array([0.1, 0.2, 0.1, 0.4, 0.1, 0.15, 0.12])
    smooth = smooth_errors(np.linspace(0.0, 1.0, 7), errors)
    assert smooth.std() < 0.3 * errors.std()
    np.testing.assert_allclose(smooth_errors(np.linspace(0.0, 1.0, 7), np.zeros(7)), 0.0)


def test_without_smoothing_lines_join_the_values():
    curve = CriticalCurve("mu", 0.95, np.array([0.0, 1.0, 4.0]), np.array([1.0, 3.0, 2.0]), np.array([0.3, 0.4, 0.0]), root=True)
    assert float(curve(0.25)) == pytest.approx(2.0)  # half way in sqrt(mu)
    assert float(curve.error(0.25)) == pytest.approx(0.25)
    assert curve.chi2 == pytest.approx(0.0, abs=1e-20)


def test_json_round_trip():
    generator = np.random.default_rng(5)
    curve = critical_curve(np.linspace(0.0, 2.0, 6), generator.chisquare(1, (6, 200)), level=0.9, root=True)
    again = CriticalCurve.from_json(json.loads(json.dumps(curve.to_json())), parameter="mu")
    at = np.linspace(0.0, 2.0, 9)
    np.testing.assert_array_equal(again(at), curve(at))
    np.testing.assert_array_equal(again.error(at), curve.error(at))


def test_wrong_use_is_refused():
    curve = CriticalCurve("mu", 0.95, np.array([0.0, 1.0]), np.array([1.0, 3.0]), np.zeros(2))
    with pytest.raises(PhysicsDomainError, match="wider grid"):
        curve(1.5)
    with pytest.raises(ShapeError):
        CriticalCurve("mu", 0.95, np.array([0.0, 0.0]), np.array([1.0, 3.0]), np.zeros(2))
