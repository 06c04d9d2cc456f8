"""The networks of one ensemble member: plain multilayer perceptrons with SiLU activations, together giving the heads of `Mixture`.

Classes and composition are networks of their own. The classes learn from labels and overfit early; the composition of the
interfering events (signal share, coherence) learns from exact weights without label noise and gains from a longer training.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import nn

from toolkit.ratios.structure import Mixture


class MixtureNetwork(nn.Module):
    """Maps network inputs to heads.

    Args:
        n_inputs: Width of the input.
        hidden: Widths of the hidden layers of each part.
        mixture: Defines the heads; their biases start at the inclusive ratios, so that training starts from the rate.
        generator: Source of the initial weights.

    Attributes:
        classes: Gives log p_b / p_G of every background, shape (n, n_b); None without backgrounds.
        composition: Gives signal logit and artanh of the coherence, shape (n, 2).
    """

    def __init__(self, n_inputs: int, *, hidden: Sequence[int], mixture: Mixture, generator: torch.Generator) -> None:
        super().__init__()
        n_b = len(mixture.backgrounds)
        self.classes = _perceptron(n_inputs, hidden, torch.zeros(n_b), generator=generator) if n_b else None
        self.composition = _perceptron(n_inputs, hidden, _inclusive_composition(mixture), generator=generator)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Compute the heads, shape (n, n_heads)."""
        composition: torch.Tensor = self.composition(z)
        return composition if self.classes is None else torch.cat([self.classes(z), composition], dim=1)


def _perceptron(n_inputs: int, hidden: Sequence[int], bias: torch.Tensor, *, generator: torch.Generator) -> nn.Sequential:
    """Build a perceptron whose output is near `bias` at the start."""
    widths = [n_inputs, *hidden]
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [_linear(a, b, gain=1.0, generator=generator), nn.SiLU()]
    last = _linear(widths[-1], len(bias), gain=0.3, generator=generator)
    with torch.no_grad():
        last.bias.copy_(bias)
    return nn.Sequential(*layers, last)


def _linear(n_in: int, n_out: int, *, gain: float, generator: torch.Generator) -> nn.Linear:
    layer = nn.Linear(n_in, n_out)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(n_out, n_in, generator=generator) * (gain / n_in**0.5))
        layer.bias.zero_()
    return layer


def _inclusive_composition(mixture: Mixture) -> torch.Tensor:
    s, sbi, b = mixture.yields[:3]
    coherence = (sbi - s - b) / (2.0 * (s * b) ** 0.5)
    logit = torch.log(torch.tensor([mixture.kappa * s / b]))
    return torch.cat([logit, torch.tensor([max(-0.95, min(0.95, coherence))]).atanh()])
