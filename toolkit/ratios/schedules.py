"""Settings of a training, and the optimisers and step-size schedules that they name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch.optim import lr_scheduler

from toolkit.ratios.adamw import AdamW
from toolkit.ratios.flat_parameters import FlatParameters

OptimiserName = Literal["adamw", "nadam"]
ScheduleName = Literal["one_cycle", "cosine", "plateau", "constant"]

FEWEST_BATCHES = 2
"""A training with fewer batches in an epoch is refused."""
WARM_UP = 0.1
"""Share of the steps in which the one-cycle schedule climbs to the highest step size."""
SHORTEST_CYCLE = 2
"""A training of so few steps has no room to climb and to fall: its step size is constant."""
PLATEAU_FACTOR = 0.5
"""By how much the plateau schedule shrinks the step size, after a third of the patience without a better validation loss."""


@dataclass(frozen=True)
class TrainingSettings:
    """How one network is trained.

    Args:
        epochs: Passes over the training events, at most.
        batch_size: Events per step, of the first epoch.
        largest_batch_size: Of the last epoch; batches grow by the same factor from epoch to epoch. None: they keep their size.
        smaller_batches: Whether `batch_size` is a default that shrinks where the events do not fill two batches.
        learning_rate: Highest step size.
        optimiser: `adamw` or `nadam`, both with weight decay apart from the gradient.
        schedule: `one_cycle` (climb, then fall to zero), `cosine` (fall to zero), `plateau` (halve where the validation loss
            stands still) or `constant`.
        weight_decay: Decay of the matrices per step, relative to the step size; biases do not decay.
        patience: Epochs without a better validation loss after which the training stops.
        validation_fraction: Share of the events that decide which epoch is kept.
        gradient_clip: Largest norm of the gradient of a step; longer ones are shortened to it. None leaves them.
        threads: Processor threads.
        device: `cpu` or `cuda`.
        seed: Of everything random, where no generator is passed.
    """

    epochs: int = 20
    batch_size: int = 1024
    learning_rate: float = 3e-3
    optimiser: OptimiserName = "adamw"
    schedule: ScheduleName = "one_cycle"
    weight_decay: float = 1e-2
    patience: int = 10
    validation_fraction: float = 0.1
    gradient_clip: float | None = None
    threads: int = 1
    device: str = "cpu"
    seed: int = 1
    largest_batch_size: int | None = None
    smaller_batches: bool = False

    def fitting(self, n_training: int) -> TrainingSettings:
        """Return settings with two batches of the training events, if it may and they are fewer than that.

        Examples:
            >>> TrainingSettings(batch_size=512, smaller_batches=True).fitting(28).batch_size
            14
            >>> TrainingSettings(batch_size=512, smaller_batches=True).fitting(2000).batch_size
            512
        """
        if not self.smaller_batches or n_training // self.batch_size >= FEWEST_BATCHES or n_training < FEWEST_BATCHES:
            return self
        return replace(self, batch_size=n_training // FEWEST_BATCHES)

    def batch_sizes(self, n_training: int) -> list[int]:
        """Return the events per step of every epoch; at least two steps are left where one with `batch_size` leaves them.

        Examples:
            >>> TrainingSettings(epochs=3, batch_size=100, largest_batch_size=400).batch_sizes(10_000)
            [100, 200, 400]
        """
        growth = 1.0 if self.largest_batch_size is None else self.largest_batch_size / self.batch_size
        most = max(self.batch_size, n_training // 2)
        last = max(1, self.epochs - 1)
        return [min(most, round(self.batch_size * growth ** (epoch / last))) for epoch in range(self.epochs)]


def make_optimiser(parameters: FlatParameters, settings: TrainingSettings) -> torch.optim.Optimizer:
    """Build the optimiser; matrices decay, biases do not."""
    parts = ((parameters.matrices, settings.weight_decay), (parameters.biases, 0.0))
    groups: list[dict[str, Any]] = [{"params": [vector], "weight_decay": decay} for vector, decay in parts if vector is not None]
    if settings.optimiser == "nadam":
        return torch.optim.NAdam(groups, lr=settings.learning_rate, decoupled_weight_decay=True)
    return AdamW(groups, lr=settings.learning_rate)


class Schedule:
    """The step size over a training: one interface for schedules that move per step and per epoch.

    Args:
        optimiser: Whose step size is set.
        settings: Name of the schedule and highest step size.
        total: Steps of all epochs.
    """

    def __init__(self, optimiser: torch.optim.Optimizer, settings: TrainingSettings, *, total: int) -> None:
        self._each_step: lr_scheduler.LRScheduler | None = None
        self._each_epoch: lr_scheduler.ReduceLROnPlateau | None = None
        if settings.schedule == "one_cycle" and total > SHORTEST_CYCLE:
            climb = WARM_UP if WARM_UP * total > 1.0 else min(0.5, 2.0 / total)  # at least one step, or the library divides by zero
            self._each_step = lr_scheduler.OneCycleLR(optimiser, settings.learning_rate, total_steps=total, pct_start=climb)
        elif settings.schedule == "cosine":
            self._each_step = lr_scheduler.CosineAnnealingLR(optimiser, T_max=total)
        elif settings.schedule == "plateau":
            patience = max(1, settings.patience // 3)
            self._each_epoch = lr_scheduler.ReduceLROnPlateau(optimiser, factor=PLATEAU_FACTOR, patience=patience)

    def after_step(self) -> None:
        """Move on by one step."""
        if self._each_step is not None:
            self._each_step.step()

    def after_epoch(self, validation: float) -> None:
        """Move on by one epoch, given its validation loss."""
        if self._each_epoch is not None:
            self._each_epoch.step(validation)

    def state_dict(self) -> dict[str, Any]:
        """Return what a later `load_state_dict` needs."""
        inner = self._each_step or self._each_epoch
        return {} if inner is None else _plain(inner.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        inner = self._each_step or self._each_epoch
        if inner is not None:
            inner.load_state_dict(state)


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """Leave out functions, which a file cannot hold and the constructor sets."""
    return {name: value for name, value in state.items() if not callable(value)}
