"""Coefficients of first order: against the derivative, and what cannot be expanded."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.expressions import Expression
from toolkit.likelihood import BinnedLikelihood, Workspace, make_document
from toolkit.likelihood.linear import linear_document, linear_text


def test_the_plane_touches_the_function() -> None:
    text, at = "c_t**2 * c_g - 3 / c_t + 2", {"c_t": 1.2, "c_g": -0.7}
    plane = Expression.parse(linear_text(text, at))
    full = Expression.parse(text)
    assert plane.value(at) == pytest.approx(full.value(at), rel=1e-14)
    assert plane.derivative(at) == pytest.approx(full.derivative(at), rel=1e-14)
    assert plane.derivative({"c_t": 9.0, "c_g": 4.0}) == pytest.approx(full.derivative(at), rel=1e-14)
    assert Expression.parse(linear_text("7", at)).value({}) == 7.0
    with pytest.raises(SchemaError, match="t0"):
        linear_text("c_t * t0", at)
    with pytest.raises(PhysicsDomainError, match="infinite"):
        linear_text("sqrt(c)", {"c": 0.0})


def test_a_workspace_without_squares_measures_the_interference_alone() -> None:
    """|1 + c|^2 of one count: n = s (1 + c)^2 and, to first order, n = s (1 + 2 c)."""
    full = BinnedLikelihood(
        templates=[[100.0]], data=[121.0], coefficients=("1 + 2 * c + c**2",), parameters=("c",), bounds={"c": (-0.4, 2.0)}, channel="SR"
    )
    document = make_document(parameters=full.parameters, binned=[full])
    linear = Workspace(linear_document(document, {"c": 0.0})).likelihood()
    assert full.fit().parameters["c"] == pytest.approx(0.1, abs=1e-6)
    assert linear.fit().parameters["c"] == pytest.approx(0.105, abs=1e-6)
    np.testing.assert_equal(document["channels"][0]["samples"][0]["modifiers"][0]["data"]["coefficient"], "1 + 2 * c + c**2")
