"""A calibrated ensemble, and what is known about its training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from toolkit.config import AnyRatioConfig
from toolkit.ratios.cross_fit import CrossFitted
from toolkit.ratios.ensemble import MixtureEnsemble
from toolkit.ratios.features import feature_matrix
from toolkit.ratios.inspection import inspect_ensemble
from toolkit.ratios.interface import Inspection
from toolkit.ratios.plan import plan_ensemble
from toolkit.ratios.single_member import CalibratedMember
from toolkit.ratios.training_history import TrainingHistory
from toolkit.weights import SimulatedEvents, assign_fold


@dataclass(frozen=True, eq=False)
class TrainedMixture:
    """A calibrated ensemble and what is known about its training.

    Attributes:
        ensemble: The module: observables (n, n_features) -> (log_ratio, log_ratio_spread), each (n, n_processes). float64.
        history: Losses of the networks of each member.
        out_of_bag: Calibrated log ratios of the training events from those members that did not train on them,
            shape (n_training, n_processes).
        before_calibration: The same without calibration.
        config: How it was trained.
        cross_fitted: The ensembles without a fold; None where test events are set aside.
    """

    ensemble: MixtureEnsemble
    history: tuple[tuple[TrainingHistory, ...], ...]
    out_of_bag: NDArray[np.float64]
    before_calibration: NDArray[np.float64]
    config: AnyRatioConfig
    cross_fitted: CrossFitted | None = None

    @property
    def estimator(self) -> str:
        """Its name in the config."""
        return self.config.estimator

    @property
    def nodes(self) -> None:
        """Nothing: these networks do not read the parameter."""
        return

    @property
    def module(self) -> nn.Module:
        """The ensemble."""
        return self.ensemble

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

    @property
    def reference_mixture(self) -> Mapping[str, float]:
        """Probability of each density in the reference density."""
        return self.ensemble.mixture.reference_fractions()

    def member(self, index: int) -> nn.Module:
        """Return one member with the calibration of the ensemble, observables -> log ratios."""
        return CalibratedMember(self.ensemble, index)

    def inspect(self, *, training: SimulatedEvents, test: SimulatedEvents) -> Inspection:
        """Evaluate it for the comparison of training and test events, and of before and after the calibration.

        In a cross-fit the test events are those of the training sample, each under the members that did not train on its fold.
        """
        splits = self.config.splits
        rows = [feature_matrix(events.observables, self.features) for events in (test, training)]
        folds = [assign_fold(events.event_id, n_folds=splits.folds, salt=splits.salt).astype(np.int64) for events in (test, training)]
        found = inspect_ensemble(
            self.ensemble, plan_ensemble(self.config), test=rows[0], test_fold=folds[0], training=rows[1], training_fold=folds[1]
        )
        if self.cross_fitted is None:
            return found
        return replace(found, before_calibration=self.before_calibration, test_by_part=self.cross_fitted.out_of_fold)

    def to_onnx(
        self,
        path: Path,
        *,
        writer: Callable[..., Any],
        reference_rows: NDArray[np.float64],
        member: int | None = None,
        without_fold: int | None = None,
        **more: Any,
    ) -> Any:
        """Write the ensemble, or a part of it, as one file; see `interface.RatioModel.to_onnx`."""
        module: nn.Module = self.ensemble if member is None else self.member(member)
        name, size = self.estimator, len(self.history) if member is None else 1
        if member is not None:
            name += f", member {member} of {len(self.history)}"
        if without_fold is not None and self.cross_fitted is not None:
            module = self.cross_fitted.without[without_fold]
            name, size = f"{name}, without fold {without_fold}", len(self.cross_fitted.without[without_fold].members)
        return writer(
            module,
            path,
            numerators=self.numerators,
            reference=self.reference,
            estimator=name,
            reference_rows=reference_rows,
            ensemble_size=size,
            reference_mixture=self.reference_mixture,
            **more,
        )

    @torch.no_grad()
    def log_ratio(self, x: NDArray[np.float64], *, batch: int = 20_000) -> NDArray[np.float64]:
        """Compute log p_j / p_ref in float64 from observables, shape (n, n_features) -> (n, n_processes)."""
        rows = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float64))
        parts = [self.ensemble(part)[0] for part in torch.split(rows, batch)]
        return torch.cat(parts).numpy()
