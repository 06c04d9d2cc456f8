"""The ensemble as one module: observables and theta in, the normalised log ratio and its spread over the members out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from toolkit.ratios.estimators.theta import Terms
from toolkit.ratios.features import FeatureMap


class LogMean(nn.Module):
    """ln E_ref[r] as a polynomial of the standardised parameter, by Chebyshev's recurrence.

    Args:
        coefficients: Chebyshev coefficients, (degree + 1,), in the coordinate that is -1 and 1 at the ends of the range.
        low: Standardised parameter at the lower end.
        high: The same at the upper end.
    """

    coefficients: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor

    def __init__(self, coefficients: torch.Tensor, *, low: torch.Tensor, high: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("coefficients", coefficients)
        self.register_buffer("low", low)
        self.register_buffer("high", high)

    def forward(self, v: torch.Tensor) -> torch.Tensor:
        """Evaluate at v (n, 1), (n, 1)."""
        x = 2.0 * (v - self.low) / (self.high - self.low) - 1.0
        first, second = torch.zeros_like(x), torch.zeros_like(x)
        for k in range(self.coefficients.shape[0] - 1, 0, -1):  # Clenshaw
            first, second = self.coefficients[k] + 2.0 * x * first - second, first
        out: torch.Tensor = self.coefficients[0] + x * first - second
        return out


class ThetaEnsemble(nn.Module):
    """Members and the logarithm of their mean over the reference.

    Args:
        feature_map: From observables to network inputs.
        terms: Standardises theta.
        members: Trained networks, (n, n_inputs + 1) -> (n, 1).
        log_mean: Subtracted from the mean of the members.
    """

    def __init__(self, feature_map: FeatureMap, terms: Terms, members: Sequence[nn.Module], log_mean: LogMean) -> None:
        super().__init__()
        self.feature_map = feature_map
        self.terms = terms
        self.members = nn.ModuleList(members)
        self.log_mean = log_mean
        self.n_features = len(feature_map.features)

    def inputs(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return network inputs and standardised theta of observables and theta, (n, n_features + 1)."""
        return self.feature_map(x[:, : self.n_features]), self.terms.from_theta(x[:, self.n_features :])

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute ln p(x|theta) / p_ref(x) and the standard deviation over the members, (n, 1) each."""
        z, v = self.inputs(x)
        rows = torch.cat([z, v], dim=1)
        members = torch.stack([member(rows) for member in self.members])
        mean = members.mean(dim=0)
        return mean - self.log_mean(v), torch.sqrt(((members - mean) ** 2).mean(dim=0))


class ThetaMember(nn.Module):
    """One member with the normalisation of the ensemble.

    Args:
        ensemble: All members.
        index: Which one.
    """

    def __init__(self, ensemble: ThetaEnsemble, index: int) -> None:
        super().__init__()
        self.ensemble = ThetaEnsemble(ensemble.feature_map, ensemble.terms, [ensemble.members[index]], ensemble.log_mean)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute ln p(x|theta) / p_ref(x), (n, 1)."""
        z, v = self.ensemble.inputs(x)
        out: torch.Tensor = self.ensemble.members[0](torch.cat([z, v], dim=1)) - self.ensemble.log_mean(v)
        return out
