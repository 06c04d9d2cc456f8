"""Losses that make the outputs of a classifier independent of other observables, for a background.

Adversary (`aspiration`): a second network tells pairs (output, m) of background events from pairs whose m is that of another event. As
long as it can, the output knows something of m; the classifier learns to make its task impossible:

    loss = cross-entropy - strength (H - ln 2),      H = mean cross-entropy of the adversary, ln 2 where it has nothing to go by

Both learn at once: a layer between them turns the gradient of the adversary over. Which epoch is kept is decided by cross-entropy and
distance correlation of the validation events: an adversary that has learned little would let the first epochs pass.

Distance correlation needs no second network: it is zero for independent quantities and for these alone, and is computed from the
distances of all pairs of events of a batch.

References:
    Louppe, Kagan, Cranmer, arXiv:1611.01046; Ganin, Lempitsky, arXiv:1409.7495 (the layer); Kasieczka, Shih, arXiv:2001.05310;
    Szekely, Rizzo, Bakirov, Ann. Statist. 35 (2007) 2769.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn.functional import softplus

from toolkit.config.classifiers import DecorrelationConfig
from toolkit.ratios.architectures.mlp import MLP
from toolkit.ratios.estimators.losses import process_loss
from toolkit.ratios.trainer import Batch, Loss

HIDDEN = (32, 32)
"""Widths of the adversary where nobody chose any."""
MOST_EVENTS = 2048
"""Of a batch whose pairs are looked at: memory grows with their square, and validation events come in one batch."""
SMALLEST_VARIANCE = 1e-12
"""Of distances: a constant output is independent of everything."""


class Adversarial(nn.Module):
    """A classifier and the network that tries to find m in its outputs.

    Args:
        classifier: Inputs to logits, (n, n_classes).
        n_classes: Number of logits.
        n_variables: Number of observables m.
        config: Widths of the adversary.
        generator: Source of its initial weights.
    """

    def __init__(
        self, classifier: nn.Module, *, n_classes: int, n_variables: int, config: DecorrelationConfig, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.classifier = classifier
        self.adversary = MLP(tuple(config.hidden or HIDDEN)).stack(n_classes + n_variables, 1, generator=generator)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the logits of the classifier."""
        logits: torch.Tensor = self.classifier(inputs)
        return logits


def adversarial_loss(strength: float) -> Loss:
    """Return the loss of a batch (inputs, weights under the classes, observables m, weights under the background) of an `Adversarial`.

    Args:
        strength: Factor of what the adversary finds.

    Examples:
        A classifier that knows nothing tells nothing of m; in evaluation its loss is ln 2:

        >>> nothing, generator = nn.Linear(1, 2), torch.Generator().manual_seed(1)
        >>> _ = nn.init.zeros_(nothing.weight), nn.init.zeros_(nothing.bias)
        >>> section = DecorrelationConfig(variables=("m4l",))
        >>> both = Adversarial(nothing, n_classes=2, n_variables=1, config=section, generator=generator).eval()
        >>> x = torch.arange(4.0)[:, None]
        >>> round(adversarial_loss(3.0)(both, (x, torch.eye(2).repeat(2, 1), x, torch.ones(4))).item(), 4)
        0.6931
    """

    def loss(network: nn.Module, batch: Batch) -> torch.Tensor:
        assert isinstance(network, Adversarial)
        inputs, weights, m, background = batch
        logits = network(inputs)
        told = process_loss(logits, weights).mean()
        rows = torch.nonzero(background)[:, 0]
        if len(rows) < 2:
            return told
        outputs = torch.softmax(logits, dim=1).index_select(0, rows)
        of = background.index_select(0, rows)
        if not network.training:
            return told + strength * _correlations(outputs[:MOST_EVENTS], m.index_select(0, rows[:MOST_EVENTS]), of[:MOST_EVENTS])
        found = adversary_entropy(network.adversary, _Reversal.apply(outputs, strength), m.index_select(0, rows), of)  # type: ignore[no-untyped-call]
        value = told.detach() - strength * (found.detach() - math.log(2.0))
        learned = told + found
        return learned + (value - learned.detach())

    return loss


def adversary_entropy(adversary: nn.Module, outputs: torch.Tensor, m: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Compute the mean cross-entropy with which the adversary tells true pairs from pairs with the m of another event.

    Args:
        adversary: (n, n_outputs + n_variables) to logits (n, 1), positive for true pairs.
        outputs: (n, n_outputs) of the classifier.
        m: (n, n_variables).
        weights: (n,) of the events, either sign. A pair of two events has the product of theirs: both kinds of pairs have the same
            distribution of m.
    """
    other = torch.randperm(len(m), device=m.device)
    crossed = weights * weights.index_select(0, other)
    true = adversary(torch.cat([outputs, m], dim=1))[:, 0]
    false = adversary(torch.cat([outputs, m.index_select(0, other)], dim=1))[:, 0]
    return 0.5 * ((weights * softplus(-true)).sum() / weights.sum() + (crossed * softplus(false)).sum() / crossed.sum())


def distance_loss(strength: float) -> Loss:
    """Return a loss: cross-entropy, and the squared distance correlation of the outputs with every observable.

    Args:
        strength: Factor of the correlations. The batches are (inputs, weights under the classes, observables m, weights under the
            background).

    Examples:
        >>> nothing = nn.Linear(1, 2)
        >>> _ = nn.init.zeros_(nothing.weight), nn.init.zeros_(nothing.bias)
        >>> x = torch.arange(4.0)[:, None]
        >>> round(distance_loss(3.0)(nothing, (x, torch.eye(2).repeat(2, 1), x, torch.ones(4))).item(), 4)
        0.6931
    """

    def loss(network: nn.Module, batch: Batch) -> torch.Tensor:
        inputs, weights, m, background = batch
        logits = network(inputs)
        told = process_loss(logits, weights).mean()
        rows = torch.nonzero(background)[:MOST_EVENTS, 0]
        if len(rows) < 2:
            return told
        outputs, of = torch.softmax(logits, dim=1).index_select(0, rows), background.index_select(0, rows)
        return told + strength * _correlations(outputs, m.index_select(0, rows), of)

    return loss


def _correlations(outputs: torch.Tensor, m: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Sum the squared distance correlations with every observable."""
    return torch.stack([distance_correlation(outputs, column, weights) for column in torch.split(m, 1, dim=1)]).sum()


def distance_correlation(x: torch.Tensor, y: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Compute the squared distance correlation of two quantities of weighted events.

    Args:
        x: (n, n_x).
        y: (n, n_y).
        weights: (n,), of positive sum.

    Returns:
        sum_ij w_i w_j A_ij B_ij over the root of the product of the same with A, A and B, B. A and B are the matrices of distances less the
        weighted means of rows and columns. Between 0 (independent, up to a bias of the order of 1/n) and 1.

    Examples:
        >>> x = torch.arange(5.0, dtype=torch.float64)[:, None]
        >>> round(float(distance_correlation(x, 3.0 - 2.0 * x, torch.ones(5, dtype=torch.float64))), 12)
        1.0
    """
    w = weights / weights.sum()
    a, b = (_centred(torch.cdist(part, part, compute_mode="donot_use_mm_for_euclid_dist"), w) for part in (x, y))

    def mean(one: torch.Tensor, two: torch.Tensor) -> torch.Tensor:
        return w @ (one * two) @ w

    return mean(a, b) / torch.sqrt(mean(a, a).clamp_min(SMALLEST_VARIANCE) * mean(b, b).clamp_min(SMALLEST_VARIANCE))


def _centred(distances: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    rows = distances @ w
    return distances - rows[:, None] - rows[None, :] + w @ rows


def background_ranks(m: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the place of every event in the distribution of the background, (n, n_variables), of mean 0 and variance 1 there.

    Places keep all that a dependence is, and give every part of a long tail its say.

    Args:
        m: (n, n_variables).
        weights: (n,) under the background.

    Examples:
        >>> m = torch.tensor([[5.0], [1.0], [9.0]])
        >>> background_ranks(m, torch.tensor([1.0, 1.0, 0.0])).round(decimals=3).flatten().tolist()
        [0.866, -0.866, 1.732]
    """
    columns = []
    for column in m.T:
        values, group = torch.unique(column, return_inverse=True)
        sums = torch.zeros(len(values), dtype=torch.float64).index_add_(0, group, weights.double()) / weights.double().sum()
        columns.append(((torch.cumsum(sums, dim=0) - sums / 2.0)[group] - 0.5) * math.sqrt(12.0))
    return torch.stack(columns, dim=1)


class _Reversal(torch.autograd.Function):
    """The identity, whose gradient is multiplied by a negative number."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, strength: float) -> torch.Tensor:
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return -ctx.strength * gradients[0], None
