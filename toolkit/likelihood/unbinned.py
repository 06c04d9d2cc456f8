"""Extended unbinned likelihood of a mixture, from per-event log density ratios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.errors import PhysicsDomainError, ShapeError
from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.coefficients import Coefficients, describe_point, diverging_parameters
from toolkit.likelihood.mixture import Complain, slope_by_coefficient, sum_log_density
from toolkit.likelihood.parameters import Bounds, Parameter, make_parameters
from toolkit.typing import FloatArray


class UnbinnedLikelihood(Likelihood):
    """Extended likelihood of events x_i with weights w_i under sum_j f_j(theta) nu_j p_j(x).

    twice_nll = 2 [ sum_j f_j nu_j - sum_i w_i ln( sum_j f_j nu_j p_j(x_i) / p_ref(x_i) ) ], less its value at f = 1.
    The reference density drops out of every difference. Weights are 1 for data, expected events for an Asimov set; they may
    be negative, and so may coefficients, while the total density stays positive.

    Args:
        log_ratios: ln p_j(x_i) / p_ref(x_i), process on top, (n_events, n_processes); -inf means a density of zero.
        weights: Event weights, (n_events,).
        yields: nu_j, expected events of each process at f_j = 1, (n_processes,), >= 0.
        coefficients: f_j as expressions in the parameters, one per process.
        parameters: Names of the parameters, or `Parameter` objects (then no bounds); the first is the parameter of interest.
        bounds: Allowed range of each parameter.
        init: Starting values (default: 1, moved into the range).
        event_ids: Identity of each event for messages, (n_events,); the row number if not given.

    Raises:
        ShapeError: Arrays do not belong together.
        PhysicsDomainError: A NaN or +inf ratio, a weight that is not finite, a negative yield.
        SchemaError: A coefficient that is not arithmetic, or uses an undefined parameter.

    Examples:
        A counting experiment (all ratios 1): 12 events, 10 signal and 5 background expected; the best fit is (12 - 5) / 10.

        >>> likelihood = UnbinnedLikelihood(log_ratios=np.zeros((12, 2)), weights=np.ones(12), yields=[10.0, 5.0],
        ...     coefficients=("mu", "1"), parameters=("mu",), bounds={"mu": (0.0, 4.0)})
        >>> round(likelihood.fit().parameters["mu"], 9)
        0.7
    """

    def __init__(
        self,
        *,
        log_ratios: ArrayLike,
        weights: ArrayLike,
        yields: ArrayLike,
        coefficients: Sequence[str],
        parameters: Sequence[str] | Sequence[Parameter],
        bounds: Bounds | None = None,
        init: Mapping[str, float] | None = None,
        event_ids: ArrayLike | None = None,
    ) -> None:
        self._parameters = make_parameters(parameters, bounds, init)
        self.coefficients = Coefficients.parse(coefficients, self.parameter_names)
        logs = np.asarray(log_ratios, dtype=np.float64)
        self.weights, self.yields = _checked_weights(weights, logs), _checked_yields(yields, logs)
        if len(self.coefficients.expressions) != len(self.yields):
            what = "coefficients"
            raise ShapeError(
                what, got=f"{len(self.coefficients.expressions)} expressions", expected=f"one for each of the {len(self.yields)} processes"
            )
        self.event_ids = None if event_ids is None else np.asarray(event_ids)
        if self.event_ids is not None and self.event_ids.shape != self.weights.shape:
            what = "event ids"
            raise ShapeError(what, got=self.event_ids.shape, expected=self.weights.shape)
        _check_logs(logs, self.event_ids)
        self.densities = _scaled(logs, self.yields)

    @classmethod
    def from_ratios(cls, *, ratios: ArrayLike, **others: object) -> UnbinnedLikelihood:
        """Build from density ratios p_j/p_ref instead of their logarithms; all other arguments as for the class."""
        r = np.asarray(ratios, dtype=np.float64)
        if np.any(r < 0.0):
            row, column = np.argwhere(r < 0.0)[0]
            what = f"density ratio of event {row}, process {column}"
            raise PhysicsDomainError(what, got=r[row, column], expected=">= 0", remedy="signed terms belong into the coefficients")
        with np.errstate(divide="ignore"):
            return cls(log_ratios=np.log(r), **others)  # type: ignore[arg-type]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters, in order."""
        return self._parameters

    @cached_property
    def diverging(self) -> frozenset[str]:
        """Parameters by which a coefficient's derivative diverges at the lower end of the range."""
        return diverging_parameters(self.coefficients, self._parameters)

    @cached_property
    def _offset(self) -> float:
        total = self.densities.sum(axis=1)
        return 2.0 * (float(self.yields.sum()) - float(self.weights @ np.log(np.where(total > 0.0, total, 1.0))))

    def twice_nll_points(self, points: FloatArray) -> FloatArray:
        """Evaluate at parameter points (n_points, n_parameters); returns (n_points,)."""
        f = self.coefficients.values(points)
        expected = f @ self.yields
        if not np.all(expected > 0.0):
            k = int(np.argmin(expected))
            what = f"total yield at {self._describe(points[k])}"
            raise PhysicsDomainError(
                what, got=float(expected[k]), expected="> 0", remedy="restrict the range of the parameters or check the yields"
            )

        logs = sum_log_density(self.densities, self.weights, f, self.complain_at(points))
        return 2.0 * (expected - logs) - self._offset

    def complain_at(self, points: FloatArray) -> Complain:
        """Return a function (event, point number, density) that raises for a density that is not positive at one of `points`."""

        def complain(event: int, point: int, density: float) -> None:
            raise self._not_positive(event, points[point], density)

        return complain

    def slopes(self, point: FloatArray) -> FloatArray:
        """Evaluate the derivatives at one point (n_parameters,); returns (n_parameters,)."""
        f = self.coefficients.values(point[None, :])[0]
        total = self.densities @ f
        if len(total) and not total.min() > 0.0:
            event = int(np.argmin(total))
            raise self._not_positive(event, point, float(total[event]))
        by_coefficient = slope_by_coefficient(self.densities, self.weights, self.yields, f)
        return np.asarray(self.coefficients.jacobian(point[None, :])[0] @ by_coefficient)

    def with_weights(self, weights: ArrayLike) -> UnbinnedLikelihood:
        """Return the likelihood of the same events with other weights, (n_events,): another Asimov set, a toy."""
        clone = object.__new__(UnbinnedLikelihood)
        clone.__dict__.update({k: v for k, v in self.__dict__.items() if k != "_offset"})
        clone.weights = _checked_weights(weights, self.densities)
        return clone

    def with_events(self, rows: ArrayLike, *, weights: ArrayLike | None = None) -> UnbinnedLikelihood:
        """Return the likelihood of some of the events: a toy drawn from them.

        Args:
            rows: Positions of the events, (n_new,) integers; an event may be drawn more than once.
            weights: Their weights, (n_new,); 1 if not given.

        Returns:
            The likelihood. Values are comparable within it only: the constant belongs to its events.

        Raises:
            ShapeError: Not integers, or no such events.
        """
        chosen = np.asarray(rows)
        n = len(self.densities)
        if chosen.ndim != 1 or (chosen.size and (chosen.dtype.kind not in "iu" or chosen.min() < 0 or chosen.max() >= n)):
            what = "rows"
            raise ShapeError(what, got=f"{chosen.dtype} {chosen.shape}", expected=f"(n_new,) integers from 0 to {n - 1}")
        chosen = chosen.astype(np.intp)
        clone = object.__new__(UnbinnedLikelihood)
        clone.__dict__.update({k: v for k, v in self.__dict__.items() if k != "_offset"})
        clone.densities = self.densities[chosen]
        clone.event_ids = None if self.event_ids is None else self.event_ids[chosen]
        clone.weights = _checked_weights(np.ones(len(chosen)) if weights is None else weights, clone.densities)
        return clone

    def _not_positive(self, event: int, point: FloatArray, density: float) -> PhysicsDomainError:
        name = f"event {event}" if self.event_ids is None else f"event {event} (id {self.event_ids[event]})"
        return PhysicsDomainError(
            f"density of {name} at {self._describe(point)}",
            got=density,
            expected="> 0",
            remedy="the ratios are inconsistent with the morphing there: recalibrate them, or restrict the range of the parameters",
        )

    def _describe(self, point: FloatArray) -> str:
        return describe_point(self.parameter_names, point)


def _checked_weights(weights: ArrayLike, rows: FloatArray) -> FloatArray:
    array = np.array(weights, dtype=np.float64)
    if rows.ndim != 2 or array.shape != (len(rows),):
        what = "log_ratios and weights"
        raise ShapeError(what, got=f"{rows.shape} and {array.shape}", expected="(n_events, n_processes) and (n_events,)")
    bad = np.flatnonzero(~np.isfinite(array))
    if len(bad):
        what = f"weight of event {bad[0]}"
        raise PhysicsDomainError(
            what, got=array[bad[0]], expected="a finite number", remedy=f"{len(bad)} weights are not finite; find where they come from"
        )
    return array


def _checked_yields(yields: ArrayLike, rows: FloatArray) -> FloatArray:
    array = np.array(yields, dtype=np.float64)
    if array.shape != (rows.shape[1],):
        what = "yields"
        raise ShapeError(what, got=array.shape, expected=f"({rows.shape[1]},), one per column of log_ratios")
    if not np.all(np.isfinite(array) & (array >= 0.0)):
        what = "yields"
        raise PhysicsDomainError(what, got=array.tolist(), expected="finite numbers >= 0", remedy="signs belong into the coefficients")
    return array


def _check_logs(logs: FloatArray, event_ids: NDArray[np.generic] | None) -> None:
    bad = np.isnan(logs) | (logs == np.inf)
    empty = ~np.any(np.isfinite(logs), axis=1)
    if bad.any() or empty.any():
        row, column = np.argwhere(bad)[0] if bad.any() else (int(np.argmax(empty)), 0)
        name = f"event {row}" if event_ids is None else f"event {row} (id {event_ids[row]})"
        what = f"log ratio of {name}, process {column}"
        raise PhysicsDomainError(
            what,
            got=f"{logs[row, column]} ({int(bad.sum())} NaN or infinite, {int(empty.sum())} events without any density)",
            expected="a finite number, or -inf for a density of zero",
            remedy="check the inputs of the ratio model: a missing observable gives NaN",
        )


def _scaled(logs: FloatArray, yields: FloatArray) -> FloatArray:
    """Return nu_j r_j(x) with each row divided by its largest ratio, which drops out of the likelihood and avoids overflow."""
    present = yields > 0.0
    largest = np.max(logs[:, present], axis=1, keepdims=True, initial=-np.inf)
    out = logs - np.where(np.isfinite(largest), largest, 0.0)
    out[:, ~present] = -np.inf
    np.exp(out, out=out)
    out *= yields
    return np.asarray(out)
