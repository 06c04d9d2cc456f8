"""What an architecture is: settings that build a network for given inputs.

A network sees the standardised columns of a `FeatureMap`, followed by `n_context` further columns (the parameters theta of a
parameterised estimator), and returns `n_outputs` numbers per event. Initial weights come from the generator alone.

When to use what: `MLP` for observables that every event has (the default; angles and masses already hold what the leptons
know). `DeepSet` when leptons and jets themselves are inputs, in any number and without an order that means something.
`Recurrent` for comparison: it reads the same objects one after the other.
"""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

import torch
from torch import nn

from toolkit.errors import SchemaError
from toolkit.ratios.features import FeatureMap

Activation = Literal["silu", "tanh", "relu", "gelu"]

_ACTIVATIONS: dict[str, type[nn.Module]] = {"silu": nn.SiLU, "tanh": nn.Tanh, "relu": nn.ReLU, "gelu": nn.GELU}


@runtime_checkable
class Architecture(Protocol):
    """Settings of a network."""

    def adapt(self, feature_map: FeatureMap) -> FeatureMap:
        """Return the feature map with the changes that the architecture needs (the same scales for like objects)."""
        ...

    def build(self, feature_map: FeatureMap, *, n_outputs: int, n_context: int, generator: torch.Generator) -> nn.Module:
        """Build the network: (n, n_inputs + n_context) -> (n, n_outputs).

        Raises:
            SchemaError: The features do not fit the architecture.
        """
        ...


def make_activation(name: Activation) -> nn.Module:
    """Return the activation function of this name.

    Examples:
        >>> make_activation("relu")(torch.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """
    if name not in _ACTIVATIONS:
        raise SchemaError("activation", got=name, expected=f"one of {sorted(_ACTIVATIONS)}")
    return _ACTIVATIONS[name]()


def make_linear(n_in: int, n_out: int, *, generator: torch.Generator, gain: float = 1.0) -> nn.Linear:
    """Return a linear layer with Gaussian weights of standard deviation gain / sqrt(n_in) and biases 0.

    Examples:
        >>> layer = make_linear(3, 2, generator=torch.Generator().manual_seed(1))
        >>> tuple(layer.weight.shape), layer.bias.tolist()
        ((2, 3), [0.0, 0.0])
    """
    layer = nn.Linear(n_in, n_out)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(n_out, n_in, generator=generator) * (gain / max(n_in, 1) ** 0.5))
        layer.bias.zero_()
    return layer


def count_parameters(network: nn.Module) -> int:
    """Count the trained numbers of a network.

    Examples:
        >>> count_parameters(nn.Linear(3, 2))
        8
    """
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
