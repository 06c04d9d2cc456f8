"""The ensemble as one module: observables and theta in, the calibrated log ratio and its spread over the members out.

The members' mean f(x, theta) is tilted and normalised,

    ln r(x, theta) = f(x, theta) + sum_j b_j(theta) phi_j(x) - ln E_ref[...]
    phi_j(x) = (f(x, theta_j+1) - f(x, theta_j) - centre_j) / scale_j

with polynomials b_j that `toolkit.ratios.theta.calibration` chooses such that the estimated density has the true expectation of every
phi_j.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from toolkit.ratios.estimators.theta import Terms
from toolkit.ratios.features import FeatureMap

LONGEST = 30.0
"""Standard deviations to which directions are cut."""


class ThetaPolynomial(nn.Module):
    """A polynomial of the standardised parameter, by Chebyshev's recurrence.

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


class Tilt(nn.Module):
    """The change of the log ratio that the calibration adds: sum_j b_j(v) phi_j(x).

    Args:
        anchors: Standardised parameters between which phi_j are differences, (n_phi + 1,).
        centre: Subtracted from each difference, (n_phi,).
        scale: Of each, (n_phi,).
        slopes: The polynomials b_j.
    """

    anchors: torch.Tensor
    centre: torch.Tensor
    scale: torch.Tensor

    def __init__(self, anchors: torch.Tensor, centre: torch.Tensor, scale: torch.Tensor, slopes: Sequence[ThetaPolynomial]) -> None:
        super().__init__()
        self.register_buffer("anchors", anchors)
        self.register_buffer("centre", centre)
        self.register_buffer("scale", scale)
        self.slopes = nn.ModuleList(slopes)

    def directions(self, at_anchors: torch.Tensor) -> torch.Tensor:
        """Return phi (n, n_phi) from the log ratios at the anchors, (n, n_phi + 1)."""
        found: torch.Tensor = (at_anchors[:, 1:] - at_anchors[:, :-1] - self.centre) / self.scale
        return found.clamp(-LONGEST, LONGEST)

    def forward(self, at_anchors: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Evaluate from the log ratios at the anchors and at v (n, 1), (n, 1)."""
        phi = self.directions(at_anchors)
        total = torch.zeros_like(v)
        for j, slope in enumerate(self.slopes):
            total = total + slope(v) * phi[:, j : j + 1]
        return total


class ThetaEnsemble(nn.Module):
    """Members, their calibration, and the logarithm of the mean over the reference.

    Args:
        feature_map: From observables to network inputs.
        terms: Standardises theta.
        members: Trained networks, (n, n_inputs + 1) -> (n, 1).
        tilt: Added to the mean of the members.
        log_mean: Subtracted from it.
    """

    def __init__(
        self, feature_map: FeatureMap, terms: Terms, members: Sequence[nn.Module], *, tilt: Tilt, log_mean: ThetaPolynomial
    ) -> None:
        super().__init__()
        self.feature_map = feature_map
        self.terms = terms
        self.members = nn.ModuleList(members)
        self.tilt = tilt
        self.log_mean = log_mean
        self.n_features = len(feature_map.features)

    def inputs(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return network inputs and standardised theta of observables and theta, (n, n_features + 1)."""
        return self.feature_map(x[:, : self.n_features]), self.terms.from_theta(x[:, self.n_features :])

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute ln p(x|theta) / p_ref(x) and the standard deviation over the members, (n, 1) each."""
        z, v = self.inputs(x)
        members = self.each(z, v)
        mean = members.mean(dim=0)
        return self.calibrated(z, v, mean), torch.sqrt(((members - mean) ** 2).mean(dim=0))

    def each(self, z: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """Compute what every member says at v (n, 1), (n_members, n, 1)."""
        rows = torch.cat([z, v], dim=1)
        return torch.stack([member(rows) for member in self.members])

    def calibrated(self, z: torch.Tensor, v: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        """Tilt and normalise the mean of the members at v, (n, 1)."""
        anchors = [self.each(z, torch.zeros_like(v) + anchor).mean(dim=0) for anchor in self.tilt.anchors]
        out: torch.Tensor = mean + self.tilt(torch.cat(anchors, dim=1), v) - self.log_mean(v)
        return out


class ThetaMember(nn.Module):
    """One member with the calibration of the ensemble.

    Args:
        ensemble: All members.
        index: Which one.
    """

    def __init__(self, ensemble: ThetaEnsemble, index: int) -> None:
        super().__init__()
        members = [ensemble.members[index]]
        self.ensemble = ThetaEnsemble(ensemble.feature_map, ensemble.terms, members, tilt=ensemble.tilt, log_mean=ensemble.log_mean)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute ln p(x|theta) / p_ref(x), (n, 1)."""
        z, v = self.ensemble.inputs(x)
        return self.ensemble.calibrated(z, v, self.ensemble.each(z, v)[0])
