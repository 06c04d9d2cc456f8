"""Experiments to draw toys from: events from a finite simulation, bins, whole pyhf models, and combinations.

What to use when: `UnbinnedToys` draws events with replacement from simulated events whose expected weights at theta are those of
the total density (never process by process: S, SBI and B carry signed coefficients); `BinnedToys` draws counts;
`CombinedToys` joins channels. All draw the auxiliary measurements of the constraints that the likelihood lists.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.binned import BinnedLikelihood
from toolkit.likelihood.coefficients import describe_point
from toolkit.likelihood.combined import CombinedLikelihood
from toolkit.likelihood.constraints import Constraint
from toolkit.likelihood.pyhf_model import PyhfLikelihood
from toolkit.likelihood.rows import RowLikelihood
from toolkit.likelihood.shapes import Shapes
from toolkit.likelihood.toy_lines import Drawn, Lines, LineSource, Rows
from toolkit.likelihood.toys import ToySource
from toolkit.likelihood.unbinned import UnbinnedLikelihood
from toolkit.typing import FloatArray, IntArray

Negative = Literal["error", "drop"]
"""What to do with events whose expected weight at theta is negative: refuse, or leave them out and keep the total."""
LITTLE = 1e-6
"""Share of the expected events up to which negative weights are left out all the same. Densities whose sum nearly vanishes at an event turn
negative there when each is normalised on the simulated events by itself."""


@dataclass(frozen=True, eq=False)
class UnbinnedToys:
    """Toys of an unbinned channel, drawn from the events of its likelihood.

    The number of events is Poisson distributed around the expected total; events are drawn with replacement, event i with a
    probability proportional to sum_j F_j(theta) E_ij g_ij(theta): F with the systematics of the yields, g the per-event
    variations, each process normalised on these events at every theta.

    Args:
        likelihood: Likelihood of the simulated events; its weights do not matter.
        expected: E, expected events of each simulated event under each process at f_j = 1, (n_events, n_processes):
            `SimulatedEvents.weights` draws from the simulation, `model_weights` from the model's own density.
        negative: What to do with negative weights at theta. "error" names the event. "drop" takes them as zero and scales the
            others so that the expected total stays; the toys are then biased where such events gather.

    Raises:
        ShapeError: Not one weight per event and process.
        PhysicsDomainError: Weights that are not finite.
    """

    likelihood: UnbinnedLikelihood
    expected: FloatArray
    negative: Negative = "error"
    _last: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        expected = np.ascontiguousarray(self.expected, dtype=np.float64)
        if expected.shape != self.likelihood.densities.shape:
            what = "expected events of the toys"
            raise ShapeError(what, got=expected.shape, expected=self.likelihood.densities.shape)
        if not np.all(np.isfinite(expected)):
            what = "expected events of the toys"
            raise PhysicsDomainError(what, got=f"{int(np.sum(~np.isfinite(expected)))} that are not finite", expected="finite numbers")
        object.__setattr__(self, "expected", expected)

    def sample(self, theta: Mapping[str, float], generator: np.random.Generator) -> tuple[IntArray, dict[str, float]]:
        """Draw event numbers, (n_toy,), and auxiliary measurements by parameter."""
        cumulative = self._cumulative(theta)
        n = int(generator.poisson(cumulative[-1]))
        rows = np.searchsorted(cumulative, np.sort(generator.random(n)) * cumulative[-1], side="right")
        return np.minimum(rows, len(cumulative) - 1), sample_auxiliary(self.likelihood.constraints, theta, generator)

    def likelihood_of(self, data: tuple[IntArray, dict[str, float]]) -> UnbinnedLikelihood:
        """Build the likelihood of drawn events from the densities of the simulation."""
        rows, auxiliary = data
        self._last.setdefault("interfering", self.likelihood.interfering)  # found once, and kept by the likelihoods made from this one
        toy = self.likelihood.with_events(rows)
        return toy.with_auxiliary(auxiliary) if auxiliary else toy

    @cached_property
    def lines(self) -> Lines | None:
        """Table of the events along the free parameter."""
        base = self.likelihood
        if base.shapes is not None:
            return None
        return Lines.of(base, (Rows(base.densities, base.yields, base.coefficients),))

    def rows_of(self, data: tuple[IntArray, dict[str, float]]) -> tuple[Drawn, ...]:
        """Return the drawn events."""
        return ((data[0], np.ones(len(data[0]))),)

    def fingerprint(self) -> str:
        """Return a hash of densities, weights and model."""
        base = self.likelihood
        arrays: list[FloatArray] = [base.densities, base.yields, self.expected]
        parts: list[object] = [base.coefficients.texts, self.negative, base.constraints]
        if base.reference is not None:
            arrays.append(base.reference.weights)
        for shapes in (base.shapes, None if base.reference is None else base.reference.shapes):
            if shapes is not None:
                arrays.append(shapes.table)
                parts += [shapes.parameters, shapes.code]
        return _fingerprint("unbinned", base, *parts, arrays=arrays)

    def weights(self, theta: Mapping[str, float]) -> FloatArray:
        """Return the expected weight of each event at theta, (n_events,), >= 0.

        Raises:
            PhysicsDomainError: Negative weights of more than `LITTLE` in all (unless dropped), or an expected total that is not positive.
        """
        base = self.likelihood
        point = base.point(theta)
        columns = [base.parameter_names.index(name) for name in base.coefficients.parameters]
        w: FloatArray = self._varied(point) @ base.coefficients.values(point[None, columns])[0]
        total, where = float(w.sum()), describe_point(base.parameter_names, point)
        if not total > 0.0:
            what = f"expected events of toys at {where}"
            raise PhysicsDomainError(what, got=total, expected="> 0", remedy="restrict the range of the parameters")
        if w.min() < 0.0:
            if self.negative == "error" and -float(w[w < 0.0].sum()) > LITTLE * total:
                row = int(np.argmin(w))
                name = f"event {row}" if base.event_ids is None else f"event {row} (id {base.event_ids[row]})"
                what = f"expected weight of {name} at {where}"
                raise PhysicsDomainError(
                    what,
                    got=float(w[row]),
                    expected=">= 0, to draw events from it",
                    remedy=f'{int(np.sum(w < 0))} weights are negative; draw from the model, or drop them: negative="drop"',
                )
            w = np.maximum(w, 0.0)
            w *= total / w.sum()
        return w

    def density(self, expected: FloatArray, shapes: Shapes | None, theta: Mapping[str, float]) -> FloatArray:
        """Evaluate the total density at events that toys are not drawn from, such as data.

        Args:
            expected: nu_j p_j / p_ref of these events, normalised like those of the simulation, (n, n_processes).
            shapes: Their per-event variations, with the parameters of those of the likelihood; None for none.
            theta: All parameters.

        Returns:
            p(x | theta) / p_ref(x), (n,), each variation normalised on the simulated events.

        Raises:
            PhysicsDomainError: A density that is not positive.
        """
        base = self.likelihood
        point = base.point(theta)
        columns = [base.parameter_names.index(name) for name in base.coefficients.parameters]
        factors, varied = base.coefficients.values(point[None, columns])[0], np.array(expected, dtype=np.float64)
        if shapes is not None and base.shapes is not None:
            own, at = (s.at(point[[base.parameter_names.index(name) for name in s.names]]) for s in (shapes, base.shapes))
            for j in own.varied:
                mean = np.average(np.exp(at.log_factor(j, slice(None))), weights=self.expected[:, j])
                varied[:, j] *= np.exp(own.log_factor(j, slice(None))) / mean
        density = varied @ factors / float(self.expected.sum(axis=0) @ factors)
        if density.min(initial=np.inf) <= 0.0:
            what = f"density of data event {int(np.argmin(density))} at {describe_point(base.parameter_names, point)}"
            raise PhysicsDomainError(what, got=float(density.min()), expected="> 0", remedy="recalibrate the ratios")
        return np.asarray(density)

    def _varied(self, point: FloatArray) -> FloatArray:
        """Multiply each process by its per-event variation, which leaves its total as it is: rates belong to the factors."""
        shapes = self.likelihood.shapes
        if shapes is None:
            return self.expected
        at = shapes.at(point[[self.likelihood.parameter_names.index(name) for name in shapes.names]])
        varied = np.array(self.expected)
        for j, own in enumerate(shapes.parameters):
            if own:
                column = self.expected[:, j] * np.exp(at.log_factor(j, slice(None)))
                varied[:, j] = column * (self.expected[:, j].sum() / column.sum())
        return varied

    def _cumulative(self, theta: Mapping[str, float]) -> FloatArray:
        key = tuple(sorted(theta.items()))
        if self._last.get("key") != key:
            self._last.update(key=key, cumulative=np.cumsum(self.weights(theta)))
        return np.asarray(self._last["cumulative"])


def model_weights(log_ratios: ArrayLike, reference: ArrayLike, yields: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Weigh reference events so that they follow the model's own densities: nu_j r_j(x) p_ref(x) over a finite sample.

    Args:
        log_ratios: ln p_j / p_ref of the model, (n_events, n_processes).
        reference: Weights under which the events follow p_ref, (n_events,), up to a factor; >= 0.
        yields: nu_j, (n_processes,).

    Returns:
        Expected events of each event under each process, (n_events, n_processes), whose columns sum to nu_j; and ln of the
        mean of each ratio over the reference, (n_processes,): 0 for a normalised model, and for a process without yield. Subtract it from
        the log ratios of the likelihood that fits the toys, and the toys follow that likelihood exactly.

    Raises:
        ShapeError: Arrays do not belong together.
        PhysicsDomainError: A negative reference weight, no weight at all, or a process with a yield and no density at any event.

    Examples:
        >>> expected, log_mean = model_weights(np.log([[0.5, 1.0], [1.5, 1.0]]), [1.0, 1.0], [10.0, 4.0])
        >>> expected.round(9).tolist(), log_mean.round(9).tolist()
        ([[2.5, 2.0], [7.5, 2.0]], [0.0, 0.0])
    """
    logs, m, nu = (np.asarray(a, dtype=np.float64) for a in (log_ratios, reference, yields))
    if logs.ndim != 2 or m.shape != logs.shape[:1] or nu.shape != logs.shape[1:]:
        what = "log ratios, reference weights and yields"
        raise ShapeError(what, got=f"{logs.shape}, {m.shape}, {nu.shape}", expected="(n_events, n_processes), (n_events,), (n_processes,)")
    if m.min(initial=0.0) < 0.0 or not m.sum() > 0.0:
        what = "reference weights"
        raise PhysicsDomainError(what, got=f"a sum of {m.sum():g}, the smallest {m.min(initial=0.0):g}", expected="weights >= 0")
    weighted = np.exp(logs) * (m / m.sum())[:, None]
    mean = weighted.sum(axis=0)
    nowhere = ~(mean > 0.0)
    if np.any(nu[nowhere] > 0.0):
        what = f"densities {np.flatnonzero(nowhere & (nu > 0.0)).tolist()} of the model"
        raise PhysicsDomainError(what, got="0 at every event of the reference", expected="events to draw them from")
    mean = np.where(nowhere, 1.0, mean)
    return weighted / mean * nu, np.log(mean)


def rescaled(likelihood: UnbinnedLikelihood, log_mean: FloatArray) -> UnbinnedLikelihood:
    """Return the likelihood with every density ratio divided by its mean over the reference, exp(log_mean) (n_processes,)."""
    normalised = likelihood.with_events(np.arange(len(likelihood.densities)), weights=likelihood.weights)
    normalised.densities = likelihood.densities * np.exp(-log_mean)
    return normalised


@dataclass(frozen=True, eq=False)
class BinnedToys:
    """Toys of a channel of bins: Poisson counts around the expected ones.

    Args:
        likelihood: Templates and model; its data do not matter. A `PyhfLikelihood` brings its constraints.
        truth: What the counts are drawn from, if that differs from what is fitted; with the parameters of the likelihood.
    """

    likelihood: BinnedLikelihood | PyhfLikelihood
    truth: BinnedLikelihood | PyhfLikelihood | None = None
    _last: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.truth is not None and set(self.truth.parameter_names) != set(self.likelihood.parameter_names):
            what = "parameters of the truth of toys"
            raise SchemaError(
                what, got=list(self.truth.parameter_names), expected=f"those of the fit, {list(self.likelihood.parameter_names)}"
            )

    def sample(self, theta: Mapping[str, float], generator: np.random.Generator) -> tuple[FloatArray, dict[str, float]]:
        """Draw counts, (n_bins,), and auxiliary measurements by parameter."""
        key = tuple(sorted(theta.items()))
        if self._last.get("key") != key:
            self._last.update(key=key, expected=self.expected(theta))
        counts = generator.poisson(self._last["expected"]).astype(np.float64)
        return counts, sample_auxiliary(self.likelihood.constraints, theta, generator)

    def likelihood_of(self, data: tuple[FloatArray, dict[str, float]]) -> Likelihood:
        """Build the likelihood of drawn counts: without pyhf's overhead where nothing but the parameters of the coefficients is free."""
        counts, auxiliary = data
        base = self.likelihood
        if isinstance(base, PyhfLikelihood):
            return base.with_data(counts).with_auxiliary(auxiliary)
        return RowLikelihood(
            densities=base.templates.T[counts > 0.0],
            weights=counts[counts > 0.0],
            yields=base.templates.sum(axis=1),
            coefficients=base.coefficients,
            parameters=base.parameters,
            diverging=base.diverging,
            empty=base.templates.T[counts == 0.0],
            interfering=base.interfering,
        )

    @cached_property
    def lines(self) -> Lines | None:
        """Table of the bins along the free parameter."""
        base = self.likelihood
        if isinstance(base, PyhfLikelihood):
            return None
        return Lines.of(base, (Rows(base.templates.T, base.templates.sum(axis=1), base.coefficients),))

    def rows_of(self, data: tuple[FloatArray, dict[str, float]]) -> tuple[Drawn, ...]:
        """Return the bins that are not empty."""
        filled = np.flatnonzero(data[0] > 0.0)
        return ((filled, data[0][filled]),)

    def fingerprint(self) -> str:
        """Return a hash of templates and model."""
        return _fingerprint("bins", self.likelihood, *(_binned_parts(one) for one in (self.likelihood, self.truth or self.likelihood)))

    def expected(self, theta: Mapping[str, float]) -> FloatArray:
        """Return the expected counts of the truth, (n_bins,), >= 0.

        Raises:
            PhysicsDomainError: A negative one.
        """
        base = self.truth or self.likelihood
        point = base.point(theta)[None, :]
        if isinstance(base, PyhfLikelihood):
            expected = np.asarray(base.model.expected_actualdata(base.model_parameters(point)[0]), dtype=np.float64)
        else:
            expected = np.asarray(base.coefficients.values(point)[0] @ base.templates, dtype=np.float64)
        if expected.min() < 0.0:
            what = f"expected events of toys in bin {int(np.argmin(expected))} at {describe_point(base.parameter_names, point[0])}"
            raise PhysicsDomainError(what, got=float(expected.min()), expected=">= 0", remedy="merge bins")
        return expected


@dataclass(frozen=True, eq=False)
class CombinedToys:
    """Toys of several channels with parameters in common.

    Args:
        sources: One source per term, in the order of the terms of the likelihood.
        likelihood: The combination; terms without data (constraint terms) have the source None.

    A constraint that several terms hold is one auxiliary measurement: it is drawn once, for all of them.
    """

    sources: Sequence[ToySource | None]
    likelihood: CombinedLikelihood

    def __post_init__(self) -> None:
        if len(self.sources) != len(self.likelihood.terms):
            what = "sources of combined toys"
            raise SchemaError(what, got=f"{len(self.sources)} sources", expected=f"one per term, {len(self.likelihood.terms)}")

    def sample(self, theta: Mapping[str, float], generator: np.random.Generator) -> tuple[tuple[Any, ...], dict[str, float]]:
        """Draw the data of every term, then the auxiliary measurements of terms without data, and those that terms share."""
        data, auxiliary = [], {}
        for source, term in zip(self.sources, self.likelihood.terms, strict=True):
            own = {name: theta[name] for name in term.parameter_names if name in theta}
            data.append(None if source is None else source.sample(own, generator))
            if source is None:
                auxiliary.update(sample_auxiliary(term.constraints, theta, generator))
        auxiliary.update(sample_auxiliary([c for c in self._shared if c.parameter not in auxiliary], theta, generator))
        return tuple(data), auxiliary

    def likelihood_of(self, data: tuple[tuple[Any, ...], dict[str, float]]) -> Likelihood:
        """Combine the likelihoods of the drawn data."""
        parts, auxiliary = data
        terms = [
            term if source is None else source.likelihood_of(part)
            for source, term, part in zip(self.sources, self.likelihood.terms, parts, strict=True)
        ]
        own = [{c.parameter: auxiliary[c.parameter] for c in term.constraints if c.parameter in auxiliary} for term in terms]
        return self.likelihood.with_terms([t.with_auxiliary(o) if o else t for t, o in zip(terms, own, strict=True)])

    @cached_property
    def lines(self) -> Lines | None:
        """Tables of all channels along the free parameter, if every channel has one."""
        rows: list[Rows] = []
        for source in self.sources:
            own = source.lines if isinstance(source, LineSource) else None
            if own is None:
                return None
            rows += [table.rows for table in own.tables]
        return Lines.of(self.likelihood, rows)

    def rows_of(self, data: tuple[tuple[Any, ...], dict[str, float]]) -> tuple[Drawn, ...]:
        """Return the rows of all channels."""
        found: list[Drawn] = []
        for source, part in zip(self.sources, data[0], strict=True):
            found += source.rows_of(part) if isinstance(source, LineSource) else ()
        return tuple(found)

    @property
    def _shared(self) -> tuple[Constraint, ...]:
        """Constraints that several terms hold."""
        names = [c.parameter for term in self.likelihood.terms for c in term.constraints]
        return tuple(c for c in self.likelihood.constraints if names.count(c.parameter) > 1)

    def fingerprint(self) -> str:
        """Return a hash of all sources."""
        parts = ["none" if s is None else s.fingerprint() for s in self.sources]
        return _fingerprint("combined", self.likelihood, parts, self.likelihood.constraints)


def sample_auxiliary(constraints: Sequence[Constraint], theta: Mapping[str, float], generator: np.random.Generator) -> dict[str, float]:
    """Draw what the auxiliary measurements would observe.

    Args:
        constraints: The constraint terms.
        theta: The truth; names every constrained parameter.
        generator: Random numbers.

    Returns:
        Observed value by parameter: normal around the truth, or a Poisson count.

    Raises:
        SchemaError: The truth leaves a constrained parameter out.
    """
    drawn = {}
    for c in constraints:
        if c.parameter not in theta:
            what = "truth of the toys"
            raise SchemaError(what, got=sorted(theta), expected=f"a value of {c.parameter!r}", remedy="name every constrained parameter")
        value = theta[c.parameter]
        drawn[c.parameter] = float(generator.normal(value, c.scale) if c.kind == "gaussian" else generator.poisson(value * c.scale))
    return drawn


def _binned_parts(likelihood: BinnedLikelihood | PyhfLikelihood) -> str:
    """Describe templates and model in one hash."""
    if isinstance(likelihood, PyhfLikelihood):
        grid = [likelihood.model.expected_data(pars) for pars in likelihood.model_parameters(_spread(likelihood))]
        return _fingerprint("pyhf", likelihood, str(likelihood.model.spec), arrays=(np.array(grid),))
    return _fingerprint("binned", likelihood, likelihood.coefficients.texts, arrays=(likelihood.templates,))


def _spread(likelihood: PyhfLikelihood) -> FloatArray:
    """Return a few parameter points that tell models apart, (n_points, n_parameters)."""
    start = np.array([p.init for p in likelihood.parameters])
    return np.stack([start, *(np.minimum(start + 0.3 * row, [p.high for p in likelihood.parameters]) for row in np.eye(len(start)))])


def _fingerprint(kind: str, likelihood: Likelihood, *parts: object, arrays: Sequence[FloatArray] = ()) -> str:
    digest = hashlib.sha256(repr((kind, likelihood.parameters, *parts)).encode("utf-8"))
    for array in arrays:
        digest.update(repr(array.shape).encode("ascii") + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]
