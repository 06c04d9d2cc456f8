"""The training that alice, alices, carl, cascal, rolr and rascal share: one network with theta among its inputs.

The network gives l(x, theta) = log p(x|theta) / p_ref(x). Every event in every epoch gets a theta of its own; the loss is the mean over
theta of a loss for the ratio plus, for the estimators that end in s, alpha times the squared error of the gradient of l with
respect to theta against the joint score, both in the standardised coordinate v of `toolkit.ratios.estimators.theta`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from toolkit.errors import PhysicsDomainError
from toolkit.ratios.batches import Batch
from toolkit.ratios.estimators.losses import cross_entropy_loss, score_loss
from toolkit.ratios.estimators.models import ParameterisedModel, ParameterisedNetwork
from toolkit.ratios.estimators.preparation import NetworkEstimator, build_network, prepare, train
from toolkit.ratios.estimators.theta import Terms, ThetaBatches, ThetaPrior, UniformTheta
from toolkit.ratios.trainer import in_memory
from toolkit.typing import Progress, silent_progress
from toolkit.weights import SimulatedEvents
from toolkit.weights.hypotheses import Hypotheses

RatioLoss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""loss(logit, a, b), per event; see `toolkit.ratios.estimators.losses`."""
PROBES = 4096
"""Points of the prior at which the yield is checked before a training."""


@dataclass(frozen=True)
class ParameterisedEstimator(NetworkEstimator):
    """Settings of a parameterised estimator.

    Args:
        theta: Where theta is drawn from during the training.
    """

    theta: ThetaPrior = field(default_factory=UniformTheta)

    name: ClassVar[str] = ""
    ratio_loss: ClassVar[RatioLoss] = staticmethod(cross_entropy_loss)
    one_label: ClassVar[bool] = False
    """Whether an event stands for one of the two hypotheses only, as in samples that were generated for each."""

    @property
    def alpha(self) -> float:
        """Weight of the score term."""
        return 0.0

    def fit(
        self,
        events: SimulatedEvents,
        *,
        features: Sequence[str],
        hypotheses: Hypotheses,
        progress: Progress = silent_progress,
        folder: Path | None = None,
    ) -> ParameterisedModel:
        """Train the network.

        Args:
            events: Simulated training events.
            features: Names of the observables that the network reads.
            hypotheses: Processes, parameters with ranges, reference.
            progress: Called after every epoch.
            folder: Where the training is kept after every epoch; a later call with the same arguments goes on there.

        Returns:
            The model, valid for theta inside the ranges of the hypotheses.

        Raises:
            SchemaError, PhysicsDomainError: A feature, a weight, the reference or a theta is unusable.
            FitError: Too few events, or the loss is not finite.
        """
        prepared = prepare(events, features=features, hypotheses=hypotheses, settings=self)
        terms = Terms(hypotheses)
        require_positive_yield(self.theta, hypotheses, terms)
        network = build_network(prepared, settings=self, n_outputs=1, n_context=len(hypotheses.parameters))
        seed = self.training.seed
        batches = ThetaBatches(in_memory(prepared.context, self.training), prior=self.theta, hypotheses=hypotheses, terms=terms, seed=seed)
        loss = JointLoss(Terms(hypotheses).float().to(self.training.device), type(self).ratio_loss, self.alpha, self.one_label)
        key = f"{self.name} {self.alpha}"
        history = train(network, loss, batches, settings=self, name=self.name, key=key, progress=progress, folder=folder)
        module = ParameterisedNetwork(prepared.feature_map, terms, network).double().eval()
        return ParameterisedModel(self.name, prepared.columns, hypotheses, (history,), module)


@dataclass(frozen=True, eq=False)
class JointLoss:
    """Loss of a network (n, n_inputs + n_parameters) -> (n, 1) on a batch (inputs, terms, reference, coin, v).

    Attributes:
        terms: Densities as functions of v.
        ratio: Loss of the ratio.
        alpha: Weight of the score term.
        one_label: Whether an event enters with one label only.
    """

    terms: Terms
    ratio: RatioLoss
    alpha: float
    one_label: bool

    def __call__(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        """Return the mean over the events of the batch."""
        inputs, terms, b, coin, v = batch
        a = density(self.terms, terms, v)
        logit, gradient = logit_and_gradient(network, inputs, v, with_gradient=self.alpha > 0.0)
        shares = labelled(a, b, coin) if self.one_label else (a, b)
        loss = self.ratio(logit, *shares)
        if gradient is not None:
            loss = loss + self.alpha * score_loss(gradient, a, density_slope(self.terms, terms, v, a))
        return loss.mean()


def density(terms: Terms, weights: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Compute a = w(theta) / nu(theta) of every event, with mean 1 over the sample.

    Args:
        terms: The terms t_k.
        weights: Terms of every event, (n, n_terms).
        v: Standardised theta of every event, (n, n_parameters).

    Returns:
        a, (n,).
    """
    t = terms(v)
    a: torch.Tensor = (weights * t).sum(dim=1) / (t @ terms.share)
    return a


def density_slope(terms: Terms, weights: torch.Tensor, v: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    """Compute d a / d v = a times the joint score of every event, (n, n_parameters); `a` is that of `density`."""
    derivatives = terms.gradient_at(v)
    change = (weights[:, None, :] * derivatives).sum(dim=2) - a[:, None] * (derivatives @ terms.share)
    slope: torch.Tensor = change / (terms(v) @ terms.share)[:, None]
    return slope


def labelled(a: torch.Tensor, b: torch.Tensor, coin: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Let every event stand for one hypothesis: the numerator with probability |a| / (|a| + |b|).

    The sums over events keep their expectations, signs included. An event so carries the information of a generated one and no
    more: the hypothesis it belongs to, not the ratio of the two densities at its phase-space point.

    Returns:
        New a and b, one of them 0 at every event.
    """
    total = a.abs() + b.abs()
    numerator = coin * total < a.abs()
    zero = torch.zeros_like(a)
    return torch.where(numerator, torch.sign(a) * total, zero), torch.where(numerator, zero, torch.sign(b) * total)


def logit_and_gradient(
    network: nn.Module, inputs: torch.Tensor, v: torch.Tensor, *, with_gradient: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Evaluate the network and its gradient with respect to v, for training such that the gradient can be differentiated again.

    Returns:
        Logit (n,), and gradient (n, n_parameters) or None.
    """
    if not with_gradient:
        return network(torch.cat([inputs, v], dim=1))[:, 0], None
    training = torch.is_grad_enabled()
    with torch.enable_grad():
        v = v.detach().requires_grad_(True)
        logit: torch.Tensor = network(torch.cat([inputs, v], dim=1))[:, 0]
        (gradient,) = torch.autograd.grad(logit.sum(), v, create_graph=training)
    return logit, gradient


def require_positive_yield(prior: ThetaPrior, hypotheses: Hypotheses, terms: Terms) -> None:
    """Refuse ranges in which the expected number of events is not positive.

    Raises:
        PhysicsDomainError: Names the point.
    """
    u = prior.draw(PROBES, hypotheses, torch.Generator().manual_seed(0))
    total = terms(terms.to_v(u)) @ terms.share
    if not bool((total > 0).all()):
        i = int(torch.argmin(total))
        theta = (u[i] ** (1.0 / torch.from_numpy(hypotheses.roots))).tolist()
        got = f"{float(total[i]) * hypotheses.reference_yield:g} at {dict(zip(hypotheses.parameters, theta, strict=True))}"
        raise PhysicsDomainError("expected events", got=got, expected="> 0 in the range of theta", remedy="narrow the range")
