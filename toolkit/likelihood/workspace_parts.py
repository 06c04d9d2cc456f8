"""Density ratios in a region, and of parts of a process: the output of a network times a factor, where a condition holds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from toolkit.expressions import Condition
from toolkit.likelihood.workspace_schema import UnbinnedChannel
from toolkit.typing import FloatArray


def of_parts(channel: UnbinnedChannel, log_ratios: FloatArray, observables: Mapping[str, FloatArray]) -> FloatArray:
    """Return the log ratios of the samples of a channel.

    Args:
        channel: The channel.
        log_ratios: Output of the model for each sample, (n_events, n_samples).
        observables: Columns that conditions name, each (n_events,).

    Returns:
        (n_events, n_samples); -inf where the density of a sample vanishes.
    """
    moved = log_ratios + np.log([s.scale for s in channel.samples])
    for j, sample in enumerate(channel.samples):
        if sample.condition:
            moved[:, j] = np.where(Condition.parse(sample.condition).evaluate(observables), moved[:, j], -np.inf)
    return moved
