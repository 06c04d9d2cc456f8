"""Extended unbinned likelihood of a mixture, from per-event log density ratios, with nuisance parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.likelihood.base import Likelihood, Point
from toolkit.likelihood.coefficients import describe_point, diverging_parameters
from toolkit.likelihood.constraints import Constraint, check_distinct, replace_observed
from toolkit.likelihood.densities import check_logs, check_variations, checked_weights, checked_yields, scaled_densities
from toolkit.likelihood.domain import NotPositive, infinite_where_forbidden
from toolkit.likelihood.interference import turning_parameters, turning_shapes
from toolkit.likelihood.mixture import Complain, by_parameters, missing_density, missing_total, sum_log_density
from toolkit.likelihood.parameters import Bounds, Parameter, make_parameters
from toolkit.likelihood.rates import NormSys, Rates
from toolkit.likelihood.shaped import ShapedMixture, ShapeReference
from toolkit.likelihood.shapes import Shapes
from toolkit.model.coefficients import Coefficients
from toolkit.typing import FloatArray


class UnbinnedLikelihood(Likelihood):
    """Extended likelihood of events x_i with weights w_i under sum_j F_j(theta) nu_j g_j(x, alpha) p_j(x).

    twice_nll = 2 [ sum_j F_j nu_j - sum_i w_i ln( sum_j F_j nu_j g_j(x_i, alpha) p_j(x_i) / p_ref(x_i) ) ] + constraints, less its
    value without systematics at f = 1. F_j is the coefficient f_j times the normalisation systematics, g_j the per-event variation,
    normalised at every alpha. The reference density drops out of every difference. Weights are 1 for data, expected events for
    an Asimov set; they may be negative, and so may coefficients, while the total density stays positive.

    Args:
        log_ratios: ln p_j(x_i) / p_ref(x_i), process on top, (n_events, n_processes); -inf means a density of zero.
        weights: Event weights, (n_events,).
        yields: nu_j, expected events of each process at f_j = 1, (n_processes,), >= 0.
        coefficients: f_j as expressions in the parameters, one per process.
        parameters: Names of the parameters, or `Parameter` objects (then no bounds); the first is the parameter of interest.
        bounds: Allowed range of each parameter.
        init: Starting values (default: 1, moved into the range).
        event_ids: Identity of each event for messages, (n_events,); the row number if not given.
        systematics: Normalisation systematics.
        shapes: Per-event variations of these events.
        reference: What the variations are normalised on: required with `shapes`; "normalised" says that they are already.
        constraints: Constraint terms that are counted here. Those that other channels share belong to a `ConstraintTerm`.
        threads: Number of threads that share large sets of events with variations; sums do not depend on it. None means the
            variable OMP_NUM_THREADS, else the processors that this process may run on.

    Raises:
        ShapeError: Arrays do not belong together.
        PhysicsDomainError: A NaN or +inf ratio, a weight that is not finite, a negative yield.
        SchemaError: A coefficient that is not arithmetic, an undefined parameter, variations without a reference.

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
        systematics: Sequence[NormSys] = (),
        shapes: Shapes | None = None,
        reference: ShapeReference | Literal["normalised"] | None = None,
        constraints: Sequence[Constraint] = (),
        threads: int | None = None,
    ) -> None:
        self.threads = threads
        self._parameters = make_parameters(parameters, bounds, init)
        self._constraints = check_distinct(constraints, self._parameters)
        self.coefficients = Rates.of(Coefficients.parse(coefficients, self.parameter_names), systematics)
        logs = np.asarray(log_ratios, dtype=np.float64)
        self.weights, self.yields = checked_weights(weights, logs), checked_yields(yields, logs)
        if len(coefficients) != len(self.yields):
            what = "coefficients"
            raise ShapeError(what, got=f"{len(coefficients)} expressions", expected=f"one for each of the {len(self.yields)} processes")
        self.event_ids = None if event_ids is None else np.asarray(event_ids)
        if self.event_ids is not None and self.event_ids.shape != self.weights.shape:
            what = "event ids"
            raise ShapeError(what, got=self.event_ids.shape, expected=self.weights.shape)
        check_logs(logs, self.event_ids)
        self.densities = scaled_densities(logs, self.yields)
        self.shapes, self.reference = shapes, None if reference == "normalised" else reference
        if shapes is not None:
            check_variations(shapes, reference, like=self.densities.shape, names=self.parameter_names)

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
    def interfering(self) -> frozenset[str]:
        """Parameters along which a yield or the densities turn back: fits look for several minima there."""

        def rates(points: FloatArray) -> FloatArray:
            expected = self.coefficients.values(points) * self.yields
            return np.concatenate([expected, expected.sum(axis=1, keepdims=True)], axis=1)

        found = self.diverging | turning_parameters(rates, self._parameters, self._constraints, points=41)
        return found if self.shapes is None else found | turning_shapes(self.shapes, self.yields)

    @cached_property
    def _offset(self) -> float:
        total = self.densities.sum(axis=1)
        return 2.0 * (float(self.yields.sum()) - float(self.weights @ np.log(np.where(total > 0.0, total, 1.0))))

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """The constraints that are counted here."""
        return self._constraints

    def twice_nll_points(self, points: FloatArray) -> FloatArray:
        """Evaluate at parameter points (n_points, n_parameters); returns (n_points,)."""
        f = self.coefficients.values(points)
        expected = f @ self.yields
        logs = sum_log_density(self.densities, self.weights, f) if self.shapes is None else self._shaped_sums(points, f)
        values = infinite_where_forbidden(2.0 * (expected - logs)) - self._offset + self._constraint_points(points)
        return np.where(expected > 0.0, values, np.inf)

    def _shaped_sums(self, points: FloatArray, f: FloatArray) -> FloatArray:
        """Sum w_i ln t_i: one pass over the events for all points that share their nuisance parameters."""
        out = np.empty(len(points))
        different, group = np.unique(points[:, self._alphas], axis=0, return_inverse=True)
        for g, alphas in enumerate(different):
            chosen = group.reshape(-1) == g
            try:
                out[chosen] = self._mixture.sums(f[chosen], alphas)
            except PhysicsDomainError:  # the mean of a variation is not positive
                out[chosen] = np.nan
        return out

    def _constraint_points(self, points: FloatArray) -> FloatArray | float:
        if not self._constraints:
            return 0.0
        columns = [self.parameter_names.index(c.parameter) for c in self._constraints]
        return np.array([sum(c.twice_nll(float(p[k])) for c, k in zip(self._constraints, columns, strict=True)) for p in points])

    def complain_at(self, points: FloatArray) -> Complain:
        """Return a function (event, point number, density) that raises for a density that is not positive at one of `points`."""

        def complain(event: int, point: int, density: float) -> None:
            raise self._not_positive(event, points[point], density).error

        return complain

    def shortfall(self, points: FloatArray) -> FloatArray:
        """Say how much is missing from points to allowed ones, (n_points,)."""
        f = self.coefficients.values(points)
        lacking = np.where(f @ self.yields > 0.0, 0.0, 1.0)
        if self.shapes is None:
            return np.asarray(lacking + missing_density(self.densities, f))
        for i, (row, point) in enumerate(zip(f, points, strict=True)):
            try:
                lacking[i] += missing_total(*self._mixture.totals(row, point[self._alphas]))
            except PhysicsDomainError:
                lacking[i] += 1.0
        return lacking

    def not_positive(self, point: FloatArray) -> NotPositive | None:
        """Say which event forbids a point (n_parameters,), or that the total yield does."""
        f = self.coefficients.values(point[None, :])[0]
        if not f @ self.yields > 0.0:
            remedy = "restrict the range of the parameters or check the yields"
            what = f"total yield at {self._describe(point)}"
            return NotPositive("the total yield", PhysicsDomainError(what, got=float(f @ self.yields), expected="> 0", remedy=remedy))
        try:
            total = self.densities @ f if self.shapes is None else self._mixture.totals(f, point[self._alphas])[0]
        except PhysicsDomainError as error:
            return NotPositive("the mean of a variation", error)
        bad = ~(total > 0.0)
        return self._not_positive(int(np.argmin(total)), point, float(total.min())) if bad.any() else None

    def gradient_at(self, point: FloatArray) -> FloatArray:
        """Evaluate the derivatives at one point (n_parameters,); returns (n_parameters,)."""
        return self._value_and_slopes(point)[1]

    def value_and_gradient(self, parameters: Point) -> tuple[float, FloatArray]:
        """Evaluate `twice_nll` and `gradient` in one pass over the events."""
        point = self.point(parameters)
        if any(p.name in self.diverging and x == p.low for p, x in zip(self._parameters, point, strict=True)):
            return super().value_and_gradient(point)
        return self._value_and_slopes(point)

    def _value_and_slopes(self, point: FloatArray) -> tuple[float, FloatArray]:
        f = self.coefficients.values(point[None, :])[0]
        jacobian = self.coefficients.jacobian(point[None, :])[0]
        expected, derivatives = float(f @ self.yields), np.zeros(len(point))
        if self.shapes is None:
            total = self.densities @ f
            with np.errstate(invalid="ignore", divide="ignore"):
                logs, by_factor = float(self.weights @ np.log(total)), (self.weights / total) @ self.densities
        else:
            try:
                with np.errstate(invalid="ignore"):
                    logs, by_factor, by_alpha = self._mixture.derivatives(f, point[self._alphas])
            except PhysicsDomainError:  # the mean of a variation is not positive
                return np.inf, derivatives
            derivatives[self._alphas] -= 2.0 * by_alpha
        if not (expected > 0.0 and np.isfinite(logs)):
            return np.inf, np.zeros(len(point))
        value = 2.0 * (expected - logs) - self._offset + float(np.sum(self._constraint_points(point[None, :])))
        by_rate = 2.0 * (self.yields - by_factor)
        derivatives += by_parameters(jacobian, by_rate)
        for c in self._constraints:
            k = self.parameter_names.index(c.parameter)
            derivatives[k] += c.slope(float(point[k]))
        return value, derivatives

    @property
    def closed_hessian(self) -> bool:
        """Whether second derivatives are known in closed form."""
        return self.shapes is None or self.shapes.code == "log_quadratic"

    def hessian_at(self, point: FloatArray) -> FloatArray | None:
        """Evaluate the second derivatives at one point (n_parameters,); None where they are not known in closed form."""
        if not self.closed_hessian:
            return None
        rates = self.coefficients
        f, jacobian = rates.values(point[None, :])[0], rates.jacobian(point[None, :])[0]
        p, inner = len(f), np.zeros((len(point), len(f)))
        inner[:, :p] = jacobian
        if self.shapes is None:
            scaled = self.densities / (self.densities @ f)[:, None]
            inside = -(scaled * self.weights[:, None]).T @ scaled
            by_factor = self.weights @ scaled
        else:
            inside, by_factor = self._mixture.hessian(f, point[self._alphas])
            inner = np.concatenate([inner, np.eye(len(point))[:, self._alphas]], axis=1)
        low, high = (np.array([getattr(q, end) for q in self._parameters]) for end in ("low", "high"))
        with np.errstate(invalid="ignore"):  # rows of a parameter at the edge where its derivative diverges
            out = -2.0 * inner @ inside @ inner.T + 2.0 * rates.hessian_at(point, low=low, high=high) @ (self.yields - by_factor)
        for c in self._constraints:
            k = self.parameter_names.index(c.parameter)
            out[k, k] += c.curvature(float(point[k]))
        return np.asarray(out)

    def with_weights(self, weights: ArrayLike) -> UnbinnedLikelihood:
        """Return the likelihood of the same events with other weights, (n_events,): another Asimov set, a toy."""
        return self._with(weights=checked_weights(weights, self.densities))

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
        densities = self.densities[chosen]
        return self._with(
            densities=densities,
            event_ids=None if self.event_ids is None else self.event_ids[chosen],
            weights=checked_weights(np.ones(len(chosen)) if weights is None else weights, densities),
            shapes=None if self.shapes is None else self.shapes.select(chosen),
        )

    def with_systematics(
        self,
        *,
        parameters: Sequence[Parameter],
        coefficients: Sequence[str] | None = None,
        systematics: Sequence[NormSys] = (),
        shapes: Shapes | None = None,
        reference: ShapeReference | Literal["normalised"] | None = None,
        constraints: Sequence[Constraint] = (),
    ) -> UnbinnedLikelihood:
        """Return the likelihood of the same events with nuisance parameters; arguments as for the class.

        Args:
            parameters: All parameters, that of interest first.
            coefficients: f_j as expressions; those of this likelihood if not given.
            systematics: Normalisation systematics.
            shapes: Per-event variations of these events.
            reference: What the variations are normalised on.
            constraints: Constraint terms that are counted here.

        Returns:
            The likelihood.
        """
        texts = self.coefficients.coefficients.texts if coefficients is None else tuple(coefficients)
        names = tuple(p.name for p in parameters)
        if shapes is not None:
            check_variations(shapes, reference, like=self.densities.shape, names=names)
        return self._with(
            _parameters=tuple(parameters),
            coefficients=Rates.of(Coefficients.parse(texts, names), systematics),
            shapes=shapes,
            reference=None if reference == "normalised" else reference,
            _constraints=check_distinct(constraints, tuple(parameters)),
        )

    def with_normalisation(self, reference: ShapeReference) -> UnbinnedLikelihood:
        """Return the likelihood with its variations, if there are any, normalised on another sample."""
        if self.shapes is not None:
            check_variations(self.shapes, reference, like=self.densities.shape, names=self.parameter_names)
        return self._with(reference=reference)

    def with_threads(self, threads: int | None) -> UnbinnedLikelihood:
        """Return the same likelihood evaluated by another number of threads."""
        return self._with(threads=threads)

    def with_auxiliary(self, observed: Mapping[str, float]) -> UnbinnedLikelihood:
        """Return the likelihood with other auxiliary data, by the constrained parameter; those not named stay."""
        return self._with(_constraints=replace_observed(self._constraints, observed))

    def _with(self, **changes: Any) -> UnbinnedLikelihood:
        clone = object.__new__(UnbinnedLikelihood)
        of_data, of_model = {"_offset", "_mixture", "_alphas"}, {"diverging", "interfering"}
        dropped = of_data | (of_model if set(changes) & {"_parameters", "coefficients"} else set())
        clone.__dict__.update({k: v for k, v in self.__dict__.items() if k not in dropped})
        clone.__dict__.update(changes)
        return clone

    @cached_property
    def _mixture(self) -> ShapedMixture:
        if self.shapes is None:
            raise SchemaError("per-event variations", got="none", expected="shapes")
        return ShapedMixture(self.densities, self.weights, self.shapes, self.reference, self.threads)

    @cached_property
    def _alphas(self) -> NDArray[np.intp]:
        """Where the parameters of the variations stand among the parameters."""
        return np.array([self.parameter_names.index(n) for n in self.shapes.names] if self.shapes is not None else [], dtype=np.intp)

    def _not_positive(self, event: int, point: FloatArray, density: float) -> NotPositive:
        name = f"event {event}" if self.event_ids is None else f"event {event} (id {self.event_ids[event]})"
        error = PhysicsDomainError(
            f"density of {name} at {self._describe(point)}",
            got=density,
            expected="> 0",
            remedy="the ratios are inconsistent with the morphing there: recalibrate them, or restrict the range of the parameters",
        )
        return NotPositive(name, error)

    def _describe(self, point: FloatArray) -> str:
        return describe_point(self.parameter_names, point)
