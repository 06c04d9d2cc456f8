"""Interpolation: pyhf's interpolators, slow loops, derivatives, smoothness."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import pyhf
import pytest

from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.likelihood.interpolation import FactorCode, check_code, checked_logarithm, code4_coefficients, factor, log_quadratic, shift

ALPHAS = np.array([-3.0, -1.2, -1.0, -0.999, -0.5, -1e-9, 0.0, 0.3, 0.999, 1.0, 1.7, 4.0])
UP, DOWN = np.array([1.1, 0.8, 1.5, 1.0, 1.02]), np.array([0.95, 1.3, 1.2, 1.0, 0.7])


def by_pyhf(code: str, down: Any, nominal: Any, up: Any) -> np.ndarray:
    """One systematic, one histogram: (n_alphas, n_bins)."""
    interpolator = getattr(pyhf.interpolators, code)([[[list(down), list(nominal), list(up)]]])
    return np.asarray(interpolator(pyhf.tensorlib.astensor([ALPHAS.tolist()])))[0, 0]


@pytest.mark.parametrize("code", ["code1", "code4"])
def test_factors_are_pyhfs(code: FactorCode) -> None:
    ours = factor(ALPHAS[:, None], np.log(UP), np.log(DOWN), code=code).value
    np.testing.assert_allclose(ours, by_pyhf(code, DOWN, np.ones(5), UP), rtol=1e-13)


@pytest.mark.parametrize("code", ["code0", "code4p"])
def test_shifts_are_pyhfs(code: Literal["code0", "code4p"]) -> None:
    nominal = np.array([10.0, 3.0, 0.0, 5.0, -1.0])
    up, down = nominal + np.array([1.0, -0.5, 0.3, 0.0, 2.0]), nominal + np.array([-2.0, -0.2, 0.1, 0.0, -2.0])
    ours = shift(ALPHAS[:, None], up - nominal, down - nominal, code=code).value
    np.testing.assert_allclose(ours, by_pyhf(code, down, nominal, up), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("kind", ["code1", "code4", "code0", "code4p", "log_quadratic"])
def test_derivatives_by_finite_differences(kind: Any) -> None:
    alphas = np.array([-2.3, -1.3, -0.7, -0.2, 0.4, 0.9, 1.4, 3.0])[:, None]

    def evaluate(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if kind == "log_quadratic":
            p, q, dp, dq = log_quadratic(a)
            return p * np.log(UP) + q * np.log(DOWN), dp * np.log(UP) + dq * np.log(DOWN)
        if kind in {"code0", "code4p"}:
            return shift(a, UP - 1.0, DOWN - 1.0, code=kind)
        return factor(a, np.log(UP), np.log(DOWN), code=kind)

    h = 1e-3
    around = [evaluate(alphas + k * h)[0] for k in (-2, -1, 1, 2)]
    numerical = (around[0] - 8 * around[1] + 8 * around[2] - around[3]) / (12 * h)
    np.testing.assert_allclose(evaluate(alphas)[1], numerical, rtol=1e-8, atol=1e-10)


def log_quadratic_by_loop(alpha: float, up: float, down: float) -> float:
    """Slow twin: a parabola through the three logarithms, continued by its tangents."""
    u, d = math.log(up), math.log(down)
    a, b = 0.5 * (u - d), 0.5 * (u + d)
    if alpha > 1.0:
        return u + (a + 2 * b) * (alpha - 1.0)
    if alpha < -1.0:
        return d + (a - 2 * b) * (alpha + 1.0)
    return a * alpha + b * alpha**2


def test_log_quadratic_equals_a_loop() -> None:
    p, q = log_quadratic(ALPHAS)[:2]
    for k in range(5):
        expected = [log_quadratic_by_loop(a, UP[k], DOWN[k]) for a in ALPHAS]
        np.testing.assert_allclose(p * np.log(UP[k]) + q * np.log(DOWN[k]), expected, rtol=1e-13, atol=1e-16)


def test_smooth_interpolations_have_no_step_in_the_derivative() -> None:
    for edge in (-1.0, 1.0):
        left, right = edge - 1e-9, edge + 1e-9
        assert factor(left, 0.3, -0.2).slope == pytest.approx(factor(right, 0.3, -0.2).slope, rel=1e-6)
        assert shift(left, 3.0, -1.0).slope == pytest.approx(shift(right, 3.0, -1.0).slope, rel=1e-6)
        assert np.allclose(log_quadratic(left)[2:], log_quadratic(right)[2:], atol=1e-6)
    assert factor(-1e-9, 0.3, -0.2, code="code1").slope != pytest.approx(factor(1e-9, 0.3, -0.2, code="code1").slope, rel=1e-3)


def test_known_coefficients_change_nothing() -> None:
    known = code4_coefficients(np.log(UP), np.log(DOWN))
    one, two = factor(0.3, np.log(UP), np.log(DOWN), coefficients=known), factor(0.3, np.log(UP), np.log(DOWN))
    np.testing.assert_array_equal(one.value, two.value)
    np.testing.assert_array_equal(one.slope, two.slope)


def test_what_cannot_be_interpolated_is_refused() -> None:
    for ratio in (0.0, -0.1, math.nan, math.inf):
        with pytest.raises(PhysicsDomainError, match="varied over nominal"):
            checked_logarithm([1.0, ratio], where="scale of qqZZ")
    with pytest.raises(SchemaError, match="code4"):
        check_code("code5", FactorCode, where="scale")
