"""Losses of the networks of a member; each is a proper scoring rule, so its minimum is the true density ratio."""

from __future__ import annotations

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, log_softmax

from toolkit.ratios import composition
from toolkit.ratios.structure import EventClass, Mixture
from toolkit.ratios.targets import Targets

INTERFERENCE_WEIGHT = 4.0
"""Weight of the interference term: its squared error is small in absolute size."""


def class_loss(logits: torch.Tensor, targets: Targets) -> torch.Tensor:
    """Compute the weighted cross-entropy of the classes.

    Args:
        logits: log p_c / p_0 of the classes after the first, shape (n, n_classes - 1).
        targets: Targets of the same events.

    Returns:
        Scalar: mean over the events.
    """
    padded = torch.cat([torch.zeros_like(logits[:, :1]), logits], dim=1)
    return (targets.weight * cross_entropy(padded, targets.label, reduction="none")).mean()


def composition_loss(heads: torch.Tensor, targets: Targets, event_class: EventClass) -> torch.Tensor:
    """Compute the loss of shares and interferences of events of one class.

    The shares use the cross-entropy with the soft labels K_k M_kk / tr(K M) of the event, the interferences the squared error of
    2 M_kl / tr(K M); both weighted with the density of the class.

    Args:
        heads: Heads of the class, shape (n, n_heads).
        targets: Targets of the same events and heads.
        event_class: Meaning of the heads.

    Returns:
        Scalar: mean over the events.
    """
    n = event_class.n_amplitudes
    if n == 2:
        shares = binary_cross_entropy_with_logits(heads[:, 0], targets.composition[:, 0], reduction="none")
    else:
        logits = composition.share_logits(heads, n, event_class.reference)
        wanted = composition.share_logits(targets.composition, n, event_class.reference)
        rest = 1.0 - wanted.sum(dim=1, keepdim=True)
        shares = cross_entropy(logits, wanted + rest * (torch.arange(n, device=logits.device) == event_class.reference), reduction="none")
    found = dict(zip(event_class.pairs, composition.products(heads, event_class.kappas, event_class.reference), strict=True))
    interferences = torch.zeros_like(shares)
    for column, (k, m) in enumerate(composition.pairs_below(n), start=n - 1):
        interferences = interferences + (found[m, k] - targets.composition[:, column]) ** 2
    return (targets.weight * (shares + INTERFERENCE_WEIGHT * interferences)).mean()


def source_loss(heads: torch.Tensor, sources: torch.Tensor, mixture: Mixture) -> torch.Tensor:
    """Compute the cross-entropy of the samples that the events come from.

    With every source b in the same number, p(b | x) is its normalised density over the sum of all, v_b^T M(x) v_b / nu_b inside its class:
    labels train classes and compositions at once, all sources in every batch.

    Args:
        heads: Heads of the mixture, (n, n_heads).
        sources: Weight of each event under every source, (n, n_sources); see `Targets.sources`.
        mixture: Meaning of the heads.

    Returns:
        Scalar: mean over the events.
    """
    return -(sources * log_softmax(mixture.source_log_ratios(heads), dim=1)).sum(dim=1).mean()
