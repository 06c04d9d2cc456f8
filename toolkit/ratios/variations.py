"""Learned systematic variations: ln(varied/nominal density) of every process, trained on one part of the events and judged on the rest.

When to use: a variation of objects or weights changes the shape of densities in more observables than a histogram shows. Members train on
half of the folds each, as those of the mixture do; every training event is then judged by the members that have not seen it. From these the
slope of each output follows (`weights.pair_calibration`): an output that has learned noise is scaled down, to nothing if need be.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from toolkit.artifacts.atomic import make_folder
from toolkit.config import RatioSettings, VariationRatioConfig
from toolkit.errors import ArtifactMismatchError, FitError
from toolkit.kinematics.beam_swap import BeamSwap
from toolkit.ratios.checkpoints import load_member
from toolkit.ratios.features import FeatureMap, feature_matrix
from toolkit.ratios.members import train_ensemble
from toolkit.ratios.plan import Member, plan_members
from toolkit.ratios.trainer import OnEpoch, TrainingSettings, in_memory, train_network
from toolkit.ratios.training import unfinished
from toolkit.ratios.training_history import TrainingHistory
from toolkit.ratios.training_state import digest_of, read_state, tensor_bytes, write_state
from toolkit.ratios.variation_network import VariationEnsemble, VariationNetwork, output_scale, pair_loss
from toolkit.typing import FloatArray, Progress, silent_progress
from toolkit.weights import assign_fold
from toolkit.weights.beam_swap import feature_swaps
from toolkit.weights.pair_calibration import PairCalibration, calibrate_pairs
from toolkit.weights.pairs import EventPairs

FILE = "variation.pt"
FORMAT = 3
"""Part of the keys: raise it when the content of the files changes."""
NETWORK = "variation"
MOST_CHOICES = 20
"""Of more choices of half of the folds not all train a member."""


@dataclass(frozen=True, eq=False)
class TrainedVariation:
    """The learned change of the densities under one variation.

    Attributes:
        ensemble: Observables (n, n_features) -> ln(varied/nominal density) and its spread, each (n, n_processes). float64.
        processes: Names of the columns: the processes that the variation changes.
        calibrations: What the training events that did not train say about each, before their slope is applied.
        history: Losses of every member; empty where the variation was read from files.
    """

    ensemble: VariationEnsemble
    processes: tuple[str, ...]
    calibrations: tuple[PairCalibration, ...]
    history: tuple[tuple[TrainingHistory, ...], ...] = ()

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the input columns."""
        return self.ensemble.feature_map.features

    @torch.no_grad()
    def log_ratio(self, x: NDArray[np.float64], *, batch: int = 20_000) -> FloatArray:
        """Compute ln(varied/nominal density) in float64 from observables, (n, n_features) -> (n, n_processes)."""
        rows = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float64))
        return torch.cat([self.ensemble(part)[0] for part in torch.split(rows, batch)]).numpy()


def train_variation(
    pairs: EventPairs,
    *,
    config: VariationRatioConfig,
    common: RatioSettings,
    folder: Path,
    progress: Progress = silent_progress,
    executor: Any = "sequential",
    workers: int | None = None,
    former: Sequence[Path] = (),
    swaps: Mapping[str, BeamSwap | None] | None = None,
) -> TrainedVariation | None:
    """Train the networks of one variation, or read the finished ones, and calibrate them out of bag.

    Args:
        pairs: Training events under nominal and varied conditions.
        config: Architecture and training.
        common: Features, folds, and how trainings run, as for the mixture.
        folder: Where finished members are kept; a later call with the same events and settings goes on there.
        progress: Called after every epoch.
        executor: Where the members train; see `members.train_ensemble`.
        workers: Number of processes; None takes the number of cores.
        former: Folders of earlier trainings by the same code; members of the same events and settings are taken over from them.
        swaps: What observables become when the beams are exchanged, for features that the registry does not know; see `FeatureMap`.

    Returns:
        The variation; None if it changes neither a feature nor a weight of any event.

    Raises:
        SchemaError, PhysicsDomainError: A feature is missing, constant or not finite.
        FitError: A process without expected events on one side, too few events, or a training that diverged.
    """
    chosen = pairs.affected(common.features)
    if not chosen.any():
        return None
    processes = tuple(name for name, is_changed in zip(pairs.processes, chosen, strict=True) if is_changed)
    x0, x1 = (torch.from_numpy(feature_matrix(side, common.features)) for side in (pairs.nominal, pairs.varied))
    feature_map = FeatureMap.fitted(common.features, x0, fold=common.fold_beam_axis, swaps=swaps)
    weights = [_mean_one(w[:, chosen], processes) for w in (pairs.nominal_weights, pairs.varied_weights)]
    z0, z1 = feature_map(x0).float(), feature_map(x1).float()
    fold = assign_fold(pairs.event_id, n_folds=common.splits.folds, salt=common.splits.salt).astype(np.int64)
    task = VariationTask((z0, z1, *weights), fold, output_scale(z0, z1, *weights), config, common)
    plan = plan_variation(config.seed, common)
    trained = train_ensemble(task, plan, folder=make_folder(folder), executor=executor, workers=workers, progress=progress, former=former)
    raw = [_out_of_bag(trained.networks, plan, z, fold) for z in (z0, z1)]
    calibrations = tuple(
        calibrate_pairs(
            *(f[:, k] for f in raw),
            nominal_weights=pairs.nominal_weights[:, j],
            varied_weights=pairs.varied_weights[:, j],
            fixed=not config.calibrate,
        )
        for k, j in enumerate(np.flatnonzero(chosen))
    )
    derivatives = torch.tensor([c.applied if config.calibrate else 1.0 for c in calibrations], dtype=torch.float64)
    offsets = torch.tensor([c.offset for c in calibrations], dtype=torch.float64)
    ensemble = VariationEnsemble(feature_map, trained.networks, slope=derivatives, offset=offsets).double().eval()
    result = TrainedVariation(ensemble, processes, calibrations, trained.history)
    key = variation_key(pairs, config=config, common=common, swaps=swaps)
    _save(result, folder, key=key, members={m.file: task.key(m) for m in plan}, task=task)
    return result


@dataclass(frozen=True, eq=False)
class VariationTask:
    """Trains the members of one variation; see `plan.MemberTask`.

    Attributes:
        tensors: Nominal and varied inputs, (n, n_inputs) each, and the weights under both with mean 1, (n, n_processes) each.
        fold: Fold of each event, (n,).
        scale: Size of the outputs, (n_processes,).
        config: Architecture and training.
        common: How trainings run.
    """

    tensors: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
    fold: NDArray[np.int64]
    scale: torch.Tensor
    config: VariationRatioConfig
    common: RatioSettings

    def network(self) -> VariationNetwork:
        """Build an untrained network."""
        return self._network(torch.Generator())

    def key(self, member: Member) -> str:
        """Hash events, weights, settings and seed."""
        settings = [
            FORMAT,
            self.config.model_dump(mode="json", exclude={"prune", "shape", "calibrate", "interpolation"}),
            *self._settings(member),
        ]
        digests = [tensor_bytes(t) for t in (self.scale, *self._part(member))]
        return digest_of(json.dumps(settings, sort_keys=True).encode(), *digests).hex()

    def train(self, member: Member, *, checkpoint: Path, on_progress: OnEpoch) -> tuple[nn.Module, tuple[TrainingHistory, ...]]:
        """Train on the events of the member's folds."""
        generator = torch.Generator().manual_seed(member.seed)
        network = self._network(generator)
        settings = TrainingSettings(
            epochs=self.config.epochs,
            batch_size=self.config.batch_size,
            smaller_batches="batch_size" not in self.config.model_fields_set,
            learning_rate=self.config.learning_rate,
            weight_decay=self.config.weight_decay,
            patience=self.common.patience,
            validation_fraction=self.common.validation_fraction,
            threads=self.common.threads,
            device=self.common.device,
            seed=member.seed,
        )
        history = train_network(
            network,
            pair_loss,
            in_memory(self._part(member), settings, generator=generator),
            settings=settings,
            name=NETWORK,
            generator=generator,
            on_progress=on_progress,
            checkpoint=unfinished(checkpoint, NETWORK),
        )
        return network.cpu().eval(), (history,)

    def _network(self, generator: torch.Generator) -> VariationNetwork:
        return VariationNetwork(self.tensors[0].shape[1], hidden=self.config.hidden, scale=self.scale, generator=generator)

    def _settings(self, member: Member) -> list[Any]:
        return [self.common.validation_fraction, self.common.patience, self.common.threads, member.seed]

    def _part(self, member: Member) -> tuple[torch.Tensor, ...]:
        """Return the events of a member; inputs that do not change only once."""
        rows = torch.from_numpy(member.subset(len(self.fold), fold=self.fold).rows)
        z0, z1, w0, w1 = (t[rows] for t in self.tensors)
        return (z0, w0, w1) if torch.equal(z0, z1) else (z0, z1, w0, w1)


def variation_key(
    pairs: EventPairs, *, config: VariationRatioConfig, common: RatioSettings, swaps: Mapping[str, BeamSwap | None] | None = None
) -> str:
    """Hash everything that decides a trained variation: events, weights, features and their symmetry, settings; 32 hexadecimal digits."""
    own = config.model_dump(mode="json", exclude={"prune", "shape", "interpolation"})
    shared = common.model_dump(mode="json", include={"features", "fold_beam_axis", "splits", "validation_fraction", "patience", "threads"})
    symmetry = feature_swaps(common.features, declared=swaps) if common.fold_beam_axis else {}
    digest = hashlib.blake2b(json.dumps([FORMAT, own, shared, symmetry, pairs.processes], sort_keys=True).encode(), digest_size=16)
    matrices = [feature_matrix(side, common.features) for side in (pairs.nominal, pairs.varied)]
    for values in (pairs.event_id, pairs.nominal_weights, pairs.varied_weights, *matrices):
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def load_variation(folder: Path, *, key: str | None = None) -> TrainedVariation:
    """Read a trained variation; every file is checked against its digest.

    Args:
        folder: Where `train_variation` kept it.
        key: Refuse one of other events or settings; see `variation_key`.

    Raises:
        ArtifactMismatchError: A file is missing, damaged, or of other events or settings.
    """
    state = read_state(folder / FILE, key=key)
    if state is None:
        raise _unusable(folder, FILE)
    networks, history = [], []
    for name, member_key in state["members"].items():
        network = VariationNetwork(state["n_inputs"], hidden=state["hidden"], scale=state["scale"], generator=torch.Generator())
        losses = load_member(folder / name, network, key=member_key)
        if losses is None:
            raise _unusable(folder, name)
        networks.append(network)
        history.append(losses)
    feature_map = FeatureMap(**state["inputs"], **state["feature_map"])
    calibrations = tuple(PairCalibration(**c) for c in state["calibrations"])
    ensemble = VariationEnsemble(feature_map, networks, slope=state["slope"], offset=state["offset"]).double().eval()
    return TrainedVariation(ensemble, tuple(state["processes"]), calibrations, tuple(history))


def _unusable(folder: Path, name: str) -> ArtifactMismatchError:
    return ArtifactMismatchError(
        f"networks in {folder}",
        got=f"{name} missing, damaged, or of other events or settings",
        expected="the finished networks of this variation",
        remedy="train again with `h4l train CONFIG --force`",
    )


def _save(result: TrainedVariation, folder: Path, *, key: str, members: dict[str, str], task: VariationTask) -> None:
    feature_map = result.ensemble.feature_map
    state = {
        "key": key,
        "members": members,
        "n_inputs": feature_map.n_inputs,
        "hidden": list(task.config.hidden),
        "slope": result.ensemble.slope,
        "offset": result.ensemble.offset,
        "scale": task.scale,
        "inputs": feature_map.description,
        "feature_map": feature_map.state_dict(),
        "processes": list(result.processes),
        "calibrations": [asdict(c) for c in result.calibrations],
    }
    write_state(folder / FILE, state)


def plan_variation(seed: int, common: RatioSettings) -> tuple[Member, ...]:
    """List the members of a variation: all choices of half of the folds, or so many that leave out every fold twice."""
    n_folds = common.splits.folds
    all_choices = math.comb(n_folds, n_folds // 2) <= MOST_CHOICES
    return plan_members(None if all_choices else 2 * n_folds, seed=seed, n_folds=n_folds)


@torch.no_grad()
def _out_of_bag(networks: tuple[nn.Module, ...], plan: tuple[Member, ...], z: torch.Tensor, fold: NDArray[np.int64]) -> FloatArray:
    """Average the networks that did not train on an event, (n, n_processes)."""
    outputs = torch.stack([network(z) for network in networks]).double().numpy()
    unseen = np.stack([~np.isin(fold, member.folds) for member in plan], axis=1).astype(np.float64)
    return np.asarray(np.einsum("mnp,nm->np", outputs, unseen / unseen.sum(axis=1, keepdims=True)))


def _mean_one(weights: FloatArray, processes: tuple[str, ...]) -> torch.Tensor:
    """Scale the weights of every process to mean 1, (n, n_processes) float32."""
    mean = weights.mean(axis=0)
    for name, value in zip(processes, mean, strict=True):
        if not value > 0.0:
            raise FitError(
                f"variation of {name}", got=f"sum of weights {value * len(weights):g}", expected="> 0 in nominal and varied events"
            )
    return torch.from_numpy(weights / mean).float()
