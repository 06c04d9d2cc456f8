"""One classifier per density against the reference, the recipe of ATLAS: log p_d / p_ref is the logit of a network of its own.

When to use: to compare with it. The interference is a difference of densities that were learned apart, so that their errors do not
cancel in it; it is kept inside its bound (`toolkit.ratios.heads`), and the ensemble is calibrated like any other.

References:
    Cranmer, Pavez, Louppe, arXiv:1506.02169; ATLAS, arXiv:2412.01600.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from toolkit.config.ratios import PerProcessConfig
from toolkit.ratios.batches import Batch
from toolkit.ratios.estimators.losses import cross_entropy_loss
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
class PerProcessLearner:
    """Trains a network per density against the reference of the mixture; see `interface.Learner`."""

    def network(self, feature_map: FeatureMap, *, mixture: Mixture, config: PerProcessConfig) -> DensityNetwork:
        """Build an untrained network."""
        return self._network(feature_map, mixture, config, torch.Generator())

    def train(
        self,
        inputs: torch.Tensor,
        targets: Targets,
        *,
        feature_map: FeatureMap,
        mixture: Mixture,
        config: PerProcessConfig,
        seed: int,
        on_progress: OnEpoch,
        checkpoint: Path | None,
    ) -> tuple[nn.Module, tuple[TrainingHistory, ...]]:
        """Train the networks one after the other, each on the events of its density and of the reference."""
        require_classes(targets, mixture)
        weights = density_weights(targets, mixture)
        fractions = mixture.reference_fractions()
        reference = weights @ torch.tensor([fractions[name] for name in mixture.processes], dtype=weights.dtype)
        parts = []
        for name, own in zip(mixture.processes, weights.unbind(dim=1), strict=True):
            used = (own != 0) | (reference != 0)
            parts.append(Part(name, (inputs[used], own[used], reference[used]), pair_loss))
        generator = torch.Generator().manual_seed(seed)
        network = self._network(feature_map, mixture, config, generator)
        return train_parts(network, parts, config=config, seed=seed, generator=generator, on_progress=on_progress, checkpoint=checkpoint)

    def _network(self, feature_map: FeatureMap, mixture: Mixture, config: PerProcessConfig, generator: torch.Generator) -> DensityNetwork:
        build = builder(config, feature_map)
        return DensityNetwork([build(1, generator) for _ in mixture.processes], mixture)


def pair_loss(network: nn.Module, batch: Batch) -> torch.Tensor:
    """Compute the cross-entropy of a batch (inputs, weights of the density, weights of the reference)."""
    inputs, a, b = batch
    return cross_entropy_loss(network(inputs)[:, 0], a, b).mean()
