"""Morphing: closed forms, slow twins, general solves, gradients, refusals."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pytest

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.weights import Monomial, Morphing, basis

MU = (0.0, 0.05, 0.25, 0.3, 1.0, 1.7, 4.0, 10.0, 16.0)
INTERFERENCE = ["mu", "sqrt(mu)", "1"]


def closed_ggf(mu):
    root = math.sqrt(mu)
    return [mu - root, root, 1 - root]


def closed_ew(mu):
    root, d = math.sqrt(mu), math.sqrt(10) - 10
    return [((1 - math.sqrt(10)) * mu + 9 * root + d) / d, (math.sqrt(10) * mu - 10 * root) / d, (root - mu) / d]


def closed_lagrange(kappa, points=(0.0, 0.8, 1.0, 1.2, 1.5)):
    return [math.prod((kappa - q) / (p - q) for q in points if q != p) for p in points]


@pytest.mark.parametrize("mu", MU)
@pytest.mark.parametrize(("name", "closed"), [("ggF", closed_ggf), ("EW", closed_ew)])
def test_closed_forms(name, closed, mu):
    np.testing.assert_allclose(basis(name).coefficients(mu), closed(mu), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kappa", [-0.5, 0.0, 0.4, 1.35, 1.5, 2.0])
def test_kappa_is_lagrange_interpolation_of_order_four(kappa):
    np.testing.assert_allclose(basis("kappa").coefficients(kappa), closed_lagrange(kappa), rtol=1e-10, atol=1e-11)


def test_names_and_order():
    assert basis("ggF").benchmark_names == ("S", "SBI", "B")
    assert basis("EW").benchmark_names == ("B", "SBI1", "SBI10")
    assert basis("kappa").benchmark_names == ("0", "0.8", "1", "1.2", "1.5")
    assert basis("ggF").parameter_names == ("mu",)
    assert basis("kappa").monomials == ("1", "kappa", "kappa**2", "kappa**3", "kappa**4")


@pytest.mark.parametrize(("name", "points"), [("EW", (0.0, 1.0, 10.0)), ("kappa", (0.0, 0.8, 1.0, 1.2, 1.5)), ("ggF", (None, 1.0, 0.0))])
def test_a_benchmark_is_itself(name, points):
    for b, point in enumerate(points):
        if point is not None:
            np.testing.assert_allclose(basis(name).coefficients(point), np.eye(len(points))[b], atol=1e-11)


def test_infinity_is_the_highest_power_alone():
    at_infinity = Morphing(monomials=INTERFERENCE, benchmarks=[math.inf, 1.0, 0.0])
    np.testing.assert_array_equal(at_infinity.coefficients(0.3), basis("ggF").coefficients(0.3))
    assert at_infinity.benchmark_names == ("inf", "1", "0")


# ---- weights and score against loops


@pytest.fixture
def w():
    """Weights of 200 events under S, SBI, B from random complex amplitudes."""
    rng = np.random.default_rng(81)
    s, b = rng.normal(size=(2, 200, 2)) @ np.array([1.0, 1j])
    return np.stack([abs(s) ** 2, abs(s + b) ** 2, abs(b) ** 2], axis=-1)


def test_weights_equal_the_loop(w):
    weights = basis("ggF").weights(w, 1.7)
    f = closed_ggf(1.7)
    for i in range(len(w)):
        assert weights[i] == pytest.approx(sum(f[b] * w[i, b] for b in range(3)), rel=1e-12)


@pytest.mark.parametrize("yields", [None, (3.0, 2.0, 4.0)])
def test_score_equals_the_loop(w, yields):
    mu, root = 0.64, 0.8
    f, g = closed_ggf(mu), [1 - 0.5 / root, 0.5 / root, -0.5 / root]
    total = yields or tuple(sum(w[i, b] for i in range(len(w))) for b in range(3))
    drift = sum(g[b] * total[b] for b in range(3)) / sum(f[b] * total[b] for b in range(3))
    score = basis("ggF").score(w, mu, yields=yields)
    assert score.shape == (200, 1)
    for i in range(len(w)):
        density, slope = sum(f[b] * w[i, b] for b in range(3)), sum(g[b] * w[i, b] for b in range(3))
        assert score[i, 0] == pytest.approx(slope / density - drift, rel=1e-10)


# ---- gradients


@pytest.mark.parametrize(("name", "theta"), [("ggF", 0.01), ("ggF", 1.0), ("EW", 4.0), ("kappa", 0.0), ("kappa", 1.35)])
def test_gradient_equals_finite_differences(name, theta):
    morphing, h = basis(name), 1e-6
    numeric = (morphing.coefficients(theta + h) - morphing.coefficients(theta - h)) / (2 * h)
    np.testing.assert_allclose(morphing.gradient(theta), numeric[np.newaxis], rtol=1e-6, atol=1e-6)


def test_gradient_with_several_parameters():
    morphing = quadratic(2)
    theta, h = np.array([0.3, -0.7]), 1e-6
    for p, step in enumerate(h * np.eye(2)):
        numeric = (morphing.coefficients(theta + step) - morphing.coefficients(theta - step)) / (2 * h)
        np.testing.assert_allclose(morphing.gradient(theta)[p], numeric, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("call", ["gradient", "score"])
def test_the_infinite_slope_at_mu_zero_is_refused(call, w):
    morphing = basis("ggF")
    with pytest.raises(PhysicsDomainError, match=r"derivative of sqrt\(mu\)[\s\S]*mu > 0"):
        morphing.gradient(0.0) if call == "gradient" else morphing.score(w, 0.0)
    np.testing.assert_array_equal(morphing.coefficients(0.0), [0.0, 0.0, 1.0])
    assert np.all(np.isfinite(morphing.gradient(1e-12)))


def test_integer_powers_have_a_gradient_at_zero():
    np.testing.assert_allclose(Morphing(monomials=["1", "c", "c**2"], benchmarks=[0, 1, -1]).gradient(0.0), [[0.0, 0.5, -0.5]], atol=1e-12)


# ---- general solves


def quadratic(n):
    """All monomials to second order in n parameters, with (n+1)(n+2)/2 benchmarks."""
    names = [f"c{i}" for i in range(n)]
    monomials = ["1", *names, *(f"{a}*{b}" for a, b in itertools.combinations_with_replacement(names, 2))]
    unit = np.eye(n)
    points = [np.zeros(n), *unit, *-unit, *(unit[i] + unit[j] for i, j in itertools.combinations(range(n), 2))]
    return Morphing(monomials=monomials, benchmarks=np.array(points), parameters=names)


@pytest.mark.parametrize("n", [1, 2, 4])
def test_quadratic_theory_is_reproduced_everywhere(n):
    rng = np.random.default_rng(82)
    constant, linear, square = rng.normal(), rng.normal(size=n), rng.normal(size=(n, n))
    morphing = quadratic(n)
    points = [np.array([float(v) for v in name.split(",")]) for name in morphing.benchmark_names]
    assert len(points) == (n + 1) * (n + 2) // 2
    w = np.array([[constant + linear @ c + c @ square @ c for c in points]])
    for c in rng.normal(size=(20, n)):
        assert morphing.weights(w, c)[0] == pytest.approx(constant + linear @ c + c @ square @ c, rel=1e-11, abs=1e-11)


def test_more_benchmarks_than_monomials_give_the_smallest_coefficients():
    morphing = Morphing(monomials=INTERFERENCE, benchmarks=[0.0, 0.25, 1.0, 4.0, 9.0])
    f = morphing.coefficients(2.0)
    np.testing.assert_allclose(morphing.matrix.T @ f, [2.0, math.sqrt(2.0), 1.0], rtol=1e-12)
    exact = Morphing(monomials=INTERFERENCE, benchmarks=[0.0, 1.0, 9.0]).coefficients(2.0)
    assert np.sum(f**2) < np.sum(exact**2)


def test_theta_by_name_and_order_of_parameters():
    monomials = ["1", "x", "y", "x*x*y"]
    by_name = [{"x": 0, "y": 0}, {"x": 1, "y": 0}, {"y": 1, "x": 0}, {"x": 2, "y": 1}]
    named = Morphing(monomials=monomials, benchmarks=dict(zip("abcd", by_name, strict=True)))
    ordered = Morphing(monomials=monomials, benchmarks=[(p["y"], p["x"]) for p in by_name], parameters=["y", "x"])
    expected = named.coefficients([0.5, 0.2])
    assert named.parameter_names == ("x", "y")
    np.testing.assert_allclose(named.matrix.T @ expected, [1.0, 0.5, 0.2, 0.05], atol=1e-12)
    np.testing.assert_allclose(ordered.coefficients([0.2, 0.5]), expected, atol=1e-12)
    np.testing.assert_allclose(named.coefficients({"y": 0.2, "x": 0.5}), expected, atol=1e-12)


def test_the_matrix_is_a_copy():
    morphing = basis("EW")
    morphing.matrix[:] = 0.0
    np.testing.assert_allclose(morphing.coefficients(1.0), [0, 1, 0], atol=1e-12)


# ---- degenerate benchmark sets


def test_equal_benchmarks_are_named_and_the_good_one_is_not():
    with pytest.raises(SchemaError, match="degenerate: first, second; undetermined") as caught:
        Morphing(monomials=INTERFERENCE, benchmarks={"first": 1.0, "good": 0.0, "second": 1.0})
    assert "good" not in str(caught.value)


def test_dependent_benchmarks_are_named():
    # On the line c2 = 2 c1 the parameters cannot be told apart.
    benchmarks = {"zero": (0, 0), "one": (1, 2), "two": (2, 4)}
    with pytest.raises(SchemaError, match="degenerate: zero, one, two; undetermined: c1, c2"):
        Morphing(monomials=["1", "c1", "c2"], benchmarks=benchmarks)


def test_too_few_benchmarks():
    with pytest.raises(SchemaError, match="2 benchmarks of rank 2 for 3 monomials"):
        Morphing(monomials=INTERFERENCE, benchmarks=[0.0, 1.0])


def test_many_benchmarks_that_never_leave_one_point_set():
    with pytest.raises(SchemaError, match=r"undetermined: mu, sqrt\(mu\)"):
        Morphing(monomials=INTERFERENCE, benchmarks={"a": 0.0, "b": 1.0, "c": 1.0, "d": 0.0})


def test_close_but_distinct_benchmarks_are_accepted():
    np.testing.assert_allclose(Morphing(monomials=INTERFERENCE, benchmarks=[0.0, 1.0, 1.001]).coefficients(1.0), [0, 1, 0], atol=1e-9)


def test_repeated_points_in_a_list():
    with pytest.raises(SchemaError, match="degenerate: 1 given twice"):
        Morphing(monomials=INTERFERENCE, benchmarks=[1.0, 0.0, 1.0])


# ---- wrong input


def test_domain():
    morphing = basis("ggF")
    with pytest.raises(PhysicsDomainError, match=r"mu >= 0, because of sqrt\(mu\)"):
        morphing.coefficients(-0.1)
    with pytest.raises(PhysicsDomainError, match="finite"):
        morphing.coefficients(math.nan)
    with pytest.raises(PhysicsDomainError, match="finite"):
        basis("kappa").coefficients(math.inf)


def test_wrong_theta():
    with pytest.raises(ShapeError, match="1 values"):
        basis("ggF").coefficients([1.0, 2.0])
    with pytest.raises(SchemaError, match="mu"):
        basis("ggF").coefficients({"kappa": 1.0})


def test_wrong_definition():
    with pytest.raises(SchemaError, match="one of"):
        basis("ggf")
    with pytest.raises(SchemaError, match="no monomial twice"):
        Morphing(monomials=["mu", "sqrt(mu)*sqrt(mu)", "1"], benchmarks=[0.0, 1.0, 2.0])
    with pytest.raises(SchemaError, match="parameters"):
        Morphing(monomials=INTERFERENCE, benchmarks=[0.0, 1.0, 2.0], parameters=["mu", "nu"])
    with pytest.raises(SchemaError, match="parameters"):
        Morphing(monomials=["1"], benchmarks=[0.0])
    with pytest.raises(SchemaError, match=r"one of \['mu', 'sqrt\(mu\)', '1'\]"):
        Morphing(monomials=INTERFERENCE, benchmarks={"S": "kappa", "SBI": 1.0, "B": 0.0})
    with pytest.raises(SchemaError, match="infinity"):
        Morphing(monomials=["1", "a", "b"], benchmarks=[(math.inf, math.inf), (0, 1), (1, 0)])


def test_wrong_weights(w):
    morphing = basis("ggF")
    with pytest.raises(ShapeError, match=r"S.*SBI.*B"):
        morphing.weights(w[:, :2], 1.0)
    w[17, 1] = np.nan
    with pytest.raises(PhysicsDomainError, match="event 17"):
        morphing.weights(w, 1.0)


def test_score_of_a_density_that_is_not_positive(w):
    w[5] = [1.0, 0.0, 0.0]  # at mu = 0.25 the coefficient of S is negative
    with pytest.raises(PhysicsDomainError, match=r"event 5 at theta = 0.25"):
        basis("ggF").score(w, 0.25)
    score = basis("ggF").score(w, 0.25, nonpositive="nan")
    assert np.flatnonzero(np.isnan(score[:, 0])).tolist() == [5]
    with pytest.raises(PhysicsDomainError, match="total yield"):
        basis("ggF").score(w, 0.25, yields=[1.0, 0.0, 0.0])
    with pytest.raises(ShapeError, match="yields"):
        basis("ggF").score(w, 0.25, yields=[1.0])


# ---- monomials


@pytest.mark.parametrize(
    ("text", "powers"),
    [
        ("1", ()),
        ("mu", (("mu", 1.0),)),
        ("sqrt( mu )", (("mu", 0.5),)),
        ("kappa ** 4", (("kappa", 4.0),)),
        ("kappa^4", (("kappa", 4.0),)),
        ("c2*c1*c2", (("c1", 1.0), ("c2", 2.0))),
        ("mu*sqrt(mu)", (("mu", 1.5),)),
        ("mu**.5", (("mu", 0.5),)),
    ],
)
def test_monomials_are_read_and_written(text, powers):
    monomial = Monomial.parse(text)
    assert monomial.powers == powers
    assert Monomial.parse(str(monomial)) == monomial


@pytest.mark.parametrize("text", ["", "2*mu", "mu+1", "mu**-1", "mu*", "sqrt(mu*k)", "exp(mu)", "mu mu", "__import__('os')"])
def test_anything_else_is_refused(text):
    with pytest.raises(SchemaError, match="monomial"):
        Monomial.parse(text)


# ---- many points at once


@pytest.mark.parametrize(("name", "low"), [("ggF", 0.0), ("EW", 0.0), ("kappa", -2.0)])
def test_many_points_equal_the_loop(name, low):
    morphing, thetas = basis(name), np.linspace(low, 10.0, 41)
    expected = np.array([morphing.coefficients(theta) for theta in thetas])
    np.testing.assert_allclose(morphing.coefficients_at(thetas), expected, rtol=1e-12, atol=1e-10)
    np.testing.assert_array_equal(morphing.coefficients_at(thetas[:, None]), morphing.coefficients_at(thetas))
    derivatives = np.array([morphing.gradient(theta) for theta in thetas[1:]])
    np.testing.assert_allclose(morphing.gradient_at(thetas[1:]), derivatives, rtol=1e-12, atol=1e-9)


def test_many_points_of_several_parameters_equal_the_loop():
    morphing = quadratic(3)
    thetas = np.random.default_rng(83).normal(size=(30, 3))
    np.testing.assert_allclose(morphing.coefficients_at(thetas), [morphing.coefficients(t) for t in thetas], rtol=1e-11, atol=1e-12)
    gradient = morphing.gradient_at(thetas)
    assert gradient.shape == (30, 3, 10)
    np.testing.assert_allclose(gradient, [morphing.gradient(t) for t in thetas], rtol=1e-11, atol=1e-12)


def test_wrong_points():
    with pytest.raises(ShapeError, match=r"\(n, 3\)"):
        quadratic(3).coefficients_at([0.1, 0.2, 0.3])
    with pytest.raises(PhysicsDomainError, match=r"got:      -0.5"):
        basis("ggF").coefficients_at([1.0, -0.5])
    with pytest.raises(PhysicsDomainError, match="finite"):
        basis("kappa").coefficients_at([1.0, math.nan])
    with pytest.raises(PhysicsDomainError, match="infinite"):
        basis("ggF").gradient_at([1.0, 0.0])


# ---- ranges, relations, variances


def test_policies_outside_the_range():
    limited = basis("kappa").with_ranges({"kappa": (0.0, 1.5)})
    assert limited.ranges == {"kappa": (0.0, 1.5)}
    np.testing.assert_array_equal(limited.coefficients(1.5), basis("kappa").coefficients(1.5))
    for call in (limited.coefficients, limited.gradient):
        with pytest.raises(PhysicsDomainError, match=r"outside the range[\s\S]*0 <= kappa <= 1.5"):
            call(1.6)
    with pytest.raises(PhysicsDomainError, match=r"2 of 3 points"):
        limited.coefficients_at([-1.0, 1.0, 3.0])
    warning = basis("kappa").with_ranges({"kappa": (0.0, 1.5)}, outside="warn")
    with pytest.warns(UserWarning, match="got:      1.6"):
        values = warning.coefficients(1.6)
    np.testing.assert_array_equal(values, basis("kappa").coefficients(1.6))
    silent = basis("kappa").with_ranges({"kappa": (0.0, 1.5)}, outside="allow")
    np.testing.assert_array_equal(silent.coefficients(1.6), values)
    assert basis("kappa").ranges == {"kappa": (-math.inf, math.inf)}


@pytest.mark.parametrize("ranges", [{"nu": (0, 1)}, {"kappa": (1, 1)}, {"kappa": (2, 1)}])
def test_wrong_ranges(ranges):
    with pytest.raises(SchemaError, match="range"):
        basis("kappa").with_ranges(ranges)


def test_the_relation_between_degenerate_benchmarks_is_written():
    with pytest.raises(SchemaError, match=r"relations: two = -zero \+ 2 one"):
        Morphing(monomials=["1", "c1", "c2"], benchmarks={"zero": (0, 0), "one": (1, 2), "two": (2, 4)})
    with pytest.raises(SchemaError) as caught:
        Morphing(monomials=INTERFERENCE, benchmarks={"first": 1.0, "good": 0.0, "second": 1.0})
    assert "relations: second = first\n" in str(caught.value)
    with pytest.raises(SchemaError, match="relations: nothing = 0"):
        Morphing(monomials=["mu", "sqrt(mu)"], benchmarks={"nothing": 0.0, "one": 1.0})


def test_relations_hold():
    """On the parabola c2 = c1^2 the quadratic theory in (c1, c2) has rank 5: the relation is checked with its numbers."""
    monomials = ["1", "c1", "c2", "c1**2", "c1*c2", "c2**2"]
    names = ["a", "b", "c", "d", "e", "f"]
    points = dict(zip(names, [(x, x**2) for x in (0.0, 1.0, -1.0, 2.0, -2.0, 3.0)], strict=True))
    with pytest.raises(SchemaError, match="6 benchmarks of rank 5 for 6 monomials") as caught:
        Morphing(monomials=monomials, benchmarks=points)
    relation = str(caught.value).split("relations: ")[1].splitlines()[0]
    left, right = relation.split(" = ")
    rows = {n: np.array([1, x, y, x**2, x * y, y**2]) for n, (x, y) in points.items()}
    total = np.zeros(6)
    for sign, number, name in re.findall(r"([+-]?)\s*(?:([\d.]+) )?([a-f])", right):
        total += (-1.0 if sign == "-" else 1.0) * float(number or 1.0) * rows[name]
    np.testing.assert_allclose(total, rows[left], atol=1e-9)


def test_variances_give_the_smallest_variance():
    points = {"a": 0.0, "b": 0.5, "c": 1.0, "d": 2.0, "e": 4.0}
    sigma2 = {"a": 1.0, "b": 9.0, "c": 0.25, "d": 4.0, "e": 1.0}
    plain = Morphing(monomials=INTERFERENCE, benchmarks=points)
    best = Morphing(monomials=INTERFERENCE, benchmarks=points, variances=sigma2)
    v = np.array(list(sigma2.values()))
    rng = np.random.default_rng(84)
    null = np.linalg.svd(best.matrix.T)[2][3:]
    for mu in (0.2, 1.5, 3.0):
        f = best.coefficients(mu)
        np.testing.assert_allclose(best.matrix.T @ f, [mu, math.sqrt(mu), 1.0], rtol=1e-10)
        smallest = f**2 @ v
        assert smallest <= plain.coefficients(mu) ** 2 @ v
        for move in rng.normal(size=(50, len(null))):  # any other solution is worse
            assert (f + 0.1 * move @ null) ** 2 @ v > smallest


@pytest.mark.parametrize("variances", [{"S": 1.0}, {"S": 1.0, "SBI": 1.0, "B": 1.0, "X": 1.0}])
def test_variances_by_name(variances):
    with pytest.raises(SchemaError, match="variances"):
        Morphing(monomials=INTERFERENCE, benchmarks={"S": "mu", "SBI": 1.0, "B": 0.0}, variances=variances)


def test_variances_must_be_positive():
    points = {"a": 0.0, "b": 0.5, "c": 1.0, "d": 2.0}
    with pytest.raises(PhysicsDomainError, match="variance of benchmark b"):
        Morphing(monomials=INTERFERENCE, benchmarks=points, variances={"a": 1.0, "b": 0.0, "c": 1.0, "d": 1.0})
