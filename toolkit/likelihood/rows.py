"""Likelihood of rows of a table of densities: the events of a toy, or the bins of one."""

from __future__ import annotations

import numpy as np

from toolkit.errors import PhysicsDomainError
from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.coefficients import Coefficients, describe_point
from toolkit.likelihood.mixture import slope_by_coefficient, sum_log_density
from toolkit.likelihood.parameters import Parameter
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
    ) -> None:
        self.densities, self.weights, self.yields = densities, weights, yields
        self.coefficients = coefficients
        self._parameters, self._diverging = parameters, diverging

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters, in order."""
        return self._parameters

    @property
    def diverging(self) -> frozenset[str]:
        """Parameters by which a coefficient's derivative diverges at the lower end of the range."""
        return self._diverging

    def twice_nll_points(self, points: FloatArray) -> FloatArray:
        """Evaluate at parameter points (n_points, n_parameters); returns (n_points,)."""
        f = self.coefficients.values(points)

        def complain(row: int, point: int, density: float) -> None:
            raise self._not_positive(row, points[point], density)

        return 2.0 * (f @ self.yields - sum_log_density(self.densities, self.weights, f, complain))

    def slopes(self, point: FloatArray) -> FloatArray:
        """Evaluate the derivatives at one point (n_parameters,); returns (n_parameters,)."""
        f = self.coefficients.values(point[None, :])[0]
        total = self.densities @ f
        if len(total) and not total.min() > 0.0:
            row = int(np.argmin(total))
            raise self._not_positive(row, point, float(total[row]))
        by_coefficient = slope_by_coefficient(self.densities, self.weights, self.yields, f)
        return np.asarray(self.coefficients.jacobian(point[None, :])[0] @ by_coefficient)

    def _not_positive(self, row: int, point: FloatArray, density: float) -> PhysicsDomainError:
        return PhysicsDomainError(
            f"density of row {row} of a toy at {describe_point(self.parameter_names, point)}",
            got=density,
            expected="> 0",
            remedy="the ratios are inconsistent with the morphing there: recalibrate them, or restrict the range of the parameters",
        )
