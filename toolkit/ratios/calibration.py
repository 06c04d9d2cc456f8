"""Targeted calibration: remove the bias of the networks along the directions in which a bias moves the measurement.

The likelihood lives on small differences of densities, and its best fit moves with the expectations of a few functions of the
event only: the scores s(x; mu) = d log p(x) / d mu. The calibration adds to every head a combination of the functions
phi = (1, s(x; mu_1), s(x; mu_2), ...), with coefficients fitted on events that the networks in question did not train on, so that the
estimated densities give the true expectation of each phi:

    sum_events (true share - estimated share) * phi_k(x) = 0       for classes, signal share and interference, every k.

With phi_0 = 1 this includes the normalisation E_ref[r] = 1 of every process; with the scores it is the fluctuation step of targeted
maximum likelihood (van der Laan, Rubin, Int. J. Biostat. 2 (2006) 1), which makes the plug-in likelihood unbiased to first order.
A few parameters suffice, so that the statistical noise of the calibration stays near that of the events themselves.
"""

from __future__ import annotations

import torch
from torch import nn

from toolkit.ratios.structure import Mixture
from toolkit.ratios.targets import Targets

NEWTON_STEPS = 12
RIDGE = 1e-7
"""Relative to the trace of the Hessian: keeps nearly collinear scores solvable without moving the solution."""


class TargetedCalibration(nn.Module):
    """Adds theta_h . phi(x) to every head h.

    Args:
        mixture: Meaning of the heads.
        mu: Values of the signal strength whose scores are the directions.
        centre: Mean of the scores on the calibration events, shape (n_mu,).
        scale: Their standard deviation, shape (n_mu,).
        theta: Coefficients, shape (1 + n_mu, n_heads); zero leaves the heads as they are.
    """

    centre: torch.Tensor
    scale: torch.Tensor
    theta: torch.Tensor

    def __init__(self, mixture: Mixture, *, mu: tuple[float, ...], centre: torch.Tensor, scale: torch.Tensor, theta: torch.Tensor) -> None:
        super().__init__()
        self.mixture = mixture
        self.mu = mu
        self.register_buffer("centre", centre)
        self.register_buffer("scale", scale)
        self.register_buffer("theta", theta)

    def directions(self, heads: torch.Tensor) -> torch.Tensor:
        """Compute phi, shape (n, 1 + n_mu)."""
        scores = (self.mixture.scores(heads, self.mu) - self.centre) / self.scale
        return torch.cat([torch.ones_like(scores[:, :1]), scores], dim=1)

    def forward(self, heads: torch.Tensor) -> torch.Tensor:
        """Return the calibrated heads, shape (n, n_heads)."""
        calibrated: torch.Tensor = heads + self.directions(heads) @ self.theta
        return calibrated


def identity_calibration(mixture: Mixture) -> TargetedCalibration:
    """Return the calibration that changes nothing."""
    zero = torch.zeros(1, dtype=torch.float64)
    theta = torch.zeros(2, mixture.n_heads, dtype=torch.float64)
    return TargetedCalibration(mixture, mu=(1.0,), centre=zero, scale=zero + 1.0, theta=theta)


@torch.no_grad()
def fit_calibration(heads: torch.Tensor, targets: Targets, *, mixture: Mixture, mu: tuple[float, ...]) -> TargetedCalibration:
    """Fit the coefficients on events that the networks did not train on.

    Args:
        heads: Heads of these events, shape (n, n_heads), float64.
        targets: Their targets, float64.
        mixture: Meaning of the heads.
        mu: Values of the signal strength whose scores are the directions.

    Returns:
        The calibration, which solves the moment equations of the module docstring on these events.
    """
    scores = mixture.scores(heads, mu)
    centre, scale = scores.mean(dim=0), scores.std(dim=0).clamp_min(1e-9)
    theta = torch.zeros(1 + len(mu), mixture.n_heads, dtype=heads.dtype)
    calibration = TargetedCalibration(mixture, mu=mu, centre=centre, scale=scale, theta=theta)
    phi = calibration.directions(heads)
    n_b = len(mixture.backgrounds)
    in_g, targets_of_g = targets.of_g()
    theta[:, :n_b] = _fit_classes(mixture.class_logits(heads), targets, phi)
    theta[:, n_b] = _fit_signal(heads[in_g, n_b], targets_of_g, phi[in_g])
    signal_done = heads[in_g] + 0.0
    signal_done[:, n_b] += phi[in_g] @ theta[:, n_b]
    theta[:, n_b + 1] = _fit_interference(signal_done, targets_of_g, phi[in_g], mixture)
    return calibration


def _solve(hessian: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    ridge = RIDGE * hessian.diagonal().mean() * torch.eye(len(hessian), dtype=hessian.dtype)
    solution: torch.Tensor = torch.linalg.solve(hessian + ridge, gradient)
    return solution


def _fit_classes(logits: torch.Tensor, targets: Targets, phi: torch.Tensor) -> torch.Tensor:
    """Multinomial logistic regression with offset, by Newton steps; shape (n_phi, n_b)."""
    n_b, n_phi = logits.shape[1] - 1, phi.shape[1]
    theta = torch.zeros(n_phi, n_b, dtype=phi.dtype)
    truth = targets.shares(n_b + 1)[:, 1:]
    for _ in range(NEWTON_STEPS if n_b else 0):
        shifted = torch.cat([logits[:, :1], logits[:, 1:] + phi @ theta], dim=1)
        p = torch.softmax(shifted, dim=1)[:, 1:]
        gradient = phi.T @ (targets.weight[:, None] * (truth - p))
        blocks = [
            [(phi * (targets.weight * p[:, a] * ((1.0 if a == b else 0.0) - p[:, b]))[:, None]).T @ phi for b in range(n_b)]
            for a in range(n_b)
        ]
        hessian = torch.cat([torch.cat(row, dim=1) for row in blocks], dim=0)
        theta = theta + _solve(hessian, gradient.T.reshape(-1)).reshape(n_b, n_phi).T
    return theta


def _fit_signal(logit: torch.Tensor, targets: Targets, phi: torch.Tensor) -> torch.Tensor:
    """Logistic regression with offset on the soft label kappa S / G; shape (n_phi,)."""
    theta = torch.zeros(phi.shape[1], dtype=phi.dtype)
    for _ in range(NEWTON_STEPS):
        p = torch.sigmoid(logit + phi @ theta)
        hessian = (phi * (targets.weight * p * (1.0 - p))[:, None]).T @ phi
        theta = theta + _solve(hessian, phi.T @ (targets.weight * (targets.signal - p)))
    return theta


def _fit_interference(heads: torch.Tensor, targets: Targets, phi: torch.Tensor, mixture: Mixture) -> torch.Tensor:
    """Solve sum w (I/G - estimate) phi = 0 by Newton steps on the artanh of the coherence; shape (n_phi,)."""
    last = mixture.n_heads - 1
    theta = torch.zeros(phi.shape[1], dtype=phi.dtype)
    amplitude = torch.sqrt(torch.sigmoid(heads[:, last - 1]) * torch.sigmoid(-heads[:, last - 1])) * (2.0 / mixture.kappa**0.5)
    for _ in range(NEWTON_STEPS):
        coherence = torch.tanh(heads[:, last] + phi @ theta)
        slope = amplitude * (1.0 - coherence**2)
        hessian = (phi * (targets.weight * slope)[:, None]).T @ phi
        theta = theta + _solve(hessian, phi.T @ (targets.weight * (targets.interference - amplitude * coherence)))
    return theta
