"""Asimov sets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.likelihood import asimov_weights, morphing_expressions

COEFFICIENTS = morphing_expressions(n_backgrounds=1)


def test_sum_is_the_expectation(toy: Any) -> None:
    weights = asimov_weights(toy.weights, coefficients=COEFFICIENTS, parameters={"mu": 4.0})
    s, sbi, b, q = toy.yields
    assert weights.sum() == pytest.approx(2 * s + 2 * sbi - b + q, rel=1e-12)
    np.testing.assert_allclose(weights, toy.asimov(4.0), rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"bounds": {"mu": (0.0, 1.0)}}, PhysicsDomainError, "contains the truth 4"),
        ({"coefficients": ("mu", "1")}, ShapeError, "one column per coefficient"),
        ({"parameters": {"nu": 1.0}}, SchemaError, "undefined parameter 'mu'"),
        ({"parameters": {"mu": -1.0}}, PhysicsDomainError, "sqrt"),
        ({"coefficients": ("-1", "0", "0", "0")}, PhysicsDomainError, "sum of weights"),
    ],
)
def test_bad_input(toy: Any, change: dict[str, Any], error: type[Exception], match: str) -> None:
    options: dict[str, Any] = {"coefficients": COEFFICIENTS, "parameters": {"mu": 4.0}}
    with pytest.raises(error, match=match):
        asimov_weights(toy.weights, **{**options, **change})
