"""Effective field theories, products of blocks, substitution, written coefficients, contents given as text."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.model.monomials import parse_combination
from toolkit.weights import Morphing, basis, product, smeft, substituted
from toolkit.weights.monomials import MonomialVector

INTERFERENCE = ("mu", "sqrt(mu)", "1")


def amplitude_squared(amplitudes, c):
    """|A_SM + sum_i c_i A_i|^2 of every event; amplitudes (n_events, n + 1) complex."""
    return np.abs(amplitudes[:, 0] + amplitudes[:, 1:] @ c) ** 2


def points_of(morphing, names):
    values = []
    for benchmark in morphing.benchmark_names:
        given_values = dict(part.split("=") for part in benchmark.split(",") if "=" in part)
        values.append([float(given_values.get(name, 0.0)) for name in names])
    return np.array(values)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_effective_theory_reproduces_the_amplitude_everywhere(n):
    rng = np.random.default_rng(11 + n)
    names = [f"c{i}" for i in range(n)]
    eft = smeft(names, scale=0.5)
    assert len(eft.benchmark_names) == len(eft.monomials) == (n + 1) * (n + 2) // 2
    amplitudes = rng.normal(size=(7, n + 1)) + 1j * rng.normal(size=(7, n + 1))
    w = np.stack([amplitude_squared(amplitudes, c) for c in points_of(eft, names)], axis=1)
    for c in rng.normal(size=(10, n)):
        np.testing.assert_allclose(eft.weights(w, c), amplitude_squared(amplitudes, c), rtol=1e-9, atol=1e-10)


def test_effective_theory_with_own_points_and_scales():
    eft = smeft(["a", "b"], scale={"a": 0.1, "b": 10.0}, ranges={"a": (-1.0, 1.0)})
    assert eft.benchmark_names == ("SM", "a=0.1", "a=-0.1", "b=10", "b=-10", "a=0.1,b=10")
    with pytest.raises(PhysicsDomainError, match=r"-1 <= a <= 1"):
        eft.coefficients([2.0, 0.0])
    own = smeft(["a"], benchmarks={"x": 0.0, "y": 2.0, "z": -1.0})
    np.testing.assert_allclose(own.coefficients(2.0), [0, 1, 0], atol=1e-12)


@pytest.mark.parametrize("wrong", [{"coefficients": []}, {"coefficients": ["a", "a"]}, {"coefficients": ["a"], "scale": {"b": 1.0}}])
def test_wrong_effective_theory(wrong):
    with pytest.raises(SchemaError):
        smeft(**wrong)


# ---- products


def test_product_of_independent_blocks_is_the_outer_product():
    first, second = basis("EW"), smeft(["a", "b"])
    both = product(first, second)
    f = both.coefficients([2.5, 0.3, -0.4])
    expected = np.outer(first.coefficients(2.5), second.coefficients([0.3, -0.4])).ravel()
    np.testing.assert_allclose(f, expected, rtol=1e-9, atol=1e-10)
    assert both.benchmark_names[:2] == ("B*SM", "B*a=1")


def test_product_of_signal_strengths_keeps_pure_contributions():
    """mu_prod (ggF with its box) times a decay strength: 9 benchmarks, those of S without a parameter of their own."""
    both = product(basis("ggF"), Morphing(monomials=["1", "k"], benchmarks={"no": 0.0, "yes": 1.0}))
    s, i, b = 2.0, -0.7, 3.0
    at = {"S": s, "SBI": s + i + b, "B": b}
    w = np.array([[at[name.split("*")[0]] * (1.0 + 4.0 * (name.split("*")[1] == "yes")) for name in both.benchmark_names]])
    mu, k = 1.7, 0.6
    assert both.weights(w, {"mu": mu, "k": k})[0] == pytest.approx((mu * s + math.sqrt(mu) * i + b) * (1 + 4 * k), rel=1e-12)


def test_shared_parameter_needs_points():
    block = Morphing(monomials=["1", "kappa", "kappa**2"], benchmarks=[0.0, 1.0, 2.0])
    with pytest.raises(SchemaError, match="both depend on"):
        product(block, block)
    quartic = product(block, block, benchmarks={"0": 0.0, "0.8": 0.8, "1": 1.0, "1.2": 1.2, "1.5": 1.5})
    np.testing.assert_allclose(quartic.coefficients(1.35), basis("kappa").coefficients(1.35), rtol=1e-9)


def test_three_blocks():
    blocks = [Morphing(monomials=["1", name], benchmarks={"off": 0.0, "on": 1.0}) for name in "abc"]
    cube = product(product(blocks[0], blocks[1]), blocks[2])
    theta = np.array([0.2, 0.3, 0.9])
    expected = [
        math.prod(t if on else 1 - t for t, on in zip(theta, corner, strict=True)) for corner in itertools.product([0, 1], repeat=3)
    ]
    np.testing.assert_allclose(cube.coefficients(theta), expected, atol=1e-12)


# ---- substitution


def test_strength_as_a_product_of_couplings():
    couplings = substituted(basis("ggF"), {"mu": "kappa_g**2*kappa_V**2"})
    for g, v in [(1.0, 1.0), (0.5, 1.2), (1.3, 0.0)]:
        np.testing.assert_allclose(couplings.coefficients({"kappa_g": g, "kappa_V": v}), basis("ggF").coefficients(g**2 * v**2), atol=1e-12)
    assert np.all(np.isfinite(couplings.gradient({"kappa_g": 0.0, "kappa_V": 1.0})))  # no root is left
    fourth = substituted(basis("EW"), {"mu": "kappa**4"})
    assert fourth.monomials == ("kappa**4", "kappa**2", "1")
    with pytest.raises(SchemaError, match="parameters to replace"):
        substituted(basis("EW"), {"nu": "kappa**4"})


# ---- contents as text


def test_signal_with_interference_alone_serves_as_a_benchmark():
    morphing = Morphing(monomials=INTERFERENCE, benchmarks={"S": "mu", "SI": "mu + sqrt(mu)", "B": 0.0})
    f = morphing.coefficients(4.0)  # 4 S + 2 I + B = 2 (S + I) + 2 S + B
    np.testing.assert_allclose(f, [2.0, 2.0, 1.0], atol=1e-12)
    np.testing.assert_allclose(
        Morphing(monomials=["1", "c"], benchmarks={"a": "1 + 2*c", "b": "3"}).coefficients(2.0), [1.0, 0.0], atol=1e-12
    )


@pytest.mark.parametrize("text", ["", "mu+", "2 mu", "mu*", "mu -* c", "exp(mu) + 1"])
def test_wrong_contents(text):
    with pytest.raises(SchemaError, match="monomial"):
        parse_combination(text)


@given(
    st.lists(st.tuples(st.floats(1e-6, 1e6), st.sampled_from(["1", "mu", "sqrt(mu)", "c**2*mu"]), st.booleans()), min_size=1, max_size=6)
)
def test_written_sums_are_read_back(terms):
    text = "".join((" - " if minus else " + ") + f"{factor!r}*{monomial}" for factor, monomial, minus in terms)
    expected = {}
    for factor, monomial, minus in terms:
        expected[monomial] = expected.get(monomial, 0.0) + (-factor if minus else factor)
    assert {str(m): c for m, c in parse_combination(text).items()} == expected


def test_rows_of_the_wrong_length():
    with pytest.raises(ShapeError, match="benchmark 'a'"):
        Morphing.from_rows({"a": [1.0, 0.0]}, monomials=INTERFERENCE)
    with pytest.raises(SchemaError, match="none"):
        Morphing.from_rows({}, monomials=INTERFERENCE)


# ---- laws over random bases


@st.composite
def random_basis(draw):
    """Monomials of one or two parameters and as many points as needed or up to two more, in general position."""
    n_parameters = draw(st.integers(1, 2))
    names = ["x", "y"][:n_parameters]
    powers = draw(st.lists(st.tuples(*[st.integers(0, 3)] * n_parameters), min_size=2, max_size=5, unique=True))
    monomials = ["*".join(f"{n}**{p}" for n, p in zip(names, row, strict=True) if p) or "1" for row in powers]
    used = [n for n in names if any(n in m for m in monomials)]
    extra = draw(st.integers(0, 2))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    points = rng.uniform(-2.0, 2.0, size=(len(monomials) + extra, len(used)))
    return monomials, used, points, rng


@settings(max_examples=60, deadline=None)
@given(random_basis())
def test_every_polynomial_is_reproduced(case):
    monomials, used, points, rng = case
    assume(used)
    vector = MonomialVector.build(monomials, parameters=used)
    rows = np.array([vector.values(p) for p in points])
    assume(np.linalg.cond(rows / np.linalg.norm(rows, axis=0)) < 1e5)
    morphing = Morphing(monomials=monomials, benchmarks={str(i): p for i, p in enumerate(points)}, parameters=used)
    content = rng.normal(size=len(monomials))
    theta = rng.uniform(-2.0, 2.0, size=len(used))
    w = rows @ content
    growth = np.abs(morphing.coefficients(theta)) @ np.abs(w)
    assert morphing.weights(w[None], theta)[0] == pytest.approx(content @ vector.values(theta), abs=1e-9 * (1.0 + growth))
    h = 1e-6
    numeric = [(morphing.coefficients(theta + h * e) - morphing.coefficients(theta - h * e)) / (2 * h) for e in np.eye(len(used))]
    np.testing.assert_allclose(morphing.gradient(theta), numeric, atol=1e-6 * (1.0 + np.abs(morphing.solution).max()))
    np.testing.assert_allclose(rows.T @ morphing.solution, np.eye(len(monomials)), atol=1e-8)


@settings(max_examples=30, deadline=None)
@given(random_basis())
def test_a_repeated_point_never_hides(case):
    """As many points as monomials, two of them equal: refused, and both are named."""
    monomials, used, points, _ = case
    assume(used)
    chosen = {f"p{i}": p for i, p in enumerate(points[: len(monomials)])}
    chosen["again"] = chosen.pop(f"p{len(monomials) - 1}") * 0 + points[0]
    with pytest.raises(SchemaError, match=r"degenerate: p0.*again; undetermined"):
        Morphing(monomials=monomials, benchmarks=chosen, parameters=used)
