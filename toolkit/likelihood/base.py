"""The interface that every likelihood has: value, gradient, fit, scan."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.likelihood.coefficients import describe_point
from toolkit.likelihood.constraints import Constraint, replace_observed
from toolkit.likelihood.coordinates import nearest_above
from toolkit.likelihood.domain import NotPositive, range_limits
from toolkit.likelihood.fit_result import FitResult
from toolkit.likelihood.minimise import minimise
from toolkit.likelihood.parameters import Parameter
from toolkit.likelihood.profiles import Profile, profiled_plane
from toolkit.likelihood.scans import Scan
from toolkit.typing import FloatArray

Point = Mapping[str, float] | Sequence[float] | FloatArray | float


class Likelihood(ABC):
    """Twice a negative log-likelihood as a function of named parameters.

    A parameter point may be given as a mapping by name (missing parameters stay at their starting value), as a
    sequence in the order of `parameter_names`, or as one number if there is one parameter.
    """

    @property
    @abstractmethod
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters, in the order of the parameter axis."""

    @property
    @abstractmethod
    def diverging(self) -> frozenset[str]:
        """Parameters by which the derivative diverges at the lower end of the range (sqrt(mu) at 0)."""

    @abstractmethod
    def twice_nll_points(self, points: FloatArray) -> FloatArray:
        """Evaluate at parameter points (n_points, n_parameters); returns (n_points,)."""

    @abstractmethod
    def gradient_at(self, point: FloatArray) -> FloatArray:
        """Evaluate the derivatives at one point (n_parameters,) where they are finite; returns (n_parameters,)."""

    @property
    def interfering(self) -> frozenset[str]:
        """Parameters in which there may be several minima, so that fits look for all of them; every one unless a class knows better."""
        return frozenset(self.parameter_names)

    @property
    def poi(self) -> str:
        """The parameter of interest; the first one unless a class knows better."""
        return self.parameters[0].name

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """The constraint terms in `twice_nll`, each counted once; empty unless a class has some."""
        return ()

    def with_auxiliary(self, observed: Mapping[str, float]) -> Likelihood:
        """Return the likelihood with other auxiliary data, by the constrained parameter; those not named stay.

        Raises:
            SchemaError: A parameter that has no constraint.
        """
        replace_observed((), observed)  # classes with constraints do more
        return self

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the parameters, in order."""
        return tuple(p.name for p in self.parameters)

    def twice_nll(self, parameters: Point) -> float:
        """Evaluate twice the negative log-likelihood.

        Args:
            parameters: A parameter point.

        Returns:
            The value, up to a constant that does not depend on the parameters; infinite at a forbidden point, where a bin with data or
            an event expects nothing or less. `check` says which.
        """
        return float(self.twice_nll_points(self.point(parameters)[None, :])[0])

    def gradient(self, parameters: Point) -> FloatArray:
        """Evaluate the derivative of `twice_nll` by each parameter.

        Args:
            parameters: A parameter point.

        Returns:
            Derivatives, (n_parameters,), exact. Where the derivative diverges (by mu at mu = 0) it is infinite,
            with the sign of the limit from above. Zero at a forbidden point, where `twice_nll` is infinite.
        """
        point = self.point(parameters)
        inside, infinite = point.copy(), np.zeros(len(point), dtype=np.bool_)
        for k, p in enumerate(self.parameters):
            if p.name in self.diverging and point[k] == p.low:
                inside[k] = p.low + nearest_above(p.low) ** 2
                infinite[k] = True
        derivatives = self.gradient_at(inside)
        return np.where(infinite, np.copysign(np.inf, derivatives), derivatives)

    def not_positive(self, point: FloatArray) -> NotPositive | None:
        """Say which bin or event forbids a point (n_parameters,); None if the point is allowed."""
        if np.isfinite(self.twice_nll_points(point[None, :])[0]):
            return None
        where = describe_point(self.parameter_names, point)
        return NotPositive("the likelihood", PhysicsDomainError(f"twice_nll at {where}", got=np.inf, expected="a finite number"))

    def shortfall(self, points: FloatArray) -> FloatArray:
        """Say how much is missing from points (n_points, n_parameters) to allowed ones: 0 exactly where they are allowed, (n_points,).

        The sum over bins or events of what the expectation lacks, relative to the sizes of its terms, where a class knows it.
        """
        return np.where(np.isfinite(self.twice_nll_points(points)), 0.0, 1.0)

    def without_data(self, point: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the expectations of bins without data at a point, (n_bins,), and their derivatives, (n_bins, n_parameters)."""
        return np.zeros(0), np.zeros((0, len(point)))

    def continued(self, point: FloatArray) -> tuple[float, FloatArray]:
        """Evaluate value and derivatives at a point, bins without data continued linearly below an expectation of 0."""
        return self.value_and_gradient(point)

    def check(self, parameters: Point) -> None:
        """Refuse a forbidden point.

        Args:
            parameters: A parameter point.

        Raises:
            PhysicsDomainError: The expected density is not positive at an event or in a bin, which the message names.
        """
        found = self.not_positive(self.point(parameters))
        if found is not None:
            raise found.error

    def value_and_gradient(self, parameters: Point) -> tuple[float, FloatArray]:
        """Evaluate `twice_nll` and `gradient` at one point, in one pass over the data where a class can."""
        return self.twice_nll(parameters), self.gradient(parameters)

    @property
    def closed_hessian(self) -> bool:
        """Whether `hessian_at` is a closed form that costs a few gradients, so that a fit begins with it; else it is left to the end."""
        return False

    def hessian_at(self, point: FloatArray) -> FloatArray | None:
        """Evaluate the second derivatives at one point, (n_parameters, n_parameters), or return None if a class does not know them."""
        del point
        return None

    def slopes(self, point: FloatArray) -> FloatArray:
        """Return `gradient_at`; the old name, until the next release."""
        warnings.warn("slopes is now gradient_at", DeprecationWarning, stacklevel=2)
        return self.gradient_at(point)

    def bends(self, point: FloatArray) -> FloatArray | None:
        """Return `hessian_at`; the old name, until the next release."""
        warnings.warn("bends is now hessian_at", DeprecationWarning, stacklevel=2)
        return self.hessian_at(point)

    def fit(self, *, fixed: Mapping[str, float] | None = None) -> FitResult:
        """Find the global minimum over the allowed range; see `toolkit.likelihood.minimise`.

        Args:
            fixed: Parameters held at the values given.

        Returns:
            The fit; read `status` and `advice`, and `limits` where bins or events end the range of a parameter.

        Raises:
            PhysicsDomainError: No point of the range was found at which all expectations are positive.
        """
        found = minimise(self, fixed=fixed)
        if found.status == "forbidden":
            self.check(found.parameters)
        moved = found.free if found.n_forbidden else tuple(n for n in found.free if n == self.poi)
        return replace(found, limits=range_limits(self, found.parameters, moved))

    def profile(self, poi: str, value: float, *, start: FloatArray | None = None, near: FitResult | None = None) -> FitResult:
        """Minimise over all other parameters at a fixed value of one, from a start if given, and wherever else there may be minima.

        Args:
            poi: The parameter that is held.
            value: Its value.
            start: Where to begin, (n_parameters,).
            near: As for `minimise`.

        Returns:
            The conditional fit.
        """
        return minimise(self, fixed={poi: value}, starts=None if start is None else [start], errors=False, near=near, search=True)

    def fit_near(self, poi: str, value: float, *, fit: FitResult) -> FitResult:
        """Find the minimum nearest to a value of one parameter, the others starting from an earlier fit."""
        start = self.point({**fit.parameters, poi: value})
        profiled = self.profile(poi, value, start=start, near=fit)
        return minimise(self, starts=[self.point(profiled.parameters)])

    def scan(self, poi: str, values: ArrayLike, *, fit: FitResult | None = None) -> Scan:
        """Scan one parameter, the others profiled.

        Args:
            poi: Name of the parameter.
            values: Where to evaluate, (n_points,), increasing, inside the allowed range.
            fit: The global fit, if it is known already.

        Returns:
            The scan, relative to the global minimum.

        Raises:
            SchemaError: No such parameter, or values that do not increase.
            PhysicsDomainError: Values outside the allowed range, or none at which all expectations are positive.
        """
        grid = self.scan_values(poi, values)
        fit = self.fit() if fit is None else fit
        profiled = self.profile_points(poi, grid, fit=fit)
        lowest = min(fit.twice_nll, float(profiled.min()))
        return Scan(values=grid, twice_delta_nll=profiled - lowest, parameter=poi)

    def surface(self, names: tuple[str, str], values: tuple[ArrayLike, ArrayLike], *, fit: FitResult | None = None) -> FloatArray:
        """Scan two parameters, the others profiled from point to point.

        Args:
            names: The two parameters.
            values: Where to evaluate each, (n_first,) and (n_second,), increasing.
            fit: The global fit, if it is known already.

        Returns:
            twice_delta_nll, (n_first, n_second), relative to the smaller of the global fit and the lowest point.
        """
        one, two = (self.scan_values(n, v) for n, v in zip(names, values, strict=True))
        fit = self.fit() if fit is None else fit
        out = profiled_plane(self, names, (one, two), fit=fit)
        return np.asarray(out - min(fit.twice_nll, float(out.min())))

    def profile_points(self, poi: str, values: FloatArray, *, fit: FitResult) -> FloatArray:
        """Evaluate the profiled `twice_nll` at each value of `poi`, (n_points,); sweeps both ways when there is something to profile."""
        return Profile(self, poi, fit=fit).scan(values)

    def point(self, parameters: Point) -> FloatArray:
        """Turn any form of a parameter point into an array, (n_parameters,)."""
        names = self.parameter_names
        if isinstance(parameters, Mapping):
            unknown = sorted(set(parameters) - set(names))
            if unknown:
                what = "parameter point"
                raise SchemaError(what, got=f"values of {unknown}", expected=f"names among {list(names)}", remedy="correct the name")
            point = np.array([float(parameters.get(p.name, p.init)) for p in self.parameters])
        else:
            point = np.atleast_1d(np.asarray(parameters, dtype=np.float64))
        if point.shape != (len(names),):
            what = "parameter point"
            raise ShapeError(
                what, got=point.shape, expected=f"({len(names)},), one value for each of {list(names)}", remedy="give a mapping by name"
            )
        if not np.all(np.isfinite(point)):
            what = "parameter point"
            raise PhysicsDomainError(what, got=dict(zip(names, point.tolist(), strict=True)), expected="finite values")
        return point

    def scan_values(self, poi: str, values: ArrayLike) -> FloatArray:
        """Check scan points: a known parameter, increasing values (n_points,), inside the allowed range."""
        if poi not in self.parameter_names:
            what = f"scan of {poi!r}"
            raise SchemaError(
                what, got=repr(poi), expected=f"one of {list(self.parameter_names)}", remedy="name a parameter of the likelihood"
            )
        grid = np.array(values, dtype=np.float64)
        parameter = self.parameters[self.parameter_names.index(poi)]
        if grid.ndim != 1 or not len(grid) or np.any(np.diff(grid) <= 0):
            what = f"scan of {poi!r}"
            raise SchemaError(
                what,
                got=f"array of shape {grid.shape}",
                expected="increasing values, (n_points,)",
                remedy="sort the values and drop repetitions",
            )
        if not (parameter.low <= grid[0] and grid[-1] <= parameter.high):
            what = f"scan of {poi!r}"
            raise PhysicsDomainError(
                what,
                got=f"values from {grid[0]:g} to {grid[-1]:g}",
                expected=f"values in the allowed range [{parameter.low:g}, {parameter.high:g}]",
                remedy="shorten the scan or widen the range of the parameter",
            )
        return grid


def differences_of_gradients(likelihood: Likelihood, point: FloatArray) -> FloatArray:
    """Differentiate the exact gradient numerically: second derivatives at one point (n_parameters,), symmetric.

    Steps stay inside the allowed range; those of a parameter by which the derivative diverges scale with the distance to that end,
    and its row is 0 at the end itself. Next to forbidden points, whose gradient is 0, the difference is one-sided.
    """
    here: FloatArray | None = None
    rows = np.zeros((len(point), len(point)))
    for k, p in enumerate(likelihood.parameters):
        step = 1e-4 * max(1.0, abs(float(point[k])))
        if p.name in likelihood.diverging:
            step = min(step, 1e-3 * (float(point[k]) - p.low))
        up, down = point.copy(), point.copy()
        up[k], down[k] = min(point[k] + step, p.high), max(point[k] - step, p.low)
        if not p.fixed and up[k] > down[k]:
            above, below = likelihood.gradient_at(up), likelihood.gradient_at(down)
            if not (above.any() and below.any()):
                here = likelihood.gradient_at(point) if here is None else here
                up, above = (up, above) if above.any() else (point, here)
                down, below = (down, below) if below.any() else (point, here)
            with np.errstate(invalid="ignore", divide="ignore"):
                difference = (above - below) / (up[k] - down[k])
            rows[k] = np.where(np.isfinite(difference), difference, 0.0)
    return np.asarray(0.5 * (rows + rows.T))
