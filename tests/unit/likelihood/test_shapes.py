"""Unbinned likelihood with nuisance parameters: slow twin, gradient, Hessian, normalisation, storage, refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tests.unit.likelihood.systematics_toy import COEFFICIENTS, CONSTRAINTS, PARAMETERS, SYSTEMATICS, YIELDS, channel, log_ratios, shapes
from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.expressions.arithmetic import Expression
from toolkit.likelihood import Constraint, NormSys, ShapeReference, Shapes, UnbinnedLikelihood
from toolkit.likelihood.interpolation import code4_coefficients

POINTS = [
    {"mu": 0.4, "t0": 1.1, "scale": 0.3, "slope": -0.6, "lumi": 1.01},
    {"mu": 2.0, "t0": 0.9, "scale": -1.6, "slope": 1.4, "lumi": 0.97},
    {"mu": 1.0, "t0": 1.0, "scale": 1.0, "slope": -1.0, "lumi": 1.0},
]


def interpolated(code: str, alpha: float, u: float, d: float) -> float:
    """Slow twin of one factor from its two logarithms."""
    if code == "log_quadratic":
        a, b = 0.5 * (u - d), 0.5 * (u + d)
        return math.exp(a * alpha + b * (alpha**2 if abs(alpha) < 1 else 2 * abs(alpha) - 1))
    if abs(alpha) >= 1:
        return math.exp(u * alpha if alpha > 0 else -d * alpha)
    return 1.0 + sum(c * alpha ** (k + 1) for k, c in enumerate(code4_coefficients(u, d)))


def varied(own: Shapes, row: int, process: int, at: dict[str, float]) -> float:
    names, logs = own.parameters[process], own.logs[process][row]
    return math.prod(interpolated(own.code, at[n], logs[m], logs[len(names) + m]) for m, n in enumerate(names))


def by_loop(likelihood: UnbinnedLikelihood, x: Any, at: dict[str, float], reference: Any, constraints: Any = CONSTRAINTS) -> float:
    """Slow twin of twice_nll, its constant included."""
    rates = [Expression.parse(c).value(at) for c in COEFFICIENTS]
    for s in SYSTEMATICS:
        rates[s.process] *= interpolated("code4", at[s.parameter], math.log(s.up), math.log(s.down))
    norms = [1.0] * 4
    if reference is not None:
        norms = [sum(reference.weights[i, j] * varied(reference.shapes, i, j, at) for i in range(len(reference.shapes))) for j in range(4)]
    total, ratios = sum(r * y for r, y in zip(rates, YIELDS, strict=True)), np.exp(log_ratios(x))
    for i, w in enumerate(likelihood.weights):
        terms = [rates[j] * YIELDS[j] * ratios[i, j] * varied(likelihood.shapes, i, j, at) / norms[j] for j in range(4)]
        total -= w * math.log(sum(terms))
    return 2.0 * total + sum(((at[c.parameter] - c.observed) / c.scale) ** 2 for c in constraints)


@pytest.mark.parametrize("code", ["log_quadratic", "code4"])
@pytest.mark.parametrize("normalised", [True, False])
def test_differences_equal_a_loop(code: str, normalised: bool) -> None:
    toy = channel(60, n_grid=40)
    weights = np.random.default_rng(2).uniform(0.5, 1.5, 60)
    changes: dict[str, Any] = {} if normalised else {"reference": "normalised"}
    likelihood = toy.likelihood(code=code, weights=weights, **changes)
    reference = toy.reference(code=code) if normalised else None
    slow = [by_loop(likelihood, toy.x, at, reference) for at in POINTS]
    fast = [likelihood.twice_nll(at) for at in POINTS]
    assert np.diff(fast) == pytest.approx(np.diff(slow), rel=1e-11)
    together = likelihood.twice_nll_points(np.array([likelihood.point(at) for at in (*POINTS, {**POINTS[0], "mu": 3.0})]))
    np.testing.assert_allclose(together[:3], fast, rtol=0, atol=1e-9)
    assert together[3] == pytest.approx(likelihood.twice_nll({**POINTS[0], "mu": 3.0}), abs=1e-9)


@pytest.mark.parametrize("code", ["log_quadratic", "code4"])
@pytest.mark.parametrize("at", POINTS)
def test_gradient_and_hessian_by_finite_differences(code: str, at: dict[str, float]) -> None:
    likelihood = channel(5000).likelihood(code=code)
    point = likelihood.point(at)
    value, gradient = likelihood.value_and_gradient(at)
    assert value == pytest.approx(likelihood.twice_nll(at), abs=1e-8)
    np.testing.assert_array_equal(gradient, likelihood.gradient(at))
    hessian = likelihood.hessian_at(point)
    assert (hessian is None) == (code == "code4")
    step = 1e-4
    for k, parameter in enumerate(PARAMETERS):
        edge = abs(point[k]) == 1.0 and parameter.name in {"scale", "slope"}
        moved = [point + m * step * np.eye(5)[k] for m in (-2, -1, 1, 2)]
        values = likelihood.twice_nll_points(np.array(moved))
        numerical = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
        assert gradient[k] == pytest.approx(numerical, rel=1e-6, abs=1e-6 if not edge else 1e-2)
        if hessian is not None and not edge:
            derivatives = [likelihood.gradient(m) for m in moved]
            np.testing.assert_allclose(
                hessian[k], (derivatives[0] - 8 * derivatives[1] + 8 * derivatives[2] - derivatives[3]) / (12 * step), rtol=1e-6, atol=1e-4
            )


def test_hessian_without_variations_too() -> None:
    likelihood = channel(3000).likelihood(shapes=None, reference=None)
    point = likelihood.point(POINTS[0])
    hessian = likelihood.hessian_at(point)
    assert hessian is not None
    for k in range(5):
        pair = [likelihood.gradient(point + m * 1e-5 * np.eye(5)[k]) for m in (-1, 1)]
        np.testing.assert_allclose(hessian[k], (pair[1] - pair[0]) / 2e-5, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("alphas", [(0.0, 0.0), (1.0, 0.0), (-0.4, 2.5), (-3.0, -3.0)])
def test_densities_are_normalised_at_every_alpha(alphas: tuple[float, float]) -> None:
    """The mean of every varied density over a fine grid is 1, for any alpha, whatever the raw variations are."""
    toy = channel(10, n_grid=20_000)
    reference = toy.reference()
    fine = (np.arange(7_003) + 0.5) / 7_003
    point, norms = shapes(fine).at(np.array(alphas)), reference.norms(np.array(alphas))
    for j, own in enumerate(reference.shapes.parameters):
        density = np.exp(log_ratios(fine)[:, j])
        if own:
            density = density * np.exp(point.log_factor(j, slice(None)) - norms.log[j])
        assert density.mean() == pytest.approx(1.0, abs=2e-6)
    assert alphas == (0.0, 0.0) or np.abs(norms.log).max() > 1e-3


def test_statistical_uncertainty_of_a_ratio_is_a_shift_in_units_of_sigma() -> None:
    x = np.linspace(0.1, 0.9, 5)
    sigma = 0.1 + 0.2 * x
    own = Shapes.of([{"ensemble": (sigma, -sigma)}], n_events=5)
    for alpha in (-2.0, -0.3, 0.7, 3.0):
        np.testing.assert_allclose(own.at(np.array([alpha])).log_factor(0, slice(None)), alpha * sigma, rtol=1e-14)


def test_single_precision_storage_is_accurate_enough() -> None:
    toy = channel(20_000)
    exact = toy.likelihood()
    single = toy.likelihood(shapes=shapes(toy.x, dtype=np.float32))
    assert single.shapes is not None
    assert single.shapes.logs[0].dtype == np.float32
    for at in POINTS:
        assert single.twice_nll(at) - exact.twice_nll(at) == pytest.approx(0.0, abs=2e-3)
        np.testing.assert_allclose(single.gradient(at), exact.gradient(at), rtol=1e-5, atol=1e-2)


def test_chosen_events_take_their_variations_along() -> None:
    toy = channel(500)
    likelihood = toy.likelihood()
    counts = np.random.default_rng(7).poisson(0.8, 500)
    one, two = likelihood.with_events(np.repeat(np.arange(500), counts)), likelihood.with_weights(counts)
    a, b = (np.array([item.twice_nll(at) for at in POINTS]) for item in (one, two))
    np.testing.assert_allclose(np.diff(a), np.diff(b), rtol=1e-10)
    moved = likelihood.with_auxiliary({"scale": 1.0})
    assert moved.gradient(POINTS[0])[2] - likelihood.gradient(POINTS[0])[2] == pytest.approx(-2.0, rel=1e-9)
    assert likelihood.constraints[0].observed == 0.0


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_evaluation_changes_nothing(order: Any) -> None:
    toy = channel(400)
    likelihood = toy.likelihood(log_ratios=np.array(log_ratios(toy.x), order=order))
    before = likelihood.densities.copy()
    first = likelihood.value_and_gradient(POINTS[0])
    likelihood.hessian_at(likelihood.point(POINTS[1]))
    again = likelihood.value_and_gradient(POINTS[0])
    np.testing.assert_array_equal(likelihood.densities, before)
    assert again[0] == first[0]
    np.testing.assert_array_equal(again[1], first[1])


def test_bad_variations_are_refused() -> None:
    toy = channel(20)
    nan = np.full(20, 0.1)
    nan[7] = math.nan
    with pytest.raises(PhysicsDomainError, match="'scale' of process 0 at event 7"):
        Shapes.of([{"scale": (nan, nan)}], n_events=20)
    with pytest.raises(ShapeError, match="variation 'scale'"):
        Shapes.of([{"scale": (nan[:3], nan)}], n_events=20)
    with pytest.raises(SchemaError, match="no reference"):
        toy.likelihood(reference=None)
    with pytest.raises(SchemaError, match="undefined parameters"):
        toy.likelihood(shapes=Shapes.of([{"nobody": (toy.x, toy.x)}, {}, {}, {}], n_events=20))
    with pytest.raises(ShapeError, match="events and processes"):
        toy.likelihood(shapes=shapes(toy.x[:4]))
    with pytest.raises(SchemaError, match="reference of the variations"):
        toy.likelihood(reference=ShapeReference(np.ones((2, 4)), Shapes.of([{}, {}, {}, {}], n_events=2)))
    with pytest.raises(PhysicsDomainError, match="positive sums"):
        ShapeReference(np.zeros((20, 4)), shapes(toy.x))
    with pytest.raises(SchemaError, match="interpolation"):
        toy.likelihood(code="code7")


def test_bad_systematics_are_refused() -> None:
    toy = channel(20)
    for ratio in (0.0, -1.0, math.nan):
        with pytest.raises(PhysicsDomainError, match="normsys 'scale' of process 2"):
            NormSys(2, "scale", ratio, 1.0)
    with pytest.raises(SchemaError, match="undefined parameter 'theory'"):
        toy.likelihood(systematics=[NormSys(0, "theory", 1.1, 0.9)])
    with pytest.raises(SchemaError, match="process 9"):
        toy.likelihood(systematics=[NormSys(9, "scale", 1.1, 0.9)])
    with pytest.raises(SchemaError, match="twice"):
        toy.likelihood(systematics=[NormSys(0, "scale", 1.1, 0.9), NormSys(0, "scale", 1.1, 0.9)])
    with pytest.raises(SchemaError, match="counted once"):
        toy.likelihood(constraints=[Constraint("scale"), Constraint("scale")])
    negative = toy.likelihood(coefficients=("mu - 9", "1", "1", "t0"))
    point = {"mu": 0.5, "scale": 0.2}
    assert negative.twice_nll(point) == math.inf
    assert not negative.gradient(point).any()
    with pytest.raises(PhysicsDomainError, match=r"density of event \d+ at mu = 0.5, t0 = 1, scale = 0.2"):
        negative.check(point)
