"""Multiclass: one softmax over all processes, every process with the same total weight.

The logits z_j minimise  sum_j E_j[-log softmax_j(z)], so that softmax_j = p_j / sum_k p_k and every ratio of processes is a difference of
logits: log p_j / p_ref = z_j - log sum_k pi_k e^z_k with the fractions pi of the reference. All ratios come from one network and agree with
each other. The model's `discriminant` is D_pre of the preselection.

Without `one_label` (the default) an interfering event counts for S, SBI and B at once with its weights; with it, for the one
process that a draw by these weights assigns, as in separately generated samples.

References:
    ATLAS, arXiv:2412.01600 (multi-class network of the preselection).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from toolkit.errors import SchemaError
from toolkit.ratios.batches import Batch
from toolkit.ratios.estimators.losses import process_loss
from toolkit.ratios.estimators.models import ProcessModel
from toolkit.ratios.estimators.preparation import NetworkEstimator, build_network, in_memory, prepare, train
from toolkit.ratios.features import FeatureMap
from toolkit.typing import Progress, silent_progress
from toolkit.weights import SimulatedEvents
from toolkit.weights.hypotheses import Hypotheses


@dataclass(frozen=True)
class Multiclass(NetworkEstimator):
    """A softmax over all processes.

    Args:
        one_label: Whether an event counts for one process only.
    """

    one_label: bool = False

    name: ClassVar[str] = "multiclass"

    def fit(
        self,
        events: SimulatedEvents,
        *,
        features: Sequence[str],
        hypotheses: Hypotheses,
        progress: Progress = silent_progress,
        folder: Path | None = None,
    ) -> ProcessModel:
        """Train the network; the arguments are those of `ParameterisedEstimator.fit`.

        Raises:
            SchemaError: The reference has negative fractions: against a parameter point use another estimator.
        """
        fractions = list(hypotheses.reference_fractions.values())
        if min(fractions) < 0:
            remedy = "take a mixture of processes as the reference: Hypotheses.with_reference"
            raise SchemaError("reference of a multiclass network", got=fractions, expected="fractions >= 0", remedy=remedy)
        prepared = prepare(events, features=features, hypotheses=hypotheses, settings=self)
        network = build_network(prepared, settings=self, n_outputs=len(fractions))
        weights = one_process(prepared.processes, prepared.coin) if self.one_label else prepared.processes
        keep = (weights != 0).any(dim=1)
        batches = in_memory((prepared.inputs[keep], weights[keep]), self.training)
        history = train(network, multiclass_loss, batches, settings=self, name=self.name, key="softmax", progress=progress, folder=folder)
        module = SoftmaxRatios(prepared.feature_map, network, torch.tensor(fractions, dtype=torch.float64)).double().eval()
        return ProcessModel(self.name, prepared.columns, hypotheses, (history,), module)


class SoftmaxRatios(nn.Module):
    """log p_j / p_ref from the logits of a class-balanced softmax.

    Args:
        feature_map: Observables to inputs.
        network: Inputs to logits.
        fractions: Fractions pi_j >= 0 of the reference, shape (n_processes,).
    """

    log_fractions: torch.Tensor
    used: torch.Tensor

    def __init__(self, feature_map: FeatureMap, network: nn.Module, fractions: torch.Tensor) -> None:
        super().__init__()
        self.feature_map = feature_map
        self.network = network
        used = torch.nonzero(fractions > 0)[:, 0]
        self.register_buffer("used", used)
        self.register_buffer("log_fractions", torch.log(fractions[used]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the log ratios, shape (n, n_processes)."""
        logits: torch.Tensor = self.network(self.feature_map(x))
        present = logits.index_select(1, self.used) + self.log_fractions
        return logits - torch.logsumexp(present, dim=1, keepdim=True)


def multiclass_loss(network: nn.Module, batch: Batch) -> torch.Tensor:
    """Compute the cross-entropy of a batch (inputs, weights)."""
    inputs, weights = batch
    return process_loss(network(inputs), weights).mean()


def one_process(weights: torch.Tensor, coin: torch.Tensor) -> torch.Tensor:
    """Let every event count for one process, drawn by the absolute weights; expectations and signs stay, shape as `weights`."""
    size = weights.abs()
    upper = torch.cumsum(size, dim=1)
    total = upper[:, -1:]
    drawn = (coin[:, None] * total >= upper).sum(dim=1).clamp_max(weights.shape[1] - 1)
    chosen = torch.nn.functional.one_hot(drawn, weights.shape[1]).to(weights.dtype)
    return chosen * torch.sign(weights) * total
