"""How one member of an ensemble of networks that read theta is trained."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from toolkit.config import ThetaConfig
from toolkit.ratios.estimators.alice import Alice
from toolkit.ratios.estimators.alices import Alices
from toolkit.ratios.estimators.carl import CarlParameterised
from toolkit.ratios.estimators.cascal import Cascal
from toolkit.ratios.estimators.parameterised import JointLoss, ParameterisedEstimator
from toolkit.ratios.estimators.preparation import Prepared
from toolkit.ratios.estimators.rascal import Rascal
from toolkit.ratios.estimators.rolr import Rolr
from toolkit.ratios.estimators.theta import ListedTheta, Terms, ThetaBatches, ThetaPrior, UniformTheta
from toolkit.ratios.network import architecture_of
from toolkit.ratios.plan import Member
from toolkit.ratios.trainer import OnEpoch, train_network
from toolkit.ratios.training import batches_of, training_settings, unfinished
from toolkit.ratios.training_history import TrainingHistory
from toolkit.ratios.training_state import tensor_bytes
from toolkit.weights.hypotheses import Hypotheses

KINDS: Mapping[str, type[ParameterisedEstimator]] = {
    "alice": Alice,
    "alices": Alices,
    "carl": CarlParameterised,
    "cascal": Cascal,
    "rascal": Rascal,
    "rolr": Rolr,
}
WITH_GRADIENT = ("alices", "cascal", "rascal")
FORMAT = 1
"""Part of the key: raise it when the content of a member's file changes."""
NAME = "ratio"


def prior_of(config: ThetaConfig) -> ThetaPrior:
    """Return where theta is drawn from while a network learns."""
    return ListedTheta(config.theta.points) if config.theta.kind == "listed" else UniformTheta()


@dataclass(frozen=True, eq=False)
class ThetaTask:
    """Trains the members of an ensemble; see `plan.MemberTask`.

    Attributes:
        prepared: Inputs and weights of the training events.
        fold: Their folds, (n,).
        hypotheses: Densities as functions of theta.
        config: The section `ratios`.
    """

    prepared: Prepared
    fold: NDArray[np.int64]
    hypotheses: Hypotheses
    config: ThetaConfig

    def network(self) -> nn.Module:
        """Build an untrained network."""
        return self._build(torch.Generator())

    def key(self, member: Member) -> str:
        """Hash events, weights, settings and seed."""
        settings = self.config.model_dump(mode="json", exclude={"device", "ensemble"})
        h = self.hypotheses
        model = [h.processes, h.parameters, h.ranges, h.exponents.tolist(), h.combination.tolist(), h.reference.tolist(), h.yields.tolist()]
        digest = hashlib.blake2b(json.dumps([FORMAT, settings, model, member.seed], sort_keys=True).encode(), digest_size=16)
        for tensor in self._part(member):
            digest.update(tensor_bytes(tensor))
        return digest.hexdigest()

    def train(self, member: Member, *, checkpoint: Path, on_progress: OnEpoch) -> tuple[nn.Module, tuple[TrainingHistory, ...]]:
        """Train on the events of the member."""
        generator = torch.Generator().manual_seed(member.seed)
        network = self._build(generator)
        settings = training_settings(self.config, epochs=self.config.epochs, seed=member.seed)
        kind, terms = KINDS[self.config.estimator], Terms(self.hypotheses)
        loss = JointLoss(terms.float().to(settings.device), kind.ratio_loss, self.alpha, kind.one_label)
        own = unfinished(checkpoint, NAME)
        with batches_of(self._part(member), settings, generator, stream_above_mb=self.config.stream_above_mb, beside=own) as events:
            batches = ThetaBatches(
                events, prior=prior_of(self.config), hypotheses=self.hypotheses, terms=Terms(self.hypotheses), seed=member.seed
            )
            history = train_network(
                network,
                loss,
                batches,
                settings=settings,
                name=NAME,
                generator=generator,
                on_progress=on_progress,
                checkpoint=own,
                key=f"{self.config.estimator} {self.alpha}",
            )
        return network.cpu().eval(), (history,)

    @property
    def alpha(self) -> float:
        """Weight of the gradient in the loss."""
        return self.config.gradient_weight if self.config.estimator in WITH_GRADIENT else 0.0

    def _build(self, generator: torch.Generator) -> nn.Module:
        n_context = len(self.hypotheses.parameters)
        return architecture_of(self.config).build(self.prepared.feature_map, n_outputs=1, n_context=n_context, generator=generator)

    def _part(self, member: Member) -> tuple[torch.Tensor, ...]:
        subset = member.subset(len(self.fold), fold=self.fold)
        rows, counts = torch.from_numpy(subset.rows), torch.from_numpy(subset.counts).float()
        inputs, terms, reference, coin = (tensor[rows] for tensor in self.prepared.context)
        return inputs, terms * counts[:, None], reference * counts, coin
