"""The networks of one member: one for the classes and one for every composition, together giving the heads of `Mixture`.

Classes and compositions are networks of their own. The classes learn from labels and overfit early; the composition of a coherent class
(shares and interferences of its amplitudes) learns from exact weights without label noise and gains from a longer training. Where all
that is known of an event is the sample it came from, one network gives all heads: interference is then a difference between samples, to
which every one of them contributes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

from toolkit.config.ratios import NetworkSettings
from toolkit.kinematics.beam_swap import BeamSwap
from toolkit.ratios.architectures import MLP, Architecture, DeepSet, Recurrent
from toolkit.ratios.architectures.objects import object_groups
from toolkit.ratios.features import FeatureMap
from toolkit.ratios.structure import EventClass, Mixture

Build = Callable[[int, torch.Generator], nn.Module]
"""build(n_outputs, generator): a network of the inputs with so many outputs."""


def architecture_of(config: NetworkSettings) -> Architecture:
    """Return the architecture that a config asks for.

    Raises:
        SchemaError: The features lack columns of its objects.
    """
    if config.architecture in {"mlp", "residual"}:
        return MLP(config.hidden, activation=config.activation, residual=config.architecture == "residual")
    kind = DeepSet if config.architecture == "deep_set" else Recurrent
    return kind(groups=object_groups(config.features), hidden=config.hidden, activation=config.activation)


def feature_map_of(x: torch.Tensor, config: NetworkSettings, swaps: Mapping[str, BeamSwap | None] | None) -> FeatureMap:
    """Fit the map from observables, (n, n_features), to the inputs that a config asks for, with the same scales for like objects."""
    charges = bool(config.fold_lepton_charges)
    fitted = FeatureMap.fitted(config.features, x, fold=config.fold_beam_axis, swaps=swaps, fold_charges=charges)
    return architecture_of(config).adapt(fitted)


def builder(config: NetworkSettings, feature_map: FeatureMap) -> Build:
    """Return what builds the networks that a config asks for."""
    architecture = architecture_of(config)

    def build(n_outputs: int, generator: torch.Generator) -> nn.Module:
        return architecture.build(feature_map, n_outputs=n_outputs, n_context=0, generator=generator)

    return build


class MixtureNetwork(nn.Module):
    """Maps network inputs to heads.

    Args:
        build: Builds each part.
        mixture: Defines the heads; their biases start at the inclusive ratios, so that training starts from the rate.
        generator: Source of the initial weights.

    Attributes:
        classes: Gives the logits of the classes after the first, shape (n, n_classes - 1); None for one class.
        compositions: Give the heads of every coherent class.
        everything: Gives all heads, for a mixture that is learned from labels (`Mixture.sources`); None otherwise.
    """

    def __init__(self, build: Build, *, mixture: Mixture, generator: torch.Generator) -> None:
        super().__init__()
        n = mixture.n_logits
        self.everything = None
        if mixture.sources:
            bias = torch.cat([torch.zeros(n), *(inclusive_heads(mixture.classes[k]) for k in mixture.coherent)])
            self.classes, self.compositions = None, nn.ModuleList()
            self.everything = starting_at(build, bias, generator)
            return
        self.classes = build(n, generator) if n else None
        coherent = [mixture.classes[k] for k in mixture.coherent]
        self.compositions = nn.ModuleList(starting_at(build, inclusive_heads(c), generator) for c in coherent)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Compute the heads, shape (n, n_heads)."""
        if self.everything is not None:
            found: torch.Tensor = self.everything(z)
            return found
        parts = [part(z) for part in ([] if self.classes is None else [self.classes])] + [part(z) for part in self.compositions]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def starting_at(build: Build, bias: torch.Tensor, generator: torch.Generator) -> nn.Module:
    """Build a network whose output is near `bias` at the start."""
    network = build(len(bias), generator)
    last = [part for part in network.modules() if isinstance(part, nn.Linear)][-1]
    with torch.no_grad():
        last.bias.copy_(bias)
    return network


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
