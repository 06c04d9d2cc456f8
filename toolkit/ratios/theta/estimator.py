"""Estimators whose network reads theta: alices, alice, carl, cascal, rascal, rolr.

When to use: to learn the density at any parameter value in one network, without the decomposition into a few densities that the
mixture needs; beside the mixture as a check. Whatever the loss, the ratio is averaged over the ensemble and divided by its mean over
the reference, measured out of bag: every training event is evaluated by members that did not train on it. Out of bag too the
calibration takes away the bias along the scores (`toolkit.ratios.theta.calibration`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from toolkit.artifacts.atomic import make_folder
from toolkit.config import ThetaConfig
from toolkit.errors import ArtifactMismatchError, PhysicsDomainError
from toolkit.kinematics.beam_swap import BeamSwap
from toolkit.model import Model
from toolkit.model.theta_points import ThetaPoints
from toolkit.ratios.checkpoints import load_member
from toolkit.ratios.estimators.parameterised import require_positive_yield
from toolkit.ratios.estimators.preparation import Prepared, prepare_with
from toolkit.ratios.estimators.theta import Terms
from toolkit.ratios.features import FeatureMap, feature_matrix
from toolkit.ratios.members import train_ensemble
from toolkit.ratios.network import architecture_of, feature_map_of
from toolkit.ratios.plan import plan_ensemble
from toolkit.ratios.theta.calibration import fit_tilts
from toolkit.ratios.theta.ensemble import ThetaEnsemble, ThetaPolynomial, Tilt
from toolkit.ratios.theta.hypotheses import hypotheses_of
from toolkit.ratios.theta.model import TrainedTheta, add_calibration, average
from toolkit.ratios.theta.task import ThetaTask, prior_of
from toolkit.ratios.training_history import TrainingHistory
from toolkit.ratios.training_state import read_state, write_state
from toolkit.typing import FloatArray, Progress, silent_progress
from toolkit.weights import SimulatedEvents, assign_fold

FILE = "theta.pt"
ARRAYS = ("out_of_bag", "before_calibration", "nodes", "at_nodes")
FORMAT = 3
DEGREE = 32
"""Of the nodes at which the training events are evaluated."""
SMOOTH = 12
"""Degree of the polynomials of the calibration and of the mean over the reference."""


class ThetaEstimator:
    """See `toolkit.ratios.interface.Estimator`."""

    def fit(
        self,
        training: SimulatedEvents,
        *,
        config: ThetaConfig,
        model: Model,
        folder: Path,
        progress: Progress = silent_progress,
        executor: Any = "sequential",
        workers: int | None = None,
        former: Sequence[Path] = (),
        swaps: Mapping[str, BeamSwap | None] | None = None,
    ) -> TrainedTheta:
        """Train all members, or read the finished ones, and normalise out of bag; see `interface.Estimator.fit`."""
        folder, plan = make_folder(folder), plan_ensemble(config)
        points, task = ThetaPoints.of(model), task_of(training, config=config, model=model, swaps=swaps)
        require_positive_yield(prior_of(config), task.hypotheses, Terms(task.hypotheses))
        trained = train_ensemble(task, plan, folder=folder, executor=executor, workers=workers, progress=progress, former=former)
        progress("calibration", 0.0, 1.0)
        feature_map, terms = task.prepared.feature_map, Terms(task.hypotheses)
        tilt, log_mean = _no_tilt(terms, points, config), _polynomial(np.zeros(1), terms, points)
        ensemble = ThetaEnsemble(feature_map, terms, trained.networks, tilt=tilt, log_mean=log_mean).double().eval()
        x, nodes = feature_matrix(training.observables, config.features), theta_nodes(points, terms)
        wanted = (points.values, tuple(nodes.tolist()), anchors_of(points, config))
        before, at_nodes, at_anchors = (average(ensemble, x, values, plan, task.fold, trained=False) for values in wanted)
        reference = training.weights @ task.hypotheses.reference
        numerators = training.weights @ np.stack([task.hypotheses.coefficients(float(value)) for value in nodes], axis=1)
        _calibrate(ensemble, at_nodes, at_anchors, nodes, points, reference=reference, numerators=numerators)
        after = [add_calibration(ensemble, *pair, at_anchors) for pair in zip(wanted[:2], (before, at_nodes), strict=True)]
        result = TrainedTheta(ensemble, points, trained.history, after[0], before, (nodes, after[1]), config)
        progress("calibration", 1.0, 1.0)
        key = theta_key(training, config=config, model=model)
        write_state(folder / FILE, _state(result, key=key, members={member.file: task.key(member) for member in plan}))
        return result

    def load(
        self,
        folder: Path,
        *,
        config: ThetaConfig,
        training: SimulatedEvents | None = None,
        model: Model | None = None,
        swaps: Mapping[str, BeamSwap | None] | None = None,
    ) -> TrainedTheta:
        """Read the trained ensemble; see `interface.Estimator.load`."""
        del swaps  # the feature map is stored
        key = None if training is None or model is None else theta_key(training, config=config, model=model)
        state = read_state(folder / FILE, key=key)
        if state is None or state["estimator"] != config.estimator:
            raise _unusable(folder, FILE)
        feature_map = FeatureMap(**state["inputs"], **state["feature_map"])
        points = ThetaPoints(**_tuples(state["points"]))
        terms = Terms.restored(state["terms"])
        networks: list[nn.Module] = []
        history: list[tuple[TrainingHistory, ...]] = []
        for name, member_key in state["members"].items():
            network = architecture_of(config).build(feature_map, n_outputs=1, n_context=1, generator=torch.Generator())
            losses = load_member(folder / name, network, key=member_key)
            if losses is None:
                raise _unusable(folder, name)
            networks.append(network)
            history.append(losses)
        tilt, log_mean = _no_tilt(terms, points, config), _polynomial(np.zeros(SMOOTH + 1), terms, points)
        tilt.load_state_dict(state["tilt"])
        log_mean.load_state_dict(state["log_mean"])
        ensemble = ThetaEnsemble(feature_map, terms, networks, tilt=tilt, log_mean=log_mean).double().eval()
        out_of_bag, before, nodes, at_nodes = (state[name].numpy() for name in ARRAYS)
        return TrainedTheta(ensemble, points, tuple(history), out_of_bag, before, (nodes, at_nodes), config)


def task_of(
    training: SimulatedEvents, *, config: ThetaConfig, model: Model, swaps: Mapping[str, BeamSwap | None] | None = None
) -> ThetaTask:
    """Prepare the events of a training.

    Raises:
        SchemaError, PhysicsDomainError: A feature is missing, constant or not finite, a weight is unusable, or the model has another form.
    """
    hypotheses = hypotheses_of(training, model)
    x = torch.from_numpy(feature_matrix(training.observables, config.features))
    feature_map = feature_map_of(x, config, swaps)
    prepared: Prepared = prepare_with(feature_map, x, training, hypotheses=hypotheses)
    fold = assign_fold(training.event_id, n_folds=config.splits.folds, salt=config.splits.salt).astype(np.int64)
    return ThetaTask(prepared, fold, hypotheses, config)


def theta_key(training: SimulatedEvents, *, config: ThetaConfig, model: Model) -> str:
    """Hash everything that decides a trained ensemble: events, weights, features, densities, settings; 32 hexadecimal digits."""
    settings = [FORMAT, config.model_dump(mode="json", exclude={"device"}), training.processes, asdict(ThetaPoints.of(model))]
    digest = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=16)
    for values in (training.event_id, training.weights, feature_matrix(training.observables, config.features)):
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def theta_nodes(points: ThetaPoints, terms: Terms) -> FloatArray:
    """Return Chebyshev nodes of the coordinate in which the networks are smooth, over the range of the parameter, (DEGREE + 1,)."""
    low, high = points.range
    root = terms.roots[0]
    u = low**root + 0.5 * (1.0 - np.cos(np.pi * np.arange(DEGREE + 1) / DEGREE)) * (high**root - low**root)
    theta = u ** (1.0 / root)
    theta[0], theta[-1] = low, high
    return np.asarray(theta)


def anchors_of(points: ThetaPoints, config: ThetaConfig) -> tuple[float, ...]:
    """Return the values whose neighbours span the directions of the calibration: those of the config inside the range, and its ends."""
    low, high = points.range
    return (low, *sorted({float(v) for v in config.calibration_mu if low < v < high}), high)


def _no_tilt(terms: Terms, points: ThetaPoints, config: ThetaConfig) -> Tilt:
    anchors = terms.from_theta(torch.tensor(anchors_of(points, config), dtype=torch.float64)[:, None])[:, 0]
    n = len(anchors) - 1
    zeros, ones = torch.zeros(n, dtype=torch.float64), torch.ones(n, dtype=torch.float64)
    return Tilt(anchors, zeros, ones, [_polynomial(np.zeros(SMOOTH + 1), terms, points) for _ in range(n)])


@torch.no_grad()
def _calibrate(
    ensemble: ThetaEnsemble,
    at_nodes: FloatArray,
    at_anchors: FloatArray,
    nodes: FloatArray,
    points: ThetaPoints,
    *,
    reference: FloatArray,
    numerators: FloatArray,
) -> None:
    """Fit the tilt at every node, put polynomials through them, and normalise what they make of the ensemble."""
    tilt, raw = ensemble.tilt, torch.from_numpy(at_anchors)
    differences = raw[:, 1:] - raw[:, :-1]
    tilt.centre.copy_(differences.mean(dim=0))
    tilt.scale.copy_(differences.std(dim=0).clamp_min(1e-9))
    slopes = fit_tilts(at_nodes, tilt.directions(raw).numpy(), reference=reference, numerators=numerators)
    tilt.slopes = nn.ModuleList(_polynomial(_through_nodes(values), ensemble.terms, points) for values in slopes.T)
    tilted = add_calibration(ensemble, nodes.tolist(), at_nodes, at_anchors)
    mean = reference @ np.exp(tilted) / float(reference.sum())
    if not np.all(np.isfinite(mean) & (mean > 0.0)):
        worst = int(np.argmin(np.where(np.isfinite(mean), mean, -np.inf)))
        remedy = "train longer, or on more events"
        raise PhysicsDomainError(
            f"mean of the ratio at {points.parameter} = {nodes[worst]:g}", got=mean[worst], expected="> 0", remedy=remedy
        )
    ensemble.log_mean = _polynomial(_through_nodes(np.log(mean)), ensemble.terms, points)


def _through_nodes(values: FloatArray) -> FloatArray:
    """Return the Chebyshev coefficients of the polynomial through values at the nodes."""
    x = -np.cos(np.pi * np.arange(DEGREE + 1) / DEGREE)
    return np.asarray(np.polynomial.chebyshev.chebfit(x, values, SMOOTH))


def _polynomial(coefficients: FloatArray, terms: Terms, points: ThetaPoints) -> ThetaPolynomial:
    ends = terms.from_theta(torch.tensor(points.range, dtype=torch.float64)[:, None])[:, 0]
    return ThetaPolynomial(torch.from_numpy(coefficients), low=ends[0].clone(), high=ends[1].clone()).double()


def _state(trained: TrainedTheta, *, key: str, members: Mapping[str, str]) -> dict[str, Any]:
    """Return what `load` needs besides the members."""
    ensemble, feature_map = trained.ensemble, trained.ensemble.feature_map
    return {
        "key": key,
        "estimator": trained.estimator,
        "members": dict(members),
        "inputs": feature_map.description,
        "feature_map": feature_map.state_dict(),
        "terms": ensemble.terms.kept,
        "points": asdict(trained.points),
        "tilt": ensemble.tilt.state_dict(),
        "log_mean": ensemble.log_mean.state_dict(),
        **dict(zip(ARRAYS, map(torch.from_numpy, (trained.out_of_bag, trained.before_calibration, *trained.nodes)), strict=True)),
    }


def _unusable(folder: Path, name: str) -> ArtifactMismatchError:
    got = f"{name}, damaged or of other events or another config" if (folder / name).is_file() else f"no file {name}"
    remedy = "train again with `h4l train CONFIG --force`"
    return ArtifactMismatchError(f"networks in {folder}", got=got, expected="the finished members of this config", remedy=remedy)


def _tuples(value: Any) -> Any:
    """Turn lists into tuples, at any depth."""
    if isinstance(value, dict):
        return {name: _tuples(v) for name, v in value.items()}
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else value
