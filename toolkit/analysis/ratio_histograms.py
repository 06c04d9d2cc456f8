"""Histograms of ln rho(x|value) - ln rho(x|truth), one for each of some values of the parameter: the best one for each of them.

The histogram of the log ratio of two hypotheses is the best histogram to tell them apart. Templates come from events that the networks
did not train on, and every systematic uncertainty enters by its templates: a bias of the networks costs information and moves nothing.
"""

from __future__ import annotations

from functools import partial

from toolkit.analysis.datasets import Events
from toolkit.analysis.methods import BinnedMethod, Observe, histogram_method
from toolkit.analysis.model import FitModel
from toolkit.analysis.score_plane import Contrast, contrast_edges, log_contrast
from toolkit.config import RatioHistogramsConfig
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents


def ratio_histograms(
    section: RatioHistogramsConfig | None,
    model: FitModel,
    *,
    training: SimulatedEvents,
    test: SimulatedEvents,
    log_ratios: tuple[FloatArray, FloatArray],
    evaluate: Observe,
) -> tuple[BinnedMethod, ...]:
    """Build the histogram fits of the log ratios of chosen values to the truth.

    Args:
        section: Values and bins; None builds nothing.
        model: The parameter of interest and coefficients.
        training: Events that fill the templates.
        test: Events that fill the data.
        log_ratios: Of the training sample, from networks that did not train on the event, and of the test events, (n, n_densities).
        evaluate: Gives the log ratios of any events, (n, n_densities), for systematic variations and data.
    """
    if section is None:
        return ()
    [name] = model.interest
    truth = {name: model.truth[name]}
    found = []
    for method, value in section.names.items():
        axis = Contrast({name: value}, truth)
        of_training, of_test = (log_contrast(axis, model, logs, training.yields) for logs in log_ratios)
        found.append(
            histogram_method(
                method,
                model,
                training=training,
                test=test,
                values=(of_training, of_test),
                edges=contrast_edges(axis, model, training, of_training, bins=section.bins),
                clip=True,
                observe=partial(_observed, axis, model, training.yields, evaluate),
            )
        )
    return tuple(found)


def _observed(axis: Contrast, model: FitModel, yields: FloatArray, evaluate: Observe, events: Events) -> FloatArray:
    return log_contrast(axis, model, evaluate(events), yields)
