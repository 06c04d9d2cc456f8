"""The networks of one ensemble member: plain multilayer perceptrons with SiLU activations, together giving the heads of `Mixture`.

Classes and compositions are networks of their own. The classes learn from labels and overfit early; the composition of a coherent class
(shares and interferences of its amplitudes) learns from exact weights without label noise and gains from a longer training.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import nn

from toolkit.ratios.structure import EventClass, Mixture


class MixtureNetwork(nn.Module):
    """Maps network inputs to heads.

    Args:
        n_inputs: Width of the input.
        hidden: Widths of the hidden layers of each part.
        mixture: Defines the heads; their biases start at the inclusive ratios, so that training starts from the rate.
        generator: Source of the initial weights.

    Attributes:
        classes: Gives the logits of the classes after the first, shape (n, n_classes - 1); None for one class.
        compositions: Give the heads of every coherent class.
    """

    def __init__(self, n_inputs: int, *, hidden: Sequence[int], mixture: Mixture, generator: torch.Generator) -> None:
        super().__init__()
        n = mixture.n_logits
        self.classes = _perceptron(n_inputs, hidden, torch.zeros(n), generator=generator) if n else None
        coherent = [mixture.classes[k] for k in mixture.coherent]
        self.compositions = nn.ModuleList(_perceptron(n_inputs, hidden, inclusive_heads(c), generator=generator) for c in coherent)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Compute the heads, shape (n, n_heads)."""
        parts = [part(z) for part in ([] if self.classes is None else [self.classes])] + [part(z) for part in self.compositions]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


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


def inclusive_heads(c: EventClass) -> torch.Tensor:
    """Return the heads of a class that give its inclusive yields, the coherences kept inside (-0.95, 0.95), (n_heads,).

    Examples:
        >>> c = EventClass("gg", ("S", "SBI", "B"), (10.0, 90.0, 100.0), kappas=(10.0, 1.0), reference=1)
        >>> [round(x, 3) for x in inclusive_heads(c).tolist()]  # equal shares; c = -20 / (2 sqrt(1000))
        [0.0, -0.327]
    """
    by_pair = dict(zip(c.pairs, c.yields, strict=True))
    squares = [by_pair[k, k] for k in range(c.n_amplitudes)]
    base = c.kappas[c.reference] * squares[c.reference]
    logits = [torch.log(torch.tensor([c.kappas[k] * squares[k] / base])) for k in range(c.n_amplitudes) if k != c.reference]
    rows = [[1.0]]
    heads = []
    for k in range(1, c.n_amplitudes):
        row: list[float] = []
        left = 1.0
        for m in range(k):
            coherence = (by_pair[m, k] - squares[m] - squares[k]) / (2.0 * (squares[m] * squares[k]) ** 0.5)
            known = sum(a * b for a, b in zip(row, rows[m], strict=False))
            partial = max(-0.95, min(0.95, (coherence - known) / (left * rows[m][m])))
            heads.append(torch.tensor([partial]).atanh())
            row.append(partial * left)
            left *= (1.0 - partial**2) ** 0.5
        rows.append([*row, left])
    return torch.cat([*logits, *heads])
