"""Binned likelihood of a mixture from templates, evaluated by pyhf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyhf
from numpy.typing import ArrayLike

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.likelihood.base import Likelihood, Point, differences_of_gradients
from toolkit.likelihood.coefficients import describe_point, diverging_parameters
from toolkit.likelihood.domain import NotPositive
from toolkit.likelihood.histfactory import channel_spec, normfactor_name, quiet_schema, workspace_spec
from toolkit.likelihood.histfactory_kernel import poisson_twice_nll
from toolkit.likelihood.interference import turning_parameters
from toolkit.likelihood.mixture import by_parameters, missing_density, slope_by_coefficient
from toolkit.likelihood.parameters import Bounds, Parameter, make_parameters
from toolkit.model.coefficients import Coefficients
from toolkit.typing import BoolArray, FloatArray


class BinnedLikelihood(Likelihood):
    """Poisson likelihood of counts n_b under sum_j f_j(theta) t_jb, as pyhf evaluates it.

    `twice_nll` is pyhf's -2 logpdf, constants included, with the normfactor of each process set to f_j(theta). Counts may be real
    (Asimov). Templates of interfering processes may be negative as long as the total stays positive.

    Args:
        templates: Expected events t_jb at f_j = 1, (n_processes, n_bins).
        data: Observed counts, (n_bins,), >= 0.
        coefficients: f_j as expressions in the parameters, one per process.
        parameters: Names of the parameters, or `Parameter` objects (then no bounds); the first is the parameter of interest.
        bounds: Allowed range of each parameter.
        processes: Names of the processes (default: process_0, ...).
        init: Starting values (default: 1, moved into the range).
        channel: Name of the channel.
        bins: Label of each bin for messages (default: its number).

    Raises:
        ShapeError: Arrays do not belong together.
        PhysicsDomainError: NaN, a negative count, or a bin with data in which no process expects events.
        SchemaError: A coefficient that is not arithmetic, or uses an undefined parameter.

    Examples:
        >>> likelihood = BinnedLikelihood(templates=[[10.0], [5.0]], data=[12.0], coefficients=("mu", "1"), parameters=("mu",),
        ...     bounds={"mu": (0.0, 4.0)})
        >>> round(likelihood.fit().parameters["mu"], 9)
        0.7
    """

    def __init__(
        self,
        *,
        templates: ArrayLike,
        data: ArrayLike,
        coefficients: Sequence[str],
        parameters: Sequence[str] | Sequence[Parameter],
        bounds: Bounds | None = None,
        processes: Sequence[str] | None = None,
        init: Mapping[str, float] | None = None,
        channel: str = "channel",
        bins: Sequence[str] | None = None,
    ) -> None:
        self._parameters = make_parameters(parameters, bounds, init)
        self.coefficients = Coefficients.parse(coefficients, self.parameter_names)
        self.templates = np.array(templates, dtype=np.float64)
        self.data = np.array(data, dtype=np.float64)
        if self.templates.ndim != 2 or self.data.shape != self.templates.shape[1:] or not self.data.size:
            what = "templates and data"
            raise ShapeError(what, got=f"{self.templates.shape} and {self.data.shape}", expected="(n_processes, n_bins) and (n_bins,)")
        if len(self.coefficients.expressions) != len(self.templates):
            what = "coefficients"
            raise ShapeError(
                what,
                got=f"{len(self.coefficients.expressions)} expressions",
                expected=f"one for each of the {len(self.templates)} templates",
            )
        self.processes = tuple(processes) if processes is not None else tuple(f"process_{j}" for j in range(len(self.templates)))
        if len(set(self.processes)) != len(self.templates):
            what = "processes"
            raise SchemaError(what, got=list(self.processes), expected=f"{len(self.templates)} different names")
        self.channel = channel
        self.bins = tuple(bins) if bins is not None else tuple(str(b) for b in range(len(self.data)))
        self._check_content()

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters, in order."""
        return self._parameters

    @cached_property
    def diverging(self) -> frozenset[str]:
        """Parameters by which a coefficient's derivative diverges at the lower end of the range."""
        return diverging_parameters(self.coefficients, self._parameters)

    @cached_property
    def interfering(self) -> frozenset[str]:
        """Parameters along which the expectation of a process or a bin turns back: fits look for several minima there."""

        def rates(points: FloatArray) -> FloatArray:
            f = self.coefficients.values(points)
            return np.concatenate([f * self.templates.sum(axis=1), f @ self.templates], axis=1)

        return self.diverging | turning_parameters(rates, self._parameters, (), points=41)

    @cached_property
    def model(self) -> pyhf.Model:
        """The pyhf model whose parameters are the normfactors."""
        with quiet_schema():
            return pyhf.Model({"channels": [self._channel()]}, poi_name=None)

    def expected(self, parameters: Point) -> FloatArray:
        """Return the expected events per bin at a parameter point, (n_bins,)."""
        return np.asarray(self.expected_points(self.point(parameters)[None, :])[0])

    def expected_points(self, points: FloatArray) -> FloatArray:
        """Return the expected events per bin at points (n_points, n_parameters), (n_points, n_bins), checked to be positive."""
        expected = np.asarray(self.coefficients.values(points) @ self.templates)
        for point, row in zip(points, expected, strict=True):
            bad = ~(row > 0.0) & np.any(self.templates != 0.0, axis=0)
            if bad.any():
                raise self._not_positive(int(np.argmax(bad)), row, point).error
        return expected

    def twice_nll_points(self, points: FloatArray) -> FloatArray:
        """Evaluate at parameter points (n_points, n_parameters); returns (n_points,)."""
        f = self.coefficients.values(points)
        order = [self.processes.index(name.removeprefix(normfactor_name(""))) for name in self.model.config.par_names]
        allowed = ~np.any(self._forbidden(f @ self.templates), axis=1)
        out = np.full(len(f), np.inf)
        out[allowed] = [-2.0 * float(self.model.logpdf(row[order], self.data)[0]) for row in f[allowed]]
        return out

    def gradient_at(self, point: FloatArray) -> FloatArray:
        """Evaluate the derivatives at one point (n_parameters,); returns (n_parameters,)."""
        f = self.coefficients.values(point[None, :])[0]
        if self._forbidden(f @ self.templates).any():
            return np.zeros(len(point))
        counted = self.data > 0.0
        by_coefficient = slope_by_coefficient(self.templates.T[counted], self.data[counted], self.templates.sum(axis=1), f)
        return by_parameters(self.coefficients.jacobian(point[None, :])[0], by_coefficient)

    def without_data(self, point: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the expectations of bins without data, (n_bins,), and their derivatives, (n_bins, n_parameters)."""
        rows = self.templates.T[(self.data == 0.0) & np.any(self.templates != 0.0, axis=0)]
        jacobian = self.coefficients.jacobian(point[None, :])[0]
        with np.errstate(invalid="ignore"):
            return rows @ self.coefficients.values(point[None, :])[0], rows @ jacobian.T

    def continued(self, point: FloatArray) -> tuple[float, FloatArray]:
        """Evaluate value and derivatives, bins without data continued linearly below an expectation of 0."""
        counted = self.data > 0.0
        f = self.coefficients.values(point[None, :])[0]
        expected = f @ self.templates
        if not np.all(expected[counted] > 0.0):
            return np.inf, np.zeros(len(point))
        by_coefficient = slope_by_coefficient(self.templates.T[counted], self.data[counted], self.templates.sum(axis=1), f)
        return poisson_twice_nll(self.data, expected), by_parameters(self.coefficients.jacobian(point[None, :])[0], by_coefficient)

    def shortfall(self, points: FloatArray) -> FloatArray:
        """Say how much is missing from points to allowed ones, (n_points,)."""
        f, counted = self.coefficients.values(points), self.data > 0.0
        return missing_density(self.templates.T[counted], f) + missing_density(self.templates.T[~counted], f, zero=True)

    def not_positive(self, point: FloatArray) -> NotPositive | None:
        """Say which bin forbids a point (n_parameters,)."""
        expected = np.asarray(self.coefficients.values(point[None, :])[0] @ self.templates)
        bad = self._forbidden(expected)
        return self._not_positive(int(np.argmax(bad)), expected, point) if bad.any() else None

    def hessian_at(self, point: FloatArray) -> FloatArray:
        """Evaluate the second derivatives at one point (n_parameters,), from differences of the gradient."""
        return differences_of_gradients(self, point)

    def with_data(self, data: ArrayLike) -> BinnedLikelihood:
        """Return the likelihood of the same templates with other counts, (n_bins,)."""
        clone = object.__new__(BinnedLikelihood)
        clone.__dict__.update(self.__dict__)
        clone.data = np.array(data, dtype=np.float64)
        if clone.data.shape != self.data.shape:
            what = "data"
            raise ShapeError(what, got=clone.data.shape, expected=self.data.shape)
        clone._check_content()
        return clone

    def to_pyhf(self) -> dict[str, Any]:
        """Write a document that validates with pyhf's workspace schema.

        Returns:
            The workspace. It has one normfactor `coefficient_<process>` per process and no parameter of interest; with the
            normfactors at f_j(theta) pyhf's likelihood is this one.
        """
        low_high = self._coefficient_ranges()
        return workspace_spec([self._channel()], [(self.channel, self.data)], measurement=self.channel, coefficients=low_high)

    def _channel(self) -> dict[str, Any]:
        return channel_spec(self.channel, processes=self.processes, templates=self.templates)

    def _coefficient_ranges(self) -> dict[str, tuple[float, float, float]]:
        init = np.array([[p.init for p in self._parameters]])
        points = [init[0]]
        for k, p in enumerate(self._parameters):
            grid = np.linspace(p.low, p.high, 101) if np.isfinite(p.high - p.low) else np.array([p.init])
            points += [np.where(np.arange(init.shape[1]) == k, x, init[0]) for x in grid]
        f = self.coefficients.values(np.array(points))
        low, high = np.minimum(f.min(axis=0), -10.0), np.maximum(f.max(axis=0), 10.0)
        return {name: (float(f[0, j]), float(low[j]), float(high[j])) for j, name in enumerate(self.processes)}

    def _check_content(self) -> None:
        for name, array in (("template", self.templates), ("data", self.data)):
            if not np.all(np.isfinite(array)):
                bin_ = int(np.argwhere(~np.isfinite(array))[0][-1])
                what = f"{name} of channel {self.channel!r}, bin {self.bins[bin_]}"
                raise PhysicsDomainError(what, got="NaN or infinite", expected="finite numbers", remedy="find the bad weights")
        if np.any(self.data < 0.0):
            bin_ = int(np.argmin(self.data))
            what = f"data of channel {self.channel!r}, bin {self.bins[bin_]}"
            raise PhysicsDomainError(what, got=float(self.data[bin_]), expected=">= 0", remedy="merge bins until every count is positive")
        empty = np.all(self.templates == 0.0, axis=0) & (self.data > 0.0)
        if empty.any():
            bin_ = int(np.argmax(empty))
            what = f"channel {self.channel!r}, bin {self.bins[bin_]}"
            raise PhysicsDomainError(
                what,
                got=f"{self.data[bin_]:g} observed, 0 expected by every process",
                expected="templates that fill the bin",
                remedy="merge the bin with a neighbour",
            )

    def _forbidden(self, expected: FloatArray) -> BoolArray:
        """Say which bins of expected events (..., n_bins) are not allowed: Poisson(0 | 0) is 1."""
        return np.asarray(~((expected > 0.0) | ((expected == 0.0) & (self.data == 0.0))))

    def _not_positive(self, bin_: int, expected: FloatArray, point: FloatArray) -> NotPositive:
        where = f"channel {self.channel!r}, bin {self.bins[bin_]}"
        error = PhysicsDomainError(
            f"expected events in {where}, at {describe_point(self.parameter_names, point)}",
            got=float(expected[bin_]),
            expected="> 0",
            remedy="merge the bin with a neighbour or restrict the range of the parameters",
        )
        return NotPositive(where, error)
