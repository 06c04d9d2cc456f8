"""A likelihood in other parameters: some of its own become expressions of new ones, such as two signal strengths that are one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from toolkit.errors import SchemaError
from toolkit.expressions.arithmetic import Expression
from toolkit.likelihood.base import Likelihood, Point, differences_of_gradients
from toolkit.likelihood.coefficients import diverging_parameters
from toolkit.likelihood.constraints import Constraint
from toolkit.likelihood.domain import NotPositive
from toolkit.likelihood.parameters import Parameter
from toolkit.model.coefficients import Coefficients
from toolkit.typing import FloatArray


class ReparameterisedLikelihood(Likelihood):
    """A likelihood as a function of other parameters.

    Args:
        inner: The likelihood.
        express: Expressions of the new parameters in the place of some of its own, by name.
        parameters: The new parameters, those of interest first; parameters of the likelihood that are not expressed follow.

    Raises:
        SchemaError: An expression names no parameter, a constrained parameter is expressed, or a name is used twice.

    Examples:
        Two counting experiments with one strength, 12 + 28 events of 10 and 30 expected:

        >>> from toolkit.likelihood.binned import BinnedLikelihood
        >>> inner = BinnedLikelihood(templates=[[10.0, 0.0], [0.0, 30.0]], data=[12.0, 28.0], coefficients=("a", "b"),
        ...     parameters=("a", "b"), bounds={"a": (0.0, 4.0), "b": (0.0, 4.0)})
        >>> common = ReparameterisedLikelihood(inner, {"a": "mu", "b": "mu"}, [Parameter("mu", 1.0, 0.0, 4.0)])
        >>> round(common.fit().parameters["mu"], 6)
        1.0
    """

    def __init__(self, inner: Likelihood, express: Mapping[str, str], parameters: Sequence[Parameter]) -> None:
        expressed = {name: text for name, text in express.items() if name in inner.parameter_names}
        kept = [p for p in inner.parameters if p.name not in express]
        names = [p.name for p in (*parameters, *kept)]
        twice = sorted({n for n in names if names.count(n) > 1})
        constrained = sorted({c.parameter for c in inner.constraints} & set(expressed))
        if twice or constrained:
            what = "expressions in the place of parameters"
            remedy = "give the new parameters other names, and express free parameters only"
            raise SchemaError(what, got=f"{twice or constrained}", expected="new names for free parameters", remedy=remedy)
        self._inner, self._parameters, self._express = inner, (*parameters, *kept), expressed
        # expressions name nothing like simulation_m4l[3]: such parameters stay, and stand under words of the grammar in the map
        words = {name: name if name.isidentifier() else f"bin_{k}_of_{len(names)}" for k, name in enumerate(names)}
        texts = [expressed.get(name, words.get(name, name)) for name in inner.parameter_names]
        self._map = Coefficients.parse(texts, [words[name] for name in names])

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The new parameters, then those that stay."""
        return self._parameters

    @cached_property
    def diverging(self) -> frozenset[str]:
        """New parameters on which a diverging one depends, and those by which an expression diverges itself."""
        own = set(diverging_parameters(self._map, self._parameters))
        for expression, name in zip(self._map.expressions, self._inner.parameter_names, strict=True):
            if name in self._inner.diverging:
                own |= set(expression.names) if name in self._express else {name}
        return frozenset(own)

    @cached_property
    def interfering(self) -> frozenset[str]:
        """Parameters in which there may be several minima: all that an expression reads, and those of the likelihood that stay."""
        read = {n for text in self._express.values() for n in Expression.parse(text).names}
        return frozenset(read | (self._inner.interfering & set(self.parameter_names)))

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """The constraints of the parameters that stay."""
        return self._inner.constraints

    def with_auxiliary(self, observed: Mapping[str, float]) -> ReparameterisedLikelihood:
        """Return the likelihood with other auxiliary data, by parameter."""
        new = [p for p in self._parameters if p.name not in self._inner.parameter_names]
        return ReparameterisedLikelihood(self._inner.with_auxiliary(observed), self._express, new)

    def twice_nll_points(self, points: FloatArray) -> FloatArray:
        """Evaluate at parameter points (n_points, n_parameters); returns (n_points,)."""
        return self._inner.twice_nll_points(self._map.values(points))

    def gradient_at(self, point: FloatArray) -> FloatArray:
        """Evaluate the derivatives at one point (n_parameters,); returns (n_parameters,)."""
        return self._by_parameters(point, self._inner.gradient_at(self._inside(point)))

    def value_and_gradient(self, parameters: Point) -> tuple[float, FloatArray]:
        """Evaluate `twice_nll` and `gradient` at one point, in one pass over the data where the likelihood can."""
        point = self.point(parameters)
        value, inner = self._inner.value_and_gradient(self._inside(point))
        gradient = self._by_parameters(point, inner)
        # where a derivative diverges, the limit from above has one sign
        return (value, gradient) if np.isfinite(gradient).all() else super().value_and_gradient(point)

    def continued(self, point: FloatArray) -> tuple[float, FloatArray]:
        """Evaluate value and derivatives, bins without data continued linearly below an expectation of 0."""
        value, inner = self._inner.continued(self._inside(point))
        return value, self._by_parameters(point, inner)

    def without_data(self, point: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the expectations of bins without data, (n_bins,), and their derivatives, (n_bins, n_parameters)."""
        expected, inner = self._inner.without_data(self._inside(point))
        return expected, np.array([self._by_parameters(point, row) for row in inner]).reshape(len(expected), len(point))

    @property
    def closed_hessian(self) -> bool:
        """Whether the likelihood knows its second derivatives in closed form."""
        return self._inner.closed_hessian

    def hessian_at(self, point: FloatArray) -> FloatArray | None:
        """Evaluate the second derivatives at one point by the chain rule; None where the likelihood does not know its own."""
        inside = self._inside(point)
        inner = self._inner.hessian_at(inside)
        if inner is None:
            return None
        jacobian, derivatives = self._map.jacobian(point[None, :])[0], self._inner.gradient_at(inside)
        with np.errstate(invalid="ignore"):
            out = jacobian @ inner @ jacobian.T + self._curvature(point) @ derivatives
        # at an end where a derivative diverges the gradient is one-sided, and so are its differences
        return np.asarray(out) if np.isfinite(out).all() else differences_of_gradients(self, point)

    def _curvature(self, point: FloatArray) -> FloatArray:
        """Differentiate the jacobian of the expressions numerically, (n_new, n_new, n_inner): they cost nothing beside the data."""
        steps = 1e-5 * np.maximum(1.0, np.abs(point))
        with np.errstate(invalid="ignore", divide="ignore"):
            up, down = (self._map.jacobian(point + sign * np.diag(steps)) for sign in (1.0, -1.0))
            second = (up - down) / (2.0 * steps)[:, None, None]
        return np.asarray(0.5 * (second + second.transpose(1, 0, 2)))

    def shortfall(self, points: FloatArray) -> FloatArray:
        """Say how much is missing from points to allowed ones, (n_points,)."""
        return self._inner.shortfall(self._map.values(points))

    def not_positive(self, point: FloatArray) -> NotPositive | None:
        """Say which bin or event forbids a point (n_parameters,)."""
        return self._inner.not_positive(self._inside(point))

    def _inside(self, point: FloatArray) -> FloatArray:
        """Return the parameters of the likelihood at a point (n_parameters,), (n_inner,)."""
        return np.asarray(self._map.values(point[None, :])[0])

    def _by_parameters(self, point: FloatArray, inner: FloatArray) -> FloatArray:
        """Turn derivatives by the parameters of the likelihood, (n_inner,), into those by its own, (n_parameters,)."""
        jacobian = self._map.jacobian(point[None, :])[0]
        with np.errstate(invalid="ignore"):  # a derivative that diverges concerns the parameters that move it, and no others
            return np.asarray(np.where(jacobian != 0.0, jacobian * inner, 0.0).sum(axis=1))
