"""Losses of the estimators, in the logit l = log r(x), stable for any l and linear in the event weights.

Every event carries a, its share of the numerator density p(x, z|theta) / p_0(x, z), and b, its share of the reference density, both
with mean 1 over the sample; a / b is the joint ratio. Sums over events of a h(x) estimate the expectation of h under
p(x|theta), sums of b h(x) that under the reference. Squared errors are written without their constant term, which is infinite where a
weight vanishes and does not move the minimum:

    b (a / b - e^l)^2      = b e^(2l) - 2 a e^l + const
    a |g - a' / a|^2       = a |g|^2 - 2 a' . g + const

so that an event without weight under theta, or with a negative one, enters like any other. Values of these losses may be negative.
"""

from __future__ import annotations

import torch
from torch.nn.functional import log_softmax, softplus

LARGEST_LOGIT = 12.0
"""Squared errors of ratios see the logit clipped here (r between 6e-6 and 2e5): their exponentials would overflow."""


def cross_entropy_loss(logit: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Compute the class-balanced cross-entropy a softplus(-l) + b softplus(l) of every event.

    With the weights of one class only (a or b zero) it is that of `carl`, with both that of `alice`:
    (a + b) times the cross-entropy with the soft label a / (a + b).

    Args:
        logit: log r, shape (n,).
        a: Weight in the numerator, shape (n,).
        b: Weight in the reference, shape (n,).

    Returns:
        Loss of every event, shape (n,).

    Examples:
        >>> one = torch.ones(1)
        >>> round(float(cross_entropy_loss(torch.tensor([100.0]), 0.0 * one, one)), 3)
        100.0
    """
    return a * softplus(-logit) + b * softplus(logit)


def squared_ratio_loss(logit: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Compute b (a/b - e^l)^2 + a (b/a - e^-l)^2 of every event, without the constants a^2/b and b^2/a; shape (n,).

    The first part is an average over the reference (label 1), the second over the numerator (label 0): together they weight large
    and small ratios alike.
    """
    up, down = torch.exp(_clipped(logit)), torch.exp(-_clipped(logit))
    return b * up**2 - 2.0 * a * up + a * down**2 - 2.0 * b * down


def score_loss(gradient: torch.Tensor, a: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
    """Compute a |g - t|^2 of every event without the constant a |t|^2; the joint score is t = slope / a.

    Args:
        gradient: g = d l / d v of the network, shape (n, n_parameters).
        a: Weight in the numerator, shape (n,).
        slope: d a / d v, shape (n, n_parameters).

    Returns:
        Loss of every event, shape (n,).
    """
    return a * (gradient**2).sum(dim=1) - 2.0 * (slope * gradient).sum(dim=1)


def process_loss(logits: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Compute the cross-entropy sum_j w_j (-log softmax_j) of every event.

    Args:
        logits: One per process, shape (n, n_processes).
        weights: Weight of the event in each process, shape (n, n_processes); labels are the case of one weight that is not 0.

    Returns:
        Loss of every event, shape (n,).
    """
    return -(weights * log_softmax(logits, dim=1)).sum(dim=1)


def _clipped(logit: torch.Tensor) -> torch.Tensor:
    return logit.clamp(-LARGEST_LOGIT, LARGEST_LOGIT)
