"""What trains one part of a classifier: a network, or boosted trees."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from toolkit.config import AnyClassifierConfig, ClassifierConfig, TreesClassifierConfig
from toolkit.errors import PhysicsDomainError
from toolkit.kinematics.beam_swap import BeamSwap
from toolkit.ratios.architectures import MLP, Architecture, DeepSet, Recurrent
from toolkit.ratios.architectures.objects import object_groups
from toolkit.ratios.classification.decorrelation import Adversarial, adversarial_loss, background_ranks, distance_loss
from toolkit.ratios.classification.forest import grow_forest
from toolkit.ratios.classification.modules import SoftmaxRatios
from toolkit.ratios.classification.quantiles import PlaceInBackground, line_of
from toolkit.ratios.estimators.sally import ScaledScore, sally_loss
from toolkit.ratios.estimators.trees import TreeOutputs
from toolkit.ratios.features import FeatureMap, RawFeatures, transform_of
from toolkit.ratios.learners.multiclass import softmax_loss
from toolkit.ratios.members import Member
from toolkit.ratios.trainer import Batch, Loss, OnEpoch, TrainingSettings, in_memory, train_network
from toolkit.ratios.training import unfinished
from toolkit.ratios.training_history import TrainingHistory
from toolkit.ratios.training_state import tensor_bytes

FORMAT = 2
"""Part of the key: raise it when the content of a checkpoint changes."""
_LEFT_OUT = {"numerator", "denominator", "classes", "where", "folds", "importance", "groups"}
"""Settings that the weights of the events stand for, or that change no training."""


@dataclass(frozen=True, eq=False)
class ClassifierTask(ABC):
    """Trains the parts of a classifier; see `members.MemberTask`.

    Attributes:
        name: Of the classifier.
        x: Features in physical units, (n, n_features) float64; NaN where missing, for trees only.
        weights: Weights under each class, (n, n_classes) float64; of a local score what `score_weights` returns.
        fold: Fold of each event, (n,).
        config: Architecture and settings.
        fold_beam_axis: See `FeatureMap`.
        swaps: See `FeatureMap`.
        threads: Processor threads.
        device: Where it trains.
        apart: What the outputs are to know nothing of, and the weight under the background, (n, n_variables + 1); None for nothing.
    """

    name: str
    x: torch.Tensor
    weights: torch.Tensor
    fold: NDArray[np.int64]
    config: AnyClassifierConfig
    fold_beam_axis: bool
    swaps: Mapping[str, BeamSwap | None]
    threads: int
    device: str
    apart: torch.Tensor | None = None

    @abstractmethod
    def network(self) -> nn.Module:
        """Build an untrained module."""

    @abstractmethod
    def train(self, member: Member, *, checkpoint: Path, on_progress: OnEpoch) -> tuple[nn.Module, tuple[TrainingHistory, ...]]:
        """Train without the events of the member's fold: neither scales nor class weights know them."""

    def key(self, member: Member) -> str:
        """Hash the events that are seen, all settings and the seed."""
        local = self.config.local_score is not None
        left_out = _LEFT_OUT if local else _LEFT_OUT | {"local_score"}
        settings = self.config.model_dump(mode="json", exclude=left_out)
        fold = {name: self.swaps.get(name) for name in self.config.features} if self.fold_beam_axis else {}
        document = [FORMAT, self.name, settings, list(self.config.sums), self.fold_beam_axis, fold, self.threads, member.seed]
        digest = hashlib.blake2b(json.dumps(document, sort_keys=True).encode(), digest_size=16)
        for tensor in (*self._part(member), *(() if self.apart is None else (self._of(member, self.apart),))):
            digest.update(tensor_bytes(tensor))
        return digest.hexdigest()

    def check(self, member: Member) -> None:
        """Check that every class has weight among the events of a training, and every feature a value; a local score has no classes.

        Raises:
            PhysicsDomainError: One has none.
        """
        x, weights = self._part(member)
        for name, missing in zip(self.config.features, torch.isnan(x).all(dim=0).tolist(), strict=True):
            if missing:
                what, remedy = f"feature {name} of classifier {self.name}", "leave it out of the classifier"
                raise PhysicsDomainError(
                    what, got=f"no value in any event without fold {member.index}", expected="some values", remedy=remedy
                )
        if self.config.local_score is not None:
            return
        for density, total in zip(self.config.sums, weights.sum(dim=0).tolist(), strict=True):
            if not total > 0.0:
                raise PhysicsDomainError(
                    f"class {density} of classifier {self.name}",
                    got=f"total weight {total:g} without fold {member.index}",
                    expected="selected events with a positive total weight",
                    remedy="simulate more events of it, or leave it out of the classifier",
                )

    def _part(self, member: Member) -> tuple[torch.Tensor, torch.Tensor]:
        return self._of(member, self.x), self._of(member, self.weights)

    def _of(self, member: Member, values: torch.Tensor) -> torch.Tensor:
        return values[torch.from_numpy(member.subset(len(self.x), fold=self.fold).rows)]

    def _softmax(self, feature_map: FeatureMap, network: nn.Module) -> nn.Module:
        n = self.weights.shape[1]
        return SoftmaxRatios(feature_map, network, torch.full((n,), 1.0 / n, dtype=torch.float64)).double().eval()


class NetworkTask(ClassifierTask):
    """Trains networks."""

    config: ClassifierConfig

    def check(self, member: Member) -> None:
        """Check the weights of the classes, and that every feature tells events apart."""
        super().check(member)
        x, _ = self._part(member)
        for k, name in enumerate(self.config.features):
            if bool((x[:, k] == x[0, k]).all()):
                raise PhysicsDomainError(
                    f"feature {name} of classifier {self.name}",
                    got=f"{float(x[0, k])} in every event that it learns from",
                    expected="different values",
                    remedy=f"leave it out of classifiers.{self.name}.features: it carries no information",
                )

    def network(self) -> nn.Module:
        """Build an untrained network."""
        n_inputs = sum(4 if transform_of(name) == "angle" else 1 for name in self.config.features)
        zeros, ones = torch.zeros(n_inputs, dtype=torch.float64), torch.ones(n_inputs, dtype=torch.float64)
        feature_map = FeatureMap(self.config.features, fold=self.fold_beam_axis, mean=zeros, std=ones, swaps=self.swaps)
        return self._complete(feature_map, self._untrained(feature_map, seed=0))

    def train(self, member: Member, *, checkpoint: Path, on_progress: OnEpoch) -> tuple[nn.Module, tuple[TrainingHistory, ...]]:
        """Train a network without the events of the member's fold."""
        x, weights = self._part(member)
        settings = TrainingSettings(
            epochs=self.config.epochs,
            batch_size=self.config.batch_size,
            smaller_batches="batch_size" not in self.config.model_fields_set,
            learning_rate=self.config.learning_rate,
            threads=self.threads,
            device=self.device,
            seed=member.seed,
        )
        fitted = FeatureMap.fitted(self.config.features, x, fold=self.fold_beam_axis, swaps=self.swaps)
        feature_map = architecture_of(self.config).adapt(fitted)
        shares, scale = self._targets(weights)
        used = (shares != 0.0).any(dim=1)
        batches = in_memory((feature_map(x[used]).float(), shares[used].float(), *self._background(member, used)), settings)
        network = self._untrained(feature_map, seed=member.seed)
        learner, loss, key = self._learner(network, seed=member.seed)
        name = f"{self.name} without fold {member.index}"
        file = unfinished(checkpoint, "classes")
        history = train_network(learner, loss, batches, settings=settings, name=name, on_progress=on_progress, checkpoint=file, key=key)
        complete = self._complete(feature_map, network.cpu(), scale)
        if isinstance(complete, PlaceInBackground) and self.apart is not None:
            complete.fit(x, self._of(member, self.apart)[:, -1], name=self.name)
        return complete, (history,)

    def _learner(self, network: nn.Module, *, seed: int) -> tuple[nn.Module, Loss, str]:
        """Return what learns, with the network inside, its loss, and the name of that."""
        section = self.config.decorrelate
        if self.config.local_score is not None:
            return network, local_score_loss, "local score"
        if section is None or section.method == "quantiles":
            return network, softmax_loss, "classification"
        if section.method == "distance_correlation":
            return network, distance_loss(section.strength), f"distance {section.strength}"
        n_classes, generator = self.weights.shape[1], torch.Generator().manual_seed(seed + 1)
        both = Adversarial(network, n_classes=n_classes, n_variables=len(section.variables), config=section, generator=generator)
        return both, adversarial_loss(section.strength), f"adversary {section.strength}"

    def _background(self, member: Member, used: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the places of the background in the observables, and its weights, if outputs are to know nothing of any."""
        if self.apart is None or (self.config.decorrelate is not None and self.config.decorrelate.method == "quantiles"):
            return ()
        variables, weights = torch.split(self._of(member, self.apart), [self.apart.shape[1] - 1, 1], dim=1)
        of = weights[:, 0]
        return background_ranks(variables, of)[used].float(), (of * (len(of) / of.sum()))[used].float()

    def _targets(self, weights: torch.Tensor) -> tuple[torch.Tensor, float]:
        """Return weights of the same total for every class; or density and derivative of mean square score 1, and what was divided by."""
        if self.config.local_score is None:
            return balanced(weights), 1.0
        density, slope = weights.unbind(dim=1)
        known = density > 0.0
        scale = float(torch.sqrt((slope[known] ** 2 / density[known]).sum() / density.sum()))
        return torch.stack([density, slope / scale], dim=1) * (len(weights) / density.sum()), scale

    def _untrained(self, feature_map: FeatureMap, *, seed: int) -> nn.Module:
        n_outputs = self.weights.shape[1] if self.config.local_score is None else 1
        generator = torch.Generator().manual_seed(seed)
        return architecture_of(self.config).build(feature_map, n_outputs=n_outputs, n_context=0, generator=generator)

    def _complete(self, feature_map: FeatureMap, network: nn.Module, scale: float = 1.0) -> nn.Module:
        if self.config.local_score is not None:
            return ScaledScore(feature_map, network, torch.tensor([scale], dtype=torch.float64)).double().eval()
        ratios, section = self._softmax(feature_map, network), self.config.decorrelate
        if section is None or section.method != "quantiles":
            return ratios
        above, below = line_of(self.config.numerator, self.config.denominator, tuple(self.config.sums))
        column = self.config.features.index(section.variables[0])
        return PlaceInBackground(ratios, column=column, above=above, below=below).double().eval()


class ForestTask(ClassifierTask):
    """Grows boosted trees; it takes seconds, so that nothing is kept on the way."""

    config: TreesClassifierConfig

    def network(self) -> nn.Module:
        """Build a module without trees."""
        return self._softmax(RawFeatures(self.config.features), TreeOutputs.empty(self.weights.shape[1]))

    def train(self, member: Member, *, checkpoint: Path, on_progress: OnEpoch) -> tuple[nn.Module, tuple[TrainingHistory, ...]]:
        """Grow trees without the events of the member's fold."""
        del checkpoint
        x, weights = self._part(member)
        shares = balanced(weights)
        used = (shares != 0.0).any(dim=1)
        feature_map = RawFeatures(self.config.features)
        inputs = feature_map(x[used]).double().numpy()
        name = f"{self.name} without fold {member.index}"
        outputs, history = grow_forest(
            inputs, shares[used].numpy(), config=self.config, seed=member.seed, threads=self.threads, name=name, on_progress=on_progress
        )
        return self._softmax(feature_map, outputs), (history,)


def architecture_of(config: ClassifierConfig) -> Architecture:
    """Return the architecture that a section asks for.

    Raises:
        SchemaError: The features lack columns of its objects.
    """
    if config.architecture in {"mlp", "residual"}:
        return MLP(tuple(config.hidden), residual=config.architecture == "residual")
    kind = DeepSet if config.architecture == "deep_set" else Recurrent
    return kind(
        groups=object_groups(config.features, lepton_labels=("z",) if config.lepton_labels is None else config.lepton_labels),
        hidden=tuple(config.hidden),
    )


def balanced(weights: torch.Tensor) -> torch.Tensor:
    """Return weights (n, n_classes) of the same total for every class, 1 per event on average.

    Examples:
        >>> balanced(torch.tensor([[1.0, 0.0], [3.0, 0.5]])).tolist()
        [[0.25, 0.0], [0.75, 1.0]]
    """
    return weights * (len(weights) / weights.sum(dim=0) / weights.shape[1])


def local_score_loss(network: nn.Module, batch: Batch) -> torch.Tensor:
    """Compute the squared error of a score, of a batch (inputs, density and its derivative)."""
    inputs, both = batch
    return sally_loss(network, (inputs, both[:, 0], both[:, 1:]))
