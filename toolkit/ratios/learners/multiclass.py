"""One softmax over all densities: softmax_d = p_d / sum of all, so that every ratio is a difference of logits.

When to use: a single network that knows all densities, as the preselection discriminant does. An event of interfering amplitudes counts
for S, SBI and B at once with its weights. As for `per_process`, interference is a difference, and is kept inside its bound.

References:
    ATLAS, arXiv:2412.01600 (multi-class network of the preselection).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from toolkit.config.ratios import MulticlassConfig
from toolkit.ratios.batches import Batch
from toolkit.ratios.estimators.losses import process_loss
from toolkit.ratios.features import FeatureMap
from toolkit.ratios.heads import density_weights
from toolkit.ratios.learners.classifiers import DensityNetwork, Part, train_parts
from toolkit.ratios.network import builder
from toolkit.ratios.structure import Mixture
from toolkit.ratios.targets import Targets
from toolkit.ratios.trainer import OnEpoch
from toolkit.ratios.training import require_classes
from toolkit.ratios.training_history import TrainingHistory


@dataclass(frozen=True)
class MulticlassLearner:
    """Trains one network with an output per density; see `interface.Learner`."""

    def network(self, feature_map: FeatureMap, *, mixture: Mixture, config: MulticlassConfig) -> DensityNetwork:
        """Build an untrained network."""
        return self._network(feature_map, mixture, config, torch.Generator())

    def train(
        self,
        inputs: torch.Tensor,
        targets: Targets,
        *,
        feature_map: FeatureMap,
        mixture: Mixture,
        config: MulticlassConfig,
        seed: int,
        on_progress: OnEpoch,
        checkpoint: Path | None,
    ) -> tuple[nn.Module, tuple[TrainingHistory, ...]]:
        """Train the network."""
        require_classes(targets, mixture)
        part = Part("densities", (inputs, density_weights(targets, mixture)), softmax_loss)
        generator = torch.Generator().manual_seed(seed)
        network = self._network(feature_map, mixture, config, generator)
        return train_parts(network, [part], config=config, seed=seed, generator=generator, on_progress=on_progress, checkpoint=checkpoint)

    def _network(self, feature_map: FeatureMap, mixture: Mixture, config: MulticlassConfig, generator: torch.Generator) -> DensityNetwork:
        return DensityNetwork([builder(config, feature_map)(len(mixture.processes), generator)], mixture)


def softmax_loss(network: nn.Module, batch: Batch) -> torch.Tensor:
    """Compute the cross-entropy of a batch (inputs, weights under every density)."""
    inputs, weights = batch
    return process_loss(network(inputs), weights).mean()
