"""Coefficients of densities against closed forms and loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from toolkit.errors import SchemaError
from toolkit.expressions import Expression
from toolkit.likelihood.asimov import coefficient_values
from toolkit.model import (
    BASES,
    Process,
    class_matrix,
    density_expressions,
    density_transform,
    determines_matrix,
    learned_densities,
    solve_matrices,
    solve_products,
    wilson_monomials,
)
from toolkit.model.bases import wilson_amplitudes
from toolkit.weights import Morphing

D = 10**0.5 - 10
CLOSED = {
    "ggF": lambda mu: [mu - mu**0.5, mu**0.5, 1 - mu**0.5],
    "EW": lambda mu: [
        ((1 - 10**0.5) * mu + 9 * mu**0.5 + D) / D,
        (10**0.5 * mu - 10 * mu**0.5) / D,
        (mu**0.5 - mu) / D,
    ],
}


@pytest.mark.parametrize("mu", [0.0, 0.25, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("name", ["ggF", "EW"])
def test_multipliers_of_both_bases_are_the_closed_forms(name: str, mu: float) -> None:
    process = BASES[name].process(name)
    texts = density_expressions(process, of=process.benchmarks)
    np.testing.assert_allclose(coefficient_values(texts, {"mu": mu}), CLOSED[name](mu), atol=1e-12)
    solved = solve_products(process) @ [mu, mu**0.5, 1.0]
    np.testing.assert_allclose(solved, CLOSED[name](mu), atol=1e-12)


def test_learned_densities_of_two_amplitudes_have_the_coefficients_of_ggf() -> None:
    for name in ("ggF", "EW"):
        assert density_expressions(BASES[name].process(name)) == ("mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)")


def test_transform_of_ew_makes_the_signal_from_three_benchmarks() -> None:
    process = BASES["EW"].process("EW")
    s, i, b = 2.0, -1.5, 9.0
    carried = np.array([[b, s + i + b, 10 * s + 10**0.5 * i + b]])
    np.testing.assert_allclose(carried @ density_transform(process), [[s, s + i + b, b]], atol=1e-12)


def test_kappa_has_its_benchmarks_as_densities_and_five_functions() -> None:
    process = BASES["kappa"].process("kappa")
    assert not determines_matrix(process)
    assert learned_densities(process) == process.benchmarks
    morphing = Morphing(monomials=BASES["kappa"].monomials, benchmarks=dict(BASES["kappa"].points))
    for kappa in (0.3, 1.0, 1.35):
        np.testing.assert_allclose(
            coefficient_values(density_expressions(process), {"kappa": kappa}), morphing.coefficients(kappa), atol=1e-9
        )
    with pytest.raises(SchemaError, match="same function of the parameters"):
        solve_matrices(process, np.ones((1, 5)))


def test_wilson_amplitudes_give_the_monomials_of_an_effective_theory() -> None:
    names = ["c1", "c2"]
    points = {"SM": [1, 0, 0], "a": [1, 1, 0], "b": [1, -1, 0], "c": [1, 0, 1], "d": [1, 0, -1], "e": [1, 1, 1]}
    process = Process.build("eft", wilson_amplitudes(names), points)
    theta = {"c1": 0.3, "c2": -0.7}
    morphing = Morphing(monomials=wilson_monomials(names), benchmarks={k: v[1:] for k, v in points.items()})
    values = coefficient_values(density_expressions(process, of=process.benchmarks), theta)
    np.testing.assert_allclose(values, morphing.coefficients(theta), atol=1e-12)


@pytest.mark.parametrize(
    "coefficients",
    [
        {"S": "sqrt(mu / 2)", "B": "1"},
        {"S": "kappa * (1 + mu)", "B": "1 - 0.5 * mu"},
        {"a": "sqrt(mu) * kappa", "b": "kappa**2", "c": "1", "d": "mu"},
    ],
)
def test_expressions_give_the_density_of_any_amplitudes(coefficients: dict[str, str]) -> None:
    """Slow twin: sum over k and l of a_k a_l M_kl."""
    n = len(coefficients)
    unit = {f"{k}{m}": [float(i in (k, m)) for i in range(n)] for k, m in itertools.combinations_with_replacement(range(n), 2)}
    process = Process.build("p", coefficients, unit, factor="t0 * t1")
    rng = np.random.default_rng(1)
    root = rng.normal(size=(n, n))
    m = root @ root.T
    theta = {"mu": 1.7, "kappa": 0.8, "t0": 1.2, "t1": 0.9}
    a = [Expression.parse(text).value(theta) for text in coefficients.values()]
    expected = 0.0
    for k in range(n):
        for j in range(n):
            expected += 1.2 * 0.9 * a[k] * a[j] * m[k, j]
    total = 0.0
    for text, density in zip(density_expressions(process), learned_densities(process), strict=True):
        v = np.array(density.vector)
        total += Expression.parse(text).value(theta) * float(v @ m @ v)
    assert total == pytest.approx(expected, rel=1e-10)


def test_a_root_of_an_expression_is_squared_without_a_root() -> None:
    process = Process.build("ggF", {"S": "sqrt(mu / (1 + mu))", "B": "1"}, {"S": [1, 0], "SBI": [1, 1], "B": [0, 1]})
    assert density_expressions(process)[0] == "(mu / (1 + mu)) - sqrt((mu / (1 + mu)))"
    kept = Process.build("ggF", {"S": "sqrt(mu) / sqrt(1 + mu)", "B": "1"}, {"S": [1, 0], "SBI": [1, 1], "B": [0, 1]})
    assert coefficient_values(density_expressions(kept), {"mu": 3.0})[0] == pytest.approx(0.75 - 0.75**0.5)


def test_matrices_come_back_from_their_benchmark_weights() -> None:
    rng = np.random.default_rng(2)
    root = rng.normal(size=(50, 3, 3))
    m = root @ root.transpose(0, 2, 1)
    vectors = rng.normal(size=(9, 3))
    process = Process.build("p", {"a": "x", "b": "y", "c": "1"}, {f"b{i}": list(v) for i, v in enumerate(vectors)})
    weights = np.array([[v @ one @ v for v in vectors] for one in m])
    np.testing.assert_allclose(solve_matrices(process, weights), m, atol=1e-10)
    chosen = ("b7", "b1", "b3", "b4", "b0", "b2")
    columns = [int(name[1:]) for name in chosen]
    np.testing.assert_allclose(solve_matrices(process, weights[:, columns], names=chosen), m, atol=1e-8)


def test_class_matrix_gives_every_amplitude_its_share() -> None:
    process = Process.build("p", {"a": "x", "b": "y", "c": "1"}, {"x": [1, 0, 0]})
    k = class_matrix(process, {"a": 3.0, "b": 50.0, "c": 10.0}).diagonal()
    shares = k * [3.0, 50.0, 10.0] / np.sum(k * [3.0, 50.0, 10.0])
    np.testing.assert_allclose(shares, [0.25, 0.25, 0.5])
    assert k[2] == 1.0


VECTORS: dict[str, dict[str, list[float]]] = {
    "amplitude 'B' of process 'ggF'": {"S": [1, 0], "S2": [2, 0], "S3": [3, 0]},
    "only up to the sign": {"S": [1, 0], "B": [0, 1], "S2": [2, 0]},
    "undetermined": {"S": [1, 0], "SBI": [1, 1], "S2": [2, 0]},
}


@pytest.mark.parametrize("message", list(VECTORS))
def test_what_benchmarks_do_not_determine_is_named(message: str) -> None:
    process = Process.build("ggF", {"S": "sqrt(mu)", "B": "1"}, VECTORS[message])
    with pytest.raises(SchemaError, match=message):
        density_expressions(process)
