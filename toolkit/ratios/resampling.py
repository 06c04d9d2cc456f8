"""Positive weights in place of signed ones, with the same expectation of every observable.

A small network learns g(x) = E[w | x] / E[|w| | x], what is left of the weight at a phase-space point when the signs have cancelled.
Then |w| g(x) has the expectation of w in every observable that is a function of x, and none of it is negative.

When to use what: signed weights as they are, as long as batches are large enough (`effective_size_of_batches`): that is exact. The
weights |w| g for estimators that need positive ones, such as the mixture networks. `Resampled.thinned` for statistics: it keeps
an event with probability g^2 at the weight |w| / g, so that sums of weights and sums of squared weights have the expectations
of the signed sample.

References:
    Nachman, Thaler, "Neural resampler for Monte Carlo reweighting with preserved uncertainties", arXiv:2007.11586.
    Andersen, Gutschow, Maier, Prestel, "A positive resampler for Monte Carlo events with negative weights", arXiv:2005.09375.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn
from torch.nn.functional import logsigmoid

from toolkit.config import RatioSettings
from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.ratios.architectures.mlp import MLP
from toolkit.ratios.features import FeatureMap, feature_matrix
from toolkit.ratios.signed_calibration import directions, fit_signed_calibration
from toolkit.ratios.structure import Mixture
from toolkit.ratios.trainer import Batch, TrainingSettings, in_memory, train_network
from toolkit.typing import FloatArray, Progress, silent_progress
from toolkit.weights import SimulatedEvents, assign_fold, require_enough_events, require_positive_classes


@dataclass(frozen=True)
class ResamplingSettings:
    """How g is learned.

    Attributes:
        hidden: Widths of the hidden layers.
        members: Networks per fold, each on a bootstrap of its events; their spread is the uncertainty of g.
        folds: Every event is judged by networks that did not train on it.
        training: Optimiser and epochs.
        salt: Key of the folds.
    """

    hidden: tuple[int, ...] = (64, 64)
    members: int = 4
    folds: int = 2
    training: TrainingSettings = field(
        default_factory=lambda: TrainingSettings(epochs=12, batch_size=256, patience=6, smaller_batches=True)
    )
    salt: str = "resampling"


class SignShare(nn.Module):
    """g(x) of an ensemble: observables (n, n_features) -> (g, spread), each (n, 1).

    Args:
        feature_map: From observables to inputs.
        networks: One list of members per fold.
        theta: Coefficients of the calibration, shape (n_directions,).
    """

    theta: torch.Tensor

    def __init__(self, feature_map: FeatureMap, networks: Sequence[Sequence[nn.Module]], theta: torch.Tensor) -> None:
        super().__init__()
        self.feature_map = feature_map
        self.networks = nn.ModuleList(nn.ModuleList(members) for members in networks)
        self.register_buffer("theta", theta)

    def logits(self, inputs: torch.Tensor, *, fold: int) -> torch.Tensor:
        """Compute the members' logits of g before the calibration, shape (n_members, n)."""
        members = self.networks[fold]
        assert isinstance(members, nn.ModuleList)
        return torch.stack([network(inputs)[:, 0] for network in members])

    def shares(self, logits: torch.Tensor, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return calibrated g (n,) and that of every member (n_members, n)."""
        mean = logits.mean(dim=0)
        shift = directions(mean, inputs) @ self.theta
        return torch.sigmoid(mean + shift), torch.sigmoid(logits + shift)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute g of new events from all networks."""
        inputs = self.feature_map(x).to(self.theta.dtype)
        logits = torch.cat([self.logits(inputs, fold=k) for k in range(len(self.networks))])
        share, members = self.shares(logits, inputs)
        return share[:, None], members.std(dim=0)[:, None]


@dataclass(frozen=True, eq=False)
class Resampled:
    """Events with positive weights.

    Attributes:
        model: g(x) for other events.
        features: Names of its inputs.
        signed: The weights as they were, shape (n,).
        share: g of these events from networks that did not train on them, shape (n,), in (0, 1).
        member_shares: The same of every member, shape (n_members, n).
    """

    model: SignShare
    features: tuple[str, ...]
    signed: FloatArray
    share: FloatArray
    member_shares: FloatArray

    @property
    def weights(self) -> FloatArray:
        """Positive weights |w| g, shape (n,).

        Their sum of squares is smaller than that of the signed weights and is NOT the variance of a histogram: use the signed
        weights, or `thinned`, for statistical errors.
        """
        return np.abs(self.signed) * self.share

    @property
    def spread(self) -> FloatArray:
        """Standard deviation of the positive weights over the members, shape (n,); correlated between events."""
        return np.asarray(np.abs(self.signed) * self.member_shares.std(axis=0, ddof=1))

    def thinned(self, *, seed: int) -> FloatArray:
        """Draw positive weights that keep the statistical errors.

        Args:
            seed: Seed of the draw.

        Returns:
            |w| / g with probability g^2, otherwise 0, shape (n,): E = |w| g and E of the square = w^2.
        """
        kept = np.random.default_rng(seed).uniform(size=len(self.share)) < np.square(self.share)
        return np.where(kept, np.abs(self.signed) / self.share, 0.0)


def fit_resampling(
    x: FloatArray,
    weights: ArrayLike,
    *,
    features: Sequence[str],
    event_id: NDArray[np.integer[Any]],
    settings: ResamplingSettings | None = None,
    progress: Progress = silent_progress,
) -> Resampled:
    """Learn g(x) = E[w | x] / E[|w| | x].

    Args:
        x: Observables, shape (n, n_features), in GeV and radians.
        weights: Signed weights, shape (n,).
        features: Names of the columns of x.
        event_id: Event numbers, shape (n,): they decide the folds.
        settings: Networks and training.
        progress: Told after every network.

    Returns:
        Positive weights, and g for other events.

    Raises:
        PhysicsDomainError: The weights do not sum to more than zero, none is negative, or a feature is constant.
        SchemaError: Fewer events than parameters of the calibration, or fewer than two members. FitError: too few events to train.

    Notes:
        The sign of an event is classified given x, with weights |w|: g = 2 P(+) - 1. The network gives the logit of g, so that g is
        positive; where the true E[w | x] is negative g goes to zero, and the closure test shows it. A few moments (the sum,
        mean and mean square of every input) are then made exact on events that the networks did not train on. Observables that
        depend on more than x close only as far as x decides the cancellation.
    """
    settings = settings or ResamplingSettings()
    w = np.asarray(weights, dtype=np.float64)
    if x.shape != (len(w), len(features)):
        raise ShapeError(what="observables", got=f"shape {x.shape}", expected=f"({len(w)}, {len(features)})")
    if settings.members < 2 or settings.folds < 2:
        raise SchemaError("resampling", got=f"{settings.members} members, {settings.folds} folds", expected="at least 2 of each")
    require_positive_classes(np.zeros(len(w), dtype=np.int64), w, names=("events to resample",))
    if not np.any(w < 0):
        raise PhysicsDomainError("events to resample", got="no negative weight", expected="some", remedy="use the weights as they are")
    rows = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float64))
    feature_map = FeatureMap.fitted(features, rows, fold=False)
    inputs = feature_map(rows)
    n_directions = 2 * inputs.shape[1] + 2
    require_enough_events(len(w), n_directions, what="calibration of the resampling")
    fold = assign_fold(event_id, n_folds=settings.folds, salt=settings.salt)
    networks = _train_all(inputs, w, fold, settings, progress)
    model = SignShare(feature_map, networks, torch.zeros(n_directions, dtype=torch.float64)).double().eval()
    with torch.no_grad():
        logits = torch.zeros((settings.members, len(w)), dtype=torch.float64)
        for k in range(settings.folds):
            held = torch.from_numpy(fold == k)
            logits[:, held] = model.logits(inputs[held], fold=k)
        model.theta = fit_signed_calibration(logits.mean(dim=0), inputs, torch.from_numpy(w))
        share, members = model.shares(logits, inputs)
    return Resampled(model, tuple(features), w, share.numpy(), members.numpy())


def resample_process(
    events: SimulatedEvents,
    *,
    process: str,
    features: Sequence[str],
    settings: ResamplingSettings | None = None,
    progress: Progress = silent_progress,
) -> tuple[SimulatedEvents, Resampled]:
    """Replace the weights of one process by positive ones.

    Args:
        events: Simulated events.
        process: A process with negative weights, usually a background of a next-to-leading-order generator.
        features: Observables of which g is a function: all that any later step looks at.
        settings: Networks and training.
        progress: Told after every network.

    Returns:
        The same events with positive weights of that process, and how they were made (for its events with a weight).

    Raises:
        SchemaError: The process is unknown. See also `fit_resampling`.
    """
    if process not in events.processes:
        raise SchemaError("process to resample", got=process, expected=f"one of {list(events.processes)}")
    column = events.processes.index(process)
    used = events.weights[:, column] != 0
    own = events.select(used)
    x = feature_matrix(own.observables, features)
    found = fit_resampling(x, own.weights[:, column], features=features, event_id=own.event_id, settings=settings, progress=progress)
    weights = events.weights.copy()
    weights[used, column] = found.weights
    return replace(events, weights=weights), found


def positive_backgrounds(
    training: SimulatedEvents, mixture: Mixture, *, config: RatioSettings, progress: Progress = silent_progress
) -> SimulatedEvents:
    """Replace negative weights of backgrounds if the config asks for it.

    Args:
        training: Simulated events to learn from.
        mixture: Names of the backgrounds.
        config: `negative_weights` says what to do; features, seed and size of the batches are those of the mixture networks.
        progress: Told after every network.

    Returns:
        The events as they are, or with positive weights of the backgrounds.
    """
    alone = [name for c in mixture.classes if not c.n_heads for name in c.densities]
    columns = {name: training.weights[:, training.processes.index(name)] for name in alone}
    affected = [name for name, w in columns.items() if np.any(w < 0)]
    if config.negative_weights == "refuse" or not affected:
        return training
    loop = replace(ResamplingSettings().training, seed=config.seed, threads=config.threads)
    settings = ResamplingSettings(training=loop, salt=f"{config.splits.salt}/resampling")
    for name in affected:
        training, _ = resample_process(training, process=name, features=config.features, settings=settings, progress=progress)
    return training


def sign_loss(network: nn.Module, batch: Batch) -> torch.Tensor:
    """Compute the cross-entropy of the sign of the weight, P(+) = (1 + g) / 2, weighted with |w|; without its constant log 2."""
    inputs, positive, size = batch
    z = network(inputs)[:, 0]
    entropy = positive * torch.log1p(torch.sigmoid(z)) + (1.0 - positive) * logsigmoid(-z)
    return -(size * entropy).mean()


def _train_all(
    inputs: torch.Tensor, w: FloatArray, fold: NDArray[np.int8], settings: ResamplingSettings, progress: Progress
) -> list[list[nn.Module]]:
    """Train every member on a bootstrap of the events outside each fold."""
    rng = np.random.default_rng(settings.training.seed)
    size = np.abs(w) / np.abs(w).mean()
    columns = inputs.float(), torch.from_numpy((w > 0).astype(np.float32)), torch.from_numpy(size.astype(np.float32))
    networks: list[list[nn.Module]] = []
    total = float(settings.folds * settings.members)
    for k in range(settings.folds):
        outside = torch.from_numpy(np.flatnonzero(fold != k))
        networks.append([])
        for m in range(settings.members):
            seed = settings.training.seed + 1000 * k + m
            generator = torch.Generator().manual_seed(seed)
            network = MLP(hidden=settings.hidden).stack(inputs.shape[1], 1, generator=generator)
            times = torch.from_numpy(rng.poisson(1.0, len(outside)).astype(np.float32))
            tensors = (columns[0][outside], columns[1][outside], columns[2][outside] * times)
            training = replace(settings.training, seed=seed)
            batches = in_memory(tensors, training, generator=generator)
            train_network(network, sign_loss, batches, settings=training, name="sign share", generator=generator)
            networks[k].append(network)
            progress("resampling", float(k * settings.members + m + 1), total)
    return networks
