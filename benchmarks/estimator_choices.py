"""Names, inputs and settings of the estimators and architectures that `benchmarks.estimators` compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.exact import MODEL
from toolkit.config import BitConfig, MulticlassConfig, PerProcessConfig, RatioConfig
from toolkit.ratios import fit_ratios
from toolkit.ratios.architectures import MLP, Architecture, DeepSet, Recurrent, jet_group, lepton_group
from toolkit.ratios.estimators import (
    Alice,
    Alices,
    CarlParameterised,
    Cascal,
    ProcessModel,
    QuasiParametric,
    Rascal,
    Rolr,
    Sally,
)
from toolkit.ratios.estimators.preparation import describe_columns
from toolkit.ratios.schedules import TrainingSettings
from toolkit.weights import Hypotheses, SimulatedEvents

FROM_CONFIG: dict[str, Any] = {
    "mixture": RatioConfig,
    "per_process": PerProcessConfig,
    "multiclass": MulticlassConfig,
    "bit": BitConfig,
}
"""Estimators of densities that `h4l run` trains."""


@dataclass(frozen=True)
class ConfigChoice:
    """An ensemble of `h4l run` with the interface of the estimators: it trains on the training sample and calibrates out of bag.

    Args:
        name: Value of `ratios.estimator`.
        seed: Seed of the first member.
    """

    name: str
    seed: int

    def fit(self, events: SimulatedEvents, *, features: Sequence[str], hypotheses: Hypotheses, folder: Path) -> ProcessModel:
        """Train the ensemble with the defaults of the config."""
        config = FROM_CONFIG[self.name](estimator=self.name, features=tuple(features), seed=self.seed)
        trained = fit_ratios(events, config=config, model=MODEL, folder=folder)
        history = tuple(h for member in trained.history for h in member)
        return ProcessModel(self.name, describe_columns(events, features), hypotheses, history, FirstOutput(trained.ensemble))


class FirstOutput(nn.Module):
    """The first of several outputs of a module."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the log ratios without their spread."""
        out: torch.Tensor = self.module(x)[0]
        return out


ESTIMATORS: dict[str, Any] = {
    **dict.fromkeys(FROM_CONFIG, ConfigChoice),
    "carl_parameterised": CarlParameterised,
    "rolr": Rolr,
    "rascal": Rascal,
    "cascal": Cascal,
    "alice": Alice,
    "alices": Alices,
    "sally": Sally,
    "quasi_parametric": QuasiParametric,
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
    if name in FROM_CONFIG:
        return ConfigChoice(name, seed=seed)
    training = TrainingSettings(epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, seed=seed)
    fold = architecture in {"mlp", "residual"}
    return ESTIMATORS[name](architecture=make_architecture(architecture, hidden=hidden), training=training, fold_beam_axis=fold)
