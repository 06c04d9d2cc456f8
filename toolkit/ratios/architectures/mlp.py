"""The multilayer perceptron: plain, or with residual layers for deep ones."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from toolkit.errors import SchemaError
from toolkit.ratios.architectures.interface import Activation, make_activation, make_linear
from toolkit.ratios.features import FeatureMap

LAST_GAIN = 0.3
"""Small initial weights of the last layer: a training starts near the constant answer."""


@dataclass(frozen=True)
class MLP:
    """A multilayer perceptron.

    Args:
        hidden: Widths of the hidden layers.
        activation: `silu` (default), `tanh` (smooth and bounded, as in the first papers), `relu` or `gelu`.
        residual: Add the input of every hidden layer but the first to its output; all widths must be equal. Helps from about
            five layers on.

    Raises:
        SchemaError: No layers, a width below 1, or residual layers of different widths.

    Examples:
        >>> x = torch.tensor([[200.0, 0.0], [400.0, 1.0], [800.0, -1.0]], dtype=torch.float64)
        >>> feature_map = FeatureMap.fitted(("m4l", "y4l"), x, fold=False)
        >>> network = MLP((8, 8)).build(feature_map, n_outputs=1, n_context=0, generator=torch.Generator().manual_seed(1))
        >>> sum(p.numel() for p in network.parameters())  # 2 x 8 + 8, 8 x 8 + 8, 8 + 1
        105
    """

    hidden: tuple[int, ...] = (64, 64, 64)
    activation: Activation = "silu"
    residual: bool = False

    def __post_init__(self) -> None:
        make_activation(self.activation)
        if not self.hidden or min(self.hidden) < 1:
            raise SchemaError("MLP.hidden", got=self.hidden, expected="at least one width, all >= 1")
        if self.residual and len(set(self.hidden)) != 1:
            raise SchemaError("MLP.hidden", got=self.hidden, expected="equal widths with residual=True")

    def adapt(self, feature_map: FeatureMap) -> FeatureMap:
        """Return the feature map as it is."""
        return feature_map

    def build(self, feature_map: FeatureMap, *, n_outputs: int, n_context: int, generator: torch.Generator) -> nn.Module:
        """Build the network: (n, n_inputs + n_context) -> (n, n_outputs)."""
        return self.stack(feature_map.n_inputs + n_context, n_outputs, generator=generator)

    def stack(self, n_inputs: int, n_outputs: int, *, generator: torch.Generator) -> nn.Sequential:
        """Build the layers for any width of the input."""
        return perceptron(n_inputs, self.hidden, n_outputs, activation=self.activation, residual=self.residual, generator=generator)


class ResidualLayer(nn.Module):
    """h + activation(linear(h))."""

    def __init__(self, width: int, *, activation: Activation, generator: torch.Generator) -> None:
        super().__init__()
        self.linear = make_linear(width, width, generator=generator)
        self.activation = make_activation(activation)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """Return the sum, shape (n, width)."""
        out: torch.Tensor = h + self.activation(self.linear(h))
        return out


def perceptron(
    n_inputs: int, hidden: Sequence[int], n_outputs: int, *, activation: Activation, residual: bool = False, generator: torch.Generator
) -> nn.Sequential:
    """Stack linear layers with activations; the last layer is linear with small weights and biases 0."""
    widths = [n_inputs, *hidden]
    layers: list[nn.Module] = []
    for k, (a, b) in enumerate(itertools.pairwise(widths)):
        if residual and k > 0:
            layers.append(ResidualLayer(b, activation=activation, generator=generator))
        else:
            layers += [make_linear(a, b, generator=generator), make_activation(activation)]
    return nn.Sequential(*layers, make_linear(widths[-1], n_outputs, gain=LAST_GAIN, generator=generator))
