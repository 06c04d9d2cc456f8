"""The expected region of a histogram of local scores, from the simulated events that fill its bins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toolkit.analysis.model import FitModel
from toolkit.analysis.reference_point import expected_volume
from toolkit.errors import ShapeError
from toolkit.likelihood import BinnedLikelihood, bin_index, quantile_edges
from toolkit.typing import FloatArray, IntArray
from toolkit.weights import SimulatedEvents

POINTS = {1: 401, 2: 81}
"""Grid points per parameter of interest by their number; `MANY` for more."""
MANY = 25


def nested_bins(scores: Sequence[FloatArray], weights: FloatArray, *, bins: int) -> IntArray:
    """Put events into bins that expect about the same number of events: of the first score, and in each of these of the second.

    Args:
        scores: One or two scores, each (n,).
        weights: Expected events, (n,), none negative.
        bins: Bins per score.

    Returns:
        Bin of every event, (n,), below `bins` to the power of the number of scores.

    Examples:
        >>> one, two = np.array([0.0, 1.0, 2.0, 3.0]), np.array([5.0, 4.0, 1.0, 2.0])
        >>> nested_bins([one], np.ones(4), bins=2).tolist(), nested_bins([one, two], np.ones(4), bins=2).tolist()
        ([0, 0, 1, 1], [1, 0, 2, 3])
    """
    if len(scores) not in (1, 2):
        raise ShapeError(what="scores", got=f"{len(scores)} of them", expected="one or two")
    index = bin_index(scores[0], quantile_edges(scores[0], weights, bins=bins), outside="clip")
    if len(scores) == 1:
        return index
    inner = np.zeros_like(index)
    for k in range(bins):
        own = index == k
        if own.any():
            inner[own] = bin_index(scores[1][own], quantile_edges(scores[1][own], weights[own], bins=bins), outside="clip")
    return np.asarray(index * bins + inner)


def score_volume(scores: Sequence[FloatArray], events: SimulatedEvents, model: FitModel, *, bins: int) -> float:
    """Compute the volume of the expected 95 % region of a fit to the histogram of one or two scores.

    Args:
        scores: Scores of the events, each (n,), from networks that did not learn from them.
        events: The events, which fill the templates; the data are the expectation of these at the truth.
        model: Coefficients and parameters; those that are not of interest are held at their truth.
        bins: Bins per score that expect about the same number of events.

    Returns:
        The volume inside the allowed ranges of the parameters of interest.
    """
    expected = np.maximum(events.weights @ model.at({}), 0.0)
    index = nested_bins(scores, expected, bins=bins)
    templates = np.stack([np.bincount(index, weights=column, minlength=bins ** len(scores)) for column in events.weights.T])
    kept = templates.T @ model.at({}) > 0.0
    templates = templates[:, kept]
    likelihood = BinnedLikelihood(
        templates=templates, data=model.at({}) @ templates, coefficients=model.coefficients, parameters=model.parameters
    )
    axes = [np.linspace(*model.bounds[name], POINTS.get(len(model.interest), MANY)) for name in model.interest]
    grid = np.tile([model.truth[name] for name in model.names], (int(np.prod([len(a) for a in axes])), 1)).astype(np.float64)
    for name, values in zip(model.interest, np.meshgrid(*axes, indexing="ij"), strict=True):
        grid[:, model.names.index(name)] = values.ravel()
    t = likelihood.twice_nll_points(grid) - likelihood.twice_nll(model.truth)
    return expected_volume(np.minimum(t, 1e6).reshape([len(a) for a in axes]), axes, inside=True)
