"""Coordinates in which a likelihood with sqrt(mu) is smooth down to the boundary.

With interference every density contains sqrt(mu), so the derivative by mu diverges at mu = 0 while the derivative by
t = sqrt(mu) is finite there. A fit therefore moves in t wherever a coefficient's derivative diverges at the lower end
of the range: mu = low + t^2. All other parameters are their own coordinate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import SchemaError
from toolkit.likelihood.constraints import Constraint
from toolkit.likelihood.domain import NotPositive, allowed_point
from toolkit.likelihood.interference import centre_and_width, plausible_range
from toolkit.likelihood.parameters import Parameter
from toolkit.typing import FloatArray


class Objective(Protocol):
    """What a fit needs to know of a likelihood."""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters, in the order of the parameter axis."""
        ...

    @property
    def poi(self) -> str:
        """The parameter of interest: the one in which several minima are looked for."""
        ...

    @property
    def diverging(self) -> frozenset[str]:
        """Parameters whose derivative diverges at the lower end of their range."""
        ...

    @property
    def interfering(self) -> frozenset[str]:
        """Parameters in which there may be several minima."""
        ...

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """The constraint terms."""
        ...

    def twice_nll_points(self, points: FloatArray) -> FloatArray:
        """Evaluate at points (n_points, n_parameters)."""
        ...

    def gradient_at(self, point: FloatArray) -> FloatArray:
        """Evaluate the derivatives at one point (n_parameters,) inside the range."""
        ...

    def value_and_gradient(self, parameters: FloatArray) -> tuple[float, FloatArray]:
        """Evaluate value and derivatives at one point (n_parameters,), in one pass over the data where possible."""
        ...

    @property
    def closed_hessian(self) -> bool:
        """Whether second derivatives are a closed form that costs a few gradients."""
        ...

    def hessian_at(self, point: FloatArray) -> FloatArray | None:
        """Evaluate the second derivatives at one point, or return None if they are not known."""
        ...

    def shortfall(self, points: FloatArray) -> FloatArray:
        """Say how much is missing from points (n_points, n_parameters) to allowed ones, 0 where they are; (n_points,)."""
        ...

    def not_positive(self, point: FloatArray) -> NotPositive | None:
        """Say what forbids a point (n_parameters,); None if it is allowed."""
        ...

    def without_data(self, point: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the expectations of bins without data, (n_bins,), and their derivatives, (n_bins, n_parameters)."""
        ...

    def continued(self, point: FloatArray) -> tuple[float, FloatArray]:
        """Evaluate value and derivatives, bins without data continued linearly below an expectation of 0."""
        ...


WIDEST = 10.0
"""Ranges count as at most this wide, or as this many times the value, so that an upper end of 1e12 changes no step."""
REMEMBERED = 64
"""Values and gradients that are remembered, so that comparing minima costs nothing."""


def nearest_above(low: float) -> float:
    """Return a t > 0 so small that low + t^2 stands for the limit from above.

    Examples:
        >>> nearest_above(0.0), nearest_above(1.0) < 1e-6
        (1e-12, True)
    """
    return max(1e-12, 4.0 * float(np.sqrt(np.finfo(np.float64).eps * abs(low))))


@dataclass
class FreeCoordinates:
    """The free parameters of a likelihood in smooth coordinates, with counted evaluations.

    Attributes:
        objective: The likelihood.
        base: Values of all parameters, those of the fixed ones final.
        free: Indices of the free parameters.
        root: Per free parameter, whether its coordinate is the root of its distance to the lower end.
        low: Lower ends in the coordinates, (n_free,).
        high: Upper ends in the coordinates, (n_free,).
        offset: Constant subtracted from the objective, so that a minimiser sees small numbers; infinite if no allowed point was found.
        n_evaluations: How many parameter points were evaluated.
        n_forbidden: How many of them are forbidden: the value is infinite there.

    Examples:
        With interference a fit moves in t = sqrt(mu), in which the derivative is finite at mu = 0:

        >>> from toolkit.likelihood.unbinned import UnbinnedLikelihood
        >>> likelihood = UnbinnedLikelihood(log_ratios=np.zeros((3, 3)), weights=np.ones(3), yields=[1.0, 3.0, 4.0],
        ...     coefficients=("mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)"), parameters=("mu",), bounds={"mu": (0.0, 4.0)})
        >>> space = FreeCoordinates.of(likelihood, {})
        >>> space.high, space.to_external(np.array([1.5])), space.gradient(np.array([0.0])).round(3)
        (array([2.]), array([2.25]), array([-1.]))
    """

    objective: Objective
    base: FloatArray
    free: NDArray[np.intp]
    root: NDArray[np.bool_]
    low: FloatArray
    high: FloatArray
    offset: float = 0.0
    n_evaluations: int = 0
    n_forbidden: int = 0
    _known: dict[bytes, float] = field(default_factory=dict)
    _gradients: dict[bytes, FloatArray] = field(default_factory=dict)

    @classmethod
    def of(cls, objective: Objective, fixed: Mapping[str, float], *, start: FloatArray | None = None) -> FreeCoordinates:
        """Set up the coordinates.

        Args:
            objective: The likelihood.
            fixed: Parameters that stay at the values given.
            start: Parameter point (n_parameters,) at which the offset is taken; the initial one if not given. If it is forbidden, an
                allowed one takes its place.

        Returns:
            The coordinates of the other parameters.

        Raises:
            SchemaError: A fixed parameter is not known.
        """
        parameters = objective.parameters
        unknown = sorted(set(fixed) - {p.name for p in parameters})
        if unknown:
            what = "fixed parameters"
            raise SchemaError(what, got=unknown, expected=f"names among {[p.name for p in parameters]}", remedy="correct the name")
        base = np.array([float(fixed.get(p.name, p.init)) for p in parameters])
        free = np.array([k for k, p in enumerate(parameters) if p.name not in fixed and not p.fixed], dtype=np.intp)
        root = np.array([parameters[k].name in objective.diverging for k in free], dtype=np.bool_)
        shift = np.array([parameters[k].low for k in free], dtype=np.float64)
        top = np.array([parameters[k].high for k in free], dtype=np.float64)
        low = np.where(root, 0.0, shift)
        high = top.copy()
        high[root] = np.sqrt(top[root] - shift[root])
        coordinates = cls(objective=objective, base=base, free=free, root=root, low=low, high=high)
        first = np.clip(coordinates.to_internal((base if start is None else start)[free]), low, high)
        offset = float(coordinates.values(first[None, :])[0]) if start is None else coordinates.both(first)[0]
        if not np.isfinite(offset):
            allowed = coordinates.allowed(first)
            if allowed is not None:
                coordinates.base[free] = coordinates.to_external(allowed)
                offset = float(coordinates.values(allowed[None, :])[0])
        coordinates.offset = offset
        coordinates._known = {key: value - coordinates.offset for key, value in coordinates._known.items()}
        return coordinates

    def allowed(self, at: FloatArray) -> FloatArray | None:
        """Return coordinates (n_free,) if they are allowed, else allowed ones near them; None if none were found."""
        if np.isfinite(self.value(at)):  # known where a descent begins; what is missing costs a pass over the data
            return at
        point = allowed_point(self.objective, self.points(at[None, :])[0], self.free)
        return None if point is None else np.clip(self.to_internal(point[self.free]), self.low, self.high)

    @property
    def names(self) -> list[str]:
        """Names of the free parameters."""
        return [self.objective.parameters[k].name for k in self.free]

    @property
    def _shift(self) -> FloatArray:
        return np.array([self.objective.parameters[k].low for k in self.free])

    def to_internal(self, values: FloatArray) -> FloatArray:
        """Turn parameter values (..., n_free) into coordinates."""
        out = np.array(values, dtype=np.float64)
        out[..., self.root] = np.sqrt(np.maximum(out[..., self.root] - self._shift[self.root], 0.0))
        return out

    def to_external(self, coordinates: FloatArray) -> FloatArray:
        """Turn coordinates (..., n_free) into parameter values."""
        out = np.array(coordinates, dtype=np.float64)
        out[..., self.root] = self._shift[self.root] + out[..., self.root] ** 2
        return np.minimum(out, [self.objective.parameters[k].high for k in self.free])

    def start(self) -> FloatArray:
        """Return the initial point, moved into the ranges, (n_free,)."""
        return np.clip(self.to_internal(self.base[self.free]), self.low, self.high)

    def points(self, coordinates: FloatArray) -> FloatArray:
        """Turn coordinates (n_points, n_free) into full parameter points (n_points, n_parameters)."""
        full = np.tile(self.base, (len(coordinates), 1))
        full[:, self.free] = self.to_external(coordinates)
        return full

    def values(self, coordinates: FloatArray) -> FloatArray:
        """Evaluate the objective less the offset at coordinates (n_points, n_free)."""
        self.n_evaluations += len(coordinates)
        found = self.objective.twice_nll_points(self.points(coordinates))
        self.n_forbidden += int(np.count_nonzero(np.isinf(found)))
        return found - self.offset

    def value(self, coordinates: FloatArray) -> float:
        """Evaluate the objective less the offset at one set of coordinates."""
        at = np.array(coordinates, dtype=np.float64)
        key = at.tobytes()
        if key not in self._known:
            self._remember(key, float(self.values(at[None, :])[0]))
        return self._known[key]

    def gradient(self, coordinates: FloatArray) -> FloatArray:
        """Evaluate the derivatives by the coordinates; at t = 0 the limit from above."""
        at = np.array(coordinates, dtype=np.float64)
        key = at.tobytes()
        if key not in self._gradients:
            inside = self._inside(at)
            self.n_evaluations += 1
            self._remember(
                key, self._known.get(key), self._by_coordinate(inside, self.objective.gradient_at(self.points(inside[None, :])[0]))
            )
        return np.array(self._gradients[key])

    def both(self, coordinates: FloatArray) -> tuple[float, FloatArray]:
        """Evaluate value and derivatives at one set of coordinates, in one pass over the data where the objective can."""
        at = np.array(coordinates, dtype=np.float64)
        key, inside = at.tobytes(), self._inside(at)
        if key in self._known or key in self._gradients:
            return self.value(at), self.gradient(at)
        self.n_evaluations += 1
        value, derivatives = self.objective.value_and_gradient(self.points(inside[None, :])[0])
        self.n_forbidden += not np.isfinite(value)
        self._remember(key, value - self.offset, self._by_coordinate(inside, derivatives))
        return self._known[key], np.array(self._gradients[key])

    def without_data(self, coordinates: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the expectations of bins without data, (n_bins,), and their derivatives by the coordinates, (n_bins, n_free)."""
        inside = self._inside(np.asarray(coordinates, dtype=np.float64))
        expected, derivatives = self.objective.without_data(self.points(inside[None, :])[0])
        return expected, derivatives[:, self.free] * np.where(self.root, 2.0 * inside, 1.0)

    def continued(self, coordinates: FloatArray) -> tuple[float, FloatArray]:
        """Evaluate value and derivatives with bins without data continued linearly below an expectation of 0."""
        inside = self._inside(np.asarray(coordinates, dtype=np.float64))
        self.n_evaluations += 1
        value, derivatives = self.objective.continued(self.points(inside[None, :])[0])
        return value - self.offset, self._by_coordinate(inside, derivatives)

    def _inside(self, at: FloatArray) -> FloatArray:
        """Move root coordinates off 0, where derivatives by the parameter diverge."""
        inside = at.copy()
        for k in np.flatnonzero(self.root):
            inside[k] = max(inside[k], nearest_above(self._shift[k]))
        return np.asarray(inside)

    def _by_coordinate(self, inside: FloatArray, derivatives: FloatArray) -> FloatArray:
        free = derivatives[self.free]
        return np.asarray(np.where(self.root, 2.0 * inside * free, free))

    def _remember(self, key: bytes, value: float | None, gradient: FloatArray | None = None) -> None:
        if len(self._known) + len(self._gradients) >= 2 * REMEMBERED:
            self._known.clear()
            self._gradients.clear()
        if value is not None:
            self._known[key] = value
        if gradient is not None:
            self._gradients[key] = gradient

    def hessian(self, coordinates: FloatArray) -> FloatArray | None:
        """Evaluate the second derivatives by the coordinates, (n_free, n_free); None if the objective does not know its own.

        Rows of a root coordinate near 0, where the derivatives by the parameter diverge, come from differences of the gradient.
        """
        inside = self._inside(np.array(coordinates, dtype=np.float64))
        point = self.points(inside[None, :])[0]
        hessian = self.objective.hessian_at(point)
        if hessian is None:
            return None
        self.n_evaluations += 1
        stretch = np.where(self.root, 2.0 * inside, 1.0)
        out = hessian[np.ix_(self.free, self.free)] * stretch[:, None] * stretch
        if self.root.any():
            derivatives = self.gradient(coordinates) / np.where(self.root, 2.0 * inside, 1.0)
            out[np.diag_indices(len(out))] += np.where(self.root, 2.0 * derivatives, 0.0)
        for k in np.flatnonzero(self.root & (inside < 0.02 * self.widths())):
            out[k] = out[:, k] = self.row(np.asarray(coordinates, dtype=np.float64), int(k))
        return np.asarray(out)

    def row(self, at: FloatArray, k: int) -> FloatArray:
        """Differentiate the gradient by coordinate k: central, one-sided at an edge; (n_free,)."""
        step = 1e-4 * max(min(self.widths()[k], 10.0), 1e-8)
        up, down = at.copy(), at.copy()
        up[k] = min(at[k] + step, self.high[k])
        down[k] = max(at[k] - step, self.low[k])
        return np.asarray((self.gradient(up) - self.gradient(down)) / (up[k] - down[k]))

    def widths(self) -> FloatArray:
        """Return the length of each range, for steps and distances; a range that is far larger than the starting value counts less."""
        start = np.abs(self.to_internal(self.base[self.free]))
        return np.minimum(self.high - self.low, WIDEST * np.maximum(start, 1.0))

    def scales(self) -> FloatArray:
        """Return a typical step of each coordinate, (n_free,): the width of its constraint, or a tenth of `widths`."""
        own = {c.parameter: centre_and_width(c)[1] for c in self.objective.constraints}
        return np.array([min(own.get(n, 0.1 * w), w) for n, w in zip(self.names, self.widths(), strict=True)])

    def directions(self) -> list[int]:
        """Return the free coordinates in which there may be several minima."""
        return [k for k, name in enumerate(self.names) if name in self.objective.interfering]

    def pulled(self, at: FloatArray, widths: float) -> list[int]:
        """Return the constrained coordinates, apart from `directions`, if a point (n_free,) has them that far from their measurement.

        The distance is that of all together: where others pull at a parameter, its own variation may be flat at one minimum only.
        """
        own = {c.parameter: centre_and_width(c) for c in self.objective.constraints}
        away = [(x - own[n][0]) / own[n][1] for n, x in zip(self.names, self.to_external(at).tolist(), strict=True) if n in own]
        if sum(x**2 for x in away) < widths**2:
            return []
        return [k for k, name in enumerate(self.names) if name in own and name not in self.objective.interfering]

    def plausible(self, k: int) -> tuple[float, float] | None:
        """Return the part of a constrained coordinate's range that matters; None without a constraint."""
        parameter = self.objective.parameters[self.free[k]]
        own = next((c for c in self.objective.constraints if c.parameter == parameter.name), None)
        if own is None:
            return None
        low, high = self.inward_of(k, plausible_range(parameter, own))
        return float(low), float(high)

    def inward_of(self, k: int, values: Sequence[float] | FloatArray) -> FloatArray:
        """Turn values of the parameter behind coordinate k into coordinates."""
        out = np.asarray(values, dtype=np.float64)
        return np.sqrt(np.maximum(out - self._shift[k], 0.0)) if self.root[k] else out
