"""Mixture-model estimation: log p_j / p_ref of every process from one calibrated ensemble.

When to use: the parameter of interest mixes processes by known coefficients (signal strength with interference), so that the
density at any parameter value is a combination of a few densities, each learned once against one reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from toolkit.artifacts.atomic import make_folder
from toolkit.config import RatioConfig
from toolkit.errors import PhysicsDomainError
from toolkit.kinematics.beam_swap import BeamSwap
from toolkit.model import Model
from toolkit.ratios.calibration import fit_calibration, identity_calibration
from toolkit.ratios.checkpoints import member_key
from toolkit.ratios.directions import score_directions
from toolkit.ratios.ensemble import MixtureEnsemble, out_of_bag_heads
from toolkit.ratios.features import FeatureMap, feature_matrix
from toolkit.ratios.members import Member, plan_members, train_ensemble
from toolkit.ratios.network import MixtureNetwork
from toolkit.ratios.persistence import mixture_key, save_mixture
from toolkit.ratios.resampling import positive_backgrounds
from toolkit.ratios.structure import Mixture
from toolkit.ratios.targets import Targets, describe_mixture, make_targets
from toolkit.ratios.trained_mixture import TrainedMixture
from toolkit.ratios.trainer import OnEpoch
from toolkit.ratios.training import train_member
from toolkit.ratios.training_history import TrainingHistory
from toolkit.typing import Progress, silent_progress
from toolkit.weights import SimulatedEvents, assign_fold


def train_mixture(
    pool: SimulatedEvents,
    *,
    config: RatioConfig,
    model: Model,
    folder: Path,
    progress: Progress = silent_progress,
    executor: Any = "sequential",
    workers: int | None = None,
    former: Sequence[Path] = (),
    swaps: Mapping[str, BeamSwap | None] | None = None,
) -> TrainedMixture:
    """Train all members, or read the finished ones, and calibrate the ensemble out of bag.

    Args:
        pool: Simulated events without the test events, weights scaled to the luminosity.
        config: Features, architecture, folds, seeds.
        model: Processes, amplitudes and parameters; their learned densities are the processes of the events.
        folder: Where finished members and the calibration are kept, for `load_mixture`; a later call with the same events and
            config resumes there.
        progress: Called after every epoch.
        executor: Where the members train: `sequential` here, `processes` on this machine, `dask`, the address of a dask scheduler or a
            dask client. The result is the same.
        workers: Number of processes; None takes the number of cores.
        former: Folders of earlier trainings by the same code; members of the same events and settings are taken over from them.
        swaps: What observables become when the beams are exchanged, for features that the registry does not know; see `FeatureMap`.

    Returns:
        The calibrated ensemble.

    Raises:
        SchemaError, PhysicsDomainError: A feature is missing, constant or not finite, or a weight is unusable.
        FitError: Too few events, or the training diverged.
        WorkerLostError: Workers died again and again.

    Notes:
        Runs are reproducible on one kind of processor, for the same `config.threads`. Every member trains on half of the folds; the
        calibration sees each event only through members that did not train on it.
    """
    folder = make_folder(folder)
    x = torch.from_numpy(feature_matrix(pool.observables, config.features))
    mixture = describe_mixture(pool, model)
    targets = make_targets(positive_backgrounds(pool, mixture, config=config, progress=progress), mixture)
    n_folds = config.splits.folds
    fold = assign_fold(pool.event_id, n_folds=n_folds, salt=config.splits.salt).astype(np.int64)
    feature_map = FeatureMap.fitted(config.features, x, fold=config.fold_beam_axis, swaps=swaps)
    task = MixtureTask(feature_map(x).float(), targets, fold, mixture, config)
    plan = plan_members(seed=config.seed, n_folds=n_folds)
    trained = train_ensemble(task, plan, folder=folder, executor=executor, workers=workers, progress=progress, former=former)
    members = [network for network in trained.networks if isinstance(network, MixtureNetwork)]
    ensemble = MixtureEnsemble(feature_map, members, identity_calibration(mixture)).double().eval()
    progress("calibration", 0.0, 2.0)
    raw = out_of_bag_heads(ensemble, x, torch.from_numpy(fold), n_folds=n_folds)
    progress("calibration", 1.0, 2.0)
    ensemble.calibration = fit_calibration(raw, targets, mixture=mixture, directions=score_directions(model, config.calibration_mu))
    progress("calibration", 2.0, 2.0)
    with torch.no_grad():
        calibrated = mixture.log_ratios(ensemble.calibration(raw)).numpy()
        before = mixture.log_ratios(raw).numpy()
    _require_finite(calibrated, mixture.processes)
    result = TrainedMixture(ensemble, trained.history, calibrated, before)
    key = mixture_key(pool, config=config, model=model, swaps=feature_map.swaps)
    save_mixture(result, folder, key=key, hidden=config.hidden, members={member.file: task.key(member) for member in plan})
    return result


@dataclass(frozen=True, eq=False)
class MixtureTask:
    """Trains the members of a mixture; see `members.MemberTask`.

    Attributes:
        inputs: Network inputs of the pool events, shape (n, n_inputs), float32.
        targets: Their targets.
        fold: Their folds, shape (n,).
        mixture: Meaning of the heads.
        config: Architecture and optimiser.
    """

    inputs: torch.Tensor
    targets: Targets
    fold: NDArray[np.int64]
    mixture: Mixture
    config: RatioConfig

    def network(self) -> MixtureNetwork:
        """Build an untrained network."""
        return MixtureNetwork(self.inputs.shape[1], hidden=self.config.hidden, mixture=self.mixture, generator=torch.Generator())

    def key(self, member: Member) -> str:
        """Hash events, targets, settings and seed."""
        inputs, targets = self._part(member)
        return member_key(inputs, targets, mixture=self.mixture, config=self.config, seed=member.seed)

    def train(self, member: Member, *, checkpoint: Path, on_progress: OnEpoch) -> tuple[MixtureNetwork, tuple[TrainingHistory, ...]]:
        """Train on the events of the member's folds."""
        inputs, targets = self._part(member)
        return train_member(
            inputs, targets, mixture=self.mixture, config=self.config, seed=member.seed, on_progress=on_progress, checkpoint=checkpoint
        )

    def _part(self, member: Member) -> tuple[torch.Tensor, Targets]:
        rows = torch.from_numpy(member.subset(len(self.targets), fold=self.fold).rows)
        return self.inputs[rows], self.targets.select(rows).to(torch.float32)


def _require_finite(log_ratios: NDArray[np.float64], names: Iterable[str]) -> None:
    bad = ~np.isfinite(log_ratios)
    if np.any(bad):
        name = list(names)[int(np.argmax(bad.any(axis=0)))]
        raise PhysicsDomainError(
            f"log ratio of {name}", got=f"{int(bad.sum())} values that are not finite", remedy="train with more events"
        )
