"""Train one member of the ensemble: full tensors in memory, AdamW, one-cycle schedule, best epoch on validation events kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from toolkit.config import RatioConfig
from toolkit.errors import FitError
from toolkit.ratios.losses import class_loss, composition_loss
from toolkit.ratios.network import MixtureNetwork
from toolkit.ratios.structure import Mixture
from toolkit.ratios.targets import Targets

Loss = Callable[[torch.Tensor, Targets], torch.Tensor]


@dataclass(frozen=True)
class TrainingHistory:
    """Losses of one network, one entry per epoch.

    Attributes:
        network: `classes` or `composition`.
        train: Mean loss over the training events while they were seen.
        validation: Loss on the validation events after the epoch.
        best_epoch: Epoch (from 0) whose weights were kept.
    """

    network: str
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
    on_progress: Callable[[float], None] = lambda _: None,
) -> tuple[MixtureNetwork, tuple[TrainingHistory, ...]]:
    """Train the networks of one member, one after the other.

    Args:
        inputs: Network inputs (transformed, standardised), shape (n, n_inputs), float32.
        targets: Targets of the same events.
        mixture: Meaning of the heads.
        config: Architecture and optimiser.
        seed: Seeds initial weights, validation events and batches; nothing else is random.
        on_progress: Called after every epoch with the finished fraction of the member.

    Returns:
        The networks with the weights of their best epochs, on the CPU, and their losses.

    Raises:
        FitError: There are fewer events than two batches, or the loss is not finite.
    """
    generator = torch.Generator().manual_seed(seed)
    member = MixtureNetwork(inputs.shape[1], hidden=config.hidden, mixture=mixture, generator=generator).to(config.device)
    inputs, targets = inputs.to(config.device), targets.to(torch.float32, config.device)
    in_g, targets_of_g = targets.of_g()
    everything = torch.arange(len(targets), device=config.device)
    parts: list[tuple[str, nn.Module, torch.Tensor, Targets, Loss]] = []
    if member.classes is not None:
        parts.append(("classes", member.classes, everything, targets, class_loss))
    parts.append(("composition", member.composition, in_g, targets_of_g, lambda heads, t: composition_loss(heads, t, mixture)))
    histories = []
    for k, (name, network, rows, part, loss) in enumerate(parts):
        done = k / len(parts)
        epochs = config.epochs if name == "classes" else config.composition_epochs
        trainer = _Trainer(name, network, loss, config, epochs, generator)
        report = _Fraction(on_progress, done, 1.0 / len(parts))
        histories.append(trainer.run(inputs[rows], part, report))
    return member.cpu().eval(), tuple(histories)


@dataclass(frozen=True)
class _Fraction:
    report: Callable[[float], None]
    before: float
    share: float

    def __call__(self, fraction: float) -> None:
        self.report(self.before + self.share * fraction)


@dataclass(frozen=True)
class _Trainer:
    """Trains one network; see `train_member`."""

    name: str
    network: nn.Module
    loss: Loss
    config: RatioConfig
    epochs: int
    generator: torch.Generator

    def run(self, inputs: torch.Tensor, targets: Targets, on_progress: Callable[[float], None]) -> TrainingHistory:
        """Train until the best epoch is `patience` epochs old, and restore it."""
        config = self.config
        held, used, steps = self._divide(len(targets))
        validation = inputs[held], targets.select(held)
        optimiser = torch.optim.AdamW(_groups(self.network, config.weight_decay), lr=config.learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.learning_rate, total_steps=steps * self.epochs, pct_start=0.1)
        losses: dict[str, list[float]] = {"train": [], "validation": []}
        best = (np.inf, -1, _copy(self.network))
        for epoch in range(self.epochs):
            shuffled = used[torch.randperm(len(used), generator=self.generator)]
            total = 0.0
            for batch in torch.split(shuffled[: steps * config.batch_size], config.batch_size):
                loss = self.loss(self.network(inputs[batch]), targets.select(batch))
                optimiser.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()
                schedule.step()
                total += loss.item()
            losses["train"].append(total / steps)
            with torch.no_grad():
                losses["validation"].append(self.loss(self.network(validation[0]), validation[1]).item())
            self._require_finite(losses, epoch)
            if losses["validation"][-1] < best[0]:
                best = (losses["validation"][-1], epoch, _copy(self.network))
            on_progress((epoch + 1) / self.epochs)
            if epoch - best[1] >= config.patience:
                break
        self.network.load_state_dict(best[2])
        return TrainingHistory(self.name, tuple(losses["train"]), tuple(losses["validation"]), best[1])

    def _divide(self, n: int) -> tuple[torch.Tensor, torch.Tensor, int]:
        """Return validation rows, training rows and batches per epoch."""
        order = torch.randperm(n, generator=self.generator)
        n_validation = max(1, round(self.config.validation_fraction * n))
        steps = (n - n_validation) // self.config.batch_size
        if steps < 2:
            raise FitError(
                f"training the {self.name} network",
                got=f"{n - n_validation} events",
                expected=f">= 2 batches of {self.config.batch_size}",
                remedy="use more events or a smaller ratios.batch_size",
            )
        return order[:n_validation], order[n_validation:], steps

    def _require_finite(self, losses: dict[str, list[float]], epoch: int) -> None:
        latest = [values[-1] for values in losses.values()]
        if not np.all(np.isfinite(latest)):
            raise FitError(
                f"training the {self.name} network",
                got=f"losses {latest} in epoch {epoch}",
                expected="finite losses",
                remedy="lower ratios.learning_rate, or look for extreme weights",
            )


def _copy(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def _groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Decay the matrices, not the biases."""
    matrices = [p for p in network.parameters() if p.ndim > 1]
    biases = [p for p in network.parameters() if p.ndim <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": biases, "weight_decay": 0.0}]
