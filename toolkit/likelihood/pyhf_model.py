"""Any pyhf model as a likelihood, with normfactors tied to expressions in other parameters.

What to use when: `BinnedLikelihood` for templates alone; this class for a whole HistFactory document, with systematics, several
channels and constraint terms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Literal

import numpy as np
import pyhf
from numpy.typing import ArrayLike

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.likelihood.base import Likelihood, differences_of_gradients
from toolkit.likelihood.coefficients import describe_point, diverging_parameters
from toolkit.likelihood.constraints import Constraint, replace_observed
from toolkit.likelihood.domain import NotPositive
from toolkit.likelihood.fit_result import FitResult, GoodnessOfFit
from toolkit.likelihood.histfactory_kernel import ConstraintTable, HistFactoryKernel, compile_model, poisson_twice_nll
from toolkit.likelihood.interference import turning_parameters
from toolkit.likelihood.mixture import by_parameters
from toolkit.likelihood.parameters import Parameter
from toolkit.likelihood.pyhf_build import check_factors, dropped_errors
from toolkit.model.coefficients import Coefficients
from toolkit.typing import BoolArray, FloatArray

STEP = 1e-3
"""Step of the numerical derivatives, relative to max(1, |value|); five points, so the error is of order STEP^4."""
_STENCILS = {
    "central": (np.array([-2.0, -1.0, 1.0, 2.0]), np.array([1.0, -8.0, 8.0, -1.0]) / 12.0),
    "forward": (np.array([0.0, 1.0, 2.0, 3.0, 4.0]), np.array([-25.0, 48.0, -36.0, 16.0, -3.0]) / 12.0),
    "backward": (np.array([0.0, -1.0, -2.0, -3.0, -4.0]), np.array([25.0, -48.0, 36.0, -16.0, 3.0]) / 12.0),
}


class PyhfLikelihood(Likelihood):
    """Twice the negative log-density of a pyhf model: exactly -2 logpdf, constraint terms and constants included.

    Args:
        model: The model.
        data: Observed counts, then auxiliary data, as pyhf orders them.
        ties: Expression for each tied normfactor of the model; the others are parameters of their own.
        parameters: Parameters that occur in the ties. One with the name of a parameter of the model is that parameter.
        poi: Parameter of interest (default: the first of `parameters`, else the model's).

    Raises:
        SchemaError: A tie to something that is not a scalar parameter of the model, an undefined parameter in a tie, or a normsys with a
            factor that is not positive, for which pyhf has NaN.
        ShapeError: Data of another length than the model's.

    Notes:
        Values equal pyhf's to rounding; derivatives are exact. For models with custom modifiers or clipping values are pyhf's own and
        derivatives by the model's parameters five-point differences (about 1e-9).

    Examples:
        >>> model = pyhf.simplemodels.uncorrelated_background([10.0], [50.0], [7.0], validate=False)
        >>> data = [55.0, *model.config.auxdata]
        >>> likelihood = PyhfLikelihood(model, data)
        >>> round(likelihood.twice_nll([1.0, 1.0]), 6), round(-2.0 * float(model.logpdf([1.0, 1.0], data)[0]), 6)
        (12.050358, 12.050358)
        >>> round(likelihood.fit().parameters["mu"], 6)
        0.5
    """

    def __init__(
        self,
        model: pyhf.Model,
        data: ArrayLike,
        *,
        ties: Mapping[str, str] | None = None,
        parameters: Sequence[Parameter] = (),
        poi: str | None = None,
    ) -> None:
        self.model, self.data = model, np.array(data, dtype=np.float64)
        if self.data.shape != (model.config.nmaindata + model.config.nauxdata,):
            what = "data"
            raise ShapeError(
                what, got=self.data.shape, expected=f"({model.config.nmaindata},) counts and ({model.config.nauxdata},) auxiliary data"
            )
        check_factors(model)
        names = list(model.config.par_names)
        ties = dict(ties or {})
        unknown = sorted(set(ties) - set(names))
        if unknown:
            what = "tied normfactors"
            raise SchemaError(what, got=unknown, expected=f"normfactors of the model among {names}", remedy="correct the names")
        own = [p for p in model_parameters(model) if p.name not in ties and p.name not in {q.name for q in parameters}]
        self._parameters = (*parameters, *own)
        self._coefficients = Coefficients.parse([ties[name] for name in ties], self.parameter_names)
        self._tied = np.array([names.index(name) for name in ties], dtype=np.intp)
        self._plain = {names.index(p.name): k for k, p in enumerate(self._parameters) if p.name in names and p.name not in ties}
        self._kernel = compile_model(model)
        default = self._parameters[0].name if parameters or model.config.poi_name is None else model.config.poi_name
        self._poi = default if poi is None else poi

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters, in order: those of the ties, then the model's own."""
        return self._parameters

    @property
    def poi(self) -> str:
        """The parameter of interest."""
        return self._poi

    @cached_property
    def diverging(self) -> frozenset[str]:
        """Parameters by which a tie's derivative diverges at the lower end of the range."""
        return diverging_parameters(self._coefficients, self._parameters) if len(self._tied) else frozenset()

    @cached_property
    def interfering(self) -> frozenset[str]:
        """Parameters along which the expectation of a bin turns back: fits look for several minima there."""
        evaluate = self.model.expected_actualdata if self._kernel is None else self._kernel.expected

        def rates(points: FloatArray) -> FloatArray:
            return np.array([evaluate(pars) for pars in self.model_parameters(points)], dtype=np.float64)

        free = tuple(p for p in self._parameters if not p.fixed)
        return self.diverging | turning_parameters(rates, self._parameters, self.constraints, points=9 if len(free) > 9 else 21)

    @cached_property
    def constraints(self) -> tuple[Constraint, ...]:
        """The model's constraint terms, with the auxiliary data as observed values, in the order of pyhf's auxiliary data."""
        return model_constraints(self.model, self.data[self.model.config.nmaindata :])

    def with_data(self, counts: ArrayLike) -> PyhfLikelihood:
        """Return the likelihood of other counts, in the order of the model's channels; the auxiliary data stay."""
        main, n = np.array(counts, dtype=np.float64), self.model.config.nmaindata
        if main.shape != (n,):
            what = "counts"
            raise ShapeError(what, got=main.shape, expected=f"({n},), the bins of {list(self.model.config.channels)}")
        return self._with(np.concatenate([main, self.data[n:]]))

    def asimov(self, parameters: Mapping[str, float]) -> PyhfLikelihood:
        """Return the likelihood of the Asimov set at a parameter point, auxiliary data included, as pyhf makes it."""
        pars = self.model_parameters(self.point(parameters)[None, :])[0]
        return self._with(np.asarray(self.model.expected_data(pars), dtype=np.float64))

    def goodness_of_fit(self, fit: FitResult) -> GoodnessOfFit:
        """Compare the best fit with the saturated model, which expects in every bin what was observed.

        Args:
            fit: The global fit.

        Returns:
            -2 ln of the ratio of the two; the degrees of freedom are the bins less the free parameters without a constraint.
        """
        counts = self.data[: self.model.config.nmaindata]
        saturated = poisson_twice_nll(counts, counts) + sum(c.lowest for c in self.constraints)
        free = [p for p in self._parameters if not p.fixed and p.name not in {c.parameter for c in self.constraints}]
        return GoodnessOfFit(statistic=fit.twice_nll - saturated, degrees=len(counts) - len(free))

    def with_auxiliary(self, observed: Mapping[str, float]) -> PyhfLikelihood:
        """Return the likelihood with other auxiliary data, by the constrained parameter; those not named stay."""
        changed = [c.observed for c in replace_observed(self.constraints, observed)]
        return self._with(np.concatenate([self.data[: self.model.config.nmaindata], changed]))

    def _with(self, data: FloatArray) -> PyhfLikelihood:
        clone = object.__new__(PyhfLikelihood)
        clone.__dict__.update({k: v for k, v in self.__dict__.items() if k not in {"constraints", "_constraint_table"}})
        clone.data = data
        return clone

    def model_parameters(self, points: FloatArray) -> FloatArray:
        """Turn points (n_points, n_parameters) into pyhf's parameters, (n_points, model.config.npars)."""
        out = np.empty((len(points), self.model.config.npars))
        for index, k in self._plain.items():
            out[:, index] = points[:, k]
        if len(self._tied):
            out[:, self._tied] = self._coefficients.values(points)
        return out

    def fit(self, *, fixed: Mapping[str, float] | None = None) -> FitResult:
        """Find the global minimum over the allowed range; `advice` names uncertainties of single bins that the model leaves out."""
        found = super().fit(fixed=fixed)
        dropped = dropped_errors(self.model)
        if not dropped:
            return found
        shown = "; ".join([*dropped[:3], *([f"and {len(dropped) - 3} more"] if len(dropped) > 3 else [])])
        advice = f"errors of yields that are not positive are left out: {shown}"
        return replace(found, advice="; ".join([*([found.advice] if found.advice else []), advice]))

    def twice_nll_points(self, points: FloatArray) -> FloatArray:
        """Evaluate at parameter points (n_points, n_parameters); returns (n_points,)."""
        return np.array([self._twice_nll(pars) for pars in self.model_parameters(points)])

    def gradient_at(self, point: FloatArray) -> FloatArray:
        """Evaluate the derivatives at one point (n_parameters,); returns (n_parameters,)."""
        pars = self.model_parameters(point[None, :])[0]
        out = np.zeros(len(point))
        if self._kernel is not None:
            return self._by_own(self._exact_slopes(self._kernel, pars), point)
        for index, k in self._plain.items():
            p = self._parameters[k]
            if not p.fixed:
                out[k] += self._derivative(pars, index, p.low, p.high)
        if len(self._tied):
            by_tie = np.array([self._derivative(pars, index, -np.inf, np.inf) for index in self._tied])
            out += by_parameters(self._coefficients.jacobian(point[None, :])[0], by_tie)
        return out

    def hessian_at(self, point: FloatArray) -> FloatArray:
        """Evaluate the second derivatives at one point (n_parameters,), from differences of the gradient."""
        return differences_of_gradients(self, point)

    def shortfall(self, points: FloatArray) -> FloatArray:
        """Say how much is missing from points to allowed ones, (n_points,)."""
        out, counts = np.zeros(len(points)), self.data[: self.model.config.nmaindata]
        nominal = np.maximum(np.abs(self._expected(self.model_parameters(self._start)[0])), 1e-3)
        for i, pars in enumerate(self.model_parameters(points)):
            expected = self._expected(pars)
            bad = self._forbidden(expected)
            if bad.any():
                lack = np.where(counts[bad] == 0.0, 0.0, 1e-9) - np.minimum(expected[bad], 0.0) / nominal[bad]
                out[i] = float(np.sum(lack)) + 1e-9
        return out

    def without_data(self, point: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the expectations of bins without data, (n_bins,), and their derivatives, (n_bins, n_parameters); none without a kernel."""
        kernel = self._kernel
        empty = np.flatnonzero(self.data[: self.model.config.nmaindata] == 0.0)
        if kernel is None:
            return super().without_data(point)
        pars = self.model_parameters(point[None, :])[0]
        units = np.zeros((len(empty), kernel.n_bins))
        units[np.arange(len(empty)), empty] = 1.0
        derivatives = [self._by_own(kernel.derivatives(pars, unit), point) for unit in units]
        return kernel.expected(pars)[empty], np.array(derivatives).reshape(len(empty), len(point))

    def continued(self, point: FloatArray) -> tuple[float, FloatArray]:
        """Evaluate value and derivatives, bins without data continued linearly below an expectation of 0."""
        kernel = self._kernel
        if kernel is None:
            return self.value_and_gradient(point)
        pars = self.model_parameters(point[None, :])[0]
        expected, counts = self._expected(pars), self.data[: kernel.n_bins]
        if not np.all(expected[counts > 0.0] > 0.0):
            return np.inf, np.zeros(len(point))
        ratio = np.divide(counts, expected, out=np.zeros_like(expected), where=counts != 0.0)
        by_model = kernel.derivatives(pars, 2.0 * (1.0 - ratio)) + self._constraint_table.derivatives(pars)
        return poisson_twice_nll(counts, expected) + self._constraint_table.twice_nll(pars), self._by_own(by_model, point)

    def _by_own(self, by_model: FloatArray, point: FloatArray) -> FloatArray:
        """Turn derivatives by the model's parameters into those by the own ones, (n_parameters,)."""
        out = np.zeros(len(point))
        out[list(self._plain.values())] = by_model[list(self._plain)]
        if len(self._tied):
            out += by_parameters(self._coefficients.jacobian(point[None, :])[0], by_model[self._tied])
        return out

    def not_positive(self, point: FloatArray) -> NotPositive | None:
        """Say which bin forbids a point (n_parameters,)."""
        expected = self._expected(self.model_parameters(point[None, :])[0])
        bad = self._forbidden(expected)
        return self._not_positive(int(np.argmax(bad)), expected, point) if bad.any() else None

    @property
    def _start(self) -> FloatArray:
        return np.array([[p.init for p in self._parameters]])

    def _expected(self, pars: FloatArray) -> FloatArray:
        """Return the expected events of all bins at the model's parameters (n_model_parameters,).

        Raises:
            PhysicsDomainError: NaN: a modifier that cannot be evaluated.
        """
        kernel = self._kernel
        expected = np.asarray(self.model.expected_actualdata(pars), dtype=np.float64) if kernel is None else kernel.expected(pars)
        if np.isnan(expected).any():
            at = describe_point(list(self.model.config.par_names), pars)
            where = self._bin_name(int(np.argmax(np.isnan(expected))))
            remedy = "find the modifier that gives it"
            raise PhysicsDomainError(f"expected events in {where}, at {at}", got="NaN", expected="a number", remedy=remedy)
        return expected

    def _exact_slopes(self, kernel: HistFactoryKernel, pars: FloatArray) -> FloatArray:
        expected, counts = self._expected(pars), self.data[: kernel.n_bins]
        if self._forbidden(expected).any():
            return np.zeros(len(pars))
        ratio = np.divide(counts, expected, out=np.zeros_like(expected), where=counts != 0.0)
        return kernel.derivatives(pars, 2.0 * (1.0 - ratio)) + self._constraint_table.derivatives(pars)

    @cached_property
    def _constraint_table(self) -> ConstraintTable:
        return ConstraintTable.of(self.constraints, list(self.model.config.par_names))

    def _derivative(self, pars: FloatArray, index: int, low: float, high: float) -> float:
        step = STEP * max(1.0, abs(float(pars[index])))
        first = "forward" if pars[index] - 2 * step < low else "backward" if pars[index] + 2 * step > high else "central"
        for kind in (first, "forward", "backward"):  # the others beside a forbidden region
            shifts, factors = _STENCILS[kind]
            values = []
            for shift in shifts:
                moved = pars.copy()
                moved[index] += shift * step
                values.append(self._twice_nll(moved))
            if np.all(np.isfinite(values)):
                return float(factors @ (np.array(values) - values[0])) / step
        return 0.0

    def _twice_nll(self, pars: FloatArray) -> float:
        expected = self._expected(pars)
        if self._forbidden(expected).any():
            return np.inf
        if self._kernel is None:
            value = -2.0 * float(self.model.logpdf(pars, self.data)[0])
        else:
            value = poisson_twice_nll(self.data[: len(expected)], expected) + self._constraint_table.twice_nll(pars)
        return float(value) if np.isfinite(value) else np.inf

    def _forbidden(self, expected: FloatArray) -> BoolArray:
        """Say which bins are not allowed: Poisson(0 | 0) is 1, everything else wants an expectation above 0."""
        observed = self.data[: len(expected)]
        return np.asarray(~((expected > 0.0) | ((expected == 0.0) & (observed == 0.0))))

    def _bin_name(self, index: int) -> str:
        for channel in self.model.config.channels:
            bins = self.model.config.channel_slices[channel]
            if bins.start <= index < bins.stop:
                return f"channel {channel!r}, bin {index - bins.start}"
        return f"bin {index}"

    def _not_positive(self, index: int, expected: FloatArray, point: FloatArray) -> NotPositive:
        where = self._bin_name(index)
        error = PhysicsDomainError(
            f"expected events in {where}, at {describe_point(self.parameter_names, point)}",
            got=float(expected[index]),
            expected="> 0",
            remedy="merge the bin with a neighbour or restrict the ranges of the parameters",
        )
        return NotPositive(where, error)


def model_parameters(model: pyhf.Model) -> list[Parameter]:
    """List pyhf's parameters with its suggested starting values and ranges, in its order."""
    config = model.config
    inits, bounds, fixed = config.suggested_init(), config.suggested_bounds(), config.suggested_fixed()
    return [
        Parameter(name=name, init=float(init), low=float(low), high=float(high), fixed=bool(still))
        for name, init, (low, high), still in zip(config.par_names, inits, bounds, fixed, strict=True)
    ]


def model_constraints(model: pyhf.Model, auxiliary: FloatArray) -> tuple[Constraint, ...]:
    """List the constraint terms of a model, one per auxiliary datum (n_auxiliary,), in pyhf's order."""
    found: list[Constraint] = []
    names = list(model.config.par_names)
    for name in model.config.auxdata_order:
        terms, indices = model.config.param_set(name), range(*model.config.par_slice(name).indices(len(names)))
        poisson = terms.pdf_type == "poisson"
        scales = terms.factors if poisson else terms.width()
        for index, scale in zip(indices, scales, strict=True):
            kind: Literal["gaussian", "poisson"] = "poisson" if poisson else "gaussian"
            found.append(Constraint(names[index], observed=float(auxiliary[len(found)]), kind=kind, scale=float(scale)))
    return tuple(found)
