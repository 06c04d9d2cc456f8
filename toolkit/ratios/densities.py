"""Estimators of the densities of a mixture: log p_j / p_ref of every density from one calibrated ensemble.

When to use: the parameters mix a few densities by known coefficients (signal strength with interference), so that the density at any
point is their combination, each learned once against one reference. What they share - splits, members, calibration, files - is here; how
a member learns is a `Learner`. Whatever learns, the result are heads of a `Mixture`: no density is negative at any parameter point.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from toolkit.artifacts.atomic import make_folder
from toolkit.config import AnyRatioConfig
from toolkit.config.ratios import NetworkSettings
from toolkit.errors import ArtifactMismatchError, PhysicsDomainError
from toolkit.kinematics.beam_swap import BeamSwap
from toolkit.model import Model
from toolkit.ratios.calibration import fit_calibration, identity_calibration
from toolkit.ratios.checkpoints import member_key
from toolkit.ratios.cross_fit import cross_fit
from toolkit.ratios.directions import score_directions
from toolkit.ratios.ensemble import MixtureEnsemble, mean_heads
from toolkit.ratios.features import FeatureMap, RawFeatures, feature_matrix
from toolkit.ratios.interface import Learner
from toolkit.ratios.members import train_ensemble
from toolkit.ratios.network import feature_map_of
from toolkit.ratios.persistence import load_mixture, mixture_key, save_mixture
from toolkit.ratios.plan import Member, plan_ensemble
from toolkit.ratios.resampling import positive_backgrounds
from toolkit.ratios.structure import Mixture
from toolkit.ratios.targets import Targets, describe_mixture, make_targets
from toolkit.ratios.trained_mixture import TrainedMixture
from toolkit.ratios.trainer import OnEpoch
from toolkit.ratios.training_history import TrainingHistory
from toolkit.typing import Progress, silent_progress
from toolkit.weights import SimulatedEvents, assign_fold


@dataclass(frozen=True)
class DensityEstimator:
    """Trains an ensemble whose members learn in one way; see `interface.Estimator`.

    Args:
        learner: How a member learns.
    """

    learner: Learner

    def fit(
        self,
        training: SimulatedEvents,
        *,
        config: AnyRatioConfig,
        model: Model,
        folder: Path,
        progress: Progress = silent_progress,
        executor: Any = "sequential",
        workers: int | None = None,
        former: Sequence[Path] = (),
        swaps: Mapping[str, BeamSwap | None] | None = None,
    ) -> TrainedMixture:
        """Train all members, or read the finished ones, and calibrate the ensemble out of bag; see `interface.Estimator.fit`.

        Notes:
            Runs are reproducible on one kind of processor, for the same `config.threads`. The calibration sees each event only through
            members that did not train on it.
        """
        folder = make_folder(folder)
        plan = plan_ensemble(config)
        x = torch.from_numpy(feature_matrix(training.observables, config.features))
        mixture = describe_mixture(training, model)
        targets = make_targets(positive_backgrounds(training, mixture, config=config, progress=progress), mixture)
        fold = assign_fold(training.event_id, n_folds=config.splits.folds, salt=config.splits.salt).astype(np.int64)
        feature_map = _feature_map(x, config, swaps)
        task = DensityTask(self.learner, feature_map(x).float(), targets, fold, mixture, config, feature_map)
        trained = train_ensemble(task, plan, folder=folder, executor=executor, workers=workers, progress=progress, former=former)
        ensemble = MixtureEnsemble(feature_map, trained.networks, identity_calibration(mixture)).double().eval()
        progress("calibration", 0.0, 2.0)
        raw = mean_heads(ensemble, x, _unseen(plan, fold))
        progress("calibration", 1.0, 2.0)
        directions = score_directions(model, config.calibration_mu)
        ensemble.calibration = fit_calibration(raw, targets, mixture=mixture, directions=directions)
        crossed = None
        if config.splits.cross_fit:
            crossed = cross_fit(ensemble, plan, x, fold=fold, n_folds=config.splits.folds, targets=targets, directions=directions)
        progress("calibration", 2.0, 2.0)
        with torch.no_grad():
            calibrated = mixture.log_ratios(ensemble.calibration(raw)).numpy()
            before = mixture.log_ratios(raw).numpy()
        _require_finite(calibrated, mixture.processes)
        result = TrainedMixture(ensemble, trained.history, calibrated, before, config, crossed)
        key = mixture_key(training, config=config, model=model, swaps=feature_map.swaps)
        save_mixture(result, folder, key=key, members={member.file: task.key(member) for member in plan})
        return result

    def load(
        self,
        folder: Path,
        *,
        config: AnyRatioConfig,
        training: SimulatedEvents | None = None,
        model: Model | None = None,
        swaps: Mapping[str, BeamSwap | None] | None = None,
    ) -> TrainedMixture:
        """Read the trained ensemble; see `interface.Estimator.load`."""
        known = None if training is None or model is None else mixture_key(training, config=config, model=model, swaps=swaps)
        trained = load_mixture(folder, self.learner, key=known)
        if trained.estimator != config.estimator:
            raise ArtifactMismatchError(f"networks in {folder}", got=trained.estimator, expected=config.estimator, remedy="train again")
        return trained


@dataclass(frozen=True, eq=False)
class DensityTask:
    """Trains the members of an ensemble; see `plan.MemberTask`.

    Attributes:
        learner: How a member learns.
        inputs: Network inputs of the training events, shape (n, n_inputs), float32.
        targets: Their targets.
        fold: Their folds, shape (n,).
        mixture: Meaning of the heads.
        config: The section `ratios`.
        feature_map: From observables to inputs.
    """

    learner: Learner
    inputs: torch.Tensor
    targets: Targets
    fold: NDArray[np.int64]
    mixture: Mixture
    config: AnyRatioConfig
    feature_map: FeatureMap

    def network(self) -> nn.Module:
        """Build an untrained network."""
        return self.learner.network(self.feature_map, mixture=self.mixture, config=self.config)

    def key(self, member: Member) -> str:
        """Hash events, targets, settings and seed."""
        inputs, targets = self._part(member)
        return member_key(inputs, targets, mixture=self.mixture, config=self.config, seed=member.seed)

    def train(self, member: Member, *, checkpoint: Path, on_progress: OnEpoch) -> tuple[nn.Module, tuple[TrainingHistory, ...]]:
        """Train on the events of the member."""
        inputs, targets = self._part(member)
        return self.learner.train(
            inputs,
            targets,
            feature_map=self.feature_map,
            mixture=self.mixture,
            config=self.config,
            seed=member.seed,
            on_progress=on_progress,
            checkpoint=checkpoint,
        )

    def _part(self, member: Member) -> tuple[torch.Tensor, Targets]:
        subset = member.subset(len(self.targets), fold=self.fold)
        rows = torch.from_numpy(subset.rows)
        return self.inputs[rows], self.targets.select(rows).times(torch.from_numpy(subset.counts)).to(torch.float32)


def _feature_map(x: torch.Tensor, config: AnyRatioConfig, swaps: Mapping[str, BeamSwap | None] | None) -> FeatureMap:
    """Return the map from observables to the inputs of a member: with the same scales for like objects, or as they are for trees."""
    return feature_map_of(x, config, swaps) if isinstance(config, NetworkSettings) else RawFeatures(config.features)


def _unseen(plan: Sequence[Member], fold: NDArray[np.int64]) -> Iterator[NDArray[np.bool_]]:
    """Yield for each member the events that it did not train on."""
    for member in plan:
        yield ~member.saw(len(fold), fold=fold)


def _require_finite(log_ratios: NDArray[np.float64], names: Iterable[str]) -> None:
    bad = ~np.isfinite(log_ratios)
    if np.any(bad):
        name = list(names)[int(np.argmax(bad.any(axis=0)))]
        raise PhysicsDomainError(
            f"log ratio of {name}", got=f"{int(bad.sum())} values that are not finite", remedy="train with more events"
        )
