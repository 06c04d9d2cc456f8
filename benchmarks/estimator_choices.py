"""Names, inputs and settings of the estimators and architectures that `benchmarks.estimators` compares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from toolkit.config import RatioConfig
from toolkit.ratios.architectures import MLP, Architecture, DeepSet, Recurrent, jet_group, lepton_group
from toolkit.ratios.estimators import (
    Alice,
    Alices,
    Bit,
    CarlMixture,
    CarlParameterised,
    Cascal,
    Multiclass,
    QuasiParametric,
    Rascal,
    Rolr,
    Sally,
)
from toolkit.ratios.schedules import TrainingSettings

ESTIMATORS: dict[str, Any] = {
    "carl_mixture": CarlMixture,
    "carl_parameterised": CarlParameterised,
    "multiclass": Multiclass,
    "rolr": Rolr,
    "rascal": Rascal,
    "cascal": Cascal,
    "alice": Alice,
    "alices": Alices,
    "sally": Sally,
    "quasi_parametric": QuasiParametric,
    "bit": Bit,
}
FEATURES = RatioConfig().features
GROUPS = (lepton_group(), jet_group())
FILLS = {"pt_j1": 0.0, "pt_j2": 0.0, "eta_j1": 0.0, "eta_j2": 0.0}
OBSERVABLES = [*FEATURES, *lepton_group().features, *FILLS]


def features_of(architecture: str) -> tuple[str, ...]:
    """Return the inputs: the observables, with leptons and jets for the networks that read objects."""
    objects = [name for group in GROUPS for name in group.features]
    return (*FEATURES, *objects) if architecture in {"deep_set", "recurrent"} else FEATURES


def make_architecture(name: str, *, hidden: Sequence[int]) -> Architecture:
    """Return the network of this name."""
    widths = tuple(hidden)
    if name == "deep_set":
        return DeepSet(GROUPS, hidden=widths)
    if name == "recurrent":
        return Recurrent(GROUPS, hidden=widths)
    return MLP(widths, residual=name == "residual")


def make_estimator(
    name: str, architecture: str, *, seed: int, epochs: int, batch_size: int, learning_rate: float, hidden: Sequence[int]
) -> Any:
    """Return an estimator with its settings."""
    if name == "bit":
        return Bit(seed=seed)
    training = TrainingSettings(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, seed=seed)
    fold = architecture in {"mlp", "residual"}
    return ESTIMATORS[name](architecture=make_architecture(architecture, hidden=hidden), training=training, fold_beam_axis=fold)
