"""Intervals from toys: the part of the stage `fit` that runs when the config asks for a Neyman construction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from toolkit.analysis.data import FitData
from toolkit.analysis.layout import INTERVALS, TOYS
from toolkit.analysis.methods import BinnedMethod, Method, UnbinnedMethod
from toolkit.analysis.model import FitModel
from toolkit.analysis.session import Session
from toolkit.artifacts.atomic import make_folder, write_json
from toolkit.config import Config
from toolkit.errors import SchemaError
from toolkit.likelihood import BinnedLikelihood, Likelihood, OnnxRatio, PyhfLikelihood, UnbinnedLikelihood, asimov_weights
from toolkit.likelihood.compression import quickly_normalised
from toolkit.likelihood.coverage import check_coverage
from toolkit.likelihood.neyman import NeymanBands, construct_bands, grid_points, neyman_intervals
from toolkit.likelihood.toy_sources import BinnedToys, UnbinnedToys, model_weights, rescaled
from toolkit.likelihood.toy_workers import Workers, run_here
from toolkit.likelihood.toys import ToySource
from toolkit.typing import FloatArray, JsonObject
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

    def of_recorded(self, data: FitData, name: str) -> Likelihood:
        """Build the likelihood of recorded events for the method of a name, with nuisance parameters where toys have them."""
        method = next(m for m in data.methods if m.name == name)
        return method.likelihood(data.weights) if self.full is None else data.full(method)

    def of_asimov(self, method: Method) -> Likelihood:
        """Build the likelihood of the Asimov set."""
        model = FitModel.of(self.config)
        weights = asimov_weights(self.test.weights, coefficients=model.coefficients, parameters=model.truth, bounds=model.bounds)
        return self.likelihood(method, weights)


def write_intervals(
    session: Session,
    methods: Sequence[Method],
    *,
    test: SimulatedEvents,
    ratio: OnnxRatio,
    full: Full | None = None,
    recorded: Sequence[FitData] = (),
    workers: Workers = run_here,
) -> None:
    """Write `workspace/intervals.json` if the config asks for it; finished toys are kept in `workspace/toys/`.

    The construction of the recorded events is that of the Asimov set where there are no nuisance parameters. Where there are, it is one of
    its own: at every value of the parameter of interest the toys have the nuisance parameters that fit the recorded events best.

    Args:
        session: Where results are read and written.
        methods: All methods.
        test: The simulated test events.
        ratio: The exported networks.
        full: Gives the likelihoods with nuisance parameters, if there are any.
        recorded: The recorded events, if they are fitted.
        workers: Where toys run.

    Raises:
        SchemaError: The config names a method that there is not.
    """
    config = session.config
    if config.parameter.interval != "neyman":
        return
    settings, named = config.likelihood.toys, {method.name: method for method in methods}
    unknown = sorted(set(settings.methods) - set(named))
    if unknown:
        what = "likelihood.toys.methods"
        raise SchemaError(what, got=unknown, expected=f"methods among {sorted(named)}", remedy="correct the names in the config")
    folder = make_folder(session.work / TOYS)
    experiment = Experiment(config, test, ratio, full if settings.nuisances == "profiled" else None)
    parts: dict[str, JsonObject] = {}
    observed: dict[str, JsonObject] = {}
    for name in settings.methods:
        construction = Construction(session, experiment, named[name], workers, folder)
        bands = construction.bands(construction.asimov, file=f"{name}.jsonl")
        parts[name] = {**construction.result(bands, construction.asimov), "coverage": construction.coverage(bands)}
        for data in recorded:
            likelihood = experiment.of_recorded(data, name)
            if experiment.full is not None:
                bands = construction.bands(likelihood, file=f"{data.named(name)}.jsonl")
            observed[name] = construction.result(bands, likelihood)
    nuisances = "none" if full is None else settings.nuisances
    document = {"schema": 1, "draw": settings.draw, "nuisances": nuisances, "methods": parts}
    write_json(session.work / INTERVALS, {**document, "observed": observed} if recorded else document)


@dataclass(frozen=True, eq=False)
class Construction:
    """Neyman constructions for one method.

    Attributes:
        session: Where results are read and written.
        experiment: Events, networks and likelihoods.
        method: The method.
        workers: Where toys run.
        folder: Where finished toys are kept.
    """

    session: Session
    experiment: Experiment
    method: Method
    workers: Workers
    folder: Path

    @cached_property
    def asimov(self) -> Likelihood:
        """The likelihood of the Asimov set."""
        return self.experiment.of_asimov(self.method)

    @cached_property
    def source(self) -> ToySource:
        """What toys are drawn from."""
        return toy_source(self.experiment, self.method)

    def bands(self, likelihood: Likelihood, *, file: str) -> NeymanBands:
        """Find the acceptance regions; nuisance parameters have the values that fit the data of a likelihood best."""
        config, settings = self.session.config, self.session.config.likelihood.toys
        poi = config.parameter.name
        return construct_bands(
            self.source,
            grid_points(likelihood, points=settings.grid_points, poi=poi),
            poi=poi,
            toys=settings.per_point,
            seed=settings.seed,
            low=FitModel.of(config).range[0],
            root=poi in likelihood.diverging,
            workers=self.workers,
            file=self.folder / file,
            progress=self.session.progress,
        )

    def result(self, bands: NeymanBands, likelihood: Likelihood) -> JsonObject:
        """Find the intervals of the data of a likelihood."""
        config = self.session.config
        values = np.linspace(*FitModel.of(config).range, config.likelihood.scan_points)
        return neyman_intervals(bands, likelihood, values=values).to_json()

    def coverage(self, bands: NeymanBands) -> list[JsonObject]:
        """Check the coverage on toys of their own, at the truths that the config names."""
        settings, poi = self.session.config.likelihood.toys, self.session.config.parameter.name
        checks = check_coverage(
            self.source,
            bands,
            [self.asimov.fit(fixed={poi: mu}).parameters for mu in settings.coverage_at],
            toys=settings.coverage_toys,
            seed=settings.seed + 1,
            workers=self.workers,
            file=self.folder / f"{self.method.name}_coverage.jsonl",
            progress=self.session.progress,
        )
        return [check.to_json() for check in checks]


def toy_source(experiment: Experiment, method: Method) -> ToySource:
    """Return the experiment whose toys are drawn for a method.

    Nuisance parameters, where there are any, move what is drawn; their auxiliary measurements are drawn as well.

    Args:
        experiment: Events, networks and likelihoods.
        method: The method.

    Raises:
        SchemaError: The networks' reference is not a mixture of processes, so that the model cannot be drawn from.
    """
    settings, test = experiment.config.likelihood.toys, experiment.test
    likelihood = experiment.likelihood(method, np.ones(len(test)))
    if isinstance(method, BinnedMethod) and isinstance(likelihood, BinnedLikelihood | PyhfLikelihood):
        if settings.draw == "model":
            return BinnedToys(likelihood)
        n_bins = method.templates.values.shape[1]
        filled = np.array([np.bincount(method.index, weights=w, minlength=n_bins) for w in test.weights.T], dtype=np.float64)
        truth = experiment.likelihood(replace(method, templates=replace(method.templates, values=filled)), np.ones(len(test)))
        return BinnedToys(likelihood, truth if isinstance(truth, BinnedLikelihood | PyhfLikelihood) else None)
    if not isinstance(method, UnbinnedMethod) or not isinstance(likelihood, UnbinnedLikelihood):
        what = f"toys of the method {method.name!r}"
        raise SchemaError(what, got=type(likelihood).__name__, expected="the likelihood of a binned or an unbinned method")
    if settings.draw == "simulation":
        return UnbinnedToys(quickly_normalised(likelihood, seed=settings.seed), test.weights, negative=settings.negative)
    ratio = experiment.ratio
    reference = reference_weights(test, ratio.metadata.reference_mixture)
    expected, log_mean = model_weights(ratio(ratio.columns(test.observables)), reference, method.base.yields)
    drawn = quickly_normalised(rescaled(likelihood, log_mean), seed=settings.seed, expected=expected)
    return UnbinnedToys(drawn, expected, negative=settings.negative)


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
