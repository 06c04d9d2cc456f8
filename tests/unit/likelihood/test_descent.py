"""Newton descents where the second derivatives mislead."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from toolkit.likelihood.coordinates import FreeCoordinates
from toolkit.likelihood.descent import newton_descent
from toolkit.typing import FloatArray


class Funnel:
    """sqrt(1 + x^2): far from the minimum a Newton step goes to -x^3, further up on the other side."""

    low, high = np.array([-1000.0]), np.array([1000.0])

    def __init__(self) -> None:
        self.curvatures = 0

    def widths(self) -> FloatArray:
        return self.high - self.low

    def value(self, at: FloatArray) -> float:
        return float(np.sqrt(1.0 + at[0] ** 2))

    def gradient(self, at: FloatArray) -> FloatArray:
        return at / np.sqrt(1.0 + at**2)

    def both(self, at: FloatArray) -> tuple[float, FloatArray]:
        return self.value(at), self.gradient(at)

    def hessian(self, at: FloatArray) -> FloatArray:
        self.curvatures += 1
        if self.curvatures > 100:
            pytest.fail("the descent evaluates second derivatives again and again")
        return np.array([(1.0 + at**2) ** -1.5])


@pytest.mark.parametrize("given", [None, 1e-3, 1e3])
@pytest.mark.parametrize("start", [0.5, 3.0, -8.0])
def test_a_step_that_climbs_is_shortened(start: float, given: float | None) -> None:
    hessian = None if given is None else np.array([[given]])
    reached = newton_descent(cast(FreeCoordinates, Funnel()), np.array([start]), hessian=hessian)
    assert reached is not None
    assert reached.at[0] == pytest.approx(0.0, abs=1e-6)
    assert reached.value == pytest.approx(1.0, abs=1e-12)
