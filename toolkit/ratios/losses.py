"""Losses of the heads; each is a proper scoring rule, so its minimum is the true density ratio."""

from __future__ import annotations

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from toolkit.ratios.structure import Mixture
from toolkit.ratios.targets import Targets

INTERFERENCE_WEIGHT = 4.0
"""Weight of the interference term: its squared error is small in absolute size."""


def mixture_loss(heads: torch.Tensor, targets: Targets, mixture: Mixture) -> torch.Tensor:
    """Compute the loss of the heads: classes + signal share + interference.

    The classes use the weighted cross-entropy of the logits, the signal share the cross-entropy with the soft label
    kappa S / G of the event, the interference the squared error of I / G; the last two weighted with the density of G.

    Args:
        heads: Outputs of a network, shape (n, n_heads).
        targets: Targets of the same events.
        mixture: Meaning of the heads.

    Returns:
        Scalar: mean over the events.
    """
    in_g = targets.weight * (targets.label == 0)
    signal = binary_cross_entropy_with_logits(mixture.signal_logit(heads), targets.signal, reduction="none")
    interference = (mixture.interference_share(heads) - targets.interference) ** 2
    loss = (in_g * (signal + INTERFERENCE_WEIGHT * interference)).mean()
    if mixture.backgrounds:
        classes = cross_entropy(mixture.class_logits(heads), targets.label, reduction="none")
        loss = loss + (targets.weight * classes).mean()
    return loss
