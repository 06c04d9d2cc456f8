"""Likelihood of rows of a table of densities: the events of a toy, or the bins of one."""

from __future__ import annotations

import numpy as np

from toolkit.errors import PhysicsDomainError
from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.coefficients import describe_point
from toolkit.likelihood.domain import NotPositive, infinite_where_forbidden
from toolkit.likelihood.mixture import by_parameters, missing_density, slope_by_coefficient, sum_log_density
from toolkit.likelihood.parameters import Parameter
from toolkit.model.coefficients import Coefficients
from toolkit.typing import FloatArray


class RowLikelihood(Likelihood):
    """The likelihood of a mixture, without any check of its arrays: it is made thousands of times from checked ones.

    twice_nll = 2 [ sum_j f_j nu_j - sum_i w_i ln sum_j f_j D_ij ]; see `toolkit.likelihood.mixture`.

    Args:
        densities: D, (n_rows, n_processes): nu_j p_j / p_ref of an event, or the template of a bin.
        weights: w, (n_rows,): 1 per event, or the count of a bin.
        yields: nu, (n_processes,).
        coefficients: f as functions of the parameters.
        parameters: The parameters; the first is the parameter of interest.
        diverging: Parameters by which the derivative diverges at the lower end of the range.
        interfering: Parameters in which there may be several minima.
        empty: Rows without weight, which add nothing as long as their density is not negative, (n_empty, n_processes).
    """

    def __init__(
        self,
        *,
        densities: FloatArray,
        weights: FloatArray,
        yields: FloatArray,
        coefficients: Coefficients,
        parameters: tuple[Parameter, ...],
        diverging: frozenset[str],
        interfering: frozenset[str],
        empty: FloatArray | None = None,
    ) -> None:
        self.empty = np.zeros((0, densities.shape[1])) if empty is None else empty
        self.densities, self.weights, self.yields = densities, weights, yields
        self.coefficients = coefficients
        self._parameters, self._diverging, self._interfering = parameters, diverging, interfering

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters, in order."""
        return self._parameters

    @property
    def diverging(self) -> frozenset[str]:
        """Parameters by which a coefficient's derivative diverges at the lower end of the range."""
        return self._diverging

    @property
    def interfering(self) -> frozenset[str]:
        """Parameters in which there may be several minima."""
        return self._interfering

    def twice_nll_points(self, points: FloatArray) -> FloatArray:
        """Evaluate at parameter points (n_points, n_parameters); returns (n_points,)."""
        f = self.coefficients.values(points)
        values = infinite_where_forbidden(2.0 * (f @ self.yields - sum_log_density(self.densities, self.weights, f)))
        return np.where(np.any(self.empty @ f.T < 0.0, axis=0), np.inf, values) if len(self.empty) else values

    def gradient_at(self, point: FloatArray) -> FloatArray:
        """Evaluate the derivatives at one point (n_parameters,); returns (n_parameters,)."""
        f = self.coefficients.values(point[None, :])[0]
        if not np.all(self.densities @ f > 0.0) or np.any(self.empty @ f < 0.0):
            return np.zeros(len(point))
        by_coefficient = slope_by_coefficient(self.densities, self.weights, self.yields, f)
        return by_parameters(self.coefficients.jacobian(point[None, :])[0], by_coefficient)

    def shortfall(self, points: FloatArray) -> FloatArray:
        """Say how much is missing from points to allowed ones, (n_points,)."""
        f = self.coefficients.values(points)
        return missing_density(self.densities, f) + missing_density(self.empty, f, zero=True)

    def not_positive(self, point: FloatArray) -> NotPositive | None:
        """Say which row forbids a point (n_parameters,)."""
        f = self.coefficients.values(point[None, :])[0]
        total = np.concatenate([self.densities @ f, self.empty @ f])
        bad = ~((total > 0.0) | ((total == 0.0) & (np.arange(len(total)) >= len(self.densities))))
        if not bad.any():
            return None
        row = int(np.argmax(bad))
        error = PhysicsDomainError(
            f"density of row {row} of a toy at {describe_point(self.parameter_names, point)}",
            got=float(total[row]),
            expected="> 0",
            remedy="the ratios are inconsistent with the morphing there: recalibrate them, or restrict the range of the parameters",
        )
        return NotPositive(f"row {row} of a toy", error)
