"""What all estimators share: settings, the tensors of a training, one call of the training loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from toolkit.artifacts.atomic import make_folder
from toolkit.artifacts.onnx_metadata import Feature
from toolkit.errors import FitError
from toolkit.kinematics import OBSERVABLES
from toolkit.ratios.architectures import MLP, Architecture, count_parameters
from toolkit.ratios.batches import Batches
from toolkit.ratios.features import FeatureMap, feature_matrix
from toolkit.ratios.schedules import TrainingSettings
from toolkit.ratios.trainer import Loss, train_network
from toolkit.ratios.training_history import TrainingHistory
from toolkit.typing import FloatArray, Progress
from toolkit.weights import SimulatedEvents, hash_uniform
from toolkit.weights.hypotheses import Hypotheses


@dataclass(frozen=True)
class NetworkEstimator:
    """Settings of every estimator that trains a network.

    Args:
        architecture: The network.
        training: The training loop.
        fold_beam_axis: Rotate every event to cos_theta_star >= 0, see `toolkit.ratios.features`; not with objects as inputs.
        harmonics: Angles enter as sines and cosines; see `toolkit.ratios.features.FeatureMap`.
        allow_few_events: Train even where the network has more numbers than there are events.
    """

    architecture: Architecture = field(default_factory=MLP)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    fold_beam_axis: bool = False
    harmonics: bool = True
    allow_few_events: bool = False


@dataclass(frozen=True, eq=False)
class Prepared:
    """Simulated events as a training sees them.

    Attributes:
        feature_map: From observables to network inputs.
        columns: Name, unit and range of every observable.
        inputs: Network inputs, (n, n_inputs), float32.
        processes: Weight in every process, each column with mean 1, (n, n_processes), float32.
        terms: Weight in every term relative to the reference's total, (n, n_terms), float32; sum_k t_k terms_k has the mean
            nu(theta) / nu_ref.
        reference: Weight in the reference, mean 1, (n,), float32.
        coin: One number in [0, 1) per event, a hash of its number: which of several hypotheses it stands for where it may stand for
            one only, (n,), float32.
    """

    feature_map: FeatureMap
    columns: tuple[Feature, ...]
    inputs: torch.Tensor
    processes: torch.Tensor
    terms: torch.Tensor
    reference: torch.Tensor
    coin: torch.Tensor

    @property
    def context(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Inputs, terms, reference, coin: a batch of a parameterised training before theta."""
        return self.inputs, self.terms, self.reference, self.coin


def prepare(events: SimulatedEvents, *, features: Sequence[str], hypotheses: Hypotheses, settings: NetworkEstimator) -> Prepared:
    """Turn simulated events into tensors.

    Raises:
        SchemaError, PhysicsDomainError: A feature is missing, constant or not finite; the reference has no support somewhere.
        ShapeError: The events have other processes than the hypotheses.
    """
    x = torch.from_numpy(feature_matrix(events.observables, features))
    feature_map = settings.architecture.adapt(
        FeatureMap.fitted(tuple(features), x, fold=settings.fold_beam_axis, harmonics=settings.harmonics)
    )
    return prepare_with(feature_map, x, events, hypotheses=hypotheses)


def prepare_with(feature_map: FeatureMap, x: torch.Tensor, events: SimulatedEvents, *, hypotheses: Hypotheses) -> Prepared:
    """Turn simulated events with observables x (n, n_features) into tensors; errors as of `prepare`."""
    hypotheses.require_support(events)
    n, nu = len(events), hypotheses.reference_yield
    return Prepared(
        feature_map=feature_map,
        columns=describe_columns(events, feature_map.features),
        inputs=feature_map(x).float(),
        processes=_float32(n * events.weights / hypotheses.yields),
        terms=_float32(n * hypotheses.terms(events.weights) / nu),
        reference=_float32(n * (events.weights @ hypotheses.reference) / nu),
        coin=_float32(hash_uniform(events.event_id, salt="label")),
    )


def describe_columns(events: SimulatedEvents, features: Sequence[str]) -> tuple[Feature, ...]:
    """Return name, unit and range of every feature."""
    return tuple(Feature(n, _unit(n), float(np.min(events.observables[n])), float(np.max(events.observables[n]))) for n in features)


def build_network(prepared: Prepared, *, settings: NetworkEstimator, n_outputs: int, n_context: int = 0) -> nn.Module:
    """Build the network of an estimator with weights from its seed.

    Raises:
        FitError: It has more numbers than there are events.
    """
    generator = torch.Generator().manual_seed(settings.training.seed)
    network = settings.architecture.build(prepared.feature_map, n_outputs=n_outputs, n_context=n_context, generator=generator)
    n, k = len(prepared.inputs), count_parameters(network)
    if k > n and not settings.allow_few_events:
        remedy = "take a smaller network or more events; allow_few_events=True trains all the same"
        raise FitError("training events", got=f"{n} events", expected=f">= {k}, the trained numbers of the network", remedy=remedy)
    return network


def train(
    network: nn.Module,
    loss: Loss,
    batches: Batches,
    *,
    settings: NetworkEstimator,
    name: str,
    key: str,
    progress: Progress,
    folder: Path | None,
) -> TrainingHistory:
    """Train a network with the loop of the toolkit; with a folder the training is kept there and resumed.

    Args:
        network: Trained in place; on the CPU and in evaluation mode afterwards.
        loss: Mean over the events of a batch.
        batches: Events.
        settings: Of the estimator.
        name: Label of the progress and name of the checkpoint.
        key: What else decides the result: the loss and its settings.
        progress: Called after every epoch.
        folder: Where NAME.pt is kept.
    """
    checkpoint = None if folder is None else make_folder(folder) / f"{name}.pt"

    def report(done: float, _: float) -> None:
        progress(name, done, 1.0)

    history = train_network(
        network, loss, batches, settings=settings.training, name=name, on_progress=report, checkpoint=checkpoint, key=key
    )
    progress(name, 1.0, 1.0)
    network.cpu().eval()
    return history


def as_batch(x: FloatArray) -> torch.Tensor:
    """Return rows as a float64 tensor."""
    return torch.from_numpy(np.array(x, dtype=np.float64))


def _float32(values: FloatArray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).float()


def _unit(name: str) -> str:
    known = OBSERVABLES.get(name.removesuffix("_filled"))
    return "" if known is None else known.unit
