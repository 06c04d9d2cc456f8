"""Pulls: mean, width and their errors against what was thrown; failed and outlying fits; asymmetric errors."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.diagnostics.pulls import pulls
from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError


def test_recovers_what_was_thrown():
    rng = np.random.default_rng(1)
    error = rng.uniform(0.1, 0.5, size=2000)
    true = rng.uniform(0, 3, size=2000)
    result = pulls(true + error * (0.3 + 1.4 * rng.normal(size=2000)), true=true, error=error)
    assert abs(result.mean - 0.3) < 4 * result.mean_error
    assert abs(result.width - 1.4) < 4 * result.width_error
    assert result.mean_error == pytest.approx(1.4 / np.sqrt(2000), rel=0.05)
    assert result.width_error == pytest.approx(1.4 / np.sqrt(4000), rel=0.08)
    assert result.p_value < 1e-6


def test_wide_window_gives_the_moments():
    values = np.random.default_rng(2).normal(size=300)
    result = pulls(values, true=0.0, error=np.ones(300), window=50.0)
    assert result.mean == pytest.approx(values.mean(), abs=1e-6)
    assert result.width == pytest.approx(values.std(), rel=1e-6)


def test_truncation_does_not_narrow():
    values = np.random.default_rng(3).normal(size=20_000)
    result = pulls(values, true=0.0, error=np.ones(20_000), window=1.0)
    assert np.std(values[np.abs(values) < 1]) < 0.6
    assert abs(result.width - 1) < 4 * result.width_error
    assert result.n_outside == int((np.abs(values) > 1).sum())


def test_failed_and_outlying_fits_are_counted():
    rng = np.random.default_rng(4)
    values = rng.normal(size=1000)
    fitted = values.copy()
    fitted[:7] = 1e4
    error = np.ones(1000)
    fitted[10:13] = np.nan
    error[20] = np.nan
    result = pulls(fitted, true=0.0, error=error)
    assert (result.n_outside, result.n_failed, result.values.size) == (7, 4, 996)
    assert abs(result.width - 1) < 4 * result.width_error
    assert result.to_json()["n_failed"] == 4


def test_asymmetric_errors_point_to_the_truth():
    result = pulls(np.array([0.0, 2.0, 0.5, 1.5, 1.0]), true=1.0, error=np.full(5, 0.5), error_up=np.full(5, 2.0))
    np.testing.assert_allclose(result.values, [-0.5, 2.0, -0.25, 1.0, 0.0])


def test_standard_pulls_are_accepted():
    p_values = [pulls(np.random.default_rng(s).normal(size=200), true=0.0, error=np.ones(200)).p_value for s in range(30)]
    assert 0.25 < np.mean(p_values) < 0.75


def test_bad_input():
    with pytest.raises(ShapeError):
        pulls(np.zeros(5), true=0.0, error=np.ones(4))
    with pytest.raises(PhysicsDomainError, match="error of a fit"):
        pulls(np.zeros(5), true=0.0, error=np.zeros(5))
    with pytest.raises(PhysicsDomainError, match="at least 5"):
        pulls(np.full(9, np.nan), true=0.0, error=np.ones(9))
    with pytest.raises(SchemaError, match="window"):
        pulls(np.zeros(5), true=0.0, error=np.ones(5), window=0.0)
