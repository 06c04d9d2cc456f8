"""From observables in physical units to well-scaled network inputs, inside the network, so that an exported model needs neither.

Heavy-tailed masses and momenta enter as logarithms, angles as sines and cosines of the first two harmonics (the
cut at +-pi disappears), everything else as it is; then all inputs are standardised and clipped at `CLIP` standard deviations.

Two identical beams look the same from both sides: a rotation by pi about a transverse axis maps cos_theta_star, y4l -> -cos_theta_star,
-y4l and phi_1 -> phi_1 +- pi and leaves the other observables. With `fold` every event is rotated to cos_theta_star >= 0, so
that the networks need not learn this symmetry and cannot break it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from toolkit.errors import PhysicsDomainError, SchemaError

Transform = Literal["log", "log1p", "angle", "linear"]

CLIP = 6.0
"""Inputs beyond this many standard deviations are clipped: the network never extrapolates in one variable."""
PT_SCALE = 20.0
"""GeV; log(1 + pt / PT_SCALE) is linear well below and logarithmic well above."""
_ANGLES = frozenset({"phi", "phi_1", "delta_phi_jj", "vbf_phi", "vbf_phi_1"})
_ODD = frozenset({"cos_theta_star", "y4l"})
"""Observables that change sign under the rotation by pi about a transverse axis."""
_MASSES = frozenset({"m4l", "m_jj", "m4lj", "m_4l"})


def transform_of(name: str) -> Transform:
    """Choose the transform of an observable by its name.

    Examples:
        >>> [transform_of(n) for n in ("m4l", "pt4l", "phi_1", "cos_theta_1")]
        ['log', 'log1p', 'angle', 'linear']
    """
    if name in _ANGLES:
        return "angle"
    if name in _MASSES:
        return "log"
    return "log1p" if name.startswith("pt") else "linear"


def feature_matrix(observables: Mapping[str, NDArray[np.float64]], features: Sequence[str]) -> NDArray[np.float64]:
    """Stack observables into the input matrix of a network.

    Args:
        observables: Observables by name, each (n,), in GeV and radians.
        features: Names in the order of the columns.

    Returns:
        Matrix, shape (n, n_features), float64.

    Raises:
        SchemaError: An observable is missing.
        PhysicsDomainError: A value is missing or not finite, or a feature that enters as a logarithm is not positive.

    Examples:
        >>> feature_matrix({"m4l": np.array([250.0, 600.0]), "phi": np.array([0.1, -2.0])}, ["phi", "m4l"])
        array([[ 1.0e-01,  2.5e+02],
               [-2.0e+00,  6.0e+02]])
    """
    absent = [name for name in features if name not in observables]
    if absent:
        remedy = "add them to `observables` in the config and process again"
        raise SchemaError("features", got=f"no column {absent}", expected=f"all of {list(features)}", remedy=remedy)
    columns = []
    for name in features:
        values = np.asarray(observables[name], dtype=np.float64)
        bad = ~np.isfinite(values)
        if transform_of(name) == "log":
            bad |= values <= 0
        if np.any(bad):
            row = int(np.argmax(bad))
            remedy = "train on observables that every selected event has, or select events that have them"
            raise PhysicsDomainError(
                f"feature {name}", got=f"{values[row]} in row {row} ({int(bad.sum())} such rows)", expected="finite values", remedy=remedy
            )
        columns.append(values)
    return np.stack(columns, axis=1)


class FeatureMap(nn.Module):
    """Transforms and standardises observables.

    Args:
        features: Names of the columns of the input.
        fold: Whether events are rotated to cos_theta_star >= 0.
        mean: Means of the transformed columns, shape (n_inputs,).
        std: Standard deviations, shape (n_inputs,).
        harmonics: Angles enter as sines and cosines of two harmonics; otherwise as they are, which leaves fewer inputs to overfit
            with where hardly anything depends on them.

    Examples:
        >>> x = torch.tensor([[200.0, 0.0], [400.0, 1.0], [800.0, -1.0]], dtype=torch.float64)
        >>> feature_map = FeatureMap.fitted(("m4l", "y4l"), x, fold=False)
        >>> feature_map.n_inputs, feature_map(x)[:, 0].round(decimals=3).tolist()  # equal steps in log m4l
        (2, [-1.0, 0.0, 1.0])
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, features: Sequence[str], *, fold: bool, mean: torch.Tensor, std: torch.Tensor, harmonics: bool = True) -> None:
        super().__init__()
        self.harmonics = harmonics
        self.features = tuple(features)
        self.fold = fold
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    @classmethod
    def fitted(cls, features: Sequence[str], x: torch.Tensor, *, fold: bool, harmonics: bool = True) -> FeatureMap:
        """Build the map whose output has mean 0 and variance 1 on `x`, shape (n, n_features).

        Raises:
            PhysicsDomainError: A feature is constant.
        """
        flat = [name for i, name in enumerate(features) if bool((x[:, i] == x[0, i]).all())]
        if flat:
            remedy = "remove it from ratios.features: it carries no information"
            raise PhysicsDomainError(f"feature {flat[0]}", got=f"{float(x[0, features.index(flat[0])])} in every event", remedy=remedy)
        raw = _transform(tuple(features), x.double(), fold=fold, harmonics=harmonics)
        return cls(features, fold=fold, mean=raw.mean(dim=0), std=raw.std(dim=0).clamp_min(1e-12), harmonics=harmonics)

    @property
    def n_inputs(self) -> int:
        """Number of network inputs."""
        return int(self.mean.numel())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map observables, shape (n, n_features), to network inputs, shape (n, n_inputs)."""
        scaled = (_transform(self.features, x, fold=self.fold, harmonics=self.harmonics) - self.mean) / self.std
        return scaled.clamp(-CLIP, CLIP)


def _transform(features: tuple[str, ...], x: torch.Tensor, *, fold: bool, harmonics: bool = True) -> torch.Tensor:
    columns: list[torch.Tensor] = []
    side = None
    if fold and "cos_theta_star" in features:
        i = features.index("cos_theta_star")
        side = torch.where(x[:, i : i + 1] < 0, -1.0, 1.0).to(x.dtype)
    for i, name in enumerate(features):
        value = x[:, i : i + 1]
        if side is not None and name in _ODD:
            value = value * side
        kind = transform_of(name)
        if kind == "angle" and not harmonics:
            if side is not None and name == "phi_1":
                value = torch.where(side < 0, torch.where(value < 0, value + torch.pi, value - torch.pi), value)
            columns.append(value)
        elif kind == "angle":
            first = [torch.sin(value), torch.cos(value)]
            if side is not None and name == "phi_1":
                first = [harmonic * side for harmonic in first]
            columns += [*first, torch.sin(2.0 * value), torch.cos(2.0 * value)]
        elif kind == "log":
            columns.append(torch.log(value))
        elif kind == "log1p":
            columns.append(torch.log(1.0 + value / PT_SCALE))
        else:
            columns.append(value)
    return torch.cat(columns, dim=1)
