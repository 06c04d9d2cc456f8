"""What the estimators share that learn every density for itself: networks of log densities, written as heads of the mixture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from toolkit.config.ratios import NetworkSettings
from toolkit.ratios.heads import heads_of_densities
from toolkit.ratios.structure import Mixture
from toolkit.ratios.trainer import Batch, Loss, OnEpoch, train_network
from toolkit.ratios.training import Share, batches_of, training_settings, unfinished
from toolkit.ratios.training_history import TrainingHistory


class DensityNetwork(nn.Module):
    """Networks of the log densities, their outputs side by side, as heads.

    Args:
        parts: Networks; together they have an output per density.
        mixture: Meaning of the heads.
    """

    def __init__(self, parts: Sequence[nn.Module], mixture: Mixture) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.mixture = mixture

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Compute the heads, shape (n, n_heads)."""
        outputs = [part(z) for part in self.parts]
        return heads_of_densities(outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=1), self.mixture)


@dataclass(frozen=True, eq=False)
class Part:
    """What one of the networks learns from.

    Attributes:
        name: Of the network.
        tensors: Inputs and weights, of the same length.
        loss: Of a batch of them.
    """

    name: str
    tensors: Batch
    loss: Loss


def train_parts(
    network: DensityNetwork,
    parts: Sequence[Part],
    *,
    config: NetworkSettings,
    seed: int,
    generator: torch.Generator,
    on_progress: OnEpoch,
    checkpoint: Path | None,
) -> tuple[DensityNetwork, tuple[TrainingHistory, ...]]:
    """Train the networks one after the other.

    Args:
        network: With its initial weights.
        parts: One per network.
        config: Training loop.
        seed: Of the settings.
        generator: Draws validation events and batches.
        on_progress: Called after every epoch with the finished share of all networks.
        checkpoint: Name of the member's file.

    Returns:
        The network on the CPU, and the losses.
    """
    settings = training_settings(config, epochs=config.epochs, seed=seed)
    histories = []
    for k, (module, part) in enumerate(zip(network.parts, parts, strict=True)):
        own_file = None if checkpoint is None else unfinished(checkpoint, part.name)
        with batches_of(part.tensors, settings, generator, stream_above_mb=config.stream_above_mb, beside=own_file) as batches:
            histories.append(
                train_network(
                    module,
                    part.loss,
                    batches,
                    settings=settings,
                    name=part.name,
                    generator=generator,
                    on_progress=Share(on_progress, k / len(parts), 1.0 / len(parts)),
                    checkpoint=own_file,
                    key=config.estimator,
                )
            )
    return network.cpu().eval(), tuple(histories)
