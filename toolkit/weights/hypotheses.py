"""What the simulated events say about every hypothesis theta: densities, joint ratios and joint scores from one matrix of weights.

The expected density is a sum of terms, nu(theta) p(z|theta) = sum_k t_k(theta) W_k(z): one term per monomial of the morphing of the
interfering processes, and one constant term per process that does not interfere. The full mixture, backgrounds
included, is therefore what every estimator learns. With w = sum_k t_k W_k at an event,

    joint ratio  r(x, z | theta, ref) = w(theta) / w_ref * nu_ref / nu(theta)
    joint score  t(x, z | theta) = grad w / w - grad nu / nu

and their expectations given the observables x are the ratio and the score of the marginal densities.

When to use what: `Hypotheses.build` from simulated events and a morphing; `joint_ratio` and `joint_score` to look at single
events; `terms` and `term_values` for training, which is linear in them and needs no division by a weight.

References:
    Brehmer, Cranmer, Louppe, Pavez, arXiv:1805.00020, section III.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.typing import FloatArray
from toolkit.weights.monomials import MonomialVector
from toolkit.weights.morphing import Morphing, Point
from toolkit.weights.simulation import SimulatedEvents
from toolkit.weights.support import require_support


@dataclass(frozen=True, eq=False)
class Hypotheses:
    """Processes, how their weights combine at every theta, and the reference density.

    Attributes:
        processes: Names of the columns of the weight matrix.
        parameters: Names of the components of theta.
        ranges: Allowed (low, high) of each parameter.
        exponents: Exponent of each parameter in each interfering term, (n_monomials, n_parameters).
        combination: From process weights to terms, W_terms = W @ combination, (n_processes, n_terms) with
            n_terms = n_monomials + n_backgrounds.
        rows: Process j as a combination of terms, W_j = sum_k rows[j, k] W_k, (n_processes, n_terms).
        yields: Expected events nu_j that normalise the densities, (n_processes,).
        reference: Coefficients c_j of the reference density sum_j c_j nu_j p_j / sum_j c_j nu_j, (n_processes,).
        reference_theta: The point behind `reference`, where it is one.

    Examples:
        The ggF mixture of two events, against B alone:

        >>> ggf = Morphing(monomials=["mu", "sqrt(mu)", "1"], benchmarks={"S": "mu", "SBI": 1.0, "B": 0.0})
        >>> weights = np.array([[1.0, 1.0, 4.0], [1.0, 8.0, 4.0]])  # interference -4 and +3
        >>> names = ("S", "SBI", "B")
        >>> events = SimulatedEvents(names, np.arange(2, dtype=np.uint64), np.zeros(2, dtype=np.int64), ("SBI",), {}, weights)
        >>> both = Hypotheses.build(events, morphing=ggf, benchmarks=names, ranges=[(0.0, 10.0)], reference={"B": 1.0})
        >>> both.expected(4.0), both.joint_ratio(weights, 1.0).round(3), both.joint_score(weights, 1.0)[:, 0].round(3)
        (14.0, array([0.222, 1.778]), array([-1.167,  0.146]))
    """

    processes: tuple[str, ...]
    parameters: tuple[str, ...]
    ranges: tuple[tuple[float, float], ...]
    exponents: FloatArray
    combination: FloatArray
    rows: FloatArray
    yields: FloatArray
    reference: FloatArray
    reference_theta: tuple[float, ...] | None = None

    @classmethod
    def build(
        cls,
        events: SimulatedEvents,
        *,
        morphing: Morphing,
        benchmarks: Sequence[str],
        ranges: Sequence[tuple[float, float]],
        reference: Mapping[str, float] | Point | None = None,
    ) -> Hypotheses:
        """Take yields from simulated events and coefficients from a morphing.

        Args:
            events: Simulated events (of the training sample).
            morphing: How the interfering processes depend on theta.
            benchmarks: Names of the interfering processes in the order of the morphing's benchmarks; all others are constant.
            ranges: Allowed range of each parameter of the morphing.
            reference: Fractions pi_j >= 0 of the normalised processes by name, a parameter point, or None: equal shares
                of the interfering processes together and of every other process (see also `mixture_reference`).

        Returns:
            The hypotheses.

        Raises:
            SchemaError: Names or ranges do not fit.
            PhysicsDomainError: A process has no expected events, or the reference has none.

        Notes:
            A mapping whose keys are the parameters is a point; one whose keys are processes holds fractions.
        """
        names = events.processes
        unknown = [b for b in benchmarks if b not in names]
        if unknown or len(set(benchmarks)) != len(morphing.benchmark_names) or len(benchmarks) != len(set(benchmarks)):
            expected = f"{len(morphing.benchmark_names)} different names out of {list(names)}"
            raise SchemaError("processes of the benchmarks", got=list(benchmarks), expected=expected)
        yields = np.array(events.yields, dtype=np.float64)
        for name, value in zip(names, yields, strict=True):
            if not value > 0:
                remedy = "check the selection and the weights of this process, or leave it out"
                raise PhysicsDomainError(f"process {name}", got=f"{value:g} expected events", expected="> 0", remedy=remedy)
        combination, rows = _terms(names, tuple(benchmarks), morphing)
        vector = MonomialVector.build(morphing.monomials, parameters=morphing.parameter_names)
        hypotheses = cls(
            processes=names,
            parameters=morphing.parameter_names,
            ranges=_checked_ranges(ranges, morphing.parameter_names),
            exponents=vector.exponents,
            combination=combination,
            rows=rows,
            yields=yields,
            reference=np.zeros(len(names)),
        )
        return hypotheses.with_reference(equal_reference(names, benchmarks) if reference is None else reference)

    def with_reference(self, reference: Mapping[str, float] | Point) -> Hypotheses:
        """Return the same hypotheses against another reference: fractions by process, or a parameter point."""
        if isinstance(reference, Mapping) and not set(reference) <= set(self.parameters):
            c, theta = self._from_fractions(reference), None
        else:
            point = self.point(reference)
            c, theta = self.coefficients(point), tuple(float(v) for v in point)
        if not c @ self.yields > 0:
            raise PhysicsDomainError("reference density", got=f"{c @ self.yields:g} expected events", expected="> 0")
        return replace(self, reference=c, reference_theta=theta)

    @property
    def n_monomials(self) -> int:
        """Number of interfering terms; the constant terms of the backgrounds follow them."""
        return len(self.exponents)

    @property
    def backgrounds(self) -> tuple[str, ...]:
        """Processes that do not depend on theta, in the order of their terms."""
        return tuple(self.processes[int(np.argmax(self.rows[:, k]))] for k in range(self.n_monomials, self.rows.shape[1]))

    @property
    def roots(self) -> FloatArray:
        """Power of each smooth coordinate u = theta**root: below 1 where theta stands under a root; (n_parameters,).

        All densities are polynomials in u, so that derivatives with respect to u are finite everywhere.
        """
        positive = np.where(self.exponents > 0, self.exponents, np.inf)
        return np.asarray(np.minimum(1.0, positive.min(axis=0)))

    @property
    def term_yields(self) -> FloatArray:
        """Expected events of each term, (n_terms,)."""
        return np.asarray(self.yields @ self.combination)

    @property
    def reference_yield(self) -> float:
        """Expected events of the reference, nu_ref = sum_j c_j nu_j."""
        return float(self.reference @ self.yields)

    @property
    def reference_fractions(self) -> dict[str, float]:
        """Fractions pi_j of the normalised processes in the reference (negative ones only for a point)."""
        return dict(zip(self.processes, (self.reference * self.yields / self.reference_yield).tolist(), strict=True))

    def point(self, theta: Point) -> FloatArray:
        """Bring one parameter point into the form (n_parameters,) and check its range.

        Raises:
            PhysicsDomainError: theta is outside the range. ShapeError, SchemaError: not one value per parameter.
        """
        if isinstance(theta, Mapping):
            if set(theta) != set(self.parameters):
                raise SchemaError("theta", got=sorted(theta), expected=f"a value for each of {list(self.parameters)}")
            theta = [theta[name] for name in self.parameters]
        values = np.atleast_1d(np.asarray(theta, dtype=np.float64))
        if values.shape != (len(self.parameters),):
            raise ShapeError("theta", got=f"shape {values.shape}", expected=f"{len(self.parameters)} values for {list(self.parameters)}")
        self.require_inside(values[None, :])
        return values

    def require_inside(self, theta: FloatArray) -> None:
        """Refuse points (n, n_parameters) outside the allowed ranges."""
        for p, (name, (low, high)) in enumerate(zip(self.parameters, self.ranges, strict=True)):
            bad = ~((theta[:, p] >= low) & (theta[:, p] <= high))
            if np.any(bad):
                remedy = "stay inside the range, or train with a wider one"
                got = f"{theta[np.argmax(bad), p]:g} ({int(bad.sum())} such values)"
                raise PhysicsDomainError(f"parameter {name}", got=got, expected=f"{low:g} to {high:g}", remedy=remedy)

    def term_values(self, theta: FloatArray) -> FloatArray:
        """Evaluate t_k at points (n, n_parameters); returns (n, n_terms), 1 for backgrounds."""
        monomials = np.prod(theta[:, None, :] ** self.exponents[None, :, :], axis=2)
        return np.concatenate([monomials, np.ones((len(theta), self.rows.shape[1] - self.n_monomials))], axis=1)

    def coefficients(self, theta: Point) -> FloatArray:
        """Compute f_j(theta) of every process, (n_processes,); 1 for backgrounds."""
        return np.asarray(self.combination @ self.term_values(self.point(theta)[None, :])[0])

    def gradient(self, theta: Point) -> FloatArray:
        """Compute d f_j / d theta_p, (n_parameters, n_processes).

        Raises:
            PhysicsDomainError: theta_p is 0 and stands under a root, where the derivative is infinite.
        """
        point = self.point(theta)
        singular = (point == 0.0) & (self.roots < 1.0)
        if np.any(singular):
            name = self.parameters[int(np.argmax(singular))]
            remedy = f"use a point with {name} > 0, or a morphing in the coupling"
            raise PhysicsDomainError(
                f"derivative with respect to {name}", got=f"infinite at {name} = 0", expected=f"{name} > 0", remedy=remedy
            )
        rows = []
        for p in range(len(point)):
            lowered = np.array(self.exponents)
            lowered[:, p] = np.where(self.exponents[:, p] > 0, self.exponents[:, p] - 1.0, 0.0)
            slope = self.exponents[:, p] * np.prod(point**lowered, axis=1)
            rows.append(self.combination[:, : self.n_monomials] @ slope)
        return np.stack(rows)

    def terms(self, weights: FloatArray) -> FloatArray:
        """Combine process weights (n, n_processes) into terms (n, n_terms)."""
        return np.asarray(weights @ self.combination)

    def expected(self, theta: Point) -> float:
        """Return nu(theta), the expected events of the full mixture."""
        return float(self.coefficients(theta) @ self.yields)

    def joint_ratio(self, weights: FloatArray, theta: Point, *, denominator: Point | None = None) -> FloatArray:
        """Compute r(x, z) = p(x, z | theta) / p(x, z | denominator) of every event.

        Args:
            weights: Process weights, (n, n_processes).
            theta: Numerator.
            denominator: A parameter point, or None for the reference.

        Returns:
            Joint ratios, (n,); negative where the density at theta is.

        Raises:
            PhysicsDomainError: The denominator vanishes at an event (named by its row), or in total.
        """
        c = self.reference if denominator is None else self.coefficients(denominator)
        top, bottom = self.coefficients(theta), weights @ c
        if not np.all(bottom > 0):
            i = int(np.argmin(bottom))
            got = f"{bottom[i]:g} at row {i} ({int(np.sum(~(bottom > 0)))} such rows)"
            raise PhysicsDomainError(
                "density of the denominator", got=got, expected="> 0", remedy="choose a reference with support everywhere"
            )
        return np.asarray((weights @ top) / bottom * float(c @ self.yields) / float(top @ self.yields))

    def joint_score(self, weights: FloatArray, theta: Point) -> FloatArray:
        """Compute t(x, z | theta) = grad w / w - grad nu / nu of every event, (n, n_parameters).

        Raises:
            PhysicsDomainError: The density at theta is not positive at an event, or theta is 0 under a root.
        """
        f, gradient = self.coefficients(theta), self.gradient(theta)
        density = weights @ f
        if not np.all(density > 0):
            i = int(np.argmin(density))
            raise PhysicsDomainError(f"density of row {i} at theta = {theta}", got=f"{density[i]:g}", expected="> 0")
        return np.asarray(weights @ gradient.T / density[:, None] - gradient @ self.yields / float(f @ self.yields))

    def require_support(self, events: SimulatedEvents) -> None:
        """Refuse events at which a process has weight and the reference has none.

        Raises:
            ShapeError: The events have other processes. PhysicsDomainError: Names process, sample, events and range of observables.
        """
        if events.processes != self.processes:
            raise ShapeError("processes of the events", got=list(events.processes), expected=list(self.processes))
        require_support(events, self.reference)

    def _from_fractions(self, fractions: Mapping[str, Any]) -> FloatArray:
        unknown = sorted(set(fractions) - set(self.processes))
        values = np.array([float(fractions.get(name, 0.0)) for name in self.processes])
        if unknown or np.any(values < 0) or not values.sum() > 0:
            raise SchemaError("reference fractions", got=dict(fractions), expected=f"numbers >= 0 for some of {list(self.processes)}")
        return np.asarray(values / values.sum() * self.yields.sum() / self.yields)


def equal_reference(processes: Sequence[str], benchmarks: Sequence[str]) -> dict[str, float]:
    """Give the interfering processes together, and every background, the same share.

    Examples:
        >>> equal_reference(("S", "B", "b"), ("S", "B"))
        {'S': 0.25, 'B': 0.25, 'b': 0.5}
    """
    others = [name for name in processes if name not in benchmarks]
    n = 1 + len(others)
    return {name: 1.0 / n if name in others else 1.0 / n / len(benchmarks) for name in processes}


def mixture_reference(processes: Sequence[str], *, signal: str, background: str, interfering: str, share: float = 0.25) -> dict[str, float]:
    """Return the reference of the mixture networks: equal shares of (kappa S + B) and of each other background.

    Args:
        processes: All processes.
        signal: The signal amplitude alone.
        background: The interfering background alone.
        interfering: Their sum with interference; not part of the reference, whose terms are all positive.
        share: Fraction of signal in (kappa S + B).

    Examples:
        >>> mixture_reference(("S", "SBI", "B", "b"), signal="S", background="B", interfering="SBI")
        {'S': 0.125, 'SBI': 0.0, 'B': 0.375, 'b': 0.5}
    """
    n = 1 + len(processes) - 3
    special = {signal: share / n, interfering: 0.0, background: (1.0 - share) / n}
    return {name: special.get(name, 1.0 / n) for name in processes}


def _terms(names: tuple[str, ...], benchmarks: tuple[str, ...], morphing: Morphing) -> tuple[FloatArray, FloatArray]:
    """Return combination and rows, both (n_processes, n_terms)."""
    matrix, solution = morphing.matrix, morphing.solution
    others = [name for name in names if name not in benchmarks]
    n_monomials = matrix.shape[1]
    combination, rows = np.zeros((2, len(names), n_monomials + len(others)))
    for b, name in enumerate(benchmarks):
        combination[names.index(name), :n_monomials] = solution[b]
        rows[names.index(name), :n_monomials] = matrix[b]
    for k, name in enumerate(others):
        combination[names.index(name), n_monomials + k] = rows[names.index(name), n_monomials + k] = 1.0
    return combination, rows


def _checked_ranges(ranges: Sequence[tuple[float, float]], parameters: tuple[str, ...]) -> tuple[tuple[float, float], ...]:
    values = np.array(ranges, dtype=np.float64)
    if values.shape != (len(parameters), 2) or not np.all(np.isfinite(values)) or not np.all(values[:, 0] < values[:, 1]):
        raise SchemaError(
            "ranges of the parameters", got=list(ranges), expected=f"(low, high) with low < high for each of {list(parameters)}"
        )
    return tuple((float(low), float(high)) for low, high in values)
