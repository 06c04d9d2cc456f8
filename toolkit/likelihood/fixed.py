"""A likelihood with some of its parameters held at values: the others are its parameters."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from toolkit.errors import SchemaError
from toolkit.likelihood.base import Likelihood, Point
from toolkit.likelihood.constraints import Constraint
from toolkit.likelihood.domain import NotPositive
from toolkit.likelihood.parameters import Parameter
from toolkit.typing import FloatArray


class FixedLikelihood(Likelihood):
    """A likelihood as a function of fewer parameters.

    Args:
        inner: The likelihood of all parameters.
        fixed: Values of those that are held, by name. Their constraints are constant then.

    Raises:
        SchemaError: A parameter that the likelihood does not have, or none is left.

    Examples:
        >>> from toolkit.likelihood.binned import BinnedLikelihood
        >>> inner = BinnedLikelihood(templates=[[10.0], [5.0]], data=[25.0], coefficients=("mu", "t"), parameters=("mu", "t"),
        ...     bounds={"mu": (0.0, 4.0), "t": (0.5, 2.0)})
        >>> round(FixedLikelihood(inner, {"t": 1.0}).fit().parameters["mu"], 6)
        2.0
    """

    def __init__(self, inner: Likelihood, fixed: Mapping[str, float]) -> None:
        names = inner.parameter_names
        unknown = sorted(set(fixed) - set(names))
        self._free = [k for k, name in enumerate(names) if name not in fixed]
        if unknown or not self._free:
            what = "fixed parameters"
            raise SchemaError(what, got=sorted(fixed), expected=f"some of {list(names)}, not all", remedy="leave one free")
        self._inner = inner
        self._base = inner.point({name: float(value) for name, value in fixed.items()})

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters that are not held."""
        return tuple(self._inner.parameters[k] for k in self._free)

    @property
    def poi(self) -> str:
        """The parameter of interest, if it is free; else the first free one."""
        names = self.parameter_names
        return self._inner.poi if self._inner.poi in names else names[0]

    @property
    def diverging(self) -> frozenset[str]:
        """Free parameters by which the derivative diverges at the lower end of the range."""
        return self._inner.diverging & set(self.parameter_names)

    @property
    def interfering(self) -> frozenset[str]:
        """Free parameters in which there may be several minima."""
        return self._inner.interfering & set(self.parameter_names)

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """The constraints of the free parameters."""
        return tuple(c for c in self._inner.constraints if c.parameter in self.parameter_names)

    def twice_nll_points(self, points: FloatArray) -> FloatArray:
        """Evaluate at parameter points (n_points, n_free); returns (n_points,)."""
        return self._inner.twice_nll_points(self._whole(points))

    def gradient_at(self, point: FloatArray) -> FloatArray:
        """Evaluate the derivatives at one point (n_free,); returns (n_free,)."""
        return np.asarray(self._inner.gradient_at(self._whole(point[None, :])[0])[self._free])

    def value_and_gradient(self, parameters: Point) -> tuple[float, FloatArray]:
        """Evaluate `twice_nll` and `gradient` in one pass."""
        value, derivatives = self._inner.value_and_gradient(self._whole(self.point(parameters)[None, :])[0])
        return value, np.asarray(derivatives[self._free])

    def hessian_at(self, point: FloatArray) -> FloatArray | None:
        """Evaluate the second derivatives at one point, (n_free, n_free); None where the likelihood does not know its own."""
        whole = self._inner.hessian_at(self._whole(point[None, :])[0])
        return None if whole is None else np.asarray(whole[np.ix_(self._free, self._free)])

    def shortfall(self, points: FloatArray) -> FloatArray:
        """Say how much is missing from points to allowed ones, (n_points,)."""
        return self._inner.shortfall(self._whole(points))

    def not_positive(self, point: FloatArray) -> NotPositive | None:
        """Say which bin or event forbids a point (n_free,)."""
        return self._inner.not_positive(self._whole(point[None, :])[0])

    def _whole(self, points: FloatArray) -> FloatArray:
        whole = np.tile(self._base, (len(points), 1))
        whole[:, self._free] = points
        return whole
