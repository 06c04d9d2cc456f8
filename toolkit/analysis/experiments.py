"""Experiments to draw toys from: the model that a method fits, or the simulation, in one region or in all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from toolkit.analysis.cross_fit import log_ratios_of
from toolkit.analysis.data import FitData
from toolkit.analysis.methods import BinnedMethod, Method, UnbinnedMethod
from toolkit.analysis.model import FitModel
from toolkit.analysis.region_method import RegionMethod
from toolkit.analysis.regions import split_events
from toolkit.analysis.theta import learned_by_theta
from toolkit.config import Config
from toolkit.errors import SchemaError
from toolkit.likelihood import (
    BinnedLikelihood,
    CombinedLikelihood,
    Likelihood,
    OnnxRatio,
    ParameterisedLikelihood,
    PyhfLikelihood,
    UnbinnedLikelihood,
    asimov_weights,
)
from toolkit.likelihood.compression import quickly_normalised
from toolkit.likelihood.constraint_term import ConstraintTerm
from toolkit.likelihood.parameterised_toys import ParameterisedToys
from toolkit.likelihood.toy_sources import BinnedToys, CombinedToys, UnbinnedToys, model_weights, rescaled
from toolkit.likelihood.toys import ToySource
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents

Full = Callable[[Method, FloatArray], Likelihood]
"""Builds the likelihood of a method with all nuisance parameters, for weights of the test events (n_test,)."""


@dataclass(frozen=True, eq=False)
class Experiment:
    """What the toys of a fit are made from.

    Attributes:
        config: Says what they are drawn from, and what happens to negative weights.
        test: The simulated events that unbinned toys are drawn from.
        ratio: The exported networks; their reference is what weighs events for the model's own density.
        full: Gives the likelihoods with nuisance parameters; None where there are none, or where they stay at their nominal values.
    """

    config: Config
    test: SimulatedEvents
    ratio: OnnxRatio
    full: Full | None = None

    def likelihood(self, method: Method, weights: FloatArray) -> Likelihood:
        """Build the likelihood that is fitted, of the test events with these weights, (n_test,)."""
        return method.likelihood(weights) if self.full is None else self.full(method, weights)

    def of_data(self, data: FitData, name: str) -> Likelihood:
        """Build the likelihood of data for the method of a name, with nuisance parameters where toys have them."""
        method = next(m for m in data.methods if m.name == name)
        return method.likelihood(data.weights) if self.full is None else data.full(method)

    def of_asimov(self, method: Method) -> Likelihood:
        """Build the likelihood of the Asimov set."""
        model, test = FitModel.of(self.config), self.test
        if isinstance(method, RegionMethod):
            test = split_events(test, method.model)
        weights = asimov_weights(test.weights, coefficients=model.coefficients, parameters=model.truth, bounds=model.bounds)
        if isinstance(method, RegionMethod) and self.full is None:
            return method.at(weights, model.truth)
        return self.likelihood(method, weights)


def toy_source(experiment: Experiment, method: Method) -> ToySource:
    """Return the experiment whose toys are drawn for a method, over regions or not.

    Nuisance parameters, where there are any, move what is drawn; their auxiliary measurements are drawn as well.

    Args:
        experiment: Events, networks and likelihoods.
        method: The method.

    Raises:
        SchemaError: The networks' reference is not a mixture of processes, so that the model cannot be drawn from; or a workspace of others
            shares a nuisance parameter that toys hold.
    """
    likelihood = experiment.likelihood(method, np.ones(len(experiment.test)))
    filled = _filled(method, experiment.test) if experiment.config.likelihood.toys.draw == "simulation" else None
    truth = likelihood if filled is None else experiment.likelihood(filled, np.ones(len(experiment.test)))
    if not isinstance(method, RegionMethod):
        return _source(experiment, method, likelihood, truth=truth, events=experiment.test, weights=experiment.test.weights)
    if not isinstance(likelihood, CombinedLikelihood) or not isinstance(truth, CombinedLikelihood):
        what = f"toys of the method {method.name!r}"
        raise SchemaError(what, got=type(likelihood).__name__, expected="a combination of regions")
    parts, sources = list(method.parts), list[ToySource | None]()
    whole, split = experiment.test, split_events(experiment.test, method.model)
    for term, drawn in zip(likelihood.terms, truth.terms, strict=True):
        if isinstance(term, ConstraintTerm):
            sources.append(None)
        elif parts:
            part = parts.pop(0)
            own = whole.select(part.test)
            sources.append(_source(experiment, part.method, term, truth=drawn, events=own, weights=split.weights[part.test]))
        else:
            sources.append(_of_others(term))
    return CombinedToys(sources, likelihood)


def _source(
    experiment: Experiment, method: Method, likelihood: Likelihood, *, truth: Likelihood, events: SimulatedEvents, weights: FloatArray
) -> ToySource:
    """Return the experiment of one region: `events` with the densities that networks learn, `weights` with those that are fitted."""
    if isinstance(method, BinnedMethod) and isinstance(likelihood, BinnedLikelihood | PyhfLikelihood):
        return BinnedToys(likelihood, truth if truth is not likelihood and isinstance(truth, BinnedLikelihood | PyhfLikelihood) else None)
    if isinstance(likelihood, ParameterisedLikelihood):
        chosen = experiment.config.likelihood.toys
        if chosen.draw == "simulation":
            return ParameterisedToys(likelihood, simulation=weights, negative=chosen.negative)
        learned = learned_by_theta(experiment.config, events)
        return ParameterisedToys(likelihood, reference=reference_weights(learned, experiment.ratio.metadata.reference_mixture))
    if not isinstance(method, UnbinnedMethod) or not isinstance(likelihood, UnbinnedLikelihood):
        what = f"toys of the method {method.name!r}"
        raise SchemaError(what, got=type(likelihood).__name__, expected="the likelihood of a binned or an unbinned method")
    settings, ratio = experiment.config.likelihood.toys, experiment.ratio
    if settings.draw == "simulation":
        return UnbinnedToys(quickly_normalised(likelihood, seed=settings.seed), weights, negative=settings.negative)
    reference = reference_weights(events, ratio.metadata.reference_mixture)
    log_ratios = log_ratios_of(ratio, events) if method.evaluate is None else method.evaluate(events)
    expected, log_mean = model_weights(log_ratios, reference, method.base.yields)
    drawn = quickly_normalised(rescaled(likelihood, log_mean), seed=settings.seed, expected=expected)
    return UnbinnedToys(drawn, expected, negative=settings.negative)


def _filled(method: Method, test: SimulatedEvents) -> Method:
    """Return a method whose templates are those of the test events."""
    if isinstance(method, RegionMethod):
        events = split_events(test, method.model)
        parts = tuple(replace(p, method=_filled(p.method, events.select(p.test))) for p in method.parts)
        return replace(method, parts=parts)
    if not isinstance(method, BinnedMethod):
        return method
    n_bins = method.expected.shape[1]
    values = np.array([np.bincount(method.place, weights=w, minlength=n_bins) for w in test.weights.T], dtype=np.float64)
    if method.folds is None:
        return replace(method, templates=replace(method.templates, values=values))
    n_folds = len(method.folds.values)
    by_fold = np.stack(np.split(values, n_folds, axis=1)) * n_folds
    return replace(method, folds=replace(method.folds, values=by_fold))


def _of_others(term: Likelihood) -> ToySource:
    """Return the experiment of a workspace of others."""
    if not isinstance(term, PyhfLikelihood):
        raise SchemaError(
            "toys of a workspace of others",
            got="a nuisance parameter that it shares with the analysis, and that toys hold",
            expected="one that toys draw and fit",
            remedy="take `likelihood.toys.nuisances: profiled`, or rename the parameter",
        )
    return BinnedToys(term)


def reference_weights(test: SimulatedEvents, mixture: Mapping[str, float]) -> FloatArray:
    """Weigh events so that they follow the reference density sum_j pi_j p_j, (n_events,).

    Raises:
        SchemaError: There are no fractions pi_j.
    """
    if not mixture:
        what = "reference of the networks"
        raise SchemaError(
            what, got="not a mixture of processes", expected="its fractions", remedy="draw from the simulation: likelihood.toys.draw"
        )
    columns = [test.processes.index(name) for name in mixture]
    return np.asarray(test.weights[:, columns] @ (np.array(list(mixture.values())) / test.yields[columns]))
