"""The default: a network for the classes, and one for the composition of every process whose amplitudes interfere.

When to use: the samples carry the weights of all benchmarks. Interference is an output of its own, learned from exact weights, and the
density is positive at every parameter point.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from toolkit.config import RatioConfig
from toolkit.ratios.features import FeatureMap
from toolkit.ratios.network import MixtureNetwork, builder
from toolkit.ratios.structure import Mixture
from toolkit.ratios.targets import Targets
from toolkit.ratios.trainer import OnEpoch
from toolkit.ratios.training import train_member
from toolkit.ratios.training_history import TrainingHistory


@dataclass(frozen=True)
class MixtureLearner:
    """Trains a `MixtureNetwork`; see `interface.Learner`."""

    def network(self, feature_map: FeatureMap, *, mixture: Mixture, config: RatioConfig) -> nn.Module:
        """Build an untrained network."""
        return MixtureNetwork(builder(config, feature_map), mixture=mixture, generator=torch.Generator())

    def train(
        self,
        inputs: torch.Tensor,
        targets: Targets,
        *,
        feature_map: FeatureMap,
        mixture: Mixture,
        config: RatioConfig,
        seed: int,
        on_progress: OnEpoch,
        checkpoint: Path | None,
    ) -> tuple[nn.Module, tuple[TrainingHistory, ...]]:
        """Train the parts one after the other."""
        return train_member(
            inputs,
            targets,
            feature_map=feature_map,
            mixture=mixture,
            config=config,
            seed=seed,
            on_progress=on_progress,
            checkpoint=checkpoint,
        )
