"""What a file of networks says about their inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toolkit.artifacts.onnx_metadata import Feature
from toolkit.config import Config
from toolkit.kinematics import OBSERVABLES
from toolkit.weights import SimulatedEvents
from toolkit.weights.missing import flag_name, source_of


def describe_features(training: SimulatedEvents, config: Config, features: Sequence[str]) -> tuple[Feature, ...]:
    """Return name, unit and training range of every input of the networks; missing values have no say in the range.

    Args:
        training: The events that the networks learned from.
        config: The analysis, which knows the units of its own columns.
        features: Names of the inputs, in order.
    """
    columns = {name: training.observables[name] for name in features}
    return tuple(Feature(n, unit_of(n, config), float(np.nanmin(x)), float(np.nanmax(x))) for n, x in columns.items())


def unit_of(feature: str, config: Config) -> str:
    """Return the unit of a feature: that of its observable or column, none for presence flags and scores."""
    source = source_of(feature, config.fills)
    if feature == flag_name(source) or source in {*config.classifier_columns, *config.scores}:
        return ""
    return config.columns[source].unit if source not in OBSERVABLES else OBSERVABLES[source].unit
