"""A trained mixture as files: the members, and beside them what makes an ensemble of them (features, yields, calibration)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter
from torch import nn

from toolkit.config import AnyRatioConfig
from toolkit.config.ratios import NetworkSettings
from toolkit.errors import ArtifactMismatchError
from toolkit.kinematics.beam_swap import BeamSwap
from toolkit.model import Model
from toolkit.ratios.calibration import TargetedCalibration
from toolkit.ratios.checkpoints import load_member
from toolkit.ratios.cross_fit import CrossFitted, members_without
from toolkit.ratios.directions import Direction, score_directions
from toolkit.ratios.ensemble import MixtureEnsemble
from toolkit.ratios.features import FeatureMap, RawFeatures, feature_matrix
from toolkit.ratios.interface import Learner
from toolkit.ratios.plan import plan_ensemble
from toolkit.ratios.structure import EventClass, Mixture, Source
from toolkit.ratios.trained_mixture import TrainedMixture
from toolkit.ratios.training_history import TrainingHistory
from toolkit.ratios.training_state import read_state, write_state
from toolkit.weights import SimulatedEvents
from toolkit.weights.beam_swap import feature_swaps

FILE = "mixture.pt"
FORMAT = 7
"""Part of the key: raise it when the content of the file changes."""


def mixture_key(
    training: SimulatedEvents, *, config: AnyRatioConfig, model: Model, swaps: Mapping[str, BeamSwap | None] | None = None
) -> str:
    """Hash everything that decides a trained mixture: events, weights, features and their symmetry, settings; 32 hexadecimal digits."""
    settings = [FORMAT, config.model_dump(mode="json", exclude={"device"}), directions_of(model, config), training.processes]
    settings += [feature_swaps(config.features, declared=swaps) if config.fold_beam_axis else {}]
    digest = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=16)
    for values in (training.event_id, training.weights, feature_matrix(training.observables, config.features)):
        digest.update(np.ascontiguousarray(values).tobytes())
    if training.benchmark_weights is not None:
        digest.update(repr(training.benchmarks).encode() + np.ascontiguousarray(training.benchmark_weights).tobytes())
    return digest.hexdigest()


def directions_of(model: Model, config: AnyRatioConfig) -> list[dict[str, Any]]:
    """Return what a training takes from the model: its processes, and the scores that the calibration knows."""
    processes = [{"process": asdict(process) | {"splits": ()}} for process in model.processes]
    return [*processes, *(asdict(d) for d in score_directions(model, config.calibration_mu))]


def save_mixture(trained: TrainedMixture, folder: Path, *, key: str, members: Mapping[str, str]) -> None:
    """Write what `load_mixture` needs besides the members.

    Args:
        trained: The mixture.
        folder: Holds the files of the members.
        key: See `mixture_key`.
        members: Key of each member by the name of its file, in the order of the ensemble.
    """
    ensemble = trained.ensemble
    state = {
        "key": key,
        "members": dict(members),
        "config": trained.config.model_dump(mode="json"),
        "inputs": ensemble.feature_map.description,
        "feature_map": ensemble.feature_map.state_dict(),
        "mixture": asdict(ensemble.mixture),
        "directions": [asdict(d) for d in ensemble.calibration.directions],
        "calibration": ensemble.calibration.state_dict(),
        "out_of_bag": torch.from_numpy(trained.out_of_bag),
        "before_calibration": torch.from_numpy(trained.before_calibration),
        "cross_fit": None,
    }
    if trained.cross_fitted is not None:
        state["cross_fit"] = {
            "calibrations": [apart.calibration.state_dict() for apart in trained.cross_fitted.without],
            "out_of_fold": torch.from_numpy(trained.cross_fitted.out_of_fold),
            "in_calibration": torch.from_numpy(trained.cross_fitted.in_calibration),
        }
    write_state(folder / FILE, state)


def load_mixture(folder: Path, learner: Learner, *, key: str | None = None) -> TrainedMixture:
    """Read a trained mixture; every file is checked against its digest.

    Args:
        folder: Where `densities.DensityEstimator.fit` kept it.
        learner: How its members learned.
        key: Refuse a mixture of other events or settings (see `mixture_key`); None takes what is there.

    Returns:
        The mixture, the same to the last bit as it was returned.

    Raises:
        ArtifactMismatchError: A file is missing, damaged, or of other events or settings.
    """
    state = read_state(folder / FILE, key=key)
    if state is None:
        raise _unusable(folder, FILE, key)
    classes = tuple(EventClass(**{name: _tuples(v) for name, v in c.items()}) for c in state["mixture"]["classes"])
    mixture = Mixture(classes, tuple(Source(**{name: _tuples(v) for name, v in s.items()}) for s in state["mixture"]["sources"]))
    config: AnyRatioConfig = TypeAdapter(AnyRatioConfig).validate_python(state["config"])
    if isinstance(config, NetworkSettings):
        feature_map = FeatureMap(**state["inputs"], **state["feature_map"])
    else:
        feature_map = RawFeatures(state["inputs"]["features"])
    members: list[nn.Module] = []
    history: list[tuple[TrainingHistory, ...]] = []
    for name, member_key in state["members"].items():
        network = learner.network(feature_map, mixture=mixture, config=config)
        losses = load_member(folder / name, network, key=member_key)
        if losses is None:
            raise _unusable(folder, name, member_key)
        members.append(network)
        history.append(losses)
    directions = [Direction(**{name: _tuples(v) for name, v in d.items()}) for d in state["directions"]]

    def assembled(chosen: Sequence[nn.Module], numbers: Mapping[str, Any]) -> MixtureEnsemble:
        calibration = TargetedCalibration(mixture, directions)
        calibration.load_state_dict(numbers)
        return MixtureEnsemble(feature_map, chosen, calibration).double().eval()

    ensemble, kept, crossed = assembled(members, state["calibration"]), state["cross_fit"], None
    if kept is not None:
        plan = plan_ensemble(config)
        parts = [[members[m] for m in members_without(plan, k)] for k in range(len(kept["calibrations"]))]
        without = tuple(assembled(part, numbers) for part, numbers in zip(parts, kept["calibrations"], strict=True))
        crossed = CrossFitted(without, kept["out_of_fold"].numpy(), kept["in_calibration"].numpy())
    bagged, before = state["out_of_bag"].numpy(), state["before_calibration"].numpy()
    return TrainedMixture(ensemble, tuple(history), bagged, before, config, crossed)


def _unusable(folder: Path, name: str, key: str | None) -> ArtifactMismatchError:
    if not (folder / name).is_file():
        got = f"no file {name}"
    elif read_state(folder / name) is None:
        got = f"{name}, damaged"
    else:
        got = f"{name} of other events or another config"
    expected = "one finished member per choice of folds and their calibration" + (
        "" if key is None else ", of these events and this config"
    )
    return ArtifactMismatchError(f"networks in {folder}", got=got, expected=expected, remedy="train again with `h4l train CONFIG --force`")


def _tuples(value: Any) -> Any:
    """Turn lists into tuples, at any depth."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else value
