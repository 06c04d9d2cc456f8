"""Trained classifiers as modules: of one fold, and the mean of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from toolkit.ratios.features import FeatureMap, feature_matrix
from toolkit.ratios.training_history import TrainingHistory
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents

REFERENCE = "equal mixture"
"""Name of the reference of the log ratios."""


@dataclass(frozen=True, eq=False)
class TrainedClassifier:
    """A trained classifier.

    Attributes:
        features: Input columns.
        classes: Names of the outputs: of classes or densities; of a local score its own.
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
def out_of_fold(
    trained: TrainedClassifier, events: SimulatedEvents, fold: NDArray[np.integer[Any]], *, missing: bool = False
) -> FloatArray:
    """Evaluate every event by the training that did not see its fold, (n, n_classes), or (n, 1) of a local score.

    Args:
        trained: The trainings.
        events: Simulated events.
        fold: Fold of each event, (n,).
        missing: Let features be missing, for trees.
    """
    x = torch.from_numpy(feature_matrix(events.observables, trained.features, missing=missing))
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
