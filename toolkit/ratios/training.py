"""Train one member of the ensemble: its networks one after the other, each in the common training loop."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from toolkit.config import RatioConfig
from toolkit.config.ratios import NetworkSettings
from toolkit.errors import FitError
from toolkit.ratios.batches import count_validation
from toolkit.ratios.features import FeatureMap
from toolkit.ratios.losses import class_loss, composition_loss, source_loss
from toolkit.ratios.network import MixtureNetwork, builder
from toolkit.ratios.streaming import ParquetBatches, write_shuffled
from toolkit.ratios.structure import Mixture
from toolkit.ratios.targets import Targets
from toolkit.ratios.trainer import Batch, Batches, OnEpoch, TrainingSettings, ignore_epoch, in_memory, train_network
from toolkit.ratios.training_history import TrainingHistory

__all__ = ["Share", "TrainingHistory", "batches_of", "require_classes", "train_member", "training_settings", "unfinished"]

WEIGHT = 2
"""Position of the event weights in a batch: inputs, label, weight, composition."""
PartialLoss = Callable[[torch.Tensor, Targets], torch.Tensor]


def training_settings(config: NetworkSettings, *, epochs: int, seed: int) -> TrainingSettings:
    """Take the settings of the training loop from the config."""
    return TrainingSettings(
        epochs=epochs,
        batch_size=config.batch_size,
        largest_batch_size=config.largest_batch_size,
        smaller_batches="batch_size" not in config.model_fields_set,
        learning_rate=config.learning_rate,
        optimiser=config.optimiser,
        schedule=config.schedule,
        weight_decay=config.weight_decay,
        patience=config.patience,
        validation_fraction=config.validation_fraction,
        gradient_clip=config.gradient_clip,
        threads=config.threads,
        device=config.device,
        seed=seed,
    )


def train_member(
    inputs: torch.Tensor,
    targets: Targets,
    *,
    feature_map: FeatureMap,
    mixture: Mixture,
    config: RatioConfig,
    seed: int,
    on_progress: OnEpoch = ignore_epoch,
    checkpoint: Path | None = None,
) -> tuple[MixtureNetwork, tuple[TrainingHistory, ...]]:
    """Train the networks of one member, one after the other.

    Args:
        inputs: Network inputs (transformed, standardised), shape (n, n_inputs), float32.
        targets: Targets of the same events.
        feature_map: From observables to these inputs.
        mixture: Meaning of the heads.
        config: Architecture and optimiser.
        seed: Seeds initial weights, validation events and batches; nothing else is random.
        on_progress: Called after every epoch with the finished fraction of the member and the validation loss.
        checkpoint: Name of the member's file; beside it each network keeps one of its own after every epoch, from which a killed
            training goes on with the same result. The caller removes them: see `unfinished`.

    Returns:
        The networks with the weights of their best epochs, on the CPU, and their losses.

    Raises:
        FitError: There are fewer events than two batches, a class has no weight, or an input or the loss is not finite.
    """
    generator = torch.Generator().manual_seed(seed)
    member = MixtureNetwork(builder(config, feature_map), mixture=mixture, generator=generator)
    targets = targets.to(torch.float32)
    require_classes(targets, mixture)
    if member.everything is not None and targets.sources is not None:
        return _train_on_labels(
            member, inputs, targets.sources, mixture, config, seed=seed, generator=generator, on_progress=on_progress, checkpoint=checkpoint
        )
    parts: list[tuple[str, nn.Module, torch.Tensor, Targets, PartialLoss]] = []
    if member.classes is not None:
        parts.append(("classes", member.classes, inputs, targets, class_loss))
    for network, k in zip(member.compositions, mixture.coherent, strict=True):
        rows, part = targets.of_class(k, mixture)
        name = "composition" if len(mixture.coherent) == 1 else f"composition {k}"
        parts.append((name, network, inputs[rows], part, partial(composition_loss, event_class=mixture.classes[k])))
    histories = []
    for k, (name, network, part_inputs, part, loss) in enumerate(parts):
        epochs = config.epochs if name == "classes" else config.composition_epochs
        settings = training_settings(config, epochs=epochs, seed=seed)
        tensors = (part_inputs, part.label, part.weight, part.composition)
        own_file = None if checkpoint is None else unfinished(checkpoint, name)
        with batches_of(tensors, settings, generator, stream_above_mb=config.stream_above_mb, beside=own_file) as batches:
            histories.append(
                train_network(
                    network,
                    _Loss(loss),
                    batches,
                    settings=settings,
                    name=name,
                    generator=generator,
                    weights=WEIGHT,
                    on_progress=Share(on_progress, k / len(parts), 1.0 / len(parts)),
                    checkpoint=own_file,
                    key=f"{mixture}",
                )
            )
    return member.cpu().eval(), tuple(histories)


def _train_on_labels(
    member: MixtureNetwork,
    inputs: torch.Tensor,
    sources: torch.Tensor,
    mixture: Mixture,
    config: RatioConfig,
    *,
    seed: int,
    generator: torch.Generator,
    on_progress: OnEpoch,
    checkpoint: Path | None,
) -> tuple[MixtureNetwork, tuple[TrainingHistory, ...]]:
    """Train all heads at once from the samples that the events come from; all sources are in every batch."""
    settings = training_settings(config, epochs=config.epochs, seed=seed)
    own_file = None if checkpoint is None else unfinished(checkpoint, "labels")
    tensors = (inputs, sources, sources.sum(dim=1))
    with batches_of(tensors, settings, generator, stream_above_mb=config.stream_above_mb, beside=own_file) as batches:
        history = train_network(
            member,
            _LabelLoss(mixture),
            batches,
            settings=settings,
            name="labels",
            generator=generator,
            weights=WEIGHT,
            on_progress=on_progress,
            checkpoint=own_file,
            key=f"{mixture}",
        )
    return member.cpu().eval(), (history,)


@contextmanager
def batches_of(
    tensors: Batch, settings: TrainingSettings, generator: torch.Generator, *, stream_above_mb: float, beside: Path | None
) -> Iterator[Batches]:
    """Give batches from memory, or from a temporary file if the tensors are large.

    Args:
        tensors: Of the same length.
        settings: Size of the batches, share of validation events, device.
        generator: Draws the validation events.
        stream_above_mb: Larger tensors are written to a file.
        beside: The checkpoint of the training, next to which the file stands; None takes a temporary folder.
    """
    if sum(t.numel() * t.element_size() for t in tensors) <= stream_above_mb * 1e6:
        yield in_memory(tensors, settings, generator=generator)
        return
    fraction = settings.validation_fraction
    size = settings.fitting(len(tensors[0]) - count_validation(len(tensors[0]), fraction)).batch_size
    with _scratch_folder(beside) as folder:
        file = folder / "events.parquet"
        columns = write_shuffled(file, tensors, generator=generator)
        yield ParquetBatches([file], columns=columns, batch_size=size, validation_fraction=fraction, generator=generator)


@contextmanager
def _scratch_folder(beside: Path | None) -> Iterator[Path]:
    """Give a folder for a while; one beside a checkpoint also replaces what a killed training left there."""
    if beside is None:
        with tempfile.TemporaryDirectory() as name:
            yield Path(name)
        return
    folder = beside.with_name(f".{beside.name}.events")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unfinished(member: Path, network: str) -> Path:
    """Return the file that one network of a member keeps while it trains.

    Examples:
        >>> unfinished(Path("member_00.pt"), "classes").as_posix()
        'member_00.classes.unfinished'
    """
    return member.with_suffix(f".{network.replace(' ', '_')}.unfinished")


@dataclass(frozen=True)
class _Loss:
    """The loss of one network as the training loop wants it."""

    loss: PartialLoss

    def __call__(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        return self.loss(network(batch[0]), Targets(*batch[1:]))


@dataclass(frozen=True)
class _LabelLoss:
    """The loss of a member that learns from labels."""

    mixture: Mixture

    def __call__(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        return source_loss(network(batch[0]), batch[1], self.mixture)


@dataclass(frozen=True)
class Share:
    """Reports the progress of one network as a part of that of its member."""

    report: OnEpoch
    before: float
    share: float

    def __call__(self, done: float, loss: float) -> None:
        """Report the finished share of the network."""
        self.report(self.before + self.share * done, loss)


def require_classes(targets: Targets, mixture: Mixture) -> None:
    """Refuse training events in which a class has no weight."""
    names = [" and ".join(dict.fromkeys(c.densities[:1] + c.densities[-1:])) for c in mixture.classes]
    if len(targets) == 0:
        raise FitError("training events", got="no events", expected="events of every class", remedy="loosen the selection")
    sums = (targets.weight.double()[:, None] * targets.shares(len(names)).double()).sum(dim=0)
    for name, total in zip(names, sums.tolist(), strict=True):
        if not total > 0:
            raise FitError(
                f"training events of {name}",
                got=f"sum of weights {total:g} among {len(targets)} events",
                expected="> 0",
                remedy="use more simulated events of it, or check its weights",
            )
