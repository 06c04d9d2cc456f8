"""Builds the methods of a config from simulated events and exported networks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from toolkit.analysis.cross_fit import CrossFitRatio, cross_fitted, log_ratios_of
from toolkit.analysis.datasets import Events
from toolkit.analysis.methods import (
    BinnedMethod,
    Method,
    UnbinnedMethod,
    histogram_method,
    plane_method,
    rate_method,
    score_columns,
    score_method,
)
from toolkit.analysis.model import FitModel
from toolkit.analysis.ratio_histograms import ratio_histograms
from toolkit.analysis.regions import whole_densities
from toolkit.analysis.score_plane import score_planes
from toolkit.analysis.theta import open_theta, theta_methods
from toolkit.config import Config, HistogramConfig, ThetaConfig
from toolkit.errors import ArtifactMismatchError
from toolkit.likelihood import OnnxRatio, UnbinnedLikelihood, quantile_edges
from toolkit.likelihood.planes import Plane
from toolkit.likelihood.ratio_at_points import RatioAtPoints
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents

Nodes = tuple[FloatArray, FloatArray]
"""Values of the parameter, (n_nodes,), and log ratios of events there, (n_events, n_nodes)."""


def open_ratio(path: Path, config: Config) -> OnnxRatio:
    """Open the exported networks and check that they belong to the config.

    Raises:
        ArtifactMismatchError: They have other outputs or inputs.
    """
    if isinstance(config.ratios, ThetaConfig):
        return open_theta(path, config)
    splits = config.ratios.splits
    ratio = CrossFitRatio(path, splits=splits) if splits.cross_fit else OnnxRatio(path)
    wanted = (("numerators", ratio.numerators, whole_densities(config.model.learned)), ("features", ratio.features, config.ratios.features))
    for what, got, expected in wanted:
        if tuple(got) != tuple(expected):
            raise ArtifactMismatchError(
                f"{what} of {path}", got=list(got), expected=list(expected), remedy="train and export again with this config"
            )
    return ratio


def write_out_of_bag(
    path: Path,
    training: SimulatedEvents,
    *,
    log_ratio: FloatArray,
    before_calibration: FloatArray,
    nodes: Nodes | None = None,
) -> None:
    """Write, for `read_out_of_bag`, log ratios of the training events from networks that did not train on them, (n_training, n_processes).

    Args:
        path: The file.
        training: The events.
        log_ratio: Calibrated.
        before_calibration: Not calibrated.
        nodes: Of networks that read the parameter: values of it (n_nodes,), and the log ratios there, (n_training, n_nodes).
    """
    arrays = {"event_id": training.event_id, "log_ratio": log_ratio, "before_calibration": before_calibration}
    arrays |= {} if nodes is None else {"nodes": nodes[0], "at_nodes": nodes[1]}
    np.savez(path, **arrays)  # type: ignore[arg-type]


def read_nodes(path: Path) -> Nodes:
    """Read what `write_out_of_bag` kept of networks that read the parameter."""
    with np.load(path, allow_pickle=False) as stored:
        return np.asarray(stored["nodes"], dtype=np.float64), np.asarray(stored["at_nodes"], dtype=np.float64)


def read_out_of_bag(path: Path, training: SimulatedEvents) -> FloatArray:
    """Read the log ratios of the training events from networks that did not train on them, (n_training, n_processes).

    Raises:
        ArtifactMismatchError: They are of other events.
    """
    with np.load(path, allow_pickle=False) as stored:
        event_id, log_ratio = stored["event_id"], stored["log_ratio"]
    if not np.array_equal(event_id, training.event_id):
        raise ArtifactMismatchError(
            f"events of {path}", got=f"{len(event_id)} events", expected=f"the {len(training)} training events", remedy="train again"
        )
    return np.asarray(log_ratio, dtype=np.float64)


def build_methods(
    config: Config,
    *,
    training: SimulatedEvents,
    test: SimulatedEvents,
    ratio: OnnxRatio,
    out_of_bag: FloatArray,
    nodes: Nodes | None = None,
) -> tuple[Method, ...]:
    """Build every method: rate, the histograms of the config, the networks' score in bins, the unbinned likelihood.

    Templates and yields come from the training sample; the test events are used only as the Asimov data. `nodes` is what `read_nodes`
    returns, for networks that read the parameter.
    """
    model = FitModel.of(config)
    if isinstance(ratio, RatioAtPoints) and nodes is not None:
        histograms = [
            configured_histogram(name, section, model, training=training, test=test) for name, section in config.histograms.items()
        ]
        bins, (values, at_nodes) = config.score_histogram.bins, nodes
        learned = theta_methods(
            model, training=training, test=test, ratio=ratio, nodes=values, at_nodes=at_nodes, bins=bins, ratios=config.ratio_histograms
        )
        return (rate_method(model, training=training, test=test), *histograms, *learned)

    def evaluate(events: Events) -> FloatArray:
        return log_ratios_of(ratio, events)

    return all_methods(config, model, training=training, test=test, log_ratios=(out_of_bag, evaluate(test)), evaluate=evaluate)


def all_methods(
    config: Config,
    model: FitModel,
    *,
    training: SimulatedEvents,
    test: SimulatedEvents,
    log_ratios: tuple[FloatArray, FloatArray],
    evaluate: Callable[[Events], FloatArray],
) -> tuple[Method, ...]:
    """Build every method from log ratios of training and test events, (n_events, n_processes) each; `evaluate` gives those of other events.

    In a cross-fit both are all events, and those of training are the ones that the other folds are calibrated on: templates are filled by
    those under which the events are data, so that one event has one bin.
    """
    in_calibration = log_ratios[0]
    if config.ratios.splits.cross_fit:
        log_ratios = (log_ratios[1], log_ratios[1])
    of_test, of_training = (
        UnbinnedLikelihood(
            log_ratios=values,
            weights=np.ones(len(events)),
            yields=training.yields,
            coefficients=model.coefficients,
            parameters=model.used,
            event_ids=events.event_id,
        )
        for values, events in ((log_ratios[1], test), (log_ratios[0], training))
    )
    histograms = [configured_histogram(name, section, model, training=training, test=test) for name, section in config.histograms.items()]
    score = score_method(
        model,
        training=training,
        test=test,
        log_ratios=log_ratios,
        bins=config.score_histogram.bins,
        columns=score_columns(config.model),
        evaluate=evaluate,
    )
    plane = score_planes(config, model, training=training, test=test, log_ratios=log_ratios, evaluate=evaluate)
    ratios = ratio_histograms(config.ratio_histograms, model, training=training, test=test, log_ratios=log_ratios, evaluate=evaluate)
    methods: tuple[Method, ...] = (
        rate_method(model, training=training, test=test),
        *histograms,
        score,
        *plane,
        *ratios,
        UnbinnedMethod("nsbi", of_test, of_training, evaluate),
    )
    return cross_fitted(methods, test, config, in_calibration=in_calibration)


def configured_histogram(
    name: str, section: HistogramConfig, model: FitModel, *, training: SimulatedEvents, test: SimulatedEvents
) -> BinnedMethod:
    """Build the histogram fit of one entry of `histograms`, of one observable or of two."""
    if len(section.observables) == 2:
        one, two = section.observables
        plane = Plane.of((one, two), (section.axes[0], section.axes[1]))
        return plane_method(name, model, plane, training=training, test=test, least=section.least_expected)
    [observable], [edges] = section.observables, section.axes
    values = (training.observables[observable], test.observables[observable])
    if section.bins is not None:
        edges = tuple(quantile_edges(values[0], np.maximum(training.weights @ model.at(model.truth), 0.0), bins=section.bins).tolist())
    return histogram_method(
        name,
        model,
        training=training,
        test=test,
        values=values,
        edges=edges,
        clip=section.bins is not None,
        observe=partial(column, observable),
        observable=observable,
    )


def column(name: str, events: Events) -> FloatArray:
    """Return an observable of events, (n,)."""
    return events.observables[name]
