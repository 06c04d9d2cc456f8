"""Losses of the two networks of a member; each is a proper scoring rule, so its minimum is the true density ratio."""

from __future__ import annotations

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from toolkit.ratios.structure import Mixture
from toolkit.ratios.targets import Targets

INTERFERENCE_WEIGHT = 4.0
"""Weight of the interference term: its squared error is small in absolute size."""


def class_loss(logits: torch.Tensor, targets: Targets) -> torch.Tensor:
    """Compute the weighted cross-entropy of the classes G, b_1, b_2, ...

    Args:
        logits: log p_b / p_G, shape (n, n_b).
        targets: Targets of the same events.

    Returns:
        Scalar: mean over the events.
    """
    padded = torch.cat([torch.zeros_like(logits[:, :1]), logits], dim=1)
    return (targets.weight * cross_entropy(padded, targets.label, reduction="none")).mean()


def composition_loss(heads: torch.Tensor, targets: Targets, mixture: Mixture) -> torch.Tensor:
    """Compute the loss of signal share and interference of events of the class G.

    The signal share uses the cross-entropy with the soft label kappa S / G of the event, the interference the squared error of I / G;
    both weighted with the density of G.

    Args:
        heads: Signal logit and artanh of the coherence, shape (n, 2).
        targets: Targets of the same events, all of class G.
        mixture: Meaning of the heads.

    Returns:
        Scalar: mean over the events.
    """
    signal = binary_cross_entropy_with_logits(mixture.signal_logit(heads), targets.signal, reduction="none")
    interference = (mixture.interference_share(heads) - targets.interference) ** 2
    return (targets.weight * (signal + INTERFERENCE_WEIGHT * interference)).mean()
