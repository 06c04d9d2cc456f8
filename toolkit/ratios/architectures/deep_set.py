"""Deep sets: a network per object, summed over the objects that exist, next to the global variables.

The output does not depend on the order of the objects of a group, and missing objects contribute nothing.

References:
    Zaheer et al., "Deep sets", arXiv:1703.06114; Komiske, Metodiev, Thaler, arXiv:1810.05165.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from toolkit.ratios.architectures.interface import Activation
from toolkit.ratios.architectures.mlp import perceptron
from toolkit.ratios.architectures.objects import ObjectColumns, ObjectGroup, global_columns, lepton_group, tie_scales
from toolkit.ratios.features import FeatureMap


@dataclass(frozen=True)
class DeepSet:
    """A deep set over groups of objects.

    Args:
        groups: Leptons, jets, ...; their columns must be among the features, all other features are global.
        object_hidden: Hidden widths of the network of one object.
        summary: Numbers per object that are summed.
        hidden: Hidden widths of the network behind the sums and the global variables.
        activation: Of all layers.
    """

    groups: tuple[ObjectGroup, ...] = field(default_factory=lambda: (lepton_group(),))
    object_hidden: tuple[int, ...] = (32,)
    summary: int = 16
    hidden: tuple[int, ...] = (64, 64)
    activation: Activation = "silu"

    def adapt(self, feature_map: FeatureMap) -> FeatureMap:
        """Return the map with the same scales for all objects of a group."""
        return tie_scales(feature_map, self.groups)

    def build(self, feature_map: FeatureMap, *, n_outputs: int, n_context: int, generator: torch.Generator) -> nn.Module:
        """Build the network: (n, n_inputs + n_context) -> (n, n_outputs)."""
        takers = [ObjectColumns(group, feature_map.features) for group in self.groups]
        per_object = [
            perceptron(taker.width, self.object_hidden, self.summary, activation=self.activation, generator=generator) for taker in takers
        ]
        others = global_columns(feature_map.features, self.groups, n_context=n_context)
        n_head = self.summary * len(takers) + len(others)
        head = perceptron(n_head, self.hidden, n_outputs, activation=self.activation, generator=generator)
        return DeepSetNetwork(takers, per_object, others, head)


class DeepSetNetwork(nn.Module):
    """See `DeepSet`."""

    others: torch.Tensor

    def __init__(self, takers: Sequence[ObjectColumns], per_object: Sequence[nn.Module], others: torch.Tensor, head: nn.Module) -> None:
        super().__init__()
        self.takers = nn.ModuleList(takers)
        self.per_object = nn.ModuleList(per_object)
        self.head = head
        self.register_buffer("others", others)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Return the outputs, shape (n, n_outputs)."""
        parts = [z.index_select(1, self.others)]
        for taker, network in zip(self.takers, self.per_object, strict=True):
            objects, present = taker(z)
            summary = network(objects)
            parts.append((summary if present is None else summary * present).sum(dim=1))
        out: torch.Tensor = self.head(torch.cat(parts, dim=1))
        return out
