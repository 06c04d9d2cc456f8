"""Mixture-model estimation: log p_j / p_ref of every process from one calibrated ensemble.

When to use: the parameter of interest mixes processes by known coefficients (signal strength with interference), so that the
density at any parameter value is a combination of a few densities, each learned once against one reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from toolkit.artifacts.atomic import make_folder
from toolkit.config import MorphingConfig, RatioConfig
from toolkit.errors import PhysicsDomainError
from toolkit.ratios.calibration import fit_calibration, identity_calibration
from toolkit.ratios.checkpoints import load_member, member_key, save_member
from toolkit.ratios.ensemble import MixtureEnsemble, member_folds, out_of_bag_heads
from toolkit.ratios.features import FeatureMap, feature_matrix
from toolkit.ratios.network import MixtureNetwork
from toolkit.ratios.targets import describe_mixture, make_targets
from toolkit.ratios.training import train_member
from toolkit.ratios.training_history import TrainingHistory
from toolkit.typing import Progress, silent_progress
from toolkit.weights import SimulatedEvents, assign_fold


@dataclass(frozen=True, eq=False)
class TrainedMixture:
    """A calibrated ensemble and what is known about its training.

    Attributes:
        ensemble: The module: observables (n, n_features) -> (log_ratio, log_ratio_spread), each (n, n_processes). float64.
        history: Losses of the networks of each member.
        out_of_bag: Calibrated log ratios of the pool events from those members that did not train on them,
            shape (n_pool, n_processes).
        before_calibration: The same without calibration.
    """

    ensemble: MixtureEnsemble
    history: tuple[tuple[TrainingHistory, ...], ...]
    out_of_bag: NDArray[np.float64]
    before_calibration: NDArray[np.float64]

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the input columns."""
        return self.ensemble.feature_map.features

    @property
    def numerators(self) -> tuple[str, ...]:
        """Names of the output columns."""
        return self.ensemble.mixture.processes

    @property
    def reference(self) -> str:
        """The reference density in words."""
        return self.ensemble.mixture.reference

    @torch.no_grad()
    def log_ratio(self, x: NDArray[np.float64], *, batch: int = 20_000) -> NDArray[np.float64]:
        """Compute log p_j / p_ref in float64 from observables, shape (n, n_features) -> (n, n_processes)."""
        rows = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float64))
        parts = [self.ensemble(part)[0] for part in torch.split(rows, batch)]
        return torch.cat(parts).numpy()


def train_mixture(
    pool: SimulatedEvents,
    *,
    config: RatioConfig,
    morphing: MorphingConfig,
    folder: Path,
    progress: Progress = silent_progress,
) -> TrainedMixture:
    """Train all members, or read the finished ones, and calibrate the ensemble out of bag.

    Args:
        pool: Simulated events without the test events, weights scaled to the luminosity.
        config: Features, architecture, folds, seeds.
        morphing: Names of the interfering processes.
        folder: Where finished members are kept; a later call with the same events and config resumes there.
        progress: Called after every epoch.

    Returns:
        The calibrated ensemble.

    Raises:
        SchemaError, PhysicsDomainError: A feature is missing, constant or not finite, or a weight is unusable.
        FitError: Too few events, or the training diverged.

    Notes:
        Runs are reproducible on one kind of processor, for the same `config.threads`. Every member trains on half of the folds; the
        calibration sees each event only through members that did not train on it.
    """
    folder = make_folder(folder)
    x = torch.from_numpy(feature_matrix(pool.observables, config.features))
    mixture = describe_mixture(pool, signal=morphing.signal, interfering=morphing.interfering, background=morphing.background)
    targets = make_targets(pool, mixture)
    n_folds = config.splits.folds
    fold = torch.from_numpy(assign_fold(pool.event_id, n_folds=n_folds, salt=config.splits.salt))
    feature_map = FeatureMap.fitted(config.features, x, fold=config.fold_beam_axis)
    inputs = feature_map(x).float()
    members: list[MixtureNetwork] = []
    history: list[tuple[TrainingHistory, ...]] = []
    plan = member_folds(n_folds)
    for m, folds in enumerate(plan):
        rows = torch.nonzero(torch.isin(fold, torch.tensor(folds, dtype=fold.dtype)))[:, 0]
        part, seed = targets.select(rows).to(torch.float32), config.seed + 1000 * m
        key = member_key(inputs[rows], part, mixture=mixture, config=config, seed=seed)
        path = folder / f"member_{m:02d}.pt"
        network = MixtureNetwork(inputs.shape[1], hidden=config.hidden, mixture=mixture, generator=torch.Generator())
        losses = load_member(path, network, key=key)
        if losses is None:
            report = _MemberReporter(progress, m, len(plan))
            with _threads(config.threads):
                network, losses = train_member(inputs[rows], part, mixture=mixture, config=config, seed=seed, on_progress=report)
            save_member(path, network, losses, key=key)
        progress("training", float(m + 1), float(len(plan)))
        members.append(network)
        history.append(losses)
    ensemble = MixtureEnsemble(feature_map, members, identity_calibration(mixture)).double().eval()
    raw = out_of_bag_heads(ensemble, x, fold, n_folds=n_folds)
    ensemble.calibration = fit_calibration(raw, targets, mixture=mixture, mu=config.calibration_mu)
    with torch.no_grad():
        calibrated = mixture.log_ratios(ensemble.calibration(raw)).numpy()
        before = mixture.log_ratios(raw).numpy()
    _require_finite(calibrated, mixture.processes)
    return TrainedMixture(ensemble, tuple(history), calibrated, before)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Let torch use `number` threads inside, and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class _MemberReporter:
    progress: Progress
    before: int
    total: int

    def __call__(self, fraction: float, loss: float) -> None:
        self.progress("training", self.before + fraction, float(self.total))


def _require_finite(log_ratios: NDArray[np.float64], names: Iterable[str]) -> None:
    bad = ~np.isfinite(log_ratios)
    if np.any(bad):
        name = list(names)[int(np.argmax(bad.any(axis=0)))]
        raise PhysicsDomainError(
            f"log ratio of {name}", got=f"{int(bad.sum())} values that are not finite", remedy="train with more events"
        )
