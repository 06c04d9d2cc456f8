"""How the expectation of each process depends on the parameters: a coefficient times normalisation systematics.

    F_j(theta) = f_j(theta) prod_m G_jm(alpha_m)

f_j is an expression (morphing, normfactors, luminosity), G_jm interpolates the yield between down, nominal and up as pyhf's normsys.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import SchemaError
from toolkit.likelihood.interpolation import FactorCode, Interpolated, check_code, checked_logarithm, code4_coefficients, factor
from toolkit.model.coefficients import Coefficients
from toolkit.typing import FloatArray


@dataclass(frozen=True)
class NormSys:
    """A normalisation systematic of one process.

    Attributes:
        process: Position of the process.
        parameter: Nuisance parameter.
        up: Yield at alpha = 1 over the nominal yield (pyhf's "hi").
        down: Yield at alpha = -1 over the nominal yield (pyhf's "lo").
        code: Interpolation, "code4" (pyhf's default) or "code1".
    """

    process: int
    parameter: str
    up: float
    down: float
    code: FactorCode = "code4"

    def __post_init__(self) -> None:
        check_code(self.code, FactorCode, where=f"normsys {self.parameter!r}")
        checked_logarithm([self.up, self.down], where=f"normsys {self.parameter!r} of process {self.process}")


@dataclass(frozen=True)
class Rates:
    """Coefficients with normalisation systematics; values and derivatives at many points.

    Attributes:
        coefficients: f_j.
        systematics: All G_jm.

    Examples:
        >>> rates = Rates.of(Coefficients.parse(("mu", "1"), ("mu", "alpha")), [NormSys(1, "alpha", 1.1, 0.9)])
        >>> rates.values(np.array([[2.0, 1.0]])).round(9).tolist()
        [[2.0, 1.1]]
    """

    coefficients: Coefficients
    systematics: tuple[NormSys, ...] = ()

    @classmethod
    def of(cls, coefficients: Coefficients, systematics: Sequence[NormSys]) -> Rates:
        """Check that the systematics belong to processes and parameters, none twice.

        Raises:
            SchemaError: An undefined parameter, a process that does not exist, or one systematic given twice.
        """
        seen = set()
        for s in systematics:
            if s.parameter not in coefficients.parameters:
                expected = f"one of {list(coefficients.parameters)}"
                raise SchemaError(f"normsys of process {s.process}", got=f"undefined parameter {s.parameter!r}", expected=expected)
            if not 0 <= s.process < len(coefficients.expressions):
                raise SchemaError(
                    f"normsys {s.parameter!r}", got=f"process {s.process}", expected=f"0 to {len(coefficients.expressions) - 1}"
                )
            if (s.process, s.parameter) in seen:
                raise SchemaError(
                    f"normsys {s.parameter!r}", got=f"twice on process {s.process}", expected="once", remedy="multiply the two"
                )
            seen.add((s.process, s.parameter))
        return cls(coefficients, tuple(systematics))

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return self.coefficients.parameters

    @property
    def texts(self) -> tuple[str, ...]:
        """One text per process that says all about it: the expression and its systematics."""
        own = [[s for s in self.systematics if s.process == j] for j in range(len(self.coefficients.expressions))]
        return tuple(
            " ".join([e.text, *(f"[{s.parameter} {s.code} {s.up!r} {s.down!r}]" for s in systematics)])
            for e, systematics in zip(self.coefficients.expressions, own, strict=True)
        )

    def values(self, points: FloatArray) -> FloatArray:
        """Evaluate F_j at points (n_points, n_parameters); returns (n_points, n_processes)."""
        out = self.coefficients.values(points)
        if self.systematics:
            g = self._factors(points).value
            for m, s in enumerate(self.systematics):
                out[:, s.process] *= g[:, m]
        return out

    def jacobian(self, points: FloatArray) -> FloatArray:
        """Evaluate the derivatives of F_j at points, (n_points, n_parameters, n_processes)."""
        out = self.coefficients.jacobian(points)
        if not self.systematics:
            return out
        value, (g, derivatives) = self.coefficients.values(points), self._factors(points)
        for m, (s, column) in enumerate(zip(self.systematics, self._table.columns.tolist(), strict=True)):
            out[:, :, s.process] *= g[:, m, None]
            out[:, column, s.process] += value[:, s.process] * derivatives[:, m]
            value[:, s.process] *= g[:, m]
        return out

    def hessian_at(self, point: FloatArray, *, low: FloatArray, high: FloatArray) -> FloatArray:
        """Differentiate the jacobian at one point inside (low, high), (n_parameters, n_parameters, n_processes)."""
        out = np.zeros((len(point), len(point), len(self.coefficients.expressions)))
        for k in range(len(point)):
            step = 1e-4 * max(min(1.0, abs(point[k] - low[k]) or 1.0), 1e-6)
            up, down = point.copy(), point.copy()
            up[k], down[k] = min(point[k] + step, high[k]), max(point[k] - step, low[k])
            pair = self.jacobian(np.stack([up, down]))
            with np.errstate(invalid="ignore"):  # at the edge where a derivative diverges
                out[k] = (pair[0] - pair[1]) / (up[k] - down[k])
        with np.errstate(invalid="ignore"):
            return np.asarray(0.5 * (out + out.transpose(1, 0, 2)))

    @cached_property
    def _table(self) -> _Table:
        logs = np.array([[math.log(s.up), math.log(s.down)] for s in self.systematics]).reshape(-1, 2)
        return _Table(
            np.array([self.parameters.index(s.parameter) for s in self.systematics], dtype=np.intp),
            logs[:, 0],
            logs[:, 1],
            code4_coefficients(logs[:, 0], logs[:, 1]),
            np.array([s.code == "code4" for s in self.systematics], dtype=np.bool_),
        )

    def _factors(self, points: FloatArray) -> Interpolated:
        """Evaluate all G_jm and their derivatives, (n_points, n_systematics) each."""
        t = self._table
        alphas = points[:, t.columns]
        value, slope = factor(alphas, t.log_up, t.log_down, coefficients=t.polynomials[:, None, :])
        if not t.code4.all():
            others = factor(alphas, t.log_up, t.log_down, code="code1")
            value, slope = np.where(t.code4, value, others.value), np.where(t.code4, slope, others.slope)
        return Interpolated(value, slope)


class _Table(NamedTuple):
    """The systematics as arrays: column of the parameter, logarithms at 1 and -1, polynomials of code 4, whether that is the code."""

    columns: NDArray[np.intp]
    log_up: FloatArray
    log_down: FloatArray
    polynomials: FloatArray
    code4: NDArray[np.bool_]
