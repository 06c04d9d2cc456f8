"""Calibration of the share g = E[w] / E[|w|]: exact moments on events that the networks did not train on."""

from __future__ import annotations

import torch
from torch.nn.functional import softplus

NEWTON_STEPS = 50
RIDGE = 1e-6
"""Relative to the trace of the Hessian; keeps nearly collinear directions solvable."""
CONVERGED = 1e-10


def directions(logit: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    """Stack the functions whose expectations are made exact: 1, the logit, every input and its square; (n, 2 n_inputs + 2)."""
    columns = inputs.to(logit.dtype)
    return torch.cat([torch.ones_like(logit)[:, None], logit[:, None], columns, columns**2], dim=1)


def fit_signed_calibration(logit: torch.Tensor, inputs: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Solve sum_i (|w_i| g_i - w_i) phi_k(x_i) = 0 with g = sigmoid(logit + theta . phi) for theta.

    Args:
        logit: Logit of g from networks that did not train on the event, shape (n,).
        inputs: Standardised inputs, shape (n, n_inputs).
        weights: Signed weights, shape (n,).

    Returns:
        theta, shape (2 n_inputs + 2,), float64. Zero components where no progress is possible.

    Notes:
        The equations are the gradient of the convex function sum |w| softplus(logit + theta . phi) - w theta . phi, minimised by
        Newton steps that are halved until it falls.
    """
    phi = directions(logit, inputs).double()
    w, base = weights.double(), logit.double()
    size = w.abs()
    theta = torch.zeros(phi.shape[1], dtype=torch.float64)

    def potential(point: torch.Tensor) -> torch.Tensor:
        z = base + phi @ point
        return (size * softplus(z) - w * z).sum()

    value = potential(theta)
    for _ in range(NEWTON_STEPS):
        g = torch.sigmoid(base + phi @ theta)
        gradient = phi.T @ (size * g - w)
        hessian = (phi * (size * g * (1.0 - g))[:, None]).T @ phi
        ridge = RIDGE * hessian.diagonal().mean() * torch.eye(len(hessian), dtype=torch.float64)
        step = torch.linalg.solve(hessian + ridge, gradient)
        scale = 1.0
        while scale > 1e-6 and not potential(theta - scale * step) < value:
            scale *= 0.5
        lower = potential(theta - scale * step)
        if not lower < value - CONVERGED * size.sum():
            break
        theta, value = theta - scale * step, lower
    return theta
