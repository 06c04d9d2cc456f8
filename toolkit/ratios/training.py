"""Train one member of the ensemble: full tensors in memory, AdamW, one-cycle schedule, best epoch on validation events kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from toolkit.config import RatioConfig
from toolkit.errors import FitError
from toolkit.ratios.losses import mixture_loss
from toolkit.ratios.network import MixtureNetwork
from toolkit.ratios.structure import Mixture
from toolkit.ratios.targets import Targets


@dataclass(frozen=True)
class TrainingHistory:
    """Losses of one member, one entry per epoch.

    Attributes:
        train: Mean loss over the training events while they were seen.
        validation: Loss on the validation events after the epoch.
        best_epoch: Epoch (from 0) whose weights were kept.
    """

    train: tuple[float, ...]
    validation: tuple[float, ...]
    best_epoch: int


def train_member(
    inputs: torch.Tensor,
    targets: Targets,
    *,
    mixture: Mixture,
    config: RatioConfig,
    seed: int,
    on_epoch: Callable[[int], None] = lambda _: None,
) -> tuple[MixtureNetwork, TrainingHistory]:
    """Train one network.

    Args:
        inputs: Network inputs (transformed, standardised), shape (n, n_inputs), float32.
        targets: Targets of the same events.
        mixture: Meaning of the heads.
        config: Architecture and optimiser.
        seed: Seeds initial weights, validation events and batches; nothing else is random.
        on_epoch: Called with the number of finished epochs.

    Returns:
        The network with the weights of its best epoch, on the CPU, and its losses.

    Raises:
        FitError: There are fewer events than two batches, or the loss is not finite.
    """
    generator = torch.Generator().manual_seed(seed)
    network = MixtureNetwork(inputs.shape[1], hidden=config.hidden, mixture=mixture, generator=generator).to(config.device)
    order = torch.randperm(len(targets), generator=generator)
    n_validation = max(1, round(config.validation_fraction * len(targets)))
    held, used = order[:n_validation], order[n_validation:]
    steps = len(used) // config.batch_size
    if steps < 2:
        remedy = "use more events or a smaller ratios.batch_size"
        raise FitError(
            "training a ratio network", got=f"{len(used)} events", expected=f">= 2 batches of {config.batch_size}", remedy=remedy
        )
    targets = targets.to(torch.float32, config.device)
    inputs = inputs.to(config.device)
    validation = inputs[held], targets.select(held)
    optimiser = torch.optim.AdamW(_groups(network, config.weight_decay), lr=config.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=steps * config.epochs, pct_start=0.1)
    train_losses: list[float] = []
    validation_losses: list[float] = []
    best = (np.inf, -1, {k: v.clone() for k, v in network.state_dict().items()})
    for epoch in range(config.epochs):
        shuffled = used[torch.randperm(len(used), generator=generator)]
        total = 0.0
        for batch in torch.split(shuffled[: steps * config.batch_size], config.batch_size):
            loss = mixture_loss(network(inputs[batch]), targets.select(batch), mixture)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            total += loss.item()
        train_losses.append(total / steps)
        with torch.no_grad():
            validation_losses.append(mixture_loss(network(validation[0]), validation[1], mixture).item())
        if not np.isfinite(train_losses[-1] + validation_losses[-1]):
            remedy = "lower ratios.learning_rate, or look for extreme weights"
            raise FitError("training a ratio network", got=f"loss {train_losses[-1]} in epoch {epoch}", expected="finite", remedy=remedy)
        if validation_losses[-1] < best[0]:
            best = (validation_losses[-1], epoch, {k: v.clone() for k, v in network.state_dict().items()})
        on_epoch(epoch + 1)
        if epoch - best[1] >= config.patience:
            break
    network.load_state_dict(best[2])
    return network.cpu().eval(), TrainingHistory(tuple(train_losses), tuple(validation_losses), best[1])


def _groups(network: torch.nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Decay the matrices, not the biases."""
    matrices = [p for p in network.parameters() if p.ndim > 1]
    biases = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": biases, "weight_decay": 0.0}]
