"""A recurrent network over leptons and jets, for comparison with the deep set.

Gated recurrent units read the objects of a group from the last (softest) to the first.
The state after the last object read goes, with the global variables, into a perceptron. Missing objects leave the state as it is.

References:
    Cho et al., "Learning phrase representations using RNN encoder-decoder", arXiv:1406.1078.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from toolkit.ratios.architectures.interface import Activation, make_linear
from toolkit.ratios.architectures.mlp import perceptron
from toolkit.ratios.architectures.objects import ObjectColumns, ObjectGroup, global_columns, lepton_group, tie_scales
from toolkit.ratios.features import FeatureMap


@dataclass(frozen=True)
class Recurrent:
    """Gated recurrent units over groups of objects.

    Args:
        groups: Leptons, jets, ...; their columns must be among the features, all other features are global.
        state: Size of the state of each group.
        hidden: Hidden widths of the network behind the states and the global variables.
        activation: Of the layers behind the states.
    """

    groups: tuple[ObjectGroup, ...] = field(default_factory=lambda: (lepton_group(),))
    state: int = 16
    hidden: tuple[int, ...] = (64, 64)
    activation: Activation = "silu"

    def adapt(self, feature_map: FeatureMap) -> FeatureMap:
        """Return the map with the same scales for all objects of a group."""
        return tie_scales(feature_map, self.groups)

    def build(self, feature_map: FeatureMap, *, n_outputs: int, n_context: int, generator: torch.Generator) -> nn.Module:
        """Build the network: (n, n_inputs + n_context) -> (n, n_outputs)."""
        takers = [ObjectColumns(group, feature_map.features) for group in self.groups]
        cells = [GatedCell(taker.width, self.state, generator=generator) for taker in takers]
        others = global_columns(feature_map.features, self.groups, n_context=n_context)
        n_head = self.state * len(takers) + len(others)
        head = perceptron(n_head, self.hidden, n_outputs, activation=self.activation, generator=generator)
        return RecurrentNetwork(takers, cells, others, head)


class GatedCell(nn.Module):
    """One step of a gated recurrent unit, from operators that every runtime has (`torch.nn.GRUCell` is its oracle in the tests)."""

    def __init__(self, n_inputs: int, n_state: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.n_state = n_state
        self.from_input = make_linear(n_inputs, 3 * n_state, generator=generator)
        self.from_state = make_linear(n_state, 3 * n_state, generator=generator)

    def forward(self, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        """Return the new state, shape (n, n_state)."""
        n = self.n_state
        a, b = self.from_input(x), self.from_state(h)
        reset = torch.sigmoid(a[:, :n] + b[:, :n])
        update = torch.sigmoid(a[:, n : 2 * n] + b[:, n : 2 * n])
        proposal = torch.tanh(a[:, 2 * n :] + reset * b[:, 2 * n :])
        return (1.0 - update) * proposal + update * h


class RecurrentNetwork(nn.Module):
    """See `Recurrent`."""

    others: torch.Tensor

    def __init__(self, takers: Sequence[ObjectColumns], cells: Sequence[GatedCell], others: torch.Tensor, head: nn.Module) -> None:
        super().__init__()
        self.n_state = cells[0].n_state
        self.takers = nn.ModuleList(takers)
        self.cells = nn.ModuleList(cells)
        self.head = head
        self.register_buffer("others", others)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Return the outputs, shape (n, n_outputs)."""
        parts = [z.index_select(1, self.others)]
        for taker, cell in zip(self.takers, self.cells, strict=True):
            objects, present = taker(z)
            h = torch.zeros_like(objects[:, 0, :1]).expand(-1, self.n_state)
            for k in range(objects.shape[1] - 1, -1, -1):
                new = cell(objects[:, k], h)
                h = new if present is None else present[:, k] * new + (1.0 - present[:, k]) * h
            parts.append(h)
        out: torch.Tensor = self.head(torch.cat(parts, dim=1))
        return out
