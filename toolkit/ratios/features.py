"""From observables in physical units to well-scaled network inputs, inside the network, so that an exported model needs neither.

Heavy-tailed masses and momenta enter as logarithms, angles as sines and cosines of the first two harmonics (the
cut at +-pi disappears), everything else as it is; then all inputs are standardised and clipped at `CLIP` standard deviations.

Two identical beams look the same from both sides: a rotation by pi about a transverse axis changes the sign of cos_theta_star and of all
rapidities, moves phi_1 by pi, and so on; every observable of the registry says what it becomes (`toolkit.kinematics.beam_swap`). With
`fold` every event is rotated to cos_theta_star >= 0 (without it: to the positive side of the first feature that changes sign), so that
the networks need not learn this symmetry and cannot break it.

With `fold_charges` the charges of the leptons of each Z are forgotten: exchanging them turns cos_theta_k to -cos_theta_k and moves the
angles of its decay plane by pi, its leptons change places, and exchanging all charges and all momenta (CP) turns phi and phi_1 to -phi
and -phi_1. The latter is a symmetry of gg -> ZZ and of Higgs production, the former holds up to the product of the leptons' asymmetries,
some per cent. Every event goes to cos_theta_1, cos_theta_2 >= 0 and phi in [0, pi], so that an eighth of the space has to be learned. The
ratios are those of the folded observables: where a density is not symmetric that costs information and biases nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from toolkit.config.ratios import DECAY_ANGLES, other_leptons
from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.kinematics import OBSERVABLES
from toolkit.kinematics.beam_swap import BeamSwap
from toolkit.weights.beam_swap import feature_swaps, pivot_of
from toolkit.weights.missing import filled_name

Transform = Literal["log", "log1p", "angle", "linear"]

CLIP = 6.0
"""Inputs beyond this many standard deviations are clipped: the network never extrapolates in one variable."""
PT_SCALE = 20.0
"""GeV; log(1 + pt / PT_SCALE) is linear well below and logarithmic well above."""
_ANGLES = frozenset({"phi", "phi_1", "delta_phi_jj", "vbf_phi", "vbf_phi_1"})
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


def feature_matrix(
    observables: Mapping[str, NDArray[np.float64]], features: Sequence[str], *, missing: bool = False
) -> NDArray[np.float64]:
    """Stack observables into the input matrix of a network.

    Args:
        observables: Observables by name, each (n,), in GeV and radians.
        features: Names in the order of the columns.
        missing: Let missing values (NaN) and logarithms of what is not positive pass, for trees, which take the features as they are.

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
        bad = np.isinf(values) if missing else ~np.isfinite(values)
        if transform_of(name) == "log" and not missing:
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
        swaps: With `fold`, what observables become when the beams are exchanged, by name; None knows those of the registry.
        fold_charges: Whether the charges of the leptons are forgotten.
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

    def __init__(
        self,
        features: Sequence[str],
        *,
        fold: bool,
        mean: torch.Tensor,
        std: torch.Tensor,
        harmonics: bool = True,
        swaps: Mapping[str, BeamSwap | None] | None = None,
        fold_charges: bool = False,
    ) -> None:
        super().__init__()
        self.fold_charges = fold_charges
        self.harmonics = harmonics
        self.features = tuple(features)
        self.fold = fold
        self.swaps = feature_swaps(self.features, declared=swaps) if fold else {}
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    @classmethod
    def fitted(
        cls,
        features: Sequence[str],
        x: torch.Tensor,
        *,
        fold: bool,
        harmonics: bool = True,
        swaps: Mapping[str, BeamSwap | None] | None = None,
        fold_charges: bool = False,
    ) -> FeatureMap:
        """Build the map whose output has mean 0 and variance 1 on `x`, shape (n, n_features).

        Raises:
            PhysicsDomainError: Features are constant; all are named.
            SchemaError: With `fold`, nobody says what a feature becomes when the beams are exchanged; with `fold_charges`, not all
                decay angles are among the features.
        """
        if fold_charges:
            require_decay_angles(features)
        flat = {name: float(x[0, i]) for i, name in enumerate(features) if bool((x[:, i] == x[0, i]).all())}
        if flat:
            values = ", ".join(f"{name} is {value:g}" for name, value in flat.items())
            rest = ", ".join(name for name in features if name not in flat)
            remedy = f"leave out what carries no information: features: [{rest}]"
            raise PhysicsDomainError(f"feature{'s' * (len(flat) > 1)} {', '.join(flat)}", got=f"{values} in every event", remedy=remedy)
        known = feature_swaps(features, declared=swaps) if fold else {}
        raw = _transform(tuple(features), x.double(), swaps=known, harmonics=harmonics, fold_charges=fold_charges)
        mean, std = raw.mean(dim=0), raw.std(dim=0).clamp_min(1e-12)
        return cls(features, fold=fold, mean=mean, std=std, harmonics=harmonics, swaps=known, fold_charges=fold_charges)

    @property
    def description(self) -> dict[str, Any]:
        """What makes the map again, beside its state: `FeatureMap(**description, **state_dict)`."""
        return {"features": list(self.features), "fold": self.fold, "swaps": self.swaps, "fold_charges": self.fold_charges}

    @property
    def n_inputs(self) -> int:
        """Number of network inputs."""
        return int(self.mean.numel())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map observables, shape (n, n_features), to network inputs, shape (n, n_inputs)."""
        raw = _transform(self.features, x, swaps=self.swaps, harmonics=self.harmonics, fold_charges=self.fold_charges)
        scaled = (raw - self.mean) / self.std
        return scaled.clamp(-CLIP, CLIP)


class RawFeatures(FeatureMap):
    """Passes the features on as they are, for trees: in single precision, their comparisons are the same in every runtime.

    Args:
        features: Names of the columns.
    """

    def __init__(self, features: Sequence[str]) -> None:
        n = len(features)
        super().__init__(features, fold=False, mean=torch.zeros(n, dtype=torch.float64), std=torch.ones(n, dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return observables, shape (n, n_features), in the precision in which trees compare them."""
        return x.to(torch.float32).to(x.dtype)


def require_decay_angles(features: Sequence[str]) -> None:
    """Check that events can be folded over the charges of their leptons.

    Raises:
        SchemaError: Not all decay angles are among the features, or a quantity of one lepton of a Z without that of the other.
    """
    absent = [name for name in (*DECAY_ANGLES, *other_leptons(features).values()) if name not in features]
    if absent:
        expected = "all decay angles, and what is known of one lepton of a Z of the other as well"
        remedy = "add them to ratios.features, or set ratios.fold_lepton_charges: false"
        raise SchemaError("features to fold over the charges of leptons", got=f"no {absent}", expected=expected, remedy=remedy)


def _without_charges(features: tuple[str, ...], x: torch.Tensor) -> torch.Tensor:
    """Take every event to cos_theta_1, cos_theta_2 >= 0 and phi in [0, pi]."""
    columns = dict(zip(features, torch.split(x, 1, dim=1), strict=True))
    first, second = (torch.where(columns[f"cos_theta_{k}"] < 0, -1.0, 1.0).to(x.dtype) for k in (1, 2))
    columns["cos_theta_1"] = columns["cos_theta_1"] * first
    columns["cos_theta_2"] = columns["cos_theta_2"] * second
    phi = _half_turn(columns["phi"], first * second < 0)
    side = torch.where(phi < 0, -1.0, 1.0).to(x.dtype)
    columns["phi"], columns["phi_1"] = phi * side, _half_turn(columns["phi_1"], first < 0) * side
    sides = {"z1": first, "z2": second}
    exchanged = {  # the reflection that turns phi over leaves momenta and directions to the beam alone
        name: torch.where(sides[name.split("_")[1]] < 0, columns[other], columns[name]) for name, other in other_leptons(features).items()
    }
    columns |= exchanged
    return torch.cat([columns[name] for name in features], dim=1)


def _half_turn(angle: torch.Tensor, turned: torch.Tensor) -> torch.Tensor:
    """Move angles in [-pi, pi] by pi where asked."""
    return torch.where(turned, torch.where(angle < 0, angle + torch.pi, angle - torch.pi), angle)


def _transform(
    features: tuple[str, ...], x: torch.Tensor, *, swaps: Mapping[str, BeamSwap], harmonics: bool, fold_charges: bool
) -> torch.Tensor:
    if fold_charges:
        x = _without_charges(features, x)
    columns: list[torch.Tensor] = []
    pivot, side = pivot_of(swaps), None
    if pivot is not None:
        i = features.index(pivot)
        side = torch.where(x[:, i : i + 1] < 0, -1.0, 1.0).to(x.dtype)
    for i, name in enumerate(features):
        value, kind = x[:, i : i + 1], transform_of(name)
        swap = "even" if side is None else swaps[name]
        if side is not None and swap == "odd":
            value = value * side
        elif side is not None and isinstance(swap, Mapping):
            image = _weighted_sum(x, {features.index(other): c for other, c in swap.items()})
            value = torch.where(side < 0, _wrapped(image) if _is_angle(name) else image, value)
        elif side is not None and swap == "half_turn" and not (kind == "angle" and harmonics):
            value = _half_turn(value, side < 0)
        if kind == "angle" and harmonics:
            first = [torch.sin(value), torch.cos(value)]
            if side is not None and swap == "half_turn":
                first = [harmonic * side for harmonic in first]  # sin and cos of an angle plus pi; twice the angle does not notice
            columns += [*first, torch.sin(2.0 * value), torch.cos(2.0 * value)]
        elif kind == "log":
            columns.append(torch.log(value))
        elif kind == "log1p":
            columns.append(torch.log(1.0 + value / PT_SCALE))
        else:
            columns.append(value)
    return torch.cat(columns, dim=1)


def _weighted_sum(x: torch.Tensor, factors: Mapping[int, int]) -> torch.Tensor:
    """Add columns with their factors, (n, 1)."""
    total: torch.Tensor | None = None
    for i, c in factors.items():
        term = float(c) * x[:, i : i + 1]
        total = term if total is None else total + term
    return torch.zeros_like(x[:, :1]) if total is None else total


def _is_angle(name: str) -> bool:
    source = name.removesuffix(filled_name(""))
    return source in _ANGLES or (source in OBSERVABLES and OBSERVABLES[source].unit == "rad")


def _wrapped(angle: torch.Tensor) -> torch.Tensor:
    """Take a sum or difference of two angles to [-pi, pi]."""
    down = torch.where(angle > torch.pi, angle - 2.0 * torch.pi, angle)
    return torch.where(down < -torch.pi, down + 2.0 * torch.pi, down)
