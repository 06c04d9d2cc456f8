"""The map from observables to network inputs with all inputs of one kind side by side: a step for each kind, not for each column.

The same formulas as `toolkit.ratios.features`, in another order of the inputs, which the first layer of the networks then has as well.
"""

from __future__ import annotations

import torch
from torch import nn

from toolkit.ratios.features import CLIP, PT_SCALE, FeatureMap, RawFeatures, transform_of
from toolkit.weights.beam_swap import pivot_of


class GroupedFeatures(nn.Module):
    """From observables (n, n_features) to the inputs of the networks in another order, (n, n_inputs).

    Args:
        feature_map: The map.

    Attributes:
        order: Place of each of its inputs among those of the map.

    Raises:
        ValueError: Another map; events folded over charges; an observable that becomes a sum of others when the beams are exchanged, or
            an angle that moves by half a turn and enters as it is.
    """

    logarithms: torch.Tensor
    factor: torch.Tensor
    shift: torch.Tensor
    angles: torch.Tensor
    harmonic: torch.Tensor
    plain: torch.Tensor
    signs: torch.Tensor
    even: torch.Tensor
    mean: torch.Tensor
    inverse: torch.Tensor

    def __init__(self, feature_map: FeatureMap) -> None:
        super().__init__()
        if type(feature_map) is not FeatureMap or isinstance(feature_map, RawFeatures) or feature_map.fold_charges:
            what = "a map without charges to forget"
            raise ValueError(what)
        features, swaps = feature_map.features, feature_map.swaps
        kinds = [transform_of(name) for name in features]
        kinds = ["linear" if kind == "angle" and not feature_map.harmonics else kind for kind in kinds]
        pivot = pivot_of(swaps)
        self.pivot = None if pivot is None else features.index(pivot)
        behaviour = ["even" if self.pivot is None else swaps[name] for name in features]
        if any(b not in ("even", "odd") and not (b == "half_turn" and kind == "angle") for b, kind in zip(behaviour, kinds, strict=True)):
            what = "observables that keep or change their sign, and harmonics of angles"
            raise ValueError(what)
        start = [sum(4 if kind == "angle" else 1 for kind in kinds[:i]) for i in range(len(features))]
        logs = [i for i, kind in enumerate(kinds) if kind in ("log", "log1p")]
        angles = [i for i, kind in enumerate(kinds) if kind == "angle"]
        plain = [i for i, kind in enumerate(kinds) if kind == "linear"]
        odd = {i for i, b in enumerate(behaviour) if b == "odd"}
        turned = {i for i, b in enumerate(behaviour) if b == "half_turn"}  # the first harmonics change their sign
        if odd & {*logs}:
            what = "logarithms of observables that keep their sign"
            raise ValueError(what)
        steps = [(i, 0, 1.0) for i in angles] + [(i, 2, 2.0) for i in angles]
        # An odd angle turns its sines over, one that moves by half a turn sine and cosine of the first harmonic.
        sines = [(start[i] + place, (i in odd) or (i in turned and place == 0)) for i, place, _ in steps]
        cosines = [(start[i] + place + 1, i in turned and place == 0) for i, place, _ in steps]
        every = [*((start[i], False) for i in logs), *sines, *cosines, *((start[i], i in odd) for i in plain)]
        self.order = [place for place, _ in every]
        changes = torch.tensor([change for _, change in every])
        self.any_change = bool(changes.any())
        double = torch.float64
        buffers = {
            "logarithms": torch.tensor(logs, dtype=torch.int64),
            "factor": torch.tensor([[1.0 if kinds[i] == "log" else 1.0 / PT_SCALE for i in logs]], dtype=double),
            "shift": torch.tensor([[0.0 if kinds[i] == "log" else 1.0 for i in logs]], dtype=double),
            "angles": torch.tensor([i for i, _, _ in steps], dtype=torch.int64),
            "harmonic": torch.tensor([[h for _, _, h in steps]], dtype=double),
            "plain": torch.tensor(plain, dtype=torch.int64),
            "signs": torch.where(changes, -1.0, 1.0)[None].double(),
            "even": torch.ones(1, len(every), dtype=torch.float64),
            "mean": feature_map.mean[self.order].double().clone(),
            "inverse": 1.0 / feature_map.std[self.order].double(),
        }
        for name, values in buffers.items():
            self.register_buffer(name, values)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map observables to network inputs in the order `order`."""
        parts = []
        if len(self.logarithms):
            parts.append(torch.log(x.index_select(1, self.logarithms) * self.factor + self.shift))
        if len(self.angles):
            angles = x.index_select(1, self.angles) * self.harmonic
            parts += [torch.sin(angles), torch.cos(angles)]
        if len(self.plain):
            parts.append(x.index_select(1, self.plain))
        raw = torch.cat(parts, dim=1)
        if self.pivot is not None and self.any_change:
            raw = raw * torch.where(x[:, self.pivot : self.pivot + 1] < 0, self.signs, self.even)
        return ((raw - self.mean) * self.inverse).clamp(-CLIP, CLIP)
