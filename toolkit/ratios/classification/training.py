"""Train a classifier of several classes out of fold: as many trainings as folds, each without the events of one.

When to use: a score that selects events (a preselection, categories) and is used on the simulated events that it learned from. Each of
these has the score of the training that did not see it, so that what is counted behind a cut is not what is known by heart.

Every training is a softmax over the classes, each of the same total weight; an event counts for every class with its weight under it.
Its outputs are the log ratios of the classes to their equal mixture. A network of a local score has one output, the derivative of the
log density at a point of the parameters, learned as SALLY does from the joint scores of the events (`toolkit.ratios.estimators.sally`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from toolkit.config import AnyClassifierConfig
from toolkit.kinematics.beam_swap import BeamSwap
from toolkit.model import Model
from toolkit.ratios.classification.modules import TrainedClassifier
from toolkit.ratios.classification.task import ClassifierTask, ForestTask, NetworkTask
from toolkit.ratios.classification.weights import background_apart, class_weights, score_weights
from toolkit.ratios.features import feature_matrix
from toolkit.ratios.members import Member, train_ensemble
from toolkit.ratios.plan import SEED_STEP
from toolkit.typing import Progress, silent_progress
from toolkit.weights import SimulatedEvents


def train_classifier(
    training: SimulatedEvents,
    *,
    config: AnyClassifierConfig,
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
        training: Simulated events without the test events; their weights of the densities are the soft labels.
        config: Features, classes, architecture.
        fold: Fold of each event, (n,), 0 to `config.folds` - 1.
        folder: Where finished networks are kept; a later call with the same events and settings goes on there.
        model: The physics model, for a local score.
        name: Of the classifier, for messages.
        fold_beam_axis: Whether events are rotated to one side, see `FeatureMap`; perceptrons only.
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
        MissingExtraError: Trees without LightGBM.
    """
    trees = config.architecture == "boosted_trees"
    x = torch.from_numpy(feature_matrix(training.observables, config.features, missing=trees))
    weights = torch.from_numpy(
        class_weights(training, config) if config.local_score is None else score_weights(training, config.local_score, model)
    )
    kind: type[ClassifierTask] = ForestTask if trees else NetworkTask
    folded = fold_beam_axis and config.folds_beam_axis
    task = kind(
        name,
        x,
        weights,
        np.asarray(fold, dtype=np.int64),
        config,
        folded,
        dict(swaps or {}),
        threads,
        device,
        background_apart(training, config),
    )
    folds = range(config.folds)
    plan = [Member(k, config.seed + SEED_STEP * k, "folds", folds=tuple(f for f in folds if f != k)) for k in folds]
    for member in plan:
        task.check(member)
    trained = train_ensemble(task, plan, folder=folder, executor=executor, workers=workers, progress=progress, former=former)
    return TrainedClassifier(
        config.features, tuple(config.sums) or (name,), trained.networks, tuple(history for (history,) in trained.history)
    )
