"""The safe grammar: values, derivatives, refusals."""

from __future__ import annotations

import ast
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.expressions.arithmetic import Expression

PARAMETERS = {"mu": 1.7, "t0": 0.9, "x": 0.3}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1.0),
        ("-2**2", -4.0),
        ("2**-1", 0.5),
        ("2**3**2", 512.0),
        ("1 - -1", 2.0),
        ("8 / 2 / 2", 2.0),
        ("1e3 + .5", 1000.5),
        ("sqrt(16) * (2 + 1)", 12.0),
        ("mu - sqrt(mu)", 1.7 - math.sqrt(1.7)),
        ("  t0*mu ", 0.9 * 1.7),
    ],
)
def test_value(text: str, value: float) -> None:
    assert Expression.parse(text).value(PARAMETERS) == pytest.approx(value, rel=1e-15)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "2 *",
        "(mu",
        "mu)",
        "mu mu",
        "1.2.3",
        "1_000",
        "0x10",
        "1e999",
        "2j",
        "sqrt",
        "sqrt()",
        "sqrt 4",
        "exp(mu)",
        "mu(1)",
        "a.b",
        "x[0]",
        "mu // 2",
        "mu % 2",
        "mu @ mu",
        "mu ^ 2",
        "mu == 1",
        "not mu",
        "mu if 1 else 2",
        "lambda: 1",
        "(mu, 1)",
        "[mu]",
        "{}",
        "'a'",
        "__import__('os').getcwd()",
        "mu; mu",
        "mu\x00",
        "mü",
        "²",
        "1" + "+1" * 1500,
        "(" * 200 + "1" + ")" * 200,
        "-" * 300 + "1",
        "**",
        "2 ** ** 2",
    ],
)
def test_anything_but_arithmetic_is_refused(text: str) -> None:
    with pytest.raises(SchemaError):
        Expression.parse(text)


def test_not_a_string_is_refused() -> None:
    with pytest.raises(SchemaError, match="a string"):
        Expression.parse(3)  # type: ignore[arg-type]


def test_message_names_the_position() -> None:
    with pytest.raises(SchemaError, match="'%' at position 3"):
        Expression.parse("mu % 2")


def test_missing_parameter_is_named() -> None:
    with pytest.raises(SchemaError, match="'nu'"):
        Expression.parse("mu + nu").value({"mu": 1.0})


@pytest.mark.parametrize("text", ["sqrt(mu)", "1 / (mu + 1)", "mu ** 0.5", "10 ** (-1000 * mu)"])
def test_undefined_value_names_the_point(text: str) -> None:
    with pytest.raises(PhysicsDomainError, match="'mu': -1"):
        Expression.parse(text).value({"mu": -1.0})


@pytest.mark.parametrize(
    ("text", "slope"),
    [
        ("sqrt(mu)", math.inf),
        ("mu - sqrt(mu)", -math.inf),
        ("mu ** 0.5", math.inf),
        ("mu * mu", 0.0),
        ("mu ** 2", 0.0),
        ("mu ** 0", 0.0),
        ("sqrt(4)", None),
        ("0 * sqrt(mu)", 0.0),
        ("mu * sqrt(mu)", 0.0),
        ("sqrt(mu) * sqrt(mu)", 1.0),
        ("sqrt(mu) / sqrt(mu + 1)", math.inf),
        ("sqrt(mu ** 2 + 1)", 0.0),
    ],
)
def test_derivative_at_zero_is_the_limit_from_above(text: str, slope: float | None) -> None:
    derivative = Expression.parse(text).derivative({"mu": 0.0})
    assert derivative.get("mu") == (None if slope is None else pytest.approx(slope, abs=1e-40))


def texts() -> st.SearchStrategy[str]:
    """Random expressions of the grammar, fully parenthesised, with positive bases of roots and powers."""
    leaves = st.one_of(st.sampled_from(sorted(PARAMETERS)), st.floats(0.1, 9.0).map(lambda v: f"{v:.3f}"))

    def grow(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
            st.tuples(inner, inner).map(lambda t: f"({t[0]} / (({t[1]}) ** 2 + 1))"),
            inner.map(lambda t: f"sqrt(({t}) ** 2 + 0.5)"),
            inner.map(lambda t: f"(({t}) ** 2 + 0.5) ** -0.7"),
            inner.map(lambda t: f"-({t})"),
        )

    return st.recursive(leaves, grow, max_leaves=8)


def as_python(text: str, values: dict[str, float]) -> float:
    """Slow twin: Python's own arithmetic on a text that this test made."""
    code = compile(ast.parse(text, mode="eval"), "test", "eval")
    return float(eval(code, {"__builtins__": {}, "sqrt": math.sqrt}, values))


@settings(max_examples=200, deadline=None)
@given(text=texts())
def test_value_and_derivative_agree_with_python(text: str) -> None:
    expression = Expression.parse(text)
    value = as_python(text, PARAMETERS)
    assert expression.value(PARAMETERS) == pytest.approx(value, rel=1e-12, abs=1e-12)
    for name, slope in expression.derivative(PARAMETERS).items():
        h = 1e-4
        around = [as_python(text, {**PARAMETERS, name: PARAMETERS[name] + k * h}) for k in (-2, -1, 1, 2)]
        numerical = (around[0] - 8 * around[1] + 8 * around[2] - around[3]) / (12 * h)
        assert slope == pytest.approx(numerical, rel=1e-6, abs=1e-6 * (1 + max(abs(a) for a in around)))


@settings(max_examples=300, deadline=None)
@given(text=st.text(alphabet="mu01.e+-*/()sqrt _[]'\"=,:;%&\\\n", max_size=40))
def test_any_text_is_read_as_arithmetic_or_refused(text: str) -> None:
    try:
        expression = Expression.parse(text)
    except SchemaError:
        return
    tree = ast.parse(text.strip().replace("\n", " "), mode="eval")
    allowed = (ast.Expression, ast.BinOp, ast.UnaryOp, ast.Call, ast.Name, ast.Constant, ast.operator, ast.unaryop, ast.Load)
    assert all(isinstance(node, allowed) for node in ast.walk(tree))
    assert set(expression.names) == {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} - {"sqrt"}


def test_many_points_at_once() -> None:
    mu = np.linspace(0.0, 6.0, 7)
    value, derivatives = Expression.parse("mu - sqrt(mu) + 0 * t").dual({"mu": mu, "t": 2.0})
    np.testing.assert_allclose(value, mu - np.sqrt(mu), rtol=1e-15)
    np.testing.assert_allclose(derivatives["mu"][1:], 1 - 0.5 / np.sqrt(mu[1:]), rtol=1e-14)
    assert derivatives["t"].tolist() == [0.0] * 7


@pytest.mark.parametrize(("text", "value", "slope"), [("+".join(["a"] * 1000), 2000.0, 1000.0), ("a" + "-a" * 999, -1996.0, -998.0)])
def test_a_sum_as_long_as_the_text_may_be(text: str, value: float, slope: float) -> None:
    expression = Expression.parse(text)
    assert expression.value({"a": 2.0}) == value
    assert expression.derivative({"a": 2.0}) == {"a": slope}


@pytest.mark.parametrize(("text", "value", "slope"), [("a" + "*1" * 999, 2.0, 1.0), ("8/a" + "/1" * 990, 4.0, -2.0)])
def test_a_product_as_long_as_the_text_may_be(text: str, value: float, slope: float) -> None:
    expression = Expression.parse(text)
    assert expression.value({"a": 2.0}) == value
    assert expression.derivative({"a": 2.0}) == {"a": slope}
