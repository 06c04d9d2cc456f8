"""The histogram of two ratios of the networks: what a histogram fit can keep of an unbinned one.

One score orders events for one pair of hypotheses. With interference the best score at small signal strength is not the best one at large
strength, so a histogram of one score loses at one of them. Two ratios, each of two points of the parameter, span the densities of one
signal strength nearly completely, because its density is a quadratic form in sqrt(mu): a histogram of both keeps most of the information
at all points. Templates come from events that the networks did not train on, so a bias of the networks costs information and moves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from toolkit.analysis.datasets import Events
from toolkit.analysis.methods import BinnedMethod, Observe, histogram_method
from toolkit.analysis.model import FitModel
from toolkit.config import Config, ScorePlaneConfig
from toolkit.likelihood import fill_templates
from toolkit.likelihood.planes import Plane
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents

NAME = "score_2d"
LEAST, LEAST_SHARE = 0.5, 0.001
"""Expected events of a bin at least, and share of all expected events that is enough where these are few."""
Point = Mapping[str, float]


@dataclass(frozen=True)
class Contrast:
    """Two points of the parameters whose ratio is a score.

    Attributes:
        numerator: Parameters of the hypothesis on top.
        denominator: Those of the other one.
    """

    numerator: Point
    denominator: Point


def contrasts(model: FitModel, points: tuple[float, float, float] | None = None) -> tuple[Contrast, Contrast] | None:
    """Choose the two ratios of a model.

    Args:
        model: Parameters, with ranges and truth.
        points: Three increasing values of the parameter of interest where there is one; None takes its lowest value, its truth, and one
            and a half times as far above.

    Returns:
        For one parameter of interest the ratios of neighbouring points; for two, of each parameter at its truth against its far end; for
        more none, because two ratios would not do.

    Examples:
        >>> from toolkit.likelihood import Parameter
        >>> model = FitModel(("S", "q"), ("mu", "1"), (Parameter("mu", 1.0, 0.0, 6.0),), ("mu",), (("mu", 1.0),))
        >>> first, second = contrasts(model)
        >>> first.numerator, first.denominator, second.numerator
        ({'mu': 1.0}, {'mu': 0.0}, {'mu': 2.5})
    """
    truth = {name: model.truth[name] for name in model.interest}
    if len(model.interest) == 1:
        [name] = model.interest
        a, b, c = three_points(model, points)
        return Contrast({name: b}, {name: a}), Contrast({name: c}, {name: b})
    if len(model.interest) == 2:
        pair = [Contrast(truth, {**truth, name: _other(model.bounds[name], truth[name])}) for name in model.interest]
        return pair[0], pair[1]
    return None


def three_points(model: FitModel, points: tuple[float, float, float] | None = None) -> tuple[float, float, float]:
    """Return the points that are given, or the lowest value of one parameter of interest, its truth, and 1.5 times as far above.

    Args:
        model: Parameters, with ranges and truth.
        points: Three increasing values.
    """
    if points is not None:
        return points
    [name] = model.interest
    (low, high), truth = model.bounds[name], model.truth[name]
    below = low if low < truth else truth + 0.1 * (high - low)
    a, b = sorted((below, truth))
    return a, b, min(b + 1.5 * (b - a), high) if b < high else 0.5 * (a + b)


def _other(range_: tuple[float, float], truth: float) -> float:
    return range_[0] if range_[0] < truth else range_[1]


def log_contrast(contrast: Contrast, model: FitModel, log_ratios: FloatArray, yields: FloatArray) -> FloatArray:
    """Compute ln rho(x|numerator) / rho(x|denominator) of densities with their yields, (n,).

    Args:
        contrast: The points.
        model: Coefficients.
        log_ratios: ln p_j / p_ref, (n, n_densities).
        yields: Expected events nu_j of every density, (n_densities,).
    """
    above, below = (model.at(point) * yields for point in (contrast.numerator, contrast.denominator))
    relative = np.exp(log_ratios - log_ratios.max(axis=1, keepdims=True))
    tiny = np.finfo(np.float64).tiny
    return np.asarray(np.log(np.maximum(relative @ above, tiny)) - np.log(np.maximum(relative @ below, tiny)))


def score_planes(
    config: Config,
    model: FitModel,
    *,
    training: SimulatedEvents,
    test: SimulatedEvents,
    log_ratios: tuple[FloatArray, FloatArray],
    evaluate: Observe,
) -> tuple[BinnedMethod, ...]:
    """Build the histogram fit of two ratios if the config wants it and the model has one or two parameters of interest."""
    if config.score_plane is None:
        return ()
    method = score_plane_method(model, config.score_plane, training=training, test=test, log_ratios=log_ratios, evaluate=evaluate)
    return () if method is None else (method,)


def score_plane_method(
    model: FitModel,
    section: ScorePlaneConfig,
    *,
    training: SimulatedEvents,
    test: SimulatedEvents,
    log_ratios: tuple[FloatArray, FloatArray],
    evaluate: Observe,
) -> BinnedMethod | None:
    """Build the histogram fit of two ratios of the networks.

    Args:
        model: Parameters of interest and coefficients.
        section: Points, numbers of bins, and how much a bin must expect.
        training: Events that fill the templates.
        test: Events that fill the data.
        log_ratios: Of the training sample, from networks that did not train on the event, and of the test events, (n, n_densities).
        evaluate: Gives the log ratios of any events, (n, n_densities), for systematic variations and data.

    Returns:
        The method; None with more than two parameters of interest.

    Raises:
        PhysicsDomainError: All bins together expect too little.
    """
    axes = contrasts(model, section.points)
    if axes is None:
        return None
    yields = training.yields
    of_training, of_test = ([log_contrast(axis, model, logs, yields) for axis in axes] for logs in log_ratios)
    edges = [contrast_edges(axis, model, training, values, bins=n) for axis, values, n in zip(axes, of_training, section.bins, strict=True)]
    plane = Plane.of(("ln rho1/rho0", "ln rho2/rho1"), (edges[0], edges[1]))
    coefficients = np.concatenate([model.along(name, np.linspace(*model.bounds[name], 61)) for name in model.interest])
    cells = plane.index(*of_training, outside="clip").astype(np.float64)
    filled = fill_templates(cells, training.weights, _cell_edges(plane), processes=model.processes)
    total = float((coefficients @ filled.values).sum(axis=1).min())
    least = min(LEAST, LEAST_SHARE * total) if section.least_expected is None else section.least_expected
    merged = plane.merged(filled.values, coefficients, least=least)

    def number(events: Events) -> FloatArray:
        logs = evaluate(events)
        return merged.index(*(log_contrast(axis, model, logs, yields) for axis in axes), outside="clip").astype(np.float64)

    pair = tuple(merged.index(*values, outside="clip").astype(np.float64) for values in (of_training, of_test))
    return histogram_method(
        NAME,
        model,
        training=training,
        test=test,
        values=(pair[0], pair[1]),
        edges=_cell_edges(merged),
        observe=number,
    )


def contrast_edges(axis: Contrast, model: FitModel, training: SimulatedEvents, values: FloatArray, *, bins: int) -> FloatArray:
    """Choose bins of a contrast of training events, (n,), that share events and what they tell about its two points evenly."""
    return _edges(values, _importance(axis, model, training, values), bins=bins)


def _edges(values: FloatArray, weights: FloatArray, *, bins: int) -> FloatArray:
    """Choose at most so many bins that share the weight evenly; fewer where many events have one value."""
    order = np.argsort(values, kind="stable")
    running = np.cumsum(weights[order])
    inner = np.searchsorted(running, running[-1] * np.arange(1, bins) / bins)
    edges = np.unique(np.concatenate([values[order[[0, -1]]], values[order[np.minimum(inner, len(values) - 1)]]]))
    return edges if len(edges) > 1 else edges[0] + np.array([-0.5, 0.5])


def _cell_edges(plane: Plane) -> FloatArray:
    return np.arange(plane.n_bins + 1, dtype=np.float64) - 0.5


def _importance(axis: Contrast, model: FitModel, training: SimulatedEvents, values: FloatArray) -> FloatArray:
    """Weigh events for the quantiles: half by their number, half by what they tell about the two points, b - a + a ln(a / b)."""
    expected = np.maximum(training.weights @ model.at(axis.denominator), 0.0)
    told = expected * (np.exp(values) * (values - 1.0) + 1.0)
    return np.asarray(expected / expected.sum() + told / max(float(told.sum()), np.finfo(np.float64).tiny))
