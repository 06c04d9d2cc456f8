"""What the unbinned fit loses by a variation of which it knows a part: the effect on the parameter, in a histogram that shows all of it.

The histogram of the score is fitted twice: with the variation as its events show it, and with the part that the unbinned fit knows (its
change of the yields, times what networks or the bins of another histogram say of the shape).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from toolkit.analysis.channels import binned_document
from toolkit.analysis.data import FitData, yields_and_shape
from toolkit.analysis.methods import BinnedMethod
from toolkit.analysis.nuisances import Ratios
from toolkit.likelihood import Workspace
from toolkit.likelihood.uncertainties import minos
from toolkit.typing import FloatArray, JsonObject
from toolkit.weights import SimulatedEvents

METHOD = "score"
"""The histogram in which the loss is measured."""


@dataclass(frozen=True)
class Loss:
    """What is lost of one systematic.

    Attributes:
        parameter: The parameter of interest.
        error: Its upper 68 % uncertainty in the histogram that knows all of the variation.
        error_known: The same where it knows what the unbinned fit knows.
        shift: How far the best fit moves, with this knowledge, from the data to data in which the nuisance parameter is 1.
    """

    parameter: str
    error: float
    error_known: float
    shift: float


def measure_loss(data: FitData, name: str, *, pool: SimulatedEvents) -> Loss | None:
    """Measure what the unbinned fit loses of a systematic; None without a histogram of the score.

    Args:
        data: The Asimov set with its systematics.
        name: The systematic.
        pool: Nominal training events, from which the templates are.
    """
    method = next((m for m in data.methods if isinstance(m, BinnedMethod) and m.name == METHOD), None)
    if method is None or name not in data.systematics.ratios.get(METHOD, {}):
        return None
    poi, whole = data.model.parameter, data.systematics.ratios[METHOD]
    known = {**whole, name: _known(data, method, name, pool)}
    documents = [
        binned_document(method, data.weights, replace(data.systematics, ratios={**data.systematics.ratios, METHOD: own}))
        for own in (whole, known)
    ]
    errors, best = [], 0.0
    for document in documents:
        likelihood = Workspace(document).likelihood()
        fit = likelihood.fit()
        errors.append(minos(likelihood, fit, poi).up)
        best = fit.parameters[poi]
    likelihood = Workspace(_moved(documents[1], method, whole[name], data)).likelihood()
    return Loss(poi, errors[0], errors[1], likelihood.fit().parameters[poi] - best)


def _known(data: FitData, method: BinnedMethod, name: str, pool: SimulatedEvents) -> Ratios:
    """Return what the unbinned fit knows of a systematic, in the bins of a histogram."""
    rate, shape = yields_and_shape(data.methods)
    learned, templates = data.systematics.learned, method.templates.values
    yields = data.systematics.ratios[rate.name][name].yields(rate.templates.values)
    dropped = () if learned is None else learned.dropped_yields.get(name, ())
    found = []
    for side, of_yield in enumerate(yields):
        weights = pool.weights.copy()
        for j, process in enumerate(pool.processes):
            factor = _shape(data, name, side, j, shape, n_events=len(pool))
            total = float(weights[:, j] @ factor)
            scale = float(weights[:, j].sum()) / total if total > 0.0 else 1.0
            weights[:, j] *= factor * scale * (1.0 if process in dropped else of_yield[j])
        varied = method.fill(replace(pool, weights=weights))
        good = (templates > 0.0) & (varied > 0.0)
        found.append(np.divide(varied, templates, out=np.ones_like(templates), where=good))
    return Ratios(*found)


def _shape(data: FitData, name: str, side: int, j: int, shape: BinnedMethod | None, *, n_events: int) -> FloatArray:
    """Return the varied over the nominal density of a process at every training event, as the unbinned fit knows it, (n_events,)."""
    learned = data.systematics.learned
    if learned is not None and name in learned.names:
        return np.exp(learned.pool[j][name][side]) if name in learned.pool[j] else np.ones(n_events)
    if shape is None:
        return np.ones(n_events)
    bins: FloatArray = data.systematics.ratios[shape.name][name].shapes(shape.templates.values)[side][j]
    return bins[shape.pool_index]


def _moved(document: JsonObject, method: BinnedMethod, whole: Ratios, data: FitData) -> JsonObject:
    """Return a document whose data have the systematic at 1, in proportion to what its templates expect."""
    coefficients = data.model.at(data.model.truth)
    expected = coefficients @ method.templates.values
    factor = np.divide(coefficients @ (method.templates.values * whole.up), expected, out=np.ones_like(expected), where=expected > 0.0)
    (observation,) = document["observations"]
    return {**document, "observations": [{**observation, "data": (np.array(observation["data"]) * factor).tolist()}]}
