"""Targeted calibration: remove the bias of the networks along the directions in which a bias moves the measurement.

The likelihood lives on small differences of densities. Write q(mu) for the estimated and p(mu) for the true total density at their
yields, and s = d ln q / d sqrt(mu) for the score. The expected slope of the likelihood at the truth is

    sum over true events of s - d nu / d sqrt(mu) = int (p(mu) - q(mu)) s      (q normalised like p)

so that it vanishes, and the best fit is unbiased to first order, if the estimated density reproduces the true expectation of its
own score. With G c(mu) = mu S + sqrt(mu) I + B the interfering part, true events of class G (indicator 1_G), estimated class
probability P_G and composition c, the integral splits into what the composition and what the classes do,

    sum_events  nu_G 1_G (c_true - c) s  +  (1_G - P_G) nu_G c s  +  sum_b (1_b - P_b) nu_b s

and the yields are reproduced if the same holds for the constant function in S and I. Sufficient, for every mu of a list:

    composition:  sum_G (true share - estimated share) phi = 0     phi = 1, s(mu_1), s(mu_2), ...      for S/G and I/G
    classes:      sum (1_b - P_b) phi = 0                          phi = 1, S/G, I/G, s(mu_k), c(mu_k) s(mu_k)    for every b

The calibration adds to every head the combination of its phi that solves these equations on events that the networks did not
train on: the fluctuation step of targeted maximum likelihood (van der Laan, Rubin, Int. J. Biostat. 2 (2006) 1). A dozen
numbers suffice, so that the noise of the calibration stays near that of the events themselves. The phi are taken at the heads
before the step; repeating it with the moved phi changes best fits by a tenth of their error.
"""

from __future__ import annotations

import torch
from torch import nn

from toolkit.errors import FitError
from toolkit.ratios.structure import Mixture
from toolkit.ratios.targets import Targets

NEWTON_STEPS = 12
RIDGE = 1e-7
"""Relative to the trace of the Hessian: keeps nearly collinear directions solvable without moving the solution."""


class TargetedCalibration(nn.Module):
    """Adds theta_h . phi_h(x) to every head h: first to the composition, then to the classes.

    Args:
        mixture: Meaning of the heads.
        mu: Values of the signal strength whose scores are directions, >= 0.

    Attributes:
        composition_centre, composition_scale: Mean and standard deviation of the directions on the calibration events, (n_mu,).
        composition_theta: Coefficients, (1 + n_mu, 2); zero leaves the heads as they are.
        class_centre, class_scale: The same for the classes, (2 + 2 n_mu,).
        class_theta: Coefficients, (3 + 2 n_mu, n_b).
    """

    composition_centre: torch.Tensor
    composition_scale: torch.Tensor
    composition_theta: torch.Tensor
    class_centre: torch.Tensor
    class_scale: torch.Tensor
    class_theta: torch.Tensor

    def __init__(self, mixture: Mixture, *, mu: tuple[float, ...]) -> None:
        super().__init__()
        self.mixture = mixture
        self.mu = mu
        for part, n, n_heads in (("composition", len(mu), 2), ("class", 2 + 2 * len(mu), len(mixture.backgrounds))):
            self.register_buffer(f"{part}_centre", torch.zeros(n, dtype=torch.float64))
            self.register_buffer(f"{part}_scale", torch.ones(n, dtype=torch.float64))
            self.register_buffer(f"{part}_theta", torch.zeros(1 + n, n_heads, dtype=torch.float64))

    def composition_directions(self, heads: torch.Tensor) -> torch.Tensor:
        """Compute the directions of the composition, (n, 1 + n_mu)."""
        return _with_constant(self.mixture.scores(heads, self.mu)[0], self.composition_centre, self.composition_scale)

    def class_directions(self, heads: torch.Tensor) -> torch.Tensor:
        """Compute the directions of the classes, (n, 3 + 2 n_mu)."""
        return _with_constant(self.raw_class_directions(heads), self.class_centre, self.class_scale)

    def raw_class_directions(self, heads: torch.Tensor) -> torch.Tensor:
        """Compute S/G, I/G, s(mu_k) and c(mu_k) s(mu_k), (n, 2 + 2 n_mu)."""
        s, i, _, _ = self.mixture.densities(heads)
        return torch.cat([s[:, None], i[:, None], *self.mixture.scores(heads, self.mu)], dim=1)

    def forward(self, heads: torch.Tensor) -> torch.Tensor:
        """Return the calibrated heads, shape (n, n_heads)."""
        n_b = len(self.mixture.backgrounds)
        composition = heads[:, n_b:] + self.composition_directions(heads) @ self.composition_theta
        heads = torch.cat([heads[:, :n_b], composition], dim=1)
        if n_b == 0:
            return heads
        return torch.cat([heads[:, :n_b] + self.class_directions(heads) @ self.class_theta, composition], dim=1)


def identity_calibration(mixture: Mixture) -> TargetedCalibration:
    """Return the calibration that changes nothing.

    Examples:
        >>> mixture = Mixture("S", "SBI", "B", (), yields=(10.0, 90.0, 100.0), kappa=10.0)
        >>> heads = torch.tensor([[0.5, -0.2]], dtype=torch.float64)
        >>> identity_calibration(mixture)(heads)
        tensor([[ 0.5000, -0.2000]], dtype=torch.float64)
    """
    return TargetedCalibration(mixture, mu=(1.0,))


@torch.no_grad()
def fit_calibration(heads: torch.Tensor, targets: Targets, *, mixture: Mixture, mu: tuple[float, ...]) -> TargetedCalibration:
    """Fit the coefficients on events that the networks did not train on.

    Args:
        heads: Heads of these events, shape (n, n_heads), float64.
        targets: Their targets, float64.
        mixture: Meaning of the heads.
        mu: Values of the signal strength whose scores are directions.

    Returns:
        The calibration, which solves the equations of the module docstring on these events.
    """
    calibration = TargetedCalibration(mixture, mu=mu)
    n_b = len(mixture.backgrounds)
    in_g, targets_of_g = targets.of_g()
    _standardise(calibration.composition_centre, calibration.composition_scale, mixture.scores(heads, mu)[0])
    phi = calibration.composition_directions(heads)[in_g]
    calibration.composition_theta[:, 0] = _fit_signal(heads[in_g, n_b], targets_of_g, phi)
    signal_done = heads[in_g] + 0.0
    signal_done[:, n_b] += phi @ calibration.composition_theta[:, 0]
    calibration.composition_theta[:, 1] = _fit_interference(signal_done, targets_of_g, phi, mixture)
    composed: torch.Tensor = calibration(heads)
    _standardise(calibration.class_centre, calibration.class_scale, calibration.raw_class_directions(composed))
    phi = calibration.class_directions(composed)
    calibration.class_theta.copy_(_fit_classes(mixture.class_logits(composed), targets, phi))
    return calibration


def _with_constant(directions: torch.Tensor, centre: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return torch.cat([torch.ones_like(directions[:, :1]), (directions - centre) / scale], dim=1)


def _standardise(centre: torch.Tensor, scale: torch.Tensor, directions: torch.Tensor) -> None:
    centre.copy_(directions.mean(dim=0))
    scale.copy_(directions.std(dim=0).clamp_min(1e-9))


def _solve(hessian: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    ridge = RIDGE * hessian.diagonal().mean() * torch.eye(len(hessian), dtype=hessian.dtype)
    solution: torch.Tensor
    solution, singular = torch.linalg.solve_ex(hessian + ridge, gradient)
    if bool(singular):
        raise FitError(
            "calibration of the networks",
            got="outputs that hardly depend on the event: its equations have no solution",
            expected="networks that learned something",
            remedy="train longer (ratios.epochs, ratios.composition_epochs), or with more events",
        )
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
