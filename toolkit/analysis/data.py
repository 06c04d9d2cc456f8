"""Events as the data of every method: the Asimov set of simulated test events, or the data.

Methods and systematic uncertainties of the Asimov set turn into those of the data by looking at these instead; all that is
built from them, likelihoods, workspaces and tests, is the same code for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from toolkit.analysis.channels import binned_document, unbinned_likelihood
from toolkit.analysis.datasets import Events
from toolkit.analysis.methods import BinnedMethod, Method, UnbinnedMethod
from toolkit.analysis.model import FitModel
from toolkit.analysis.nuisances import Systematics
from toolkit.analysis.region_method import RegionMethod
from toolkit.analysis.theta import ParameterisedMethod
from toolkit.errors import SchemaError
from toolkit.likelihood import Likelihood, Workspace
from toolkit.typing import FloatArray, IntArray
from toolkit.weights import SimulatedEvents


@dataclass(frozen=True, eq=False)
class FitData:
    """Data of the fits.

    Attributes:
        events: The events.
        weights: What each counts, (n_events,): expected events in an Asimov set, 1 in data.
        methods: All methods, which look at these events.
        systematics: All systematic uncertainties, which know the variations of these events.
        model: The parameter of interest and the coefficients.
        label: End of the names of files and tasks; empty for the Asimov set.
    """

    events: Events
    weights: FloatArray
    methods: tuple[Method, ...]
    systematics: Systematics
    model: FitModel
    label: str = ""

    def for_events(self, events: Events, *, label: str) -> FitData:
        """Return the data of other events, each of which counts 1, for the same templates, yields, networks and uncertainties."""
        methods = tuple(method.for_events(events) for method in self.methods)
        return replace(
            self, events=events, weights=np.ones(len(events)), methods=methods, systematics=self.systematics.for_events(events), label=label
        )

    @property
    def bins(self) -> Mapping[str, IntArray]:
        """Bin of each event in every histogram, (n_events,) by method."""
        return {m.name: m.index for m in self.methods if isinstance(m, BinnedMethod)}

    def named(self, name: str) -> str:
        """Return the name of a method in files and tasks: `nsbi`, and `nsbi_observed` of the data."""
        return f"{name}_{self.label}" if self.label else name

    @property
    def expectation(self) -> dict[str, float] | None:
        """Where workspaces of others have their expectation as data: the truth of an Asimov set; None keeps their own data."""
        return self.model.truth if isinstance(self.events, SimulatedEvents) else None

    def plain(self, method: Method) -> Likelihood:
        """Build the likelihood of a method without systematic uncertainties."""
        return method.at(self.weights, self.expectation) if isinstance(method, RegionMethod) else method.likelihood(self.weights)

    def full(self, method: Method, weights: FloatArray | None = None) -> Likelihood:
        """Build the likelihood of a method with all systematic uncertainties, for other weights (n_events,) if given."""
        chosen = self.weights if weights is None else weights
        if isinstance(method, RegionMethod):
            return region_likelihood(method, chosen, self.systematics, truth=self.expectation)
        return full_likelihood(method, chosen, self.systematics, methods=self.methods, model=self.model)


def yields_and_shape(methods: Sequence[Method]) -> tuple[BinnedMethod, BinnedMethod | None]:
    """Return the counting method, and the first histogram of an observable: what the unbinned channel takes its systematics from."""
    binned = [m for m in methods if isinstance(m, BinnedMethod)]
    rate = next(m for m in binned if m.name == "rate" or m.name.startswith("rate_"))  # rate_REGION where several regions are unbinned
    return rate, next((m for m in binned if m.observable is not None), None)


def region_likelihood(
    method: RegionMethod, weights: FloatArray, systematics: Systematics, *, truth: Mapping[str, float] | None = None
) -> Likelihood:
    """Build the likelihood of a method over regions with all systematic uncertainties.

    Args:
        method: The method.
        weights: Weights of its events, (n_events,).
        systematics: All systematic uncertainties.
        truth: Where workspaces of others have their expectation as data; None keeps their own.
    """
    terms = []
    for p in method.parts:
        own = systematics.within(data=p.test, training=p.training)
        terms.append(full_likelihood(p.method, weights[p.test], own, methods=p.siblings, model=p.model))
    return method.combined(terms, truth=truth)


def full_likelihood(
    method: Method, weights: FloatArray, systematics: Systematics, *, methods: Sequence[Method], model: FitModel
) -> Likelihood:
    """Build the likelihood of a method with all systematic uncertainties."""
    if isinstance(method, UnbinnedMethod):
        rate, shape = yields_and_shape(methods)
        return unbinned_likelihood(method, weights, systematics, model=model, rate=rate, shape=shape)
    if isinstance(method, BinnedMethod):
        return Workspace(binned_document(method, weights, systematics)).likelihood()
    if isinstance(method, ParameterisedMethod):
        return method.with_systematics(weights, systematics, model)
    raise SchemaError("method", got=type(method).__name__, expected="BinnedMethod or UnbinnedMethod")
