"""Artificial likelihoods: any function of a few parameters with its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from toolkit.likelihood import Likelihood, Parameter


class Curve(Likelihood):
    """Any function of its parameters with its gradient."""

    def __init__(self, value: Callable[[Any], float], gradient: Callable[[Any], Any], *parameters: Parameter) -> None:
        self._value, self._gradient, self._parameters = value, gradient, parameters

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        return self._parameters

    @property
    def diverging(self) -> frozenset[str]:
        return frozenset()

    def twice_nll_points(self, points: Any) -> Any:
        return np.array([self._value(p) for p in points])

    def gradient_at(self, point: Any) -> Any:
        return np.atleast_1d(np.asarray(self._gradient(point), dtype=np.float64))
