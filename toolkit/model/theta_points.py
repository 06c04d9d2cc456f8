"""A few values of the parameter whose densities span those of all others: there a network that reads it is like one of densities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from toolkit.errors import SchemaError
from toolkit.model.coefficients import Coefficients
from toolkit.model.model import Model
from toolkit.typing import FloatArray

FINE = 101
SMALL = 1e-9


@dataclass(frozen=True)
class ThetaPoints:
    """Values of one parameter, and what the densities of the model contribute at each.

    Attributes:
        parameter: Its name.
        range: Its range.
        values: The values, increasing.
        coefficients: Coefficients of the densities at each, (n_values, n_densities) as tuples.
        expressions: The coefficients as expressions.

    Examples:
        >>> from toolkit.model.bases import BASES
        >>> from toolkit.model.parameters import ModelParameter
        >>> model = Model((ModelParameter("mu", range=(0.0, 4.0)),), (BASES["ggF"].process("ggF", parameter="mu"),))
        >>> points = ThetaPoints.of(model)
        >>> points.names, points.along([2.25]).round(6).tolist()
        (('mu=0', 'mu=1', 'mu=4'), [[-0.125, 0.75, 0.375]])
    """

    parameter: str
    range: tuple[float, float]
    values: tuple[float, ...]
    coefficients: tuple[tuple[float, ...], ...]
    expressions: tuple[str, ...]

    @classmethod
    def of(cls, model: Model) -> ThetaPoints:
        """Choose the values: the ends of the range, the truth, and others between them, as many as there are independent densities.

        Raises:
            SchemaError: Not one parameter, or coefficients that do not depend on it.
        """
        if len(model.parameters) != 1:
            remedy = "use the mixture, which knows any number of parameters"
            raise SchemaError(
                "parameters of a network that reads them",
                got=list(model.parameter_names),
                expected="one parameter of interest",
                remedy=remedy,
            )
        [p] = model.parameters
        texts = model.expressions()
        coefficients = Coefficients.parse(texts, (p.name,))
        low, high = p.range
        rank = int(np.linalg.matrix_rank(coefficients.values(_between(low, high, FINE)[:, None]), tol=SMALL))
        if rank < 2:
            raise SchemaError(f"densities as functions of {p.name}", got=list(texts), expected="coefficients that depend on it")
        values = _between(low, high, rank)
        if rank > 2 and low < p.truth < high:
            inner = 1 + int(np.argmin(np.abs(values[1:-1] - p.truth)))
            values[inner] = p.truth
        matrix = coefficients.values(values[:, None])
        return cls(p.name, p.range, tuple(values.tolist()), tuple(tuple(row) for row in matrix.tolist()), texts)

    @property
    def names(self) -> tuple[str, ...]:
        """One name per value."""
        return tuple(f"{self.parameter}={value:g}" for value in self.values)

    @property
    def matrix(self) -> FloatArray:
        """Coefficients of the densities at each value, (n_values, n_densities)."""
        return np.array(self.coefficients)

    def along(self, values: ArrayLike) -> FloatArray:
        """Write the densities at other values of the parameter as combinations of those at the chosen ones, (n, n_values)."""
        wanted = Coefficients.parse(self.expressions, (self.parameter,)).values(np.asarray(values, dtype=np.float64)[:, None])
        return np.asarray(wanted @ np.linalg.pinv(self.matrix))

    def weigh(self, weights: FloatArray) -> FloatArray:
        """Turn weights under the densities (n, n_densities) into those at the chosen values, (n, n_values)."""
        return np.asarray(weights @ self.matrix.T)

    def shares(self, yields: FloatArray) -> FloatArray:
        """Return the coefficients of the densities in the even mixture of the normalised densities at the values, (n_densities,).

        Args:
            yields: Expected events of each density, (n_densities,).
        """
        expected = self.matrix @ yields
        return np.asarray((self.matrix / expected[:, None]).mean(axis=0) * expected.mean())


def _between(low: float, high: float, n: int) -> FloatArray:
    """Return values between two ends, denser at small ones where the ends are not negative."""
    if low < 0.0:
        return np.linspace(low, high, n)
    values = np.linspace(np.sqrt(low), np.sqrt(high), n) ** 2
    values[0], values[-1] = low, high
    return np.asarray(values)


def even_mixture(names: Sequence[str]) -> dict[str, float]:
    """Return equal fractions of some densities.

    Examples:
        >>> even_mixture(("mu=0", "mu=1"))
        {'mu=0': 0.5, 'mu=1': 0.5}
    """
    return {name: 1.0 / len(names) for name in names}
