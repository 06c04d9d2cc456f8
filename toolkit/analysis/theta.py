"""The method of networks that read the parameter of interest: one density ratio at every value of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from toolkit.analysis.datasets import Events
from toolkit.analysis.layout import ASIMOV, MODEL
from toolkit.analysis.methods import BinnedMethod, histogram_method
from toolkit.analysis.model import FitModel
from toolkit.analysis.nuisances import LUMINOSITY, Systematics
from toolkit.config import Config, RatioHistogramsConfig, ThetaConfig
from toolkit.errors import ArtifactMismatchError
from toolkit.likelihood import (
    Bootstrap,
    Observation,
    ParameterisedLikelihood,
    ThetaAxis,
    ThetaSeries,
    UnbinnedChannel,
    UnbinnedSample,
    bootstrap_parameterised,
    quantile_edges,
)
from toolkit.likelihood.multiplicities import Draws, poisson_draws
from toolkit.likelihood.ratio_at_points import RatioAtPoints
from toolkit.likelihood.workspace_parameterised import theta_axes
from toolkit.model.theta_points import ThetaPoints
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents

OfTheta = Callable[[Events], ThetaSeries]
"""Gives the log ratio of any events as a function of the parameter."""


@dataclass(frozen=True)
class ParameterisedMethod:
    """The unbinned likelihood of a network that reads the parameter.

    Args:
        name: Name in the results.
        base: The likelihood of the test events, whatever its weights.
        training: The same of the training events, with ratios from networks that did not train on them.
        evaluate: Gives the log ratios of any events.
    """

    name: str
    base: ParameterisedLikelihood
    training: ParameterisedLikelihood
    evaluate: OfTheta
    crossed: ClassVar[bool] = False
    """Test events are set aside: these networks are refused in a cross-fit."""

    def for_events(self, events: Events) -> ParameterisedMethod:
        """Return the method with other events as data."""
        return replace(self, base=self._of(self.evaluate(events), events))

    def _of(self, series: ThetaSeries, events: Events) -> ParameterisedLikelihood:
        return ParameterisedLikelihood(
            log_ratios=series,
            weights=np.ones(len(events)),
            yields=self.base.yields,
            coefficients=self.base.coefficients.coefficients.texts,
            parameters=self.base.parameters,
            event_ids=events.event_id,
        )

    def likelihood(self, weights: FloatArray) -> ParameterisedLikelihood:
        """Build the likelihood of the test events with these weights, (n_test,)."""
        return self.base.with_weights(weights)

    def with_systematics(self, weights: FloatArray, systematics: Systematics, model: FitModel) -> ParameterisedLikelihood:
        """Build it with the uncertainty of the luminosity, the only one that needs no knowledge of the shape."""
        texts = [f"({text}) * {LUMINOSITY}" for text in model.coefficients] if systematics.luminosity else model.coefficients
        return self.likelihood(weights).with_systematics(
            parameters=(*model.used, *systematics.parameters), coefficients=texts, constraints=systematics.constraints
        )

    def bootstrap(self, weights: FloatArray, *, replicas: int, seed: int, draws: Draws = poisson_draws) -> Bootstrap:
        """Resample the test events."""
        return bootstrap_parameterised(self.likelihood(weights), replicas=replicas, seed=seed, draws=draws)

    def bootstrap_training(self, weights: FloatArray, *, replicas: int, seed: int, draws: Draws = poisson_draws) -> Bootstrap:
        """Resample the training events, (n_training,)."""
        return bootstrap_parameterised(self.training.with_weights(weights), replicas=replicas, seed=seed, draws=draws)


def open_theta(path: Path, config: Config) -> RatioAtPoints:
    """Open an exported network that reads the parameter, looked at at the values of `ThetaPoints`.

    Raises:
        ArtifactMismatchError: It reads other observables or another parameter, or was trained for another range.
    """
    points = ThetaPoints.of(config.model.learned)
    ratio = RatioAtPoints(path, values=points.values, names=points.names)
    [component] = ratio.metadata.parameters
    got = (tuple(ratio.features), component.name, (component.low, component.high))
    wanted = (tuple(config.ratios.features), points.parameter, points.range)
    if got != wanted:
        raise ArtifactMismatchError(f"inputs of {path}", got=got, expected=wanted, remedy="train and export again with this config")
    return ratio


def learned_by_theta(config: Config, events: SimulatedEvents) -> SimulatedEvents:
    """Return events with their weights at the values of `ThetaPoints` in the place of densities, if the networks read the parameter."""
    if not isinstance(config.ratios, ThetaConfig):
        return events
    points = ThetaPoints.of(config.model.learned)
    return replace(events, processes=points.names, weights=points.weigh(events.weights))


def theta_methods(
    model: FitModel,
    *,
    training: SimulatedEvents,
    test: SimulatedEvents,
    ratio: RatioAtPoints,
    nodes: FloatArray,
    at_nodes: FloatArray,
    bins: int,
    ratios: RatioHistogramsConfig | None = None,
) -> tuple[BinnedMethod | ParameterisedMethod, ...]:
    """Build the histogram of the log ratio of the ends of the range, those of chosen values to the truth, and the unbinned likelihood.

    Args:
        model: The parameter of interest and the coefficients.
        training: Events that fill the templates.
        test: Events of the Asimov set.
        ratio: The exported network.
        nodes: Values of the parameter, (n_nodes,).
        at_nodes: Log ratios of the training events there, from networks that did not train on them, (n_training, n_nodes).
        bins: Bins of the histogram.
        ratios: Values of the other histograms, and their bins.
    """
    [axis] = theta_axes(ratio, model.used, coefficients=model.coefficients)

    def evaluate(events: Events) -> ThetaSeries:
        x = ratio.columns(events.observables)
        return ThetaSeries.of(lambda theta: ratio.at(x, float(theta[0])), [axis])

    def build(series: ThetaSeries, events: SimulatedEvents) -> ParameterisedLikelihood:
        return ParameterisedLikelihood(
            log_ratios=series,
            weights=np.ones(len(events)),
            yields=training.yields,
            coefficients=model.coefficients,
            parameters=model.used,
            event_ids=events.event_id,
        )

    of_training = series_of_nodes(axis, nodes, at_nodes)
    of_test = evaluate(test)
    expected = np.abs(training.weights @ model.at(model.truth))

    def histogram(name: str, pair: tuple[float, float], n: int) -> BinnedMethod:
        values = (_between(of_training, pair), _between(of_test, pair))
        return histogram_method(
            name,
            model,
            training=training,
            test=test,
            values=values,
            edges=quantile_edges(values[0], expected, bins=n),
            clip=True,
            observe=lambda events: _between(evaluate(events), pair),
        )

    truth = model.truth[axis.name]
    chosen = () if ratios is None else ratios.names.items()
    others = [histogram(name, (truth, value), ratios.bins) for name, value in chosen if ratios is not None]
    return (
        histogram("score", (axis.low, axis.high), bins),
        *others,
        ParameterisedMethod("nsbi", build(of_test, test), build(of_training, training), evaluate),
    )


def series_of_nodes(axis: ThetaAxis, nodes: FloatArray, at_nodes: FloatArray) -> ThetaSeries:
    """Return the series through values (n_rows, n_nodes) at nodes that are evenly spread in Chebyshev's sense, (n_nodes,)."""
    return ThetaSeries.through([axis], nodes[:, None], at_nodes, degrees=(len(nodes) - 1,))


def _between(series: ThetaSeries, pair: Sequence[float]) -> FloatArray:
    """Return ln p(x | second value) / p(x | first value), (n,)."""
    low, high = (series.at([value]) for value in pair)
    return np.asarray(high - low)


def theta_channel(
    model: FitModel,
    yields: FloatArray,
    ratio: RatioAtPoints,
    systematics: Systematics,
    *,
    observation: Observation = Observation(file=ASIMOV.name),  # noqa: B008  # frozen
) -> UnbinnedChannel:
    """Describe the unbinned channel of a network that reads the parameter; file names are relative to `workspace/`."""
    lumi = [{"type": "lumi", "name": LUMINOSITY}] if systematics.luminosity else []
    samples = [
        {"name": name, "yield": float(nu), "modifiers": [{"type": "morphing", "data": {"coefficient": text}}, *lumi]}
        for name, nu, text in zip(model.processes, yields, model.coefficients, strict=True)
    ]
    return UnbinnedChannel(
        name="nsbi",
        observables=tuple(ratio.features),
        reference=ratio.reference,
        model=f"../{MODEL.as_posix()}",
        output=ratio.output,
        inputs={ratio.parameter: ratio.parameter},
        samples=tuple(UnbinnedSample.model_validate(sample) for sample in samples),
        observation=observation,
    )
