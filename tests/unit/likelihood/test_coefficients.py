"""Vectors of expressions, and the ready-made morphing bases."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.errors import SchemaError, ShapeError
from toolkit.likelihood import Coefficients, morphing_expressions
from toolkit.likelihood.asimov import coefficient_values
from toolkit.likelihood.coefficients import diverging_parameters
from toolkit.likelihood.parameters import make_parameters
from toolkit.weights import basis


@pytest.mark.parametrize("name", ["ggF", "EW"])
@pytest.mark.parametrize("mu", [0.0, 0.3, 1.0, 4.0, 10.0])
def test_expressions_equal_the_morphing_solve(name: str, mu: float) -> None:
    expected = basis(name).coefficients({"mu": mu})
    np.testing.assert_allclose(coefficient_values(morphing_expressions(name), {"mu": mu}), expected, atol=1e-12)


def test_jacobian_by_finite_differences() -> None:
    c = Coefficients.parse(("mu - sqrt(mu)", "t * sqrt(mu)", "2"), ("mu", "t"))
    point = np.array([[1.3, 0.8]])
    jacobian = c.jacobian(point)[0]
    for k in range(2):
        step = np.zeros((1, 2))
        step[0, k] = 1e-6
        numerical = (c.values(point + step) - c.values(point - step))[0] / 2e-6
        np.testing.assert_allclose(jacobian[k], numerical, atol=1e-8)


def test_undefined_parameter_is_named_with_its_neighbour() -> None:
    with pytest.raises(SchemaError, match="undefined parameter 'mu_ggf'") as info:
        Coefficients.parse(("mu_ggf",), ("mu_ggF",))
    assert "did you mean 'mu_ggF'" in str(info.value)


def test_one_string_is_not_a_list_of_expressions() -> None:
    with pytest.raises(SchemaError, match="one expression per process"):
        Coefficients.parse("mu", ("mu",))


def test_points_of_the_wrong_width() -> None:
    with pytest.raises(ShapeError):
        Coefficients.parse(("mu",), ("mu",)).values(np.zeros((3, 2)))


def test_unknown_basis() -> None:
    with pytest.raises(SchemaError, match="ggF"):
        morphing_expressions("gg")


def test_diverging_parameters_are_those_under_a_root_at_zero() -> None:
    parameters = make_parameters(("mu", "t"), {"mu": (0.0, 6.0), "t": (0.0, 2.0)})
    assert diverging_parameters(Coefficients.parse(("mu - sqrt(mu)", "t"), ("mu", "t")), parameters) == {"mu"}
    shifted = make_parameters(("mu", "t"), {"mu": (0.1, 6.0), "t": (0.0, 2.0)})
    assert diverging_parameters(Coefficients.parse(("mu - sqrt(mu)", "t"), ("mu", "t")), shifted) == frozenset()
