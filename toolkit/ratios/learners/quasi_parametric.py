"""Quasi-parametric: one network of all heads, which has to tell the density at random parameter points from the reference.

The density at any point is f_1 u_1^T M_1 u_1 + f_2 u_2^T M_2 u_2 + ..., with the amplitude factors u_c and the factor f_c of every process;
the network gives the matrices M_c, positive as those of the mixture networks. For every event of every epoch the u_c are drawn on the unit
sphere (amplitudes at their yields, both signs) and the f_c uniformly in the logarithm, and the loss is that of `alice`,

    a softplus(-log r) + b softplus(log r),      a, b: weights of the event at the point and under the reference

so that every direction dominates in some of the points. The dependence on the parameters is exact, between and beyond them.

When to use: to compare with the mixture networks, which learn the same heads by one loss each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from toolkit.config.ratios import QuasiParametricConfig
from toolkit.ratios.batches import Batch, Batches
from toolkit.ratios.estimators.losses import cross_entropy_loss
from toolkit.ratios.features import FeatureMap
from toolkit.ratios.heads import density_weights
from toolkit.ratios.network import builder, inclusive_heads, starting_at
from toolkit.ratios.structure import EventClass, Mixture
from toolkit.ratios.targets import Targets
from toolkit.ratios.trainer import OnEpoch, train_network
from toolkit.ratios.training import batches_of, require_classes, training_settings, unfinished
from toolkit.ratios.training_history import TrainingHistory

NAME = "points"
LOG_RANGE = 2.0 * 2.302585092994046
"""Factors of the processes reach over a factor 100, from a tenth to ten."""
TINY = 1e-20


@dataclass(frozen=True)
class QuasiParametricLearner:
    """Trains one network of all heads at random points; see `interface.Learner`."""

    def network(self, feature_map: FeatureMap, *, mixture: Mixture, config: QuasiParametricConfig) -> nn.Module:
        """Build an untrained network."""
        return self._network(feature_map, mixture, config, torch.Generator())

    def train(
        self,
        inputs: torch.Tensor,
        targets: Targets,
        *,
        feature_map: FeatureMap,
        mixture: Mixture,
        config: QuasiParametricConfig,
        seed: int,
        on_progress: OnEpoch,
        checkpoint: Path | None,
    ) -> tuple[nn.Module, tuple[TrainingHistory, ...]]:
        """Train the network."""
        require_classes(targets, mixture)
        weights = density_weights(targets, mixture)
        settings = training_settings(config, epochs=config.epochs, seed=seed)
        generator = torch.Generator().manual_seed(seed)
        network = self._network(feature_map, mixture, config, generator)
        own_file = None if checkpoint is None else unfinished(checkpoint, NAME)
        with batches_of((inputs, weights), settings, generator, stream_above_mb=config.stream_above_mb, beside=own_file) as batches:
            history = train_network(
                network,
                PointLoss(mixture),
                RandomPoints(batches, n=sum(1 + c.n_amplitudes for c in mixture.classes), seed=seed),
                settings=settings,
                name=NAME,
                generator=generator,
                on_progress=on_progress,
                checkpoint=own_file,
                key=f"{mixture}",
            )
        return network.cpu().eval(), (history,)

    def _network(self, feature_map: FeatureMap, mixture: Mixture, config: QuasiParametricConfig, generator: torch.Generator) -> nn.Module:
        bias = torch.cat([torch.zeros(mixture.n_logits), *(inclusive_heads(mixture.classes[k]) for k in mixture.coherent)])
        return starting_at(builder(config, feature_map), bias, generator)


class RandomPoints:
    """Appends normally distributed numbers to the batches of others; those of the validation events stay the same.

    Args:
        events: The batches.
        n: Numbers per event.
        seed: Of the numbers of the validation events.
    """

    def __init__(self, events: Batches, *, n: int, seed: int) -> None:
        self.events, self.n, self.seed = events, n, seed
        self.n_training, self.n_validation, self.batch_size = events.n_training, events.n_validation, events.batch_size

    def training(self, generator: torch.Generator, *, batch_size: int | None = None) -> Iterator[Batch]:
        """Yield the batches of one epoch, the numbers (n_events, n) last."""
        for batch in self.events.training(generator, batch_size=batch_size):
            yield (*batch, torch.randn(len(batch[0]), self.n, generator=generator).to(batch[0].device))

    def validation(self) -> Iterator[Batch]:
        """Yield the validation events."""
        generator = torch.Generator().manual_seed(self.seed)
        for batch in self.events.validation():
            yield (*batch, torch.randn(len(batch[0]), self.n, generator=generator).to(batch[0].device))

    def digest(self) -> bytes:
        """Hash everything that decides the batches."""
        return self.events.digest() + f"{self.n} {self.seed}".encode()


@dataclass(frozen=True, eq=False)
class PointLoss:
    """The loss of `alice` at random points, of a batch (inputs, weights under every density, numbers)."""

    mixture: Mixture

    def __call__(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        """Return the mean over the events of the batch."""
        inputs, weights, numbers = batch
        heads = network(inputs)
        fractions = self.mixture.reference_fractions()
        names = self.mixture.processes
        b = weights @ torch.tensor([fractions[name] for name in names], dtype=weights.dtype, device=weights.device)
        share = torch.softmax(self.mixture.class_logits(heads), dim=1) * len(self.mixture.classes)
        found, joint, norm = torch.zeros_like(b), torch.zeros_like(b), torch.zeros_like(b)
        first, column = 0, 0
        for k, c in enumerate(self.mixture.classes):
            factor = torch.exp(LOG_RANGE * (torch.special.ndtr(numbers[:, first]) - 0.5))
            u = nn.functional.normalize(numbers[:, first + 1 : first + 1 + c.n_amplitudes], dim=1)
            products = self.mixture.products(heads, k)
            own = weights[:, column : column + len(c.pairs)]
            for q, product, exact in zip(_numbers(u, c), products, _exact(own, c), strict=True):
                found = found + factor * q * product * share[:, k] * c.class_yield
                joint = joint + factor * q * exact
            for q, inclusive in zip(_numbers(u, c), _exact(torch.ones_like(own), c), strict=True):
                norm = norm + factor * q * inclusive
            first += 1 + c.n_amplitudes
            column += len(c.pairs)
        norm = norm.clamp_min(TINY)
        return cross_entropy_loss(torch.log((found / norm).clamp_min(TINY)), joint / norm, b).mean()


def _numbers(u: torch.Tensor, c: EventClass) -> list[torch.Tensor]:
    """Return the factors of M_kk and 2 M_kl, (n,) each, for amplitudes in units of the roots of their yields."""
    yields = dict(zip(c.pairs, c.yields, strict=True))
    scaled = [u[:, k] / yields[k, k] ** 0.5 for k in range(c.n_amplitudes)]
    return [scaled[k] * scaled[m] for k, m in c.pairs]


def _exact(weights: torch.Tensor, c: EventClass) -> list[torch.Tensor]:
    """Return M_kk and 2 M_kl at their yields from the weights under the normalised densities, (n,) each."""
    column = {pair: weights[:, j] * n for j, (pair, n) in enumerate(zip(c.pairs, c.yields, strict=True))}
    return [column[k, m] if k == m else column[k, m] - column[k, k] - column[m, m] for k, m in c.pairs]
