"""The training loop: every network of the toolkit learns here.

Steps over shuffled batches, early stopping on validation events, the best epoch kept, a checkpoint after every epoch. A
training that is killed and called again with the same arguments goes on after its last finished epoch and ends with the same
weights to the last bit; on the CPU, the same seed gives the same weights.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from toolkit.errors import FitError
from toolkit.ratios.batches import Batch, Batches, InMemoryBatches, count_validation
from toolkit.ratios.flat_parameters import FlatParameters
from toolkit.ratios.schedules import FEWEST_BATCHES, Schedule, TrainingSettings, make_optimiser
from toolkit.ratios.signed_weights import StepWatch
from toolkit.ratios.training_history import TrainingHistory
from toolkit.ratios.training_state import digest_of, read_state, tensor_bytes, write_state

__all__ = [
    "Batch",
    "Batches",
    "InMemoryBatches",
    "TrainingHistory",
    "TrainingSettings",
    "ignore_epoch",
    "in_memory",
    "torch_threads",
    "train_network",
]

Loss = Callable[[nn.Module, Batch], torch.Tensor]
"""loss(network, batch): mean over the events of the batch. Validation calls it under `torch.no_grad`; one that differentiates
with respect to its inputs enters `torch.enable_grad` itself."""
OnEpoch = Callable[[float, float], None]
"""Called after every epoch with the finished share of the training and the validation loss."""
FORMAT = 2
"""Part of the key of a checkpoint: raise it when the meaning of its content changes."""


def ignore_epoch(done: float, loss: float) -> None:
    """Ignore the progress of a training."""


def in_memory(tensors: Batch, settings: TrainingSettings, *, generator: torch.Generator | None = None) -> InMemoryBatches:
    """Return batches of tensors in memory, of the size that the settings have for so many events.

    Args:
        tensors: Of the same length.
        settings: Size of the batches, share of validation events, device, seed.
        generator: Draws the validation events; None takes a new one of `settings.seed`.
    """
    size = settings.fitting(len(tensors[0]) - count_validation(len(tensors[0]), settings.validation_fraction)).batch_size
    return InMemoryBatches(
        tensors,
        batch_size=size,
        validation_fraction=settings.validation_fraction,
        generator=torch.Generator().manual_seed(settings.seed) if generator is None else generator,
        device=settings.device,
    )


def train_network(
    network: nn.Module,
    loss: Loss,
    batches: Batches,
    *,
    settings: TrainingSettings,
    name: str,
    generator: torch.Generator | None = None,
    weights: int | None = None,
    on_progress: OnEpoch = ignore_epoch,
    checkpoint: Path | None = None,
    key: str = "",
) -> TrainingHistory:
    """Train a network in place until the best validation epoch is `patience` epochs old, and restore that epoch.

    Args:
        network: With its initial weights; afterwards on `settings.device`, in evaluation mode.
        loss: Called with the network and a batch; returns the mean over the events of the batch.
        batches: Training and validation events.
        settings: Optimiser, schedule, patience, device.
        name: What is trained, for messages and the history.
        generator: Shuffles the batches; None takes a new one of `settings.seed`.
        weights: Position of the event weights in a batch: their effective number and the share of negative ones are then recorded.
        on_progress: Called after every epoch with the finished share and the validation loss.
        checkpoint: File written after every epoch. If it exists and belongs to the same initial weights, events, settings, `name`
            and `key`, the training goes on there; any other content is ignored and replaced. It stays when the training ends.
        key: Whatever else the result depends on and the network, the events and the settings do not show, such as the loss.

    Returns:
        Losses per epoch and what was noticed about weights and gradients.

    Raises:
        FitError: There are fewer events than two batches, or a loss is not finite.

    Notes:
        Random layers (dropout) draw from torch's global generator, which is seeded with `settings.seed` during the
        training and afterwards as it was before.

    Examples:
        A straight line through points without noise:

        >>> x = torch.linspace(-1.0, 1.0, 400)[:, None]
        >>> settings = TrainingSettings(epochs=30, batch_size=40, learning_rate=0.1, weight_decay=0.0, seed=1)
        >>> events = InMemoryBatches((x, 3.0 * x), batch_size=40, validation_fraction=0.1, generator=torch.Generator().manual_seed(1))
        >>> line = nn.Linear(1, 1)
        >>> _ = nn.init.zeros_(line.weight), nn.init.zeros_(line.bias)
        >>> def square(network: nn.Module, batch: Batch) -> torch.Tensor:
        ...     return ((network(batch[0]) - batch[1]) ** 2).mean()
        >>> history = train_network(line, square, events, settings=settings, name="line")
        >>> bool(abs(line.weight.item() - 3.0) < 0.05), len(history.validation)
        (True, 30)
    """
    _require_steps(name, batches)
    generator = torch.Generator().manual_seed(settings.seed) if generator is None else generator
    with torch_threads(settings.threads), torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        network.to(settings.device)
        run = _Run(name, network, loss, batches, settings, generator, StepWatch(weights, settings.gradient_clip))
        full_key = "" if checkpoint is None else run.key(key)
        run.start()
        if checkpoint is not None:
            run.resume(read_state(checkpoint, key=full_key))
        while not run.finished:
            run.epoch()
            if checkpoint is not None:
                write_state(checkpoint, run.state() | {"key": full_key}, durable=run.finished)
            on_progress(len(run.train) / settings.epochs, run.validation[-1])
        network.load_state_dict(run.best)
        run.flat.release()
    network.eval()
    history = TrainingHistory(name, tuple(run.train), tuple(run.validation), run.best_epoch, **run.watch.summary(batches.batch_size))
    if not settings.smaller_batches or batches.batch_size >= settings.batch_size:
        return history
    shrunk = f"only {batches.n_training} training events: batches of {batches.batch_size} instead of {settings.batch_size}"
    return replace(history, warnings=(shrunk, *history.warnings))


@dataclass
class _Run:
    """The state of one training between epochs; see `train_network`."""

    name: str
    network: nn.Module
    loss: Loss
    batches: Batches
    settings: TrainingSettings
    generator: torch.Generator
    watch: StepWatch
    train: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    best_epoch: int = -1
    best: dict[str, torch.Tensor] = field(default_factory=dict)

    def start(self) -> None:
        """Make optimiser and schedule."""
        self.sizes = replace(self.settings, batch_size=self.batches.batch_size).batch_sizes(self.batches.n_training)
        self.flat = FlatParameters(self.network)
        self.optimiser = make_optimiser(self.flat, self.settings)
        self.schedule = Schedule(self.optimiser, self.settings, total=sum(self.batches.n_training // size for size in self.sizes))

    @property
    def finished(self) -> bool:
        """Whether all epochs are done or the best one is old."""
        done = len(self.train)
        return done >= self.settings.epochs or (done > 0 and done - 1 - self.best_epoch >= self.settings.patience)

    def epoch(self) -> None:
        """Train one epoch and look at the validation events."""
        size = self.sizes[len(self.train)]
        steps = self.batches.n_training // size
        self.network.train()
        total = torch.zeros((), dtype=torch.float64, device=self.settings.device)
        for batch in self._moved(self.batches.training(self.generator, batch_size=size)):
            loss = self.loss(self.network, batch)
            self.flat.clear()
            loss.backward()  # type: ignore[no-untyped-call]
            self.watch.step(batch, self.flat.parameters, first=not self.train)
            self.optimiser.step()
            self.schedule.after_step()
            total += loss.detach()
        self.network.eval()
        latest = total.item() / steps, self._validate()
        if not all(math.isfinite(value) for value in latest):
            raise _diverged(self.name, len(self.train), *latest)
        if not self.best or latest[1] < self.validation[self.best_epoch]:
            self.best_epoch, self.best = len(self.train), {k: v.clone() for k, v in self.network.state_dict().items()}
        self.train.append(latest[0])
        self.validation.append(latest[1])
        self.schedule.after_epoch(latest[1])

    def _validate(self) -> float:
        """Return the mean loss over all validation events."""
        mean, seen = 0.0, 0
        with torch.no_grad():
            for batch in self._moved(self.batches.validation()):
                seen += len(batch[0])
                mean += (self.loss(self.network, batch).item() - mean) * (len(batch[0]) / seen)
        return mean

    def _moved(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        device = torch.device(self.settings.device)
        for batch in batches:
            yield batch if batch[0].device == device else tuple(t.to(device) for t in batch)

    def key(self, extra: str) -> str:
        """Hash everything that decides the result, taken before the first step."""
        settings = json.dumps([FORMAT, self.name, extra, asdict(self.settings)], sort_keys=True).encode()
        weights = [tensor_bytes(v) for v in self.network.state_dict().values()]
        return digest_of(settings, self.generator.get_state().numpy().tobytes(), self.batches.digest(), *weights).hex()

    def state(self) -> dict[str, Any]:
        """Return all that a later `resume` needs."""
        return {
            "network": self.network.state_dict(),
            "best": self.best,
            "best_epoch": self.best_epoch,
            "train": self.train,
            "validation": self.validation,
            "watch": self.watch.state(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "generator": self.generator.get_state(),
            "global_generator": torch.get_rng_state(),
        }

    def resume(self, state: dict[str, Any] | None) -> None:
        """Go on where `state` was taken; None changes nothing."""
        if state is None:
            return
        self.network.load_state_dict(state["network"])
        self.best = {name: value.to(self.settings.device) for name, value in state["best"].items()}
        self.best_epoch, self.train, self.validation = state["best_epoch"], state["train"], state["validation"]
        self.watch.load(state["watch"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.generator.set_state(state["generator"].cpu())
        torch.set_rng_state(state["global_generator"].cpu())


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Let torch use `number` threads inside, and as many as before afterwards.

    Its threads wait without sleeping: beside other programs, steps of a millisecond take ten times as long on as many threads as there are
    processors.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _require_steps(name: str, batches: Batches) -> None:
    if batches.n_training // batches.batch_size < FEWEST_BATCHES:
        raise FitError(
            f"training the {name} network",
            got=f"{batches.n_training} events",
            expected=f">= 2 batches of {batches.batch_size}",
            remedy="use more events or a smaller batch_size",
        )


def _diverged(name: str, epoch: int, train: float, validation: float) -> FitError:
    return FitError(
        f"training the {name} network",
        got=f"losses {[train, validation]} in epoch {epoch}",
        expected="finite losses",
        remedy="lower learning_rate, set gradient_clip, or look for extreme weights",
    )
