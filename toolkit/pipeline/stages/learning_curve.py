"""Trains on shares of the training events, for the learning curve of the report."""

from __future__ import annotations

import numpy as np

from toolkit.analysis.build import configured_histogram
from toolkit.analysis.cross_fit import log_ratios_of
from toolkit.analysis.information import Influence, pairs
from toolkit.analysis.layout import LEARNING_CURVE
from toolkit.analysis.methods import rate_method
from toolkit.analysis.model import FitModel
from toolkit.diagnostics.information import information_bound, log_rate_ratio
from toolkit.diagnostics.learning_curve import LearningCurve, LearningPoint
from toolkit.likelihood import OnnxRatio
from toolkit.pipeline.stage import StageContext
from toolkit.pipeline.stages.executors import executor_of
from toolkit.ratios import feature_matrix, fit_ratios
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents, hash_uniform
from toolkit.weights.beam_swap import declared_swaps

SALT = "learning curve"
"""Key of the hash that chooses the events of a share; a larger share holds those of a smaller one."""


def learn_from_shares(context: StageContext, ratio: OnnxRatio, *, training: SimulatedEvents, test: SimulatedEvents) -> LearningCurve:
    """Train one ensemble per share of `report.learning_curve`, and measure all on the test events.

    Args:
        context: The stage; finished members are kept in its folder.
        ratio: The exported networks, which have learned from all training events.
        training: Training events.
        test: Test events.

    Returns:
        The curve. Each share trains, calibrates and gives the yields of its own point.
    """
    config, model = context.config, FitModel.of(context.config)
    truth, against = pairs(config, model)[0]
    f = np.stack([model.at({**model.truth, **point}) for point in (truth, against)])
    told = test.weights @ f.T

    def bound(log_ratio: FloatArray) -> Influence:
        merit = information_bound(log_ratio, numerator_weights=told[:, 0], denominator_weights=told[:, 1])
        return Influence(merit.value, merit.influence, np.empty(0))

    def of_networks(log_ratios: FloatArray, yields: FloatArray) -> Influence:
        return bound(log_rate_ratio(log_ratios, numerator=f[0] * yields, denominator=f[1] * yields))

    name, section = next(iter(config.histograms.items()), ("rate", None))
    if section is None:
        histogram = rate_method(model, training=training, test=test)
    else:
        histogram = configured_histogram(name, section, model, training=training, test=test)
    expected = f @ histogram.templates.values[:, histogram.index]
    reference = bound(np.log(expected[0] / expected[1]))
    points = []
    for share in config.report.learning_curve:
        part = training.select(hash_uniform(training.event_id, salt=SALT) < share).scaled(1.0 / share)
        executor, workers = executor_of(context.executor, n_events=len(part))
        trained = fit_ratios(
            part,
            config=config.ratios,
            model=config.model.learned,
            folder=context.work / LEARNING_CURVE / f"{share:g}",
            progress=context.progress,
            executor=executor,
            workers=workers,
            former=[folder / LEARNING_CURVE / f"{share:g}" for folder in context.former],
            swaps=declared_swaps(config),
        )
        own = of_networks(trained.log_ratio(feature_matrix(test.observables, trained.features)), part.yields)
        points.append(LearningPoint(share, len(part), own.value, own.error, own.over(reference)))
    own = of_networks(log_ratios_of(ratio, test), training.yields)
    points.append(LearningPoint(1.0, len(training), own.value, own.error, own.over(reference)))
    return LearningCurve(dict(truth), dict(against), name, reference.value, reference.error, tuple(points))
