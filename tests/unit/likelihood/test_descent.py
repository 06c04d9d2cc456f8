"""Descents: where second derivatives mislead, from a saddle, around forbidden points."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.likelihood.curves import Curve
from toolkit.likelihood import Parameter
from toolkit.likelihood.coordinates import FreeCoordinates
from toolkit.likelihood.descent import descend, polish


def funnel() -> FreeCoordinates:
    """sqrt(1 + x^2): far from the minimum a Newton step goes to -x^3, further up on the other side."""
    function = Curve(lambda p: np.sqrt(1.0 + p[0] ** 2), lambda p: p / np.sqrt(1.0 + p[0] ** 2), Parameter("x", 5.0, -1000.0, 1000.0))
    return FreeCoordinates.of(function, {})


@pytest.mark.parametrize("given", [None, 1e-3, 1e3])
@pytest.mark.parametrize("start", [0.5, 3.0, -8.0])
def test_a_step_that_climbs_is_shortened(start: float, given: float | None) -> None:
    space = funnel()
    reached = polish(space, descend(space, np.array([start]), hessian=None if given is None else np.array([[given]])))
    assert reached.at[0] == pytest.approx(0.0, abs=1e-6)
    assert reached.value + space.offset == pytest.approx(1.0, abs=1e-12)
    assert space.n_evaluations < 120


def test_a_saddle_is_left() -> None:
    """(x^2 - 1)^2 + y^2 has no gradient at the origin, and its minima at x = -1 and 1."""
    function = Curve(
        lambda p: (p[0] ** 2 - 1.0) ** 2 + p[1] ** 2,
        lambda p: [4.0 * p[0] * (p[0] ** 2 - 1.0), 2.0 * p[1]],
        Parameter("x", 0.0, -5.0, 5.0),
        Parameter("y", 0.0, -5.0, 5.0),
    )
    space = FreeCoordinates.of(function, {})
    reached = polish(space, descend(space, np.zeros(2)))
    assert np.abs(reached.at) == pytest.approx([1.0, 0.0], abs=1e-6)


@pytest.mark.parametrize("given", [False, True])
def test_forbidden_points_are_walked_around(given: bool) -> None:
    """(x - 3)^2 + (y - 1)^2 where x < 2 only; beyond, the value is infinite and the gradient means nothing."""

    def value(p: Any) -> float:
        return float((p[0] - 3.0) ** 2 + (p[1] - 1.0) ** 2 - np.log(2.0 - p[0])) if p[0] < 2.0 else np.inf

    def gradient(p: Any) -> Any:
        return [2.0 * (p[0] - 3.0) + 1.0 / (2.0 - p[0]), 2.0 * (p[1] - 1.0)] if p[0] < 2.0 else [np.nan, np.nan]

    space = FreeCoordinates.of(Curve(value, gradient, Parameter("x", -4.0, -5.0, 5.0), Parameter("y", -4.0, -5.0, 5.0)), {})
    reached = descend(space, np.array([-4.0, -4.0]), hessian=np.diag([0.02, 0.02]) if given else None)
    assert reached.at == pytest.approx([(5.0 - np.sqrt(3.0)) / 2.0, 1.0], abs=1e-4)  # 2 (x - 3)(2 - x) = -1
