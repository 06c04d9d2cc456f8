"""A calibrated ensemble, and what is known about its training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from toolkit.ratios.ensemble import MixtureEnsemble
from toolkit.ratios.training_history import TrainingHistory


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
