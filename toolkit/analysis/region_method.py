"""A method that measures in several regions at once: the events of every region in the way of its kind, and workspaces of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from toolkit.analysis.datasets import Events
from toolkit.analysis.finite_simulation import Sample, SimulationError, simulation_errors, truth_probability
from toolkit.analysis.methods import BinnedMethod, Method
from toolkit.analysis.model import FitModel
from toolkit.analysis.regions import NetworkOutput, in_region, split_events
from toolkit.likelihood import CombinedLikelihood, FitResult, Likelihood, PyhfLikelihood, Workspace
from toolkit.likelihood.fixed import FixedLikelihood
from toolkit.model import Model, Region
from toolkit.model.regions import partition
from toolkit.typing import BoolArray, FloatArray
from toolkit.weights import SimulatedEvents

Fill = Callable[[SimulatedEvents], FloatArray]
"""Fills the templates of a method, (n_densities, n_bins)."""


@dataclass(frozen=True, eq=False)
class Part:
    """What a method does in one region.

    Attributes:
        region: The region.
        method: The method of its events.
        model: Coefficients and parameters of the region.
        siblings: All methods of the region, of which an unbinned one takes the variations that it does not know itself.
        test: Which test events belong to it, (n_test,).
        training: Which training events do, (n_training,).
        outputs: In an unbinned region, where each density comes from, (n_densities,); None for those without events in it.
    """

    region: Region
    method: Method
    model: FitModel
    siblings: tuple[Method, ...]
    test: BoolArray
    training: BoolArray
    outputs: tuple[NetworkOutput | None, ...] = ()


@dataclass(frozen=True, eq=False)
class RegionMethod:
    """A method over regions.

    Attributes:
        name: Name in the results.
        model: The physics model.
        parameter: Name of the first parameter of interest.
        parts: One per region.
        foreign: Likelihoods of workspaces of others.
        documents: The workspaces that these are the terms of.
    """

    name: str
    model: Model
    parameter: str
    parts: tuple[Part, ...]
    foreign: tuple[Likelihood, ...] = ()
    documents: tuple[Workspace, ...] = ()

    @property
    def crossed(self) -> bool:
        """Whether test and training events are the same, as in a cross-fit."""
        return all(part.method.crossed for part in self.parts)

    @property
    def whole(self) -> RegionMethod:
        """The method with the templates of all folds in its histograms, which data are compared with."""
        parts = [replace(p, method=p.method.whole) if isinstance(p.method, BinnedMethod) else p for p in self.parts]
        return replace(self, parts=tuple(parts))

    def for_events(self, events: Events) -> RegionMethod:
        """Return the method with other events as data, each in the region that selects it.

        Raises:
            SchemaError: Two regions share events.
        """
        found = {part.region.name: in_region(part.region, events.observables) for part in self.parts}
        partition(found)
        parts = []
        for part in self.parts:
            inside = found[part.region.name]
            own = select_events(events, inside)
            siblings = tuple(m.for_events(own) for m in part.siblings)
            method = next((s for s, m in zip(siblings, part.siblings, strict=True) if m is part.method), None)
            parts.append(replace(part, method=part.method.for_events(own) if method is None else method, siblings=siblings, test=inside))
        return replace(self, parts=tuple(parts))

    def likelihood(self, weights: FloatArray) -> Likelihood:
        """Build the likelihood of all regions for weights of the events, (n_events,)."""
        return self.combined([part.method.likelihood(weights[part.test]) for part in self.parts])

    def combined(self, terms: Sequence[Likelihood], *, truth: Mapping[str, float] | None = None) -> CombinedLikelihood:
        """Combine likelihoods of the regions with those of the workspaces, whose data become the expectation at a truth if one is given."""
        held = {p.name: p.init for term in terms for p in term.parameters if p.fixed}
        others = [_held(expected_term(term, truth), held) for term in self.foreign]
        flat = [term for one in terms for term in (one.terms if isinstance(one, CombinedLikelihood) else (one,))]
        return CombinedLikelihood([*flat, *others], poi=self.parameter)

    def at(self, weights: FloatArray, truth: Mapping[str, float] | None) -> Likelihood:
        """Build the likelihood for weights of the events (n_events,), with the expectation of the workspaces at a truth as their data."""
        return self.combined([part.method.likelihood(weights[part.test]) for part in self.parts], truth=truth)

    def finite_simulation(
        self,
        fit: FitResult,
        *,
        test: FloatArray,
        training: FloatArray,
        roots: frozenset[str],
        bounds: Mapping[str, tuple[float, float]],
    ) -> dict[str, SimulationError]:
        """Estimate the errors of a best fit from the finite simulation; weights (n_test,) and (n_training,) of its events."""
        samples = self._samples(test, training)
        return simulation_errors(*samples, fit=fit, bounds=bounds, roots=roots, foreign=self.foreign, held=self._held, crossed=self.crossed)

    def truth_probability(
        self,
        fit: FitResult,
        *,
        truth: Mapping[str, float],
        twice_delta_nll: float,
        test: FloatArray,
        training: FloatArray,
        roots: frozenset[str],
    ) -> float:
        """Compute how often the finite simulation makes -2 Delta lnL of a truth as large; weights of it, (n_test,) and (n_training,)."""
        foreign = [expected_term(term, truth) for term in self.foreign]
        samples, off, held = self._samples(test, training), twice_delta_nll, self._held
        return truth_probability(
            *samples, fit=fit, truth=truth, twice_delta_nll=off, roots=roots, foreign=foreign, held=held, crossed=self.crossed
        )

    def _samples(self, test: FloatArray, training: FloatArray) -> tuple[list[Sample], list[Sample]]:
        """Return the test and the training events of all regions with these weights."""
        return (
            [Sample.of(part.method, test[part.test], of_training=False) for part in self.parts],
            [Sample.of(part.method, training[part.training], of_training=True) for part in self.parts],
        )

    @property
    def _held(self) -> dict[str, float]:
        """Parameters that the regions hold."""
        return {p.name: p.init for part in self.parts for p in part.model.parameters if p.fixed}

    def fills(self) -> dict[str, Fill]:
        """Return how the histograms of every region fill their templates from simulated events, by name."""
        found: dict[str, Fill] = {}
        for part in self.parts:
            for method in part.siblings:
                if isinstance(method, BinnedMethod):
                    found[method.name] = self._filling(part.region, method)
        return found

    def _filling(self, region: Region, method: BinnedMethod) -> Fill:
        def fill(events: SimulatedEvents) -> FloatArray:
            own = events.select(in_region(region, events.observables))
            return method.fill(split_events(own, self.model))

        return fill


def select_events(events: Events, inside: BoolArray) -> Events:
    """Return the events of a mask, simulated or data."""
    if isinstance(events, SimulatedEvents):
        return events.select(inside)
    observables = {name: values[inside] for name, values in events.observables.items()}
    return replace(events, event_id=events.event_id[inside], observables=observables)  # type: ignore[type-var]


def _held(term: Likelihood, held: Mapping[str, float]) -> Likelihood:
    """Hold the nuisance parameters of the analysis in a workspace that has them too, where the regions hold them."""
    common = {name: value for name, value in held.items() if name in term.parameter_names}
    return FixedLikelihood(term, common) if common else term


def expected_term(term: Likelihood, truth: Mapping[str, float] | None) -> Likelihood:
    """Return a workspace of others with its expectation at a truth as data; None keeps its own."""
    if truth is None or not isinstance(term, PyhfLikelihood):
        return term
    return term.asimov({name: value for name, value in truth.items() if name in term.parameter_names})
