"""The compiled sums equal their NumPy twins, and give way to them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from toolkit.likelihood import Parameter, ShapeReference, Shapes, UnbinnedLikelihood, fused, shaped
from toolkit.likelihood.interpolation import code4_exponentials, factor

NAMES = ("a", "b", "c")


def variations(rng: np.random.Generator, n: int, size: float) -> list[dict[str, Any]]:
    """Three processes with three, none and one varying parameter."""
    return [{m: tuple(size * rng.normal(size=(2, n))) for m in own} for own in (NAMES, (), ("b",))]


def likelihood(code: Any, size: float, *, n: int = 1003, dtype: Any = np.float64, reference: bool = True) -> UnbinnedLikelihood:
    rng = np.random.default_rng(5)
    whole = ShapeReference(rng.uniform(0.5, 1.5, (517, 3)), Shapes.of(variations(rng, 517, size), n_events=517, code=code, dtype=dtype))
    return UnbinnedLikelihood(
        log_ratios=rng.normal(size=(n, 3)),
        weights=rng.uniform(0.5, 1.5, n),
        yields=[30.0, 200.0, 90.0],
        coefficients=("mu", "1 - 0.1 * mu", "1"),
        parameters=[Parameter("mu", init=1.0, low=0.0, high=5.0), *(Parameter(m, init=0.0, low=-5.0, high=5.0) for m in NAMES)],
        shapes=Shapes.of(variations(rng, n, size), n_events=n, code=code, dtype=dtype),
        reference=whole if reference else "normalised",
    )


@pytest.mark.parametrize("code", ["log_quadratic", "code4"])
@pytest.mark.parametrize("size", [0.03, 0.3, 1.0])
@pytest.mark.parametrize("point", [(0.7, 0.3, -0.8, 0.01), (2.0, 1.7, -2.5, 0.0), (1.0, 1.0, -1.0, 0.999)])
def test_compiled_sums_equal_numpy(monkeypatch: pytest.MonkeyPatch, code: str, size: float, point: tuple[float, ...]) -> None:
    assert fused.kernels("float64") is not None
    for reference in (True, False):
        one = likelihood(code, size, reference=reference)
        points = np.array([point, (3.0, *point[1:])])
        with monkeypatch.context() as patched:
            patched.setattr(shaped, "kernels", lambda dtype: None)
            values, (value, gradient) = one.twice_nll_points(points), one.value_and_gradient(point)
        if code == "code4" and size == 1.0 and not np.isfinite(value):
            assert one.value_and_gradient(point)[0] == math.inf
            continue
        np.testing.assert_allclose(one.twice_nll_points(points), values, rtol=1e-12, atol=1e-10)
        assert one.value_and_gradient(point)[0] == pytest.approx(value, rel=1e-12, abs=1e-10)
        np.testing.assert_allclose(one.value_and_gradient(point)[1], gradient, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("code", ["log_quadratic", "code4"])
def test_single_precision_and_threads(code: str) -> None:
    exact, single = likelihood(code, 0.1), likelihood(code, 0.1, dtype=np.float32)
    point = (0.7, 0.3, -1.8, 0.1)
    assert single.twice_nll(point) == pytest.approx(exact.twice_nll(point), abs=1e-3)
    np.testing.assert_allclose(single.gradient(point), exact.gradient(point), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("alpha", [-2.0, -1.0, -0.999, -0.3, 0.0, 0.5, 1.0, 1.4])
def test_code_4_is_a_constant_and_two_exponentials(alpha: float) -> None:
    up, down = np.log([1.1, 0.7, 2.0, 1.3]), np.log([0.95, 1.2, 1.5, 1.3])
    c, p, q, r, ps, qs, rs, d, t, u, v, ts, us, vs, constant, slope = code4_exponentials([alpha])[0]
    e, f = np.exp(c * up), np.exp(d * down)
    twin = factor(alpha, up, down)
    np.testing.assert_allclose(constant + e * (p + q * up + r * up**2) + f * (t + u * down + v * down**2), twin.value, rtol=1e-14)
    np.testing.assert_allclose(slope + e * (ps + qs * up + rs * up**2) + f * (ts + us * down + vs * down**2), twin.slope, atol=1e-14)


def test_exponential_and_logarithm_of_the_kernels() -> None:
    kernels = pytest.importorskip("toolkit.likelihood.fused_kernels")
    x = np.concatenate([np.linspace(-707.0, 708.0, 2001), np.linspace(-0.35, 0.35, 2001)])
    exps = np.array([kernels._exp(v) for v in x])
    np.testing.assert_allclose(exps, np.exp(x), rtol=4e-16)
    np.testing.assert_allclose([kernels._log(v) for v in exps], np.log(exps), rtol=4e-16, atol=1e-300)
    small = x[np.abs(x) <= kernels.SMALL]
    np.testing.assert_allclose([kernels._exp_small(v) for v in small], np.exp(small), rtol=1e-15)
    assert [kernels._exp(v) for v in (-1e9, 1e9)] == [0.0, math.inf]
    assert math.isnan(kernels._exp(math.nan))


def test_factors_of_small_logarithms_are_positive() -> None:
    """What the fast branch of code 4 takes for granted."""
    kernels = pytest.importorskip("toolkit.likelihood.fused_kernels")
    ends = np.linspace(-kernels.SMALL, kernels.SMALL, 41)
    up, down, alpha = np.meshgrid(ends, ends, np.linspace(-1.0, 1.0, 201))
    assert factor(alpha, up, down).value.min() > 0.5


@pytest.mark.parametrize("n", [1, 3, 127, 128, 129, 260])
@pytest.mark.parametrize("code", ["log_quadratic", "code4"])
def test_any_number_of_events(monkeypatch: pytest.MonkeyPatch, n: int, code: str) -> None:
    one, point = likelihood(code, 0.1, n=n), (0.7, 0.3, -0.8, 1.2)
    value, gradient = one.value_and_gradient(point)
    monkeypatch.setattr(shaped, "kernels", lambda dtype: None)
    assert value == pytest.approx(one.value_and_gradient(point)[0], rel=1e-12, abs=1e-11)
    np.testing.assert_allclose(gradient, one.value_and_gradient(point)[1], rtol=1e-9, atol=1e-9)


def test_a_factor_of_code_4_that_is_not_positive_forbids_the_point() -> None:
    """Up 33 times the nominal density and down next to nothing: between -1 and 0 the polynomial falls below 0."""
    pair = (np.full(4, 3.5), np.full(4, -9.0))
    assert factor(-0.5, 3.5, -9.0).value < 0.0
    own = Shapes.of([{"a": pair}], n_events=4, code="code4")
    parameters = [Parameter("mu", init=1.0, low=0.1, high=5.0), Parameter("a", init=0.0, low=-5.0, high=5.0)]
    one = UnbinnedLikelihood(
        log_ratios=np.zeros((4, 1)),
        weights=np.ones(4),
        yields=[4.0],
        coefficients=("mu",),
        parameters=parameters,
        shapes=own,
        reference="normalised",
    )
    assert one.twice_nll({"a": -0.5}) == one.value_and_gradient({"a": -0.5})[0] == math.inf
    assert math.isfinite(one.twice_nll({"a": 0.0}))


def test_numpy_takes_over_with_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(f"no {name}")

    fused.kernels.cache_clear()
    monkeypatch.setattr(fused.importlib, "import_module", missing)
    try:
        with pytest.warns(RuntimeWarning, match="NumPy, which is slower"):
            assert fused.kernels("float64") is None
        assert fused.kernels("float64") is None
        assert math.isfinite(likelihood("code4", 0.1).twice_nll((0.7, 0.3, -0.8, 1.2)))
    finally:
        fused.kernels.cache_clear()
