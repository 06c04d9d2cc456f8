"""Constraints as a likelihood of their own: a term of a combination, where several channels share the parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.constraints import Constraint, check_distinct, replace_observed
from toolkit.likelihood.parameters import Parameter
from toolkit.typing import FloatArray


class ConstraintTerm(Likelihood):
    """Constraints alone, as a term of a `CombinedLikelihood`.

    Args:
        constraints: At least one.
        parameters: The constrained parameters.

    Raises:
        SchemaError: Constraints that repeat, or belong to no parameter.

    Examples:
        >>> term = ConstraintTerm([Constraint("alpha")], [Parameter("alpha", init=0.0, low=-5.0, high=5.0)])
        >>> term.with_auxiliary({"alpha": 0.5}).gradient({"alpha": 0.0}).tolist()
        [-1.0]
    """

    def __init__(self, constraints: Sequence[Constraint], parameters: Sequence[Parameter]) -> None:
        self._parameters = tuple(parameters)
        self._constraints = check_distinct(constraints, self._parameters)
        self._columns = [self.parameter_names.index(c.parameter) for c in self._constraints]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The constrained parameters."""
        return self._parameters

    @property
    def diverging(self) -> frozenset[str]:
        """No parameter."""
        return frozenset()

    @property
    def interfering(self) -> frozenset[str]:
        """No parameter."""
        return frozenset()

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """The constraints."""
        return self._constraints

    def twice_nll_points(self, points: FloatArray) -> FloatArray:
        """Evaluate at parameter points (n_points, n_parameters); returns (n_points,)."""
        return np.array([sum(c.twice_nll(float(p[k])) for c, k in zip(self._constraints, self._columns, strict=True)) for p in points])

    def gradient_at(self, point: FloatArray) -> FloatArray:
        """Evaluate the derivatives at one point (n_parameters,); returns (n_parameters,)."""
        out = np.zeros(len(point))
        for c, k in zip(self._constraints, self._columns, strict=True):
            out[k] += c.slope(float(point[k]))
        return out

    def hessian_at(self, point: FloatArray) -> FloatArray:
        """Evaluate the second derivatives at one point, (n_parameters, n_parameters)."""
        out = np.zeros((len(point), len(point)))
        for c, k in zip(self._constraints, self._columns, strict=True):
            out[k, k] += c.curvature(float(point[k]))
        return out

    def with_auxiliary(self, observed: Mapping[str, float]) -> ConstraintTerm:
        """Return the term with other auxiliary data, by parameter; those not named stay."""
        return ConstraintTerm(replace_observed(self._constraints, observed), self._parameters)
