"""SALLY: the score at one point as an observable.

The network minimises  E[ a |t(x, z) - t_hat(x)|^2 ]  under p(x|theta_0), with the joint score t; its minimum is the score of the marginal
density, t(x) = d log p(x|theta) / d theta at theta_0. Near theta_0 it is a sufficient statistic: a histogram of it is locally optimal, and
templates make it right everywhere, whatever the network learned. Robust, quick, weaker far from theta_0.

References:
    Brehmer, Cranmer, Louppe, Pavez, arXiv:1805.00020, section IV.C (SALLY).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from toolkit.ratios.batches import Batch
from toolkit.ratios.estimators.losses import score_loss
from toolkit.ratios.estimators.models import ScoreModel
from toolkit.ratios.estimators.parameterised import density, density_slope
from toolkit.ratios.estimators.preparation import NetworkEstimator, build_network, prepare, train
from toolkit.ratios.estimators.theta import Terms
from toolkit.ratios.features import FeatureMap
from toolkit.ratios.trainer import in_memory
from toolkit.typing import Progress, silent_progress
from toolkit.weights import SimulatedEvents
from toolkit.weights.hypotheses import Hypotheses


@dataclass(frozen=True)
class Sally(NetworkEstimator):
    """The score at one point.

    Args:
        theta: The point, usually that of the Standard Model; a number or one value per parameter.
    """

    theta: float | tuple[float, ...] = 1.0

    name: ClassVar[str] = "sally"

    def fit(
        self,
        events: SimulatedEvents,
        *,
        features: Sequence[str],
        hypotheses: Hypotheses,
        progress: Progress = silent_progress,
        folder: Path | None = None,
    ) -> ScoreModel:
        """Train the network; the arguments are those of `ParameterisedEstimator.fit`.

        Raises:
            PhysicsDomainError: The score is infinite at the point (0 under a root).
        """
        point = hypotheses.point(self.theta)
        hypotheses.gradient(point)
        prepared = prepare(events, features=features, hypotheses=hypotheses, settings=self)
        terms, theta = Terms(hypotheses), torch.from_numpy(point)[None, :]
        v = terms.from_theta(theta).expand(len(prepared.inputs), -1)
        a = density(terms, prepared.terms.double(), v)
        slope = density_slope(terms, prepared.terms.double(), v, a)
        roots = torch.from_numpy(hypotheses.roots)
        per_theta = (roots * theta[0] ** (roots - 1.0)) / terms.scale
        network = build_network(prepared, settings=self, n_outputs=len(point))
        batches = in_memory((prepared.inputs, a.float(), slope.float()), self.training)
        history = train(network, sally_loss, batches, settings=self, name=self.name, key="score", progress=progress, folder=folder)
        module = ScaledScore(prepared.feature_map, network, per_theta).double().eval()
        return ScoreModel(self.name, prepared.columns, hypotheses, (history,), module, tuple(point.tolist()))


class ScaledScore(nn.Module):
    """The score in physical units of theta from that in the standardised coordinate."""

    per_theta: torch.Tensor

    def __init__(self, feature_map: FeatureMap, network: nn.Module, per_theta: torch.Tensor) -> None:
        super().__init__()
        self.feature_map = feature_map
        self.network = network
        self.register_buffer("per_theta", per_theta)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return d log p / d theta, shape (n, n_parameters)."""
        score: torch.Tensor = self.network(self.feature_map(x)) * self.per_theta
        return score


def sally_loss(network: nn.Module, batch: Batch) -> torch.Tensor:
    """Compute the squared error of a batch (inputs, a, slope)."""
    inputs, a, slope = batch
    return score_loss(network(inputs), a, slope).mean()
