"""Extended unbinned likelihood from a network that reads the parameters: one density ratio at every theta."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.coefficients import describe_point, diverging_parameters
from toolkit.likelihood.constraints import Constraint, check_distinct, replace_observed
from toolkit.likelihood.densities import checked_weights, checked_yields
from toolkit.likelihood.domain import NotPositive
from toolkit.likelihood.interference import turning_parameters
from toolkit.likelihood.mixture import by_parameters
from toolkit.likelihood.parameters import Bounds, Parameter, make_parameters
from toolkit.likelihood.rates import NormSys, Rates
from toolkit.likelihood.theta_series import ThetaSeries
from toolkit.model.coefficients import Coefficients
from toolkit.typing import FloatArray, IntArray

COMMON = 1e-9
"""Relative difference of two processes up to which a parameter changes them by the same factor."""


class ParameterisedLikelihood(Likelihood):
    """Extended likelihood of events x_i with weights w_i from r(x; theta) = p(x | theta) / p_ref(x).

    twice_nll = 2 [ nu - sum_i w_i ( ln nu + ln r(x_i; theta) - ln E_ref[r(x; theta)] ) ] + constraints, less its value at the start. nu is
    sum_j F_j nu_j as in `UnbinnedLikelihood`; F_j tells only the total from the parameters, the network tells the shape. A parameter
    that the network does not read must therefore change all processes by one factor (the luminosity, a common normalisation).

    Args:
        log_ratios: ln r of each event as a function of theta, n_events rows.
        weights: Event weights, (n_events,).
        yields: nu_j, expected events of each process at f_j = 1, (n_processes,), >= 0.
        coefficients: f_j as expressions in the parameters, one per process.
        parameters: Names of the parameters, or `Parameter` objects (then no bounds); the first is the parameter of interest.
        bounds: Allowed range of each parameter.
        init: Starting values (default: 1, moved into the range).
        inputs: Each component of theta as an expression in the parameters; those not named are parameters of their own name.
        log_mean: ln E_ref[r] as a function of theta, one row; None takes the ratio as it is.
        systematics: Normalisation systematics, the same for all processes.
        constraints: Constraint terms that are counted here.
        event_ids: Identity of each event for messages, (n_events,); the row number if not given.

    Raises:
        ShapeError: Arrays do not belong together.
        SchemaError: An undefined parameter, or one that changes the mixture of processes and is no input of the network.
        PhysicsDomainError: A weight that is not finite, a negative yield.

    Examples:
        Two events at x = 1 and 3 of a Gaussian around theta, against the one around 0; 2 events are expected anywhere:

        >>> from toolkit.likelihood.theta_series import ThetaAxis
        >>> x = np.array([1.0, 3.0])
        >>> series = ThetaSeries.of(lambda theta: theta[0] * x - 0.5 * theta[0] ** 2, [ThetaAxis("shift", -1.0, 5.0)])
        >>> likelihood = ParameterisedLikelihood(log_ratios=series, weights=np.ones(2), yields=[2.0], coefficients=("1",),
        ...     parameters=("shift",), bounds={"shift": (-1.0, 5.0)})
        >>> fit = likelihood.fit()
        >>> round(fit.parameters["shift"], 6), round(fit.errors["shift"], 4), round(likelihood.twice_nll(0.0) - fit.twice_nll, 6)
        (2.0, 0.7071, 8.0)
    """

    def __init__(
        self,
        *,
        log_ratios: ThetaSeries,
        weights: ArrayLike,
        yields: ArrayLike,
        coefficients: Sequence[str],
        parameters: Sequence[str] | Sequence[Parameter],
        bounds: Bounds | None = None,
        init: Mapping[str, float] | None = None,
        inputs: Mapping[str, str] | None = None,
        log_mean: ThetaSeries | None = None,
        systematics: Sequence[NormSys] = (),
        constraints: Sequence[Constraint] = (),
        event_ids: ArrayLike | None = None,
    ) -> None:
        self._parameters = make_parameters(parameters, bounds, init)
        self._constraints = check_distinct(constraints, self._parameters)
        self.coefficients = Rates.of(Coefficients.parse(coefficients, self.parameter_names), systematics)
        self.inputs = Coefficients.parse([(inputs or {}).get(name, name) for name in log_ratios.names], self.parameter_names)
        self.log_ratios, self.log_mean = log_ratios, log_mean
        self.weights = checked_weights(weights, np.empty((len(log_ratios), 1)))
        self.yields = checked_yields(yields, np.empty((0, len(self.coefficients.coefficients.expressions))))
        self.event_ids = None if event_ids is None else np.asarray(event_ids)
        if self.event_ids is not None and self.event_ids.shape != self.weights.shape:
            raise ShapeError("event ids", got=self.event_ids.shape, expected=self.weights.shape)
        if log_mean is not None and (len(log_mean) != 1 or log_mean.names != log_ratios.names):
            raise ShapeError("mean of the ratio", got=f"{len(log_mean)} rows of {log_mean.names}", expected=f"1 row of {log_ratios.names}")
        self._check_common()

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters, in order."""
        return self._parameters

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """The constraints that are counted here."""
        return self._constraints

    @cached_property
    def read(self) -> frozenset[str]:
        """Parameters that the network reads."""
        return frozenset(name for e in self.inputs.expressions for name in e.names)

    @cached_property
    def diverging(self) -> frozenset[str]:
        """Parameters by which the derivative diverges at the lower end of the range: where a root is 0."""
        found = set(diverging_parameters(self.coefficients, self._parameters) | diverging_parameters(self.inputs, self._parameters))
        start = np.array([[p.init for p in self._parameters]])
        for k, p in enumerate(self._parameters):
            if p.name in self.read and np.isfinite(p.low):
                point = start.copy()
                point[0, k] = p.low
                theta = self.inputs.values(point)[0]
                found |= {p.name for axis, value in zip(self.log_ratios.axes, theta, strict=True) if axis.root and value == 0.0}
        return frozenset(found)

    @cached_property
    def interfering(self) -> frozenset[str]:
        """Parameters in which there may be several minima: those of the network, and those along which the yield turns back."""

        def rates(points: FloatArray) -> FloatArray:
            return (self.coefficients.values(points) @ self.yields)[:, None]

        return self.read | self.diverging | turning_parameters(rates, self._parameters, self._constraints, points=41)

    def expected(self, points: FloatArray) -> FloatArray:
        """Evaluate the expected number of events at points (n_points, n_parameters), (n_points,)."""
        return np.asarray(self.coefficients.values(points) @ self.yields)

    def log_density(self, points: FloatArray, *, rows: slice = slice(None)) -> FloatArray:
        """Evaluate ln of the density ratio of events, divided by its mean, at points inside the range, (n_events, n_points)."""
        theta = self.inputs.values(points)
        logs = np.asarray(self.log_ratios.coefficients[rows] @ self.log_ratios.basis(theta).T)
        return logs if self.log_mean is None else logs - self.log_mean.at_points(theta)

    def twice_nll_points(self, points: FloatArray) -> FloatArray:
        """Evaluate at parameter points (n_points, n_parameters); returns (n_points,)."""
        return self._unshifted(points) - self._offset

    def gradient_at(self, point: FloatArray) -> FloatArray:
        """Evaluate the derivatives at one point (n_parameters,); returns (n_parameters,)."""
        if not np.isfinite(self._unshifted(point[None, :])[0]):
            return np.zeros(len(point))
        theta = self.inputs.values(point[None, :])[0]
        by_theta = np.asarray(-2.0 * np.sum([part.gradient_at(theta)[:, 0] for part in self._sums], axis=0))
        by_rate = 2.0 * (1.0 - self._total / float(self.expected(point[None, :])[0])) * self.yields
        out = by_parameters(self.coefficients.jacobian(point[None, :])[0], by_rate)
        out = out + by_parameters(self.inputs.jacobian(point[None, :])[0], by_theta)
        for c in self._constraints:
            k = self.parameter_names.index(c.parameter)
            out[k] += c.slope(float(point[k]))
        return np.asarray(out)

    def not_positive(self, point: FloatArray) -> NotPositive | None:
        """Say what forbids a point (n_parameters,): the total yield, or a theta that the network does not know."""
        where = describe_point(self.parameter_names, point)
        theta, nu = self.inputs.values(point[None, :]), float(self.expected(point[None, :])[0])
        if not nu > 0.0:
            remedy = "restrict the range of the parameters or check the yields"
            return NotPositive("the total yield", PhysicsDomainError(f"total yield at {where}", got=nu, expected="> 0", remedy=remedy))
        if not self.log_ratios.inside(theta)[0]:
            known = ", ".join(f"{a.name} from {a.low:g} to {a.high:g}" for a in self.log_ratios.axes)
            error = PhysicsDomainError(
                f"theta of the network at {where}", got=theta[0].tolist(), expected=known, remedy="shorten the range"
            )
            return NotPositive("the range of the network", error)
        return None

    def with_weights(self, weights: ArrayLike) -> ParameterisedLikelihood:
        """Return the likelihood of the same events with other weights, (n_events,): another Asimov set, a toy."""
        return self._with(weights=checked_weights(weights, np.empty((len(self.log_ratios), 1))))

    def with_events(self, rows: IntArray, *, weights: ArrayLike | None = None) -> ParameterisedLikelihood:
        """Return the likelihood of some of the events, (n_new,) positions that may repeat, each counting 1 unless weights are given.

        Raises:
            ShapeError: Not integers, or no such events.
        """
        chosen, n = np.asarray(rows), len(self.log_ratios)
        if chosen.ndim != 1 or (chosen.size and (chosen.dtype.kind not in "iu" or chosen.min() < 0 or chosen.max() >= n)):
            raise ShapeError("rows", got=f"{chosen.dtype} {chosen.shape}", expected=f"(n_new,) integers from 0 to {n - 1}")
        series = self.log_ratios.select(chosen.astype(np.intp))
        own = checked_weights(np.ones(len(chosen)) if weights is None else weights, np.empty((len(chosen), 1)))
        ids = None if self.event_ids is None else self.event_ids[chosen]
        return self._with(log_ratios=series, weights=own, event_ids=ids)

    def with_mean(self, log_mean: ThetaSeries | None) -> ParameterisedLikelihood:
        """Return the likelihood with the ratio divided by another mean over the reference."""
        return self._with(log_mean=log_mean)

    def with_systematics(
        self,
        *,
        parameters: Sequence[Parameter],
        coefficients: Sequence[str] | None = None,
        systematics: Sequence[NormSys] = (),
        constraints: Sequence[Constraint] = (),
    ) -> ParameterisedLikelihood:
        """Return the likelihood of the same events with other parameters; arguments as for the class."""
        return ParameterisedLikelihood(
            log_ratios=self.log_ratios,
            weights=self.weights,
            yields=self.yields,
            coefficients=self.coefficients.coefficients.texts if coefficients is None else coefficients,
            parameters=tuple(parameters),
            inputs=dict(zip(self.log_ratios.names, self.inputs.texts, strict=True)),
            log_mean=self.log_mean,
            systematics=systematics,
            constraints=constraints,
            event_ids=self.event_ids,
        )

    def with_auxiliary(self, observed: Mapping[str, float]) -> ParameterisedLikelihood:
        """Return the likelihood with other auxiliary data, by the constrained parameter; those not named stay."""
        return self._with(_constraints=replace_observed(self._constraints, observed))

    def _with(self, **changes: Any) -> ParameterisedLikelihood:
        clone = object.__new__(ParameterisedLikelihood)
        clone.__dict__.update({k: v for k, v in self.__dict__.items() if k not in {"_sums", "_total", "_offset"}})
        clone.__dict__.update(changes)
        return clone

    @cached_property
    def _total(self) -> float:
        return float(self.weights.sum())

    @cached_property
    def _sums(self) -> tuple[ThetaSeries, ...]:
        """Sum w ln r, and minus sum w ln E_ref[r], as series of one row: all that the data say about theta."""
        mean = () if self.log_mean is None else (self.log_mean.summed(np.array([-self._total])),)
        return (self.log_ratios.summed(self.weights), *mean)

    @cached_property
    def _offset(self) -> float:
        value = float(self._unshifted(np.array([[p.init for p in self._parameters]]))[0])
        return value if np.isfinite(value) else 0.0

    def _unshifted(self, points: FloatArray) -> FloatArray:
        theta, nu = self.inputs.values(points), self.expected(points)
        allowed = (nu > 0.0) & self.log_ratios.inside(theta)
        out = np.full(len(points), np.inf)
        if allowed.any():
            logs = sum(part.at_points(theta[allowed])[0] for part in self._sums)
            out[allowed] = 2.0 * (nu[allowed] - self._total * np.log(nu[allowed]) - logs)
        for c in self._constraints:
            column = self.parameter_names.index(c.parameter)
            out += np.array([c.twice_nll(float(v)) for v in points[:, column]])
        return out

    def _check_common(self) -> None:
        """Refuse parameters that the network does not read and that change the mixture of processes, whose shape nobody then knows."""
        start = np.array([min(max(p.init, p.low + 1e-3), p.high - 1e-3) for p in self._parameters])
        used = {n for e in self.coefficients.coefficients.expressions for n in e.names} | {
            s.parameter for s in self.coefficients.systematics
        }
        for k, p in enumerate(self._parameters):
            if p.name in self.read or p.name not in used:
                continue
            moved = start.copy()
            moved[k] += 0.1 * (min(1.0, p.high - start[k]) or -1.0)
            before, after = self.coefficients.values(np.stack([start, moved]))
            present = (np.abs(before) > 0.0) & (self.yields > 0.0)
            factors = after[present] / before[present]
            if len(factors) and np.ptp(factors) > COMMON * np.abs(factors).max():
                raise SchemaError(
                    f"parameter {p.name!r}",
                    got=f"factors of the processes from {factors.min():.6g} to {factors.max():.6g}",
                    expected=f"one factor for all, because the network reads {sorted(self.read)} only",
                    remedy="train the network with this parameter among its inputs, or use the mixture",
                )
