"""The ensemble as one module: observables in, calibrated log ratios and their spread over the members out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from toolkit.ratios.calibration import TargetedCalibration
from toolkit.ratios.features import FeatureMap
from toolkit.ratios.structure import Mixture

BATCH = 20_000
"""Events per evaluation: memory stays bounded."""


class MixtureEnsemble(nn.Module):
    """Feature map, member networks, their mean and the calibration.

    Args:
        feature_map: From observables to network inputs.
        members: Trained networks, from inputs to heads.
        calibration: Acts on the mean of the members' heads.
    """

    def __init__(self, feature_map: FeatureMap, members: Sequence[nn.Module], calibration: TargetedCalibration) -> None:
        super().__init__()
        self.feature_map = feature_map
        self.members = nn.ModuleList(members)
        self.calibration = calibration

    @property
    def mixture(self) -> Mixture:
        """Meaning of the heads and of the outputs."""
        return self.calibration.mixture

    def member_heads(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the heads of every member, shape (n_members, n, n_heads)."""
        z = self.feature_map(x)
        return torch.stack([member(z) for member in self.members])

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the log ratios.

        Args:
            x: Observables in physical units, shape (n, n_features).

        Returns:
            log p_j / p_ref, shape (n, n_processes), and the standard deviation of the members' uncalibrated
            log ratios, same shape.
        """
        heads = self.member_heads(x)
        log_ratio = self.mixture.log_ratios(self.calibration(heads.mean(dim=0)))
        members = torch.stack([self.mixture.log_ratios(h) for h in heads])
        deviation = members - members.mean(dim=0, keepdim=True)
        return log_ratio, torch.sqrt((deviation**2).mean(dim=0))


@torch.no_grad()
def mean_heads(ensemble: MixtureEnsemble, x: torch.Tensor, chosen: Iterator[NDArray[np.bool_]]) -> torch.Tensor:
    """Average the heads of some members, for every event others.

    Args:
        ensemble: The members.
        x: Observables, shape (n, n_features).
        chosen: For each member the events that it is to count for, (n,); every event has one.

    Returns:
        Heads before calibration, shape (n, n_heads), in the type of `x`.
    """
    heads = torch.zeros(len(x), ensemble.mixture.n_heads, dtype=x.dtype)
    counts = torch.zeros(len(x), 1, dtype=x.dtype)
    z = ensemble.feature_map(x)
    for member, events in zip(ensemble.members, chosen, strict=True):
        rows = torch.from_numpy(np.flatnonzero(events))
        for part in torch.split(rows, BATCH):
            heads[part] += member(z[part])
        counts[rows] += 1.0
    return heads / counts
