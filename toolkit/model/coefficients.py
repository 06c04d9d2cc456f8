"""A vector of expressions in an ordered list of parameters: values and derivatives at many points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from toolkit.errors import SchemaError, ShapeError
from toolkit.expressions.arithmetic import Expression
from toolkit.model.parameters import require_names
from toolkit.typing import FloatArray


@dataclass(frozen=True)
class Coefficients:
    """A vector of expressions in an ordered list of parameters.

    Attributes:
        expressions: One per process, length n_processes.
        parameters: Names in the order of the parameter axis.

    Examples:
        >>> c = Coefficients.parse(("mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)"), ("mu",))
        >>> c.values(np.array([[4.0]])).tolist()
        [[2.0, 2.0, -1.0]]
    """

    expressions: tuple[Expression, ...]
    parameters: tuple[str, ...]

    @classmethod
    def parse(cls, expressions: Sequence[str], parameters: Sequence[str]) -> Coefficients:
        """Parse expressions and check that every name in them is a parameter.

        Raises:
            SchemaError: An expression is not of the grammar or uses an undefined parameter.
        """
        if isinstance(expressions, str):
            msg = "coefficients"
            raise SchemaError(msg, got=repr(expressions), expected="one expression per process", remedy="give a tuple of strings")
        parsed = tuple(require_names(text, known=parameters, what="coefficient") for text in expressions)
        return cls(expressions=parsed, parameters=tuple(parameters))

    @property
    def texts(self) -> tuple[str, ...]:
        """The expressions as written."""
        return tuple(e.text for e in self.expressions)

    def values(self, points: FloatArray) -> FloatArray:
        """Evaluate all coefficients.

        Args:
            points: Parameter points, (n_points, n_parameters).

        Returns:
            Coefficients, (n_points, n_processes).
        """
        return np.array(_evaluated(self, np.ascontiguousarray(points, dtype=np.float64).tobytes(), points.shape)[0])

    def jacobian(self, points: FloatArray) -> FloatArray:
        """Evaluate the derivatives of all coefficients, infinite where they diverge (sqrt at 0).

        Args:
            points: Parameter points, (n_points, n_parameters).

        Returns:
            Derivatives, (n_points, n_parameters, n_processes).
        """
        return np.array(_evaluated(self, np.ascontiguousarray(points, dtype=np.float64).tobytes(), points.shape)[1])

    def _named(self, points: FloatArray) -> dict[str, FloatArray]:
        if points.ndim != 2 or points.shape[1] != len(self.parameters):
            msg = "parameter points"
            raise ShapeError(
                msg,
                got=points.shape,
                expected=f"(n_points, {len(self.parameters)})",
                remedy=f"give one value per parameter {self.parameters}",
            )
        return {name: points[:, k] for k, name in enumerate(self.parameters)}


@lru_cache(maxsize=64)
def _evaluated(coefficients: Coefficients, content: bytes, shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray]:
    """Evaluate values and derivatives at points, which come together; thousands of toys ask for the same grid."""
    points = np.frombuffer(content, dtype=np.float64).reshape(shape)
    named = coefficients._named(points)
    duals = {e: e.dual(named) for e in set(coefficients.expressions)}
    values = np.empty((len(points), len(coefficients.expressions)))
    derivatives = np.zeros((len(points), len(coefficients.parameters), len(coefficients.expressions)))
    columns = {name: k for k, name in enumerate(coefficients.parameters)}
    for j, expression in enumerate(coefficients.expressions):
        values[:, j], own = duals[expression]
        for name, slope in own.items():
            derivatives[:, columns[name], j] = slope
    return values, derivatives
