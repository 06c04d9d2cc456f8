"""Coefficients of the processes of a mixture as functions of the parameters: values and derivatives at many points."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from toolkit.errors import SchemaError, ShapeError
from toolkit.expressions.arithmetic import Expression
from toolkit.likelihood.parameters import Parameter
from toolkit.typing import FloatArray

_EW = "(10**0.5 - 10)"
_BASES = {
    "ggF": ("{mu} - sqrt({mu})", "sqrt({mu})", "1 - sqrt({mu})"),
    "EW": (
        f"((1 - 10**0.5) * {{mu}} + 9 * sqrt({{mu}}) + {_EW}) / {_EW}",
        f"(10**0.5 * {{mu}} - 10 * sqrt({{mu}})) / {_EW}",
        f"(sqrt({{mu}}) - {{mu}}) / {_EW}",
    ),
}


def morphing_expressions(basis: str = "ggF", *, parameter: str = "mu", n_backgrounds: int = 0) -> tuple[str, ...]:
    """Write the morphing coefficients of a basis as expressions, those of the non-interfering backgrounds (1) last.

    Args:
        basis: "ggF" (benchmarks S, SBI, B) or "EW" (B, SBI1, SBI10).
        parameter: Name of the signal strength.
        n_backgrounds: Number of processes that do not interfere.

    Returns:
        One expression per process: the three benchmarks, then the backgrounds.

    Raises:
        SchemaError: The basis is not known.

    Examples:
        >>> morphing_expressions(n_backgrounds=1)
        ('mu - sqrt(mu)', 'sqrt(mu)', '1 - sqrt(mu)', '1')
    """
    if basis not in _BASES:
        msg = "morphing basis"
        raise SchemaError(
            msg, got=repr(basis), expected=f"one of {sorted(_BASES)}", remedy="name a basis, or write the expressions yourself"
        )
    return tuple(e.format(mu=parameter) for e in _BASES[basis]) + ("1",) * n_backgrounds


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
        parsed = tuple(Expression.parse(e) for e in expressions)
        for expression in parsed:
            for name in expression.names:
                if name not in parameters:
                    near = difflib.get_close_matches(name, list(parameters), n=1)
                    hint = f"did you mean {near[0]!r}?" if near else "declare it among the parameters"
                    msg = f"coefficient {expression.text!r}"
                    raise SchemaError(
                        msg,
                        got=f"undefined parameter {name!r}",
                        expected=f"one of {list(parameters)}",
                        remedy=hint,
                    )
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
        return np.array(_remembered_values(self, np.ascontiguousarray(points, dtype=np.float64).tobytes(), points.shape))

    def jacobian(self, points: FloatArray) -> FloatArray:
        """Evaluate the derivatives of all coefficients, infinite where they diverge (sqrt at 0).

        Args:
            points: Parameter points, (n_points, n_parameters).

        Returns:
            Derivatives, (n_points, n_parameters, n_processes).
        """
        named = self._named(points)
        out = np.zeros((len(points), len(self.parameters), len(self.expressions)))
        for j, expression in enumerate(self.expressions):
            for name, slope in expression.dual(named)[1].items():
                out[:, self.parameters.index(name), j] = slope
        return out

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
def _remembered_values(coefficients: Coefficients, content: bytes, shape: tuple[int, ...]) -> FloatArray:
    """Evaluate the coefficients at points; thousands of toys ask for the same grid."""
    points = np.frombuffer(content, dtype=np.float64).reshape(shape)
    named = coefficients._named(points)
    return np.stack([np.broadcast_to(e.dual(named)[0], shape[:1]) for e in coefficients.expressions], axis=1)


def describe_point(names: Sequence[str], point: FloatArray) -> str:
    """Write a parameter point for a message: "mu = 0.5, t = 1".

    Examples:
        >>> describe_point(("mu", "alpha"), [1.0, -0.5])
        'mu = 1, alpha = -0.5'
    """
    return ", ".join(f"{name} = {value:.6g}" for name, value in zip(names, point, strict=True))


class Differentiable(Protocol):
    """Functions of the parameters that know their derivatives; `Coefficients` and `toolkit.likelihood.rates.Rates` are."""

    def jacobian(self, points: FloatArray) -> FloatArray:
        """Evaluate the derivatives, (n_points, n_parameters, n_functions)."""
        ...


def diverging_parameters(coefficients: Differentiable, parameters: Sequence[Parameter]) -> frozenset[str]:
    """Find the parameters by which a coefficient's derivative is infinite at the lower end of the range."""
    found = set()
    for k, parameter in enumerate(parameters):
        if np.isfinite(parameter.low):
            point = np.array([[p.init for p in parameters]])
            point[0, k] = parameter.low
            if not np.all(np.isfinite(coefficients.jacobian(point)[0, k])):
                found.add(parameter.name)
    return frozenset(found)
