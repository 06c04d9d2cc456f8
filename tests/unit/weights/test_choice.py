"""The choice of benchmarks and generation points against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.weights import Morphing, basis, choose_benchmarks, choose_generation_points, expected_variances
from toolkit.weights import choice as module

INTERFERENCE = ["mu", "sqrt(mu)", "1"]
POINTS = {f"{mu:g}": mu for mu in (0.0, 0.2, 0.5, 1.0, 2.0, 4.0, 7.0, 10.0)}
THETAS = np.linspace(0.0, 10.0, 23)


def slow_value(names, sigma2, objective, thetas=THETAS, yields=None):
    """Solve for the coefficients of each theta and add up f^2 sigma^2; None when the set is degenerate."""
    try:
        morphing = Morphing(monomials=INTERFERENCE, benchmarks={n: POINTS[n] for n in names}, variances={n: sigma2[n] for n in names})
    except SchemaError:
        return None
    values = []
    for k, theta in enumerate(thetas):
        nu = 1.0 if yields is None else yields[k]
        values.append(sum(f**2 * sigma2[n] for f, n in zip(morphing.coefficients(theta), names, strict=True)) / nu**2)
    return max(values) if objective == "max" else sum(values) / len(values)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["mean", "max"]), st.sampled_from([3, 4]))
def test_the_choice_equals_brute_force(seed, objective, number):
    rng = np.random.default_rng(seed)
    sigma2 = {name: float(v) for name, v in zip(POINTS, rng.uniform(0.1, 4.0, len(POINTS)), strict=True)}
    yields = rng.uniform(0.5, 2.0, len(THETAS))
    found = choose_benchmarks(
        POINTS, monomials=INTERFERENCE, thetas=THETAS, number=number, variances=sigma2, yields=yields, objective=objective
    )
    slow = {names: slow_value(names, sigma2, objective, yields=yields) for names in itertools.combinations(POINTS, number)}
    best = min((v, k) for k, v in slow.items() if v is not None)
    assert found.value == pytest.approx(best[0], rel=1e-8)
    assert slow[found.names] == pytest.approx(best[0], rel=1e-8)
    assert found.exhaustive
    f = found.morphing.coefficients_at(THETAS)
    v = np.array([sigma2[name] for name in found.names])
    np.testing.assert_allclose(found.variances, f**2 @ v / yields**2, rtol=1e-8)


@pytest.mark.parametrize("objective", ["mean", "max"])
def test_exchanges_find_what_trying_all_finds(objective, monkeypatch):
    arguments = {"monomials": INTERFERENCE, "thetas": THETAS, "number": 4, "objective": objective, "keep": ["1"]}
    everything = choose_benchmarks(POINTS, **arguments)
    monkeypatch.setattr(module, "EXHAUSTIVE", 0)
    exchanged = choose_benchmarks(POINTS, **arguments)
    assert not exchanged.exhaustive
    assert exchanged.value == pytest.approx(everything.value, rel=1e-9)
    assert "1" in exchanged.names
    assert choose_benchmarks(POINTS, **arguments).names == exchanged.names  # deterministic


def test_a_large_choice_in_two_coefficients():
    """120 candidates, six benchmarks: the corners and edges of the square, as the theory of designs has it."""
    grid = np.linspace(-1.0, 1.0, 11)
    points = {f"{a:g},{b:g}": (a, b) for a in grid for b in grid}
    monomials = ["1", "a", "b", "a**2", "a*b", "b**2"]
    thetas = np.array(list(itertools.product(np.linspace(-1, 1, 7), repeat=2)))
    found = choose_benchmarks(points, monomials=monomials, thetas=thetas)
    assert not found.exhaustive
    corners = choose_benchmarks({n: points[n] for n in ("-1,-1", "-1,1", "1,-1", "0,0", "1,0", "0,1")}, monomials=monomials, thetas=thetas)
    assert found.value < corners.value


def test_degenerate_candidates_are_never_chosen():
    points = {"a": 1.0, "b": 1.0, "c": 1.0, "d": 0.0, "e": 4.0}
    found = choose_benchmarks(points, monomials=INTERFERENCE, thetas=[0.0, 2.0, 4.0])
    assert found.names == ("a", "d", "e")  # the first of three equal ones
    with pytest.raises(SchemaError, match="general position"):
        choose_benchmarks({k: points[k] for k in "abcd"}, monomials=INTERFERENCE, thetas=[1.0])


def test_expected_variances_of_samples_that_do_not_exist():
    pilot = basis("ggF")
    yields = np.array([2.0, 9.5, 9.0])  # S, SBI, B: interference -1.5
    sigma2 = expected_variances({"0.25": 0.25, "4": 4.0, "S": "mu"}, pilot=pilot, yields=yields, n_events={"0.25": 10, "4": 100, "S": 4})
    assert sigma2["0.25"] == pytest.approx((0.25 * 2.0 - 0.5 * 1.5 + 9.0) ** 2 / 10)
    assert sigma2["4"] == pytest.approx((4 * 2.0 - 2 * 1.5 + 9.0) ** 2 / 100)
    assert sigma2["S"] == pytest.approx(1.0)
    with pytest.raises(PhysicsDomainError, match="yields of the candidates"):
        expected_variances({"1": 1.0}, pilot=pilot, yields=[1.0, -1.0, 1.0])


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"number": 2}, SchemaError),
        ({"number": 9}, SchemaError),
        ({"keep": ["nothing"]}, SchemaError),
        ({"keep": ["1", "1"]}, SchemaError),
        ({"variances": {"0": 1.0}}, SchemaError),
        ({"variances": dict.fromkeys(POINTS, 0.0)}, PhysicsDomainError),
        ({"yields": [1.0]}, ShapeError),
        ({"yields": np.zeros(23)}, PhysicsDomainError),
        ({"objective": "median"}, SchemaError),
    ],
)
def test_wrong_choice(change, error):
    with pytest.raises(error):
        choose_benchmarks(POINTS, **({"monomials": INTERFERENCE, "thetas": THETAS} | change))


# ---- generation points


@pytest.fixture(scope="module")
def pilot():
    """Events drawn from B with weights under S, SBI, B: signal in the tail, destructive interference."""
    x = np.random.default_rng(7).exponential(size=4000)
    s, b = 0.05 * np.exp(0.2 * x), np.ones_like(x)
    return np.stack([s**2, (b - s) ** 2, b**2], axis=1) / len(x)


def test_generation_points_equal_brute_force(pilot):
    ggf = basis("ggF")
    points = {"S": [1.0, 0.0, 0.0]} | {f"{mu:g}": ggf.coefficients(mu) for mu in (0.0, 1.0, 4.0, 25.0)}
    at = ggf.coefficients_at([0.0, 1.0, 9.0, 25.0])
    found = choose_generation_points(points, weights=pilot, thetas=at, number=2)
    best = {}
    for pair in itertools.combinations(points, 2):
        density = [pilot @ np.asarray(points[name]) for name in pair]
        q = sum(d / d.sum() for d in density) / 2
        values = []
        for f in at:
            w = pilot @ f
            values.append(sum(w[i] ** 2 / q[i] for i in range(len(w))) / w.sum() ** 2)
        best[pair] = np.mean(values)
    assert found.names == min(best, key=best.get)
    assert found.value == pytest.approx(min(best.values()), rel=1e-10)
    assert found.morphing is None


def test_a_point_serves_itself_perfectly(pilot):
    ggf = basis("ggF")
    points = {f"{mu:g}": ggf.coefficients(mu) for mu in (0.0, 1.0, 4.0)}
    found = choose_generation_points(points, weights=pilot, thetas=ggf.coefficients_at([4.0]), number=1)
    assert found.names == ("4",)
    assert found.value == pytest.approx(1.0, rel=1e-12)


def test_a_point_without_events_somewhere_is_infinitely_bad(pilot):
    pilot = np.vstack([pilot, [[0.0, 0.1, 0.1]]])  # S cannot make the last event
    found = choose_generation_points({"S": [1, 0, 0], "B": [0, 0, 1]}, weights=pilot, thetas=[[0, 1, 0]], number=1)
    assert found.names == ("B",)
    assert np.isfinite(found.value)


def test_wrong_generation_points(pilot):
    with pytest.raises(ShapeError, match="n_benchmarks"):
        choose_generation_points({"S": [1, 0]}, weights=pilot, thetas=[[0, 1, 0]], number=1)
    with pytest.raises(PhysicsDomainError, match="yields at theta"):
        choose_generation_points({"S": [1, 0, 0]}, weights=pilot, thetas=[[-1, 0, 0]], number=1)
