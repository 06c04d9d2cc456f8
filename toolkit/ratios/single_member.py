"""One network of the ensemble as a module of its own: to look at the members apart, or to use a faster one."""

from __future__ import annotations

import torch
from torch import nn

from toolkit.ratios.ensemble import MixtureEnsemble


class CalibratedMember(nn.Module):
    """Feature map, one member and the calibration of the ensemble.

    The calibration was fitted for the mean of all members: that of a single one is not unbiased. The ensemble averages heads before
    the calibration, so the mean of the members' log ratios is not exactly the ensemble's.

    Args:
        ensemble: The ensemble.
        index: Which member.
    """

    def __init__(self, ensemble: MixtureEnsemble, index: int) -> None:
        super().__init__()
        self.feature_map = ensemble.feature_map
        self.member = ensemble.members[index]
        self.calibration = ensemble.calibration

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute log p_j / p_ref, (n, n_features) -> (n, n_processes)."""
        heads = self.calibration(self.member(self.feature_map(x)))
        return self.calibration.mixture.log_ratios(heads)
