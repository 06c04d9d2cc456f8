"""The ensemble as one module: observables in, calibrated log ratios and their spread over the members out."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import nn

from toolkit.ratios.calibration import TargetedCalibration
from toolkit.ratios.features import FeatureMap
from toolkit.ratios.network import MixtureNetwork
from toolkit.ratios.structure import Mixture


def member_folds(n_folds: int) -> list[tuple[int, ...]]:
    """List the folds that each member trains on: every choice of half of the folds.

    Every event then trains half of the members and is out of bag for the other half.

    Examples:
        >>> member_folds(4)
        [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    """
    return list(itertools.combinations(range(n_folds), n_folds // 2))


class MixtureEnsemble(nn.Module):
    """Feature map, member networks, their mean and the calibration.

    Args:
        feature_map: From observables to network inputs.
        members: Trained networks.
        calibration: Acts on the mean of the members' heads.
    """

    def __init__(self, feature_map: FeatureMap, members: Sequence[MixtureNetwork], calibration: TargetedCalibration) -> None:
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
def out_of_bag_heads(ensemble: MixtureEnsemble, x: torch.Tensor, fold: torch.Tensor, *, n_folds: int) -> torch.Tensor:
    """Average the heads of those members that did not train on an event.

    Args:
        ensemble: Members in the order of `member_folds(n_folds)`.
        x: Observables, shape (n, n_features).
        fold: Fold of each event, shape (n,).
        n_folds: Number of folds.

    Returns:
        Heads before calibration, shape (n, n_heads), in the type of `x`.
    """
    trained_on = member_folds(n_folds)
    heads = torch.zeros(len(x), ensemble.mixture.n_heads, dtype=x.dtype)
    for k in range(n_folds):
        rows = torch.nonzero(fold == k)[:, 0]
        unseen = [m for m, folds in enumerate(trained_on) if k not in folds]
        z = ensemble.feature_map(x[rows])
        heads[rows] = torch.stack([ensemble.members[m](z) for m in unseen]).mean(dim=0)
    return heads
