"""The extended unbinned likelihood: slow twin, gradient, closed forms, refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.likelihood import UnbinnedLikelihood, morphing_expressions

BOUNDS = {"mu": (0.0, 6.0)}


def by_loop(log_ratios: Any, weights: Any, yields: Any, mu: float) -> float:
    """Slow twin of twice_nll with the ggF coefficients and one background, the constant included."""
    root = math.sqrt(mu)
    f = [mu - root, root, 1 - root, 1.0]
    nu = sum(a * b for a, b in zip(f, yields, strict=True))
    total = 0.0
    for row, w in zip(log_ratios, weights, strict=True):
        total += w * math.log(sum(a * n * math.exp(r) for a, n, r in zip(f, yields, row, strict=True)))
    return 2.0 * (nu - total)


def test_differences_equal_a_loop(toy: Any) -> None:
    small = slice(0, 500)
    likelihood = UnbinnedLikelihood(
        log_ratios=toy.log_ratios[small],
        weights=toy.asimov(1.0)[small],
        yields=toy.yields,
        coefficients=morphing_expressions(n_backgrounds=1),
        parameters=("mu",),
        bounds=BOUNDS,
    )
    reference = by_loop(toy.log_ratios[small], toy.asimov(1.0)[small], toy.yields, 1.0)
    for mu in (0.0, 0.2, 1.7, 5.9):
        expected = by_loop(toy.log_ratios[small], toy.asimov(1.0)[small], toy.yields, mu) - reference
        assert likelihood.twice_nll({"mu": mu}) - likelihood.twice_nll({"mu": 1.0}) == pytest.approx(expected, rel=1e-10, abs=1e-9)


def test_many_points_equal_single_points_across_blocks(make_toy: Any) -> None:
    likelihood = make_toy(3_000, 4).likelihood(1.0)
    points = np.linspace(0.0, 6.0, 700)[:, None]
    together = likelihood.twice_nll_points(points)
    single = [likelihood.twice_nll(float(points[i, 0])) for i in (0, 1, 255, 256, 511, 512, 699)]
    np.testing.assert_allclose(together[[0, 1, 255, 256, 511, 512, 699]], single, rtol=0, atol=1e-9)


@pytest.mark.parametrize("mu", [1e-3, 0.3, 1.0, 4.0])
def test_gradient_by_finite_differences(toy: Any, mu: float) -> None:
    likelihood = toy.likelihood(1.3)
    h = 5e-3 * mu
    around = [likelihood.twice_nll(mu + k * h) for k in (-2, -1, 1, 2)]
    numerical = (around[0] - 8 * around[1] + 8 * around[2] - around[3]) / (12 * h)
    assert likelihood.gradient({"mu": mu})[0] == pytest.approx(numerical, rel=1e-6, abs=1e-6)


def test_gradient_in_two_parameters(toy: Any) -> None:
    likelihood = UnbinnedLikelihood(
        log_ratios=toy.log_ratios,
        weights=toy.asimov(1.0),
        yields=toy.yields,
        coefficients=("mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)", "t0"),
        parameters=("mu", "t0"),
        bounds={"mu": (0.0, 6.0), "t0": (0.5, 1.5)},
    )
    point = np.array([1.4, 0.93])
    for k in range(2):
        step = np.eye(2)[k] * 1e-4
        around = [likelihood.twice_nll(point + m * step) for m in (-2, -1, 1, 2)]
        numerical = (around[0] - 8 * around[1] + 8 * around[2] - around[3]) / 12e-4
        assert likelihood.gradient(point)[k] == pytest.approx(numerical, rel=1e-6)


def test_gradient_at_zero_has_the_sign_of_the_limit(toy: Any) -> None:
    assert toy.likelihood(0.3).gradient({"mu": 0.0})[0] == -math.inf
    assert toy.likelihood(4.0, high=6.0).gradient({"mu": 0.0})[0] == math.inf


def test_counting_experiment_in_closed_form() -> None:
    likelihood = UnbinnedLikelihood(
        log_ratios=np.zeros((1, 2)), weights=[23.0], yields=[10.0, 5.0], coefficients=("mu", "1"), parameters=("mu",), bounds=BOUNDS
    )
    for mu in (0.1, 1.0, 3.0):
        expected = 2 * (10 * mu + 5 - 23 * math.log(10 * mu + 5)) - 2 * (23 - 23 * math.log(23))
        assert likelihood.twice_nll(mu) - likelihood.twice_nll(1.8) == pytest.approx(expected, abs=1e-10)
    fit = likelihood.fit()
    assert fit.parameters["mu"] == pytest.approx(1.8, abs=1e-9)
    assert fit.errors["mu"] == pytest.approx(math.sqrt(23.0) / 10.0, rel=1e-6)


def test_mixture_of_gaussians_finds_the_fraction() -> None:
    rng = np.random.default_rng(12)
    signal, background = rng.normal(1.0, 0.5, 4_000), rng.normal(-1.0, 1.0, 6_000)
    x = np.concatenate([signal, background])
    logs = np.stack([norm.logpdf(x, 1.0, 0.5), norm.logpdf(x, -1.0, 1.0)], axis=1) - norm.logpdf(x, 0.0, 3.0)[:, None]
    likelihood = UnbinnedLikelihood(
        log_ratios=logs,
        weights=np.ones(len(x)),
        yields=[4_000.0, 6_000.0],
        coefficients=("mu", "t"),
        parameters=("mu", "t"),
        bounds={"mu": (0, 3), "t": (0, 3)},
    )
    fit = likelihood.fit()
    fractions = np.exp(logs) * [4_000.0, 6_000.0]
    for _ in range(300):  # expectation maximisation: the same maximum by another road
        share = fractions / fractions.sum(axis=1, keepdims=True)
        fractions = fractions * (share.sum(axis=0) / fractions_norm(fractions, logs))
    expected = share.sum(axis=0) / [4_000.0, 6_000.0]
    assert fit.parameters["mu"] == pytest.approx(expected[0], abs=1e-6)
    assert fit.parameters["t"] == pytest.approx(expected[1], abs=1e-6)
    assert abs(fit.parameters["mu"] - 1.0) < 4 * fit.errors["mu"]


def fractions_norm(fractions: Any, logs: Any) -> Any:
    """Yield that the columns of `fractions` stand for now."""
    return (fractions / np.exp(logs)).mean(axis=0)


def test_large_log_ratios_do_not_overflow() -> None:
    logs = np.array([[900.0, 880.0], [-900.0, -870.0]])
    likelihood = UnbinnedLikelihood(
        log_ratios=logs, weights=[1.0, 1.0], yields=[1.0, 1.0], coefficients=("mu", "1"), parameters=("mu",), bounds=BOUNDS
    )
    expected = 2 * (
        0.5 - math.log(1.5 + math.exp(-20)) + math.log(1 + math.exp(-20)) - math.log(1.5 * math.exp(-30) + 1) + math.log(math.exp(-30) + 1)
    )
    assert likelihood.twice_nll(1.5) - likelihood.twice_nll(1.0) == pytest.approx(expected, abs=1e-12)


def test_a_process_with_no_yield_does_not_matter() -> None:
    logs = np.array([[800.0, 0.0]])
    likelihood = UnbinnedLikelihood(
        log_ratios=logs, weights=[3.0], yields=[0.0, 2.0], coefficients=("1", "mu"), parameters=("mu",), bounds={"mu": (0.1, 6.0)}
    )
    assert likelihood.fit().parameters["mu"] == pytest.approx(1.5, abs=1e-9)


def test_ratio_of_zero_is_legal_and_nan_is_not() -> None:
    options: dict[str, Any] = {"weights": [1.0], "yields": [1.0, 1.0], "coefficients": ("mu", "1"), "parameters": ("mu",), "bounds": BOUNDS}
    zero = UnbinnedLikelihood(log_ratios=[[-np.inf, 0.0]], **options)
    same = UnbinnedLikelihood.from_ratios(ratios=[[0.0, 1.0]], **options)
    assert zero.twice_nll(2.0) == same.twice_nll(2.0)
    for bad in (np.nan, np.inf):
        with pytest.raises(PhysicsDomainError, match="event 0, process 1"):
            UnbinnedLikelihood(log_ratios=[[0.0, bad]], **options)
    with pytest.raises(PhysicsDomainError, match="without any density"):
        UnbinnedLikelihood(log_ratios=[[-np.inf, -np.inf]], **options)
    with pytest.raises(PhysicsDomainError, match="event 0, process 0"):
        UnbinnedLikelihood.from_ratios(ratios=[[-0.1, 1.0]], **options)


def test_density_that_is_not_positive_is_forbidden_and_names_event_and_point() -> None:
    logs = np.zeros((5, 3))
    logs[3] = [-5.0, -5.0, 2.0]
    likelihood = UnbinnedLikelihood(
        log_ratios=logs,
        weights=np.ones(5),
        yields=[2.0, 2.5, 1.0],
        coefficients=morphing_expressions(),
        parameters=("mu",),
        bounds=BOUNDS,
        event_ids=[11, 12, 13, 14, 15],
    )
    assert math.isfinite(likelihood.twice_nll(0.8))
    likelihood.check(0.8)
    assert likelihood.twice_nll(4.0) == math.inf
    value, gradient = likelihood.value_and_gradient(4.0)
    assert value == math.inf
    assert gradient.tolist() == [0.0]
    with pytest.raises(PhysicsDomainError, match=r"event 3 \(id 14\) at mu = 4"):
        likelihood.check(4.0)
    mu = np.linspace(0.0, 6.0, 600_001)  # the formula on a dense grid
    f = np.stack([mu - np.sqrt(mu), np.sqrt(mu), 1.0 - np.sqrt(mu)])
    density = np.exp(logs) * [2.0, 2.5, 1.0] @ f
    curve = np.where(
        np.all(density > 0.0, axis=0), f.T @ [2.0, 2.5, 1.0] - np.log(np.where(density > 0.0, density, 1.0)).sum(axis=0), np.inf
    )
    fit = likelihood.fit()
    assert fit.parameters["mu"] == pytest.approx(mu[np.argmin(curve)], abs=2e-5)
    (limit,) = fit.limits
    assert (limit.parameter, limit.side, limit.where) == ("mu", "high", "event 3 (id 14)")
    assert limit.value == pytest.approx(mu[np.isfinite(curve)].max(), abs=2e-5)
    scan = likelihood.scan("mu", [0.0, 0.5, 1.0, 4.0, 6.0])
    assert np.isinf(scan.twice_delta_nll).tolist() == [False, False, False, True, True]


def test_total_yield_must_stay_positive() -> None:
    likelihood = UnbinnedLikelihood(
        log_ratios=np.zeros((1, 3)),
        weights=[0.0],
        yields=[1.0, 0.5, 4.0],
        coefficients=morphing_expressions(),
        parameters=("mu",),
        bounds=BOUNDS,
    )
    assert likelihood.twice_nll(2.0) == math.inf
    with pytest.raises(PhysicsDomainError, match="total yield at mu = 2"):
        likelihood.check(2.0)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"weights": [1.0, 2.0, 3.0]}, ShapeError, "weights"),
        ({"log_ratios": np.zeros(2)}, ShapeError, "log_ratios"),
        ({"yields": [1.0]}, ShapeError, "yields"),
        ({"yields": [1.0, -1.0]}, PhysicsDomainError, "yields"),
        ({"yields": [1.0, np.nan]}, PhysicsDomainError, "yields"),
        ({"weights": [1.0, np.nan]}, PhysicsDomainError, "weight of event 1"),
        ({"coefficients": ("mu",)}, ShapeError, "one for each of the 2 processes"),
        ({"coefficients": ("mu", "nu")}, SchemaError, "undefined parameter 'nu'"),
        ({"coefficients": ("mu", "exp(mu)")}, SchemaError, "only function"),
        ({"parameters": ("mu", "mu")}, SchemaError, "different names"),
        ({"bounds": {"nu": (0, 1)}}, SchemaError, "bounds"),
        ({"bounds": (0.0, 6.0)}, SchemaError, "one \\(low, high\\)"),
        ({"bounds": {"mu": (3.0, 1.0)}}, SchemaError, "low < high"),
        ({"init": {"mu": 9.0}}, SchemaError, "starting value"),
        ({"init": {"nu": 9.0}}, SchemaError, "starting values"),
        ({"event_ids": [1]}, ShapeError, "event ids"),
    ],
)
def test_bad_input(change: dict[str, Any], error: type[Exception], match: str) -> None:
    good: dict[str, Any] = {
        "log_ratios": np.zeros((2, 2)),
        "weights": [1.0, 1.0],
        "yields": [1.0, 1.0],
        "coefficients": ("mu", "1"),
        "parameters": ("mu",),
        "bounds": BOUNDS,
    }
    UnbinnedLikelihood(**good)
    with pytest.raises(error, match=match):
        UnbinnedLikelihood(**{**good, **change})


@pytest.mark.parametrize(
    ("point", "error"),
    [({"nu": 1.0}, SchemaError), ([1.0, 2.0], ShapeError), (np.nan, PhysicsDomainError), ({"mu": np.inf}, PhysicsDomainError)],
)
def test_bad_parameter_point(toy: Any, point: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        toy.likelihood(1.0).twice_nll(point)


def test_forms_of_a_parameter_point_are_equal(toy: Any) -> None:
    likelihood = toy.likelihood(1.0)
    values = {likelihood.twice_nll(p) for p in ({"mu": 0.4}, 0.4, [0.4], np.array([0.4]))}
    assert len(values) == 1
    assert likelihood.twice_nll({}) == likelihood.twice_nll(1.0)


def test_other_weights_on_the_same_events(toy: Any) -> None:
    one = toy.likelihood(1.0).with_weights(toy.asimov(1.7))
    two = toy.likelihood(1.7)
    assert one.twice_nll(0.4) - one.twice_nll(1.0) == two.twice_nll(0.4) - two.twice_nll(1.0)
    with pytest.raises(ShapeError):
        one.with_weights([1.0])


def test_inputs_are_not_modified(toy: Any) -> None:
    logs, weights = toy.log_ratios, toy.asimov(1.0)
    before = logs.copy(), weights.copy()
    UnbinnedLikelihood(
        log_ratios=logs,
        weights=weights,
        yields=toy.yields,
        coefficients=morphing_expressions(n_backgrounds=1),
        parameters=("mu",),
        bounds=BOUNDS,
    ).fit()
    assert np.array_equal(before[0], logs)
    assert np.array_equal(before[1], weights)
