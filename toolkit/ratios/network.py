"""The network of one ensemble member: a plain multilayer perceptron with SiLU activations and the heads of `Mixture`."""

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
        hidden: Widths of the hidden layers.
        mixture: Defines the heads; their biases start at the inclusive ratios, so that training starts from the rate.
        generator: Source of the initial weights.
    """

    def __init__(self, n_inputs: int, *, hidden: Sequence[int], mixture: Mixture, generator: torch.Generator) -> None:
        super().__init__()
        widths = [n_inputs, *hidden]
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise(widths):
            layers += [_linear(a, b, gain=1.0, generator=generator), nn.SiLU()]
        last = _linear(widths[-1], mixture.n_heads, gain=0.3, generator=generator)
        with torch.no_grad():
            last.bias.copy_(_inclusive_heads(mixture))
        self.layers = nn.Sequential(*layers, last)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Compute the heads, shape (n, n_heads)."""
        heads: torch.Tensor = self.layers(z)
        return heads


def _linear(n_in: int, n_out: int, *, gain: float, generator: torch.Generator) -> nn.Linear:
    layer = nn.Linear(n_in, n_out)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(n_out, n_in, generator=generator) * (gain / n_in**0.5))
        layer.bias.zero_()
    return layer


def _inclusive_heads(mixture: Mixture) -> torch.Tensor:
    s, sbi, b = mixture.yields[:3]
    coherence = (sbi - s - b) / (2.0 * (s * b) ** 0.5)
    logit = torch.log(torch.tensor(mixture.kappa * s / b))
    return torch.cat([torch.zeros(len(mixture.backgrounds)), logit[None], torch.tensor([max(-0.95, min(0.95, coherence))]).atanh()])
