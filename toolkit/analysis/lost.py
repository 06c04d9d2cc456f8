"""What the unbinned fit loses by a variation of which it knows a part: the effect on the parameters, in a histogram that shows all of it.

The histogram of the score is fitted twice: with the variation as its events show it, and with the part that the unbinned fit knows (its
change of the yields, times what networks or the bins of another histogram say of the shape). In an analysis with regions one region at a
time knows a part, and all regions are fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from toolkit.analysis.channels import binned_document
from toolkit.analysis.data import FitData, full_likelihood, yields_and_shape
from toolkit.analysis.methods import BinnedMethod, Method
from toolkit.analysis.model import FitModel
from toolkit.analysis.nuisances import Ratios, Systematics
from toolkit.analysis.region_method import Part, RegionMethod
from toolkit.analysis.regions import split_events
from toolkit.likelihood import Likelihood, Workspace
from toolkit.likelihood.uncertainties import minos
from toolkit.typing import FloatArray, JsonObject
from toolkit.weights import SimulatedEvents

METHOD = "score"
"""The histogram in which the loss is measured."""


@dataclass(frozen=True)
class Loss:
    """What is lost of one systematic.

    Attributes:
        parameter: A parameter of interest.
        error: Its upper 68 % uncertainty in the histogram that knows all of the variation.
        error_known: The same where it knows what the unbinned fit knows.
        shift: How far the best fit moves, with this knowledge, from the data to data in which the nuisance parameter is 1.
        at_end: Whether `error` is the distance to the end of the parameter's range, which the uncertainty exceeds.
        known_at_end: The same of `error_known`.
    """

    parameter: str
    error: float
    error_known: float
    shift: float
    at_end: bool = False
    known_at_end: bool = False


@dataclass(frozen=True, eq=False)
class _Place:
    """Where a loss is measured: the histogram of the score of one region, and what it is fitted with.

    Attributes:
        method: The histogram.
        siblings: All methods of the region.
        model: Its coefficients.
        weights: Weights of its test events, (n_test,).
        training: Its training events.
        systematics: All uncertainties, as they are in the region.
        combined: Makes the likelihood of everything from that of the histogram.
    """

    method: BinnedMethod
    siblings: tuple[Method, ...]
    model: FitModel
    weights: FloatArray
    training: SimulatedEvents
    systematics: Systematics
    combined: Callable[[Likelihood], Likelihood]


def measure_loss(data: FitData, name: str, *, training: SimulatedEvents, region: str = "") -> tuple[Loss, ...]:
    """Measure what the unbinned fit loses of a systematic, for each parameter of interest; nothing without a histogram of the score.

    Args:
        data: The Asimov set with its systematics.
        name: The systematic.
        training: Nominal training events, from which the templates are.
        region: The region that knows a part of the variation; empty where there are no regions.
    """
    place = _place(data, region, training)
    if place is None or name not in place.systematics.ratios.get(place.method.name, {}):
        return ()
    whole = place.systematics.ratios[place.method.name]
    known = {**whole, name: _known(place, name)}
    documents = [_document(place, own) for own in (whole, known)]
    fits = []
    for document in documents:
        likelihood = place.combined(Workspace(document).likelihood())
        fit = likelihood.fit()
        fits.append((fit, {poi: minos(likelihood, fit, poi) for poi in data.model.interest}))
    moved = place.combined(Workspace(_moved(documents[1], place, whole[name])).likelihood()).fit()
    (_, errors), (best, errors_known) = fits
    return tuple(
        Loss(
            poi,
            errors[poi].up,
            errors_known[poi].up,
            moved.parameters[poi] - best.parameters[poi],
            errors[poi].at_high,
            errors_known[poi].at_high,
        )
        for poi in data.model.interest
    )


def _place(data: FitData, region: str, training: SimulatedEvents) -> _Place | None:
    """Find the histogram of the score of a region, and all that is fitted beside it."""
    method = next((m for m in data.methods if m.name == METHOD), None)
    if isinstance(method, BinnedMethod):
        return _Place(method, data.methods, data.model, data.weights, training, data.systematics, lambda own: own)
    if not isinstance(method, RegionMethod):
        return None
    chosen = next((p for p in method.parts if p.region.name == region or not region), None)
    if chosen is None or not isinstance(chosen.method, BinnedMethod):
        return None

    def within(part: Part) -> Systematics:
        return data.systematics.within(data=part.test, training=part.training)

    others = {
        id(p): full_likelihood(p.method, data.weights[p.test], within(p), methods=p.siblings, model=p.model)
        for p in method.parts
        if p is not chosen
    }

    def combined(own: Likelihood) -> Likelihood:
        return method.combined([own if p is chosen else others[id(p)] for p in method.parts], truth=data.expectation)

    inside = split_events(training.select(chosen.training), method.model)
    return _Place(chosen.method, chosen.siblings, chosen.model, data.weights[chosen.test], inside, within(chosen), combined)


def _document(place: _Place, ratios: Mapping[str, Ratios]) -> JsonObject:
    """Return the workspace of the histogram with these variations."""
    systematics = place.systematics
    return binned_document(place.method, place.weights, replace(systematics, ratios={**systematics.ratios, place.method.name: ratios}))


def _known(place: _Place, name: str) -> Ratios:
    """Return what the unbinned fit knows of a systematic, in the bins of the histogram."""
    systematics, method, training = place.systematics, place.method, place.training
    rate, shape = yields_and_shape(place.siblings)
    learned, templates = systematics.learned, method.templates.values
    yields = systematics.ratios[rate.name][name].yields(rate.templates.values)
    dropped = () if learned is None else learned.dropped_yields.get(name, ())
    found = []
    for side, of_yield in enumerate(yields):
        weights = training.weights.copy()
        for j, process in enumerate(training.processes):
            factor = _shape(systematics, name, side, j, shape, n_events=len(training))
            total = float(weights[:, j] @ factor)
            scale = float(weights[:, j].sum()) / total if total > 0.0 else 1.0
            weights[:, j] *= factor * scale * (1.0 if process in dropped else of_yield[j])
        varied = method.fill(replace(training, weights=weights))
        good = (templates > 0.0) & (varied > 0.0)
        found.append(np.divide(varied, templates, out=np.ones_like(templates), where=good))
    return Ratios(*found)


def _shape(systematics: Systematics, name: str, side: int, j: int, shape: BinnedMethod | None, *, n_events: int) -> FloatArray:
    """Return the varied over the nominal density of a process at every training event, as the unbinned fit knows it, (n_events,)."""
    learned = systematics.learned
    if learned is not None and name in learned.names:
        return np.exp(learned.training[j][name][side]) if name in learned.training[j] else np.ones(n_events)
    if shape is None:
        return np.ones(n_events)
    bins: FloatArray = systematics.ratios[shape.name][name].shapes(shape.templates.values)[side][j]
    return bins[shape.training_index]


def _moved(document: JsonObject, place: _Place, whole: Ratios) -> JsonObject:
    """Return a document whose data have the systematic at 1, in proportion to what its templates expect."""
    coefficients, templates = place.model.at(place.model.truth), place.method.templates.values
    expected = coefficients @ templates
    factor = np.divide(coefficients @ (templates * whole.up), expected, out=np.ones_like(expected), where=expected > 0.0)
    (observation,) = document["observations"]
    return {**document, "observations": [{**observation, "data": (np.array(observation["data"]) * factor).tolist()}]}
