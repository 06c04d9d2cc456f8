"""A classifier of several densities, out of fold: as many networks as folds, each trained without the events of one.

When to use: a score that selects events (a preselection, categories) and is used on the simulated events that it learned from. Each of
these has the score of the network that did not see it, so that what is counted behind a cut is not what the network knows by heart.

Every network is a softmax over the densities, each of the same total weight; an event counts for every density with its weight under it.
Its outputs are the log ratios of the densities to their equal mixture. A network of a local score has one output, the derivative of the
log density at a point of the parameters, learned as SALLY does from the joint scores of the events (`toolkit.ratios.estimators.sally`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from toolkit.config import ClassifierConfig
from toolkit.config.classifiers import LocalScoreConfig
from toolkit.config.local_score import local_coefficients
from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.kinematics.beam_swap import BeamSwap
from toolkit.model import Model
from toolkit.ratios.architectures.mlp import MLP
from toolkit.ratios.estimators.sally import ScaledScore, sally_loss
from toolkit.ratios.features import FeatureMap, feature_matrix, transform_of
from toolkit.ratios.learners.multiclass import softmax_loss
from toolkit.ratios.members import Member, train_ensemble
from toolkit.ratios.plan import SEED_STEP
from toolkit.ratios.trainer import Batch, InMemoryBatches, OnEpoch, TrainingSettings, train_network
from toolkit.ratios.training import unfinished
from toolkit.ratios.training_history import TrainingHistory
from toolkit.ratios.training_state import tensor_bytes
from toolkit.typing import FloatArray, Progress, silent_progress
from toolkit.weights import SimulatedEvents

FORMAT = 1
"""Part of the key: raise it when the content of a checkpoint changes."""
REFERENCE = "equal mixture"
"""Name of the reference of the log ratios."""


@dataclass(frozen=True, eq=False)
class TrainedClassifier:
    """A trained classifier.

    Attributes:
        features: Input columns.
        classes: Densities of the outputs; of a local score its name.
        networks: In the order of the folds: each trained without the events of its fold. (n, n_features) -> log ratios (n, n_classes), or
            a score (n, 1).
        history: Losses of each network.
    """

    features: tuple[str, ...]
    classes: tuple[str, ...]
    networks: tuple[nn.Module, ...]
    history: tuple[TrainingHistory, ...]

    def network(self, fold: int | None) -> nn.Module:
        """Return the network that did not see a fold; for None the mean of all, with their spread as a second output."""
        return MeanOfFolds(self.networks, normalised=len(self.classes) > 1) if fold is None else self.networks[fold]

    @property
    def mixture(self) -> dict[str, float]:
        """Fractions of the densities in the reference; none of a local score."""
        if len(self.classes) < 2:
            return {}
        return dict.fromkeys(self.classes, 1.0 / len(self.classes))


@torch.no_grad()
def out_of_fold(trained: TrainedClassifier, events: SimulatedEvents, fold: NDArray[np.integer[Any]]) -> FloatArray:
    """Evaluate every event by the network that did not see its fold, (n, n_classes), or (n, 1) of a local score.

    Args:
        trained: The networks.
        events: Simulated events.
        fold: Fold of each event, (n,).
    """
    x = torch.from_numpy(feature_matrix(events.observables, trained.features))
    found = np.empty((len(x), len(trained.classes)))
    for k, network in enumerate(trained.networks):
        own = np.flatnonzero(fold == k)
        found[own] = network(x[torch.from_numpy(own)]).numpy()
    return found


class MeanOfFolds(nn.Module):
    """Mean logits of several classifiers, as log ratios to the equal mixture, and their spread.

    Args:
        networks: Each (n, n_features) -> log ratios (n, n_classes).
        normalised: Whether they are log ratios to the equal mixture of the classes; otherwise the mean is taken as it is.

    Examples:
        >>> one, two = (nn.Linear(1, 2, bias=False) for _ in range(2))
        >>> _ = nn.init.constant_(one.weight, 1.0), nn.init.constant_(two.weight, 1.0)
        >>> [output.tolist() for output in MeanOfFolds([one, two])(torch.ones(1, 1))]
        [[[0.0, 0.0]], [[0.0, 0.0]]]
    """

    def __init__(self, networks: Sequence[nn.Module], *, normalised: bool = True) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.normalised = normalised

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return log ratios and their standard deviation over the networks, (n, n_classes) each."""
        outputs = torch.stack([network(x) for network in self.networks])
        mean = outputs.mean(dim=0)
        spread = torch.sqrt(((outputs - mean) ** 2).mean(dim=0))
        if not self.normalised:
            return mean, spread
        return mean - torch.logsumexp(mean, dim=1, keepdim=True) + float(np.log(mean.shape[1])), spread


def train_classifier(
    pool: SimulatedEvents,
    *,
    config: ClassifierConfig,
    fold: NDArray[np.integer[Any]],
    folder: Path,
    model: Model | None = None,
    name: str = "classifier",
    fold_beam_axis: bool = False,
    swaps: Mapping[str, BeamSwap | None] | None = None,
    threads: int = 1,
    device: str = "cpu",
    progress: Progress = silent_progress,
    executor: Any = "sequential",
    workers: int | None = None,
    former: Sequence[Path] = (),
) -> TrainedClassifier:
    """Train the networks of a classifier, or read the finished ones.

    Args:
        pool: Simulated events without the test events; their weights of the densities are the soft labels.
        config: Features, classes, architecture.
        fold: Fold of each event, (n,), 0 to `config.folds` - 1.
        folder: Where finished networks are kept; a later call with the same events and settings goes on there.
        model: The physics model, for a local score.
        name: Of the classifier, for messages.
        fold_beam_axis: Whether events are rotated to one side, see `FeatureMap`.
        swaps: What observables become when the beams are exchanged, see `FeatureMap`.
        threads: Processor threads of a training.
        device: Where the networks train, `cpu` or `cuda`.
        progress: Called after every epoch.
        executor: See `members.train_ensemble`.
        workers: Number of processes.
        former: Folders of earlier trainings by the same code.

    Returns:
        The networks.

    Raises:
        SchemaError, PhysicsDomainError: A feature is missing, constant or not finite, or a class has no weight without one of the folds.
        FitError: Too few events, or the training diverged.
    """
    x = torch.from_numpy(feature_matrix(pool.observables, config.features))
    weights = torch.from_numpy(
        _class_weights(pool, config) if config.local_score is None else score_weights(pool, config.local_score, model)
    )
    task = ClassifierTask(name, x, weights, np.asarray(fold, dtype=np.int64), config, fold_beam_axis, dict(swaps or {}), threads, device)
    folds = range(config.folds)
    plan = [Member(k, config.seed + SEED_STEP * k, "folds", folds=tuple(f for f in folds if f != k)) for k in folds]
    for member in plan:
        task.check(member)
    trained = train_ensemble(task, plan, folder=folder, executor=executor, workers=workers, progress=progress, former=former)
    return TrainedClassifier(config.features, config.classes or (name,), trained.networks, tuple(history for (history,) in trained.history))


def _class_weights(pool: SimulatedEvents, config: ClassifierConfig) -> FloatArray:
    columns = [pool.processes.index(density) for density in config.classes]
    return np.ascontiguousarray(pool.weights[:, columns])


def score_weights(pool: SimulatedEvents, section: LocalScoreConfig, model: Model | None) -> FloatArray:
    """Return the density of every event at the point of a score, and its derivative less that of the normalisation, (n, 2).

    Raises:
        SchemaError: There is no model, or its densities are not the processes of the events.
        PhysicsDomainError: The density of an event is negative: events that know the weight of one benchmark, away from it.
    """
    if model is None or model.densities != pool.processes:
        expected = "no model" if model is None else list(model.densities)
        raise SchemaError("densities of a local score", got=list(pool.processes), expected=expected, remedy="pass the model of the events")
    values, slopes = local_coefficients(section, model)
    density, slope = pool.weights @ values, pool.weights @ slopes
    if np.any(density < 0.0) or not density.sum() > 0.0:
        worst = int(np.argmin(density))
        raise PhysicsDomainError(
            f"density of event {pool.event_id[worst]} at the point of the local score",
            got=f"{density[worst]:g} ({int((density < 0.0).sum())} such events)",
            expected=">= 0",
            remedy="list `benchmarks` of the samples, or take a point at which one of them was generated",
        )
    return np.stack([density, slope - density * (slope.sum() / density.sum())], axis=1)


@dataclass(frozen=True, eq=False)
class ClassifierTask:
    """Trains the networks of a classifier; see `members.MemberTask`.

    Attributes:
        name: Of the classifier.
        x: Features in physical units, (n, n_features) float64.
        weights: Weights under each class, (n, n_classes) float64; of a local score what `score_weights` returns.
        fold: Fold of each event, (n,).
        config: Architecture and settings.
        fold_beam_axis: See `FeatureMap`.
        swaps: See `FeatureMap`.
        threads: Processor threads.
        device: Where it trains.
    """

    name: str
    x: torch.Tensor
    weights: torch.Tensor
    fold: NDArray[np.int64]
    config: ClassifierConfig
    fold_beam_axis: bool
    swaps: Mapping[str, BeamSwap | None]
    threads: int
    device: str

    def network(self) -> nn.Module:
        """Build an untrained network."""
        n_inputs = sum(4 if transform_of(name) == "angle" else 1 for name in self.config.features)
        zeros, ones = torch.zeros(n_inputs, dtype=torch.float64), torch.ones(n_inputs, dtype=torch.float64)
        feature_map = FeatureMap(self.config.features, fold=self.fold_beam_axis, mean=zeros, std=ones, swaps=self.swaps)
        return self._complete(feature_map, self._perceptron(n_inputs, seed=0))

    def key(self, member: Member) -> str:
        """Hash the events that the network sees, all settings and its seed."""
        left_out = {"numerator", "denominator", "folds", *(("local_score",) if self.config.local_score is None else ())}
        settings = self.config.model_dump(mode="json", exclude=left_out)
        fold = {name: self.swaps.get(name) for name in self.config.features} if self.fold_beam_axis else {}
        document = [FORMAT, self.name, settings, self.config.classes, self.fold_beam_axis, fold, self.threads, member.seed]
        digest = hashlib.blake2b(json.dumps(document, sort_keys=True).encode(), digest_size=16)
        for tensor in self._part(member):
            digest.update(tensor_bytes(tensor))
        return digest.hexdigest()

    def check(self, member: Member) -> None:
        """Check that every class has weight among the events of a network; a local score has none.

        Raises:
            PhysicsDomainError: One has none.
        """
        totals = self._part(member)[1].sum(dim=0)
        if self.config.local_score is not None:
            return
        for density, total in zip(self.config.classes, totals.tolist(), strict=True):
            if not total > 0.0:
                raise PhysicsDomainError(
                    f"class {density} of classifier {self.name}",
                    got=f"total weight {total:g} without fold {member.index}",
                    expected="selected events with a positive total weight",
                    remedy="simulate more events of it, or leave it out of the classifier",
                )

    def train(self, member: Member, *, checkpoint: Path, on_progress: OnEpoch) -> tuple[nn.Module, tuple[TrainingHistory, ...]]:
        """Train without the events of the member's fold: neither scales nor class weights know them."""
        x, weights = self._part(member)
        settings = TrainingSettings(
            epochs=self.config.epochs,
            batch_size=self.config.batch_size,
            learning_rate=self.config.learning_rate,
            threads=self.threads,
            device=self.device,
            seed=member.seed,
        )
        feature_map = FeatureMap.fitted(self.config.features, x, fold=self.fold_beam_axis, swaps=self.swaps)
        shares, scale = self._targets(weights)
        used = (shares != 0.0).any(dim=1)
        batches = InMemoryBatches(
            (feature_map(x[used]).float(), shares[used].float()),
            batch_size=settings.batch_size,
            validation_fraction=settings.validation_fraction,
            generator=torch.Generator().manual_seed(settings.seed),
            device=settings.device,
        )
        network = self._perceptron(feature_map.n_inputs, seed=member.seed)
        loss, key = (softmax_loss, "classification") if self.config.local_score is None else (local_score_loss, "local score")
        name = f"{self.name} without fold {member.index}"
        file = unfinished(checkpoint, "classes")
        history = train_network(network, loss, batches, settings=settings, name=name, on_progress=on_progress, checkpoint=file, key=key)
        return self._complete(feature_map, network.cpu(), scale), (history,)

    def _targets(self, weights: torch.Tensor) -> tuple[torch.Tensor, float]:
        """Return weights of the same total for every class; or density and derivative of mean square score 1, and what was divided by."""
        if self.config.local_score is None:
            return weights * (len(weights) / weights.sum(dim=0) / weights.shape[1]), 1.0
        density, slope = weights.unbind(dim=1)
        known = density > 0.0
        scale = float(torch.sqrt((slope[known] ** 2 / density[known]).sum() / density.sum()))
        return torch.stack([density, slope / scale], dim=1) * (len(weights) / density.sum()), scale

    def _part(self, member: Member) -> tuple[torch.Tensor, torch.Tensor]:
        rows = torch.from_numpy(member.subset(len(self.x), fold=self.fold).rows)
        return self.x[rows], self.weights[rows]

    def _perceptron(self, n_inputs: int, *, seed: int) -> nn.Module:
        generator = torch.Generator().manual_seed(seed)
        n_outputs = self.weights.shape[1] if self.config.local_score is None else 1
        return MLP(tuple(self.config.hidden)).stack(n_inputs, n_outputs, generator=generator)

    def _complete(self, feature_map: FeatureMap, network: nn.Module, scale: float = 1.0) -> nn.Module:
        if self.config.local_score is not None:
            return ScaledScore(feature_map, network, torch.tensor([scale], dtype=torch.float64)).double().eval()
        n = self.weights.shape[1]
        return SoftmaxRatios(feature_map, network, torch.full((n,), 1.0 / n, dtype=torch.float64)).double().eval()


def local_score_loss(network: nn.Module, batch: Batch) -> torch.Tensor:
    """Compute the squared error of a score, of a batch (inputs, density and its derivative)."""
    inputs, both = batch
    return sally_loss(network, (inputs, both[:, 0], both[:, 1:]))


class SoftmaxRatios(nn.Module):
    """log p_j / p_ref from the logits of a class-balanced softmax.

    Args:
        feature_map: Observables to inputs.
        network: Inputs to logits.
        fractions: Fractions pi_j >= 0 of the reference, shape (n_processes,).
    """

    log_fractions: torch.Tensor
    used: torch.Tensor

    def __init__(self, feature_map: FeatureMap, network: nn.Module, fractions: torch.Tensor) -> None:
        super().__init__()
        self.feature_map = feature_map
        self.network = network
        used = torch.nonzero(fractions > 0)[:, 0]
        self.register_buffer("used", used)
        self.register_buffer("log_fractions", torch.log(fractions[used]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the log ratios, shape (n, n_processes)."""
        logits: torch.Tensor = self.network(self.feature_map(x))
        present = logits.index_select(1, self.used) + self.log_fractions
        return logits - torch.logsumexp(present, dim=1, keepdim=True)
