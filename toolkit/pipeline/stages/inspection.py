"""Log ratios that only the training framework can give, kept for the report: before the calibration, and on training events."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from toolkit.config import Config
from toolkit.ratios import TrainedMixture, feature_matrix
from toolkit.ratios.inspection import inspect_ensemble
from toolkit.weights import SimulatedEvents, assign_fold

NAMES = ("before_calibration", "test_by_part", "in_sample")
"""The arrays of log ratios in the file."""


def write_inspection(path: Path, trained: TrainedMixture, *, config: Config, pool: SimulatedEvents, test: SimulatedEvents) -> None:
    """Evaluate the trained ensemble and write the log ratios in single precision.

    Args:
        path: The file.
        trained: The ensemble.
        config: Its splits.
        pool: Pool events.
        test: Test events.
    """
    splits = config.ratios.splits
    found = inspect_ensemble(
        trained.ensemble,
        test=feature_matrix(test.observables, trained.features),
        test_fold=assign_fold(test.event_id, n_folds=splits.folds, salt=splits.salt),
        pool=feature_matrix(pool.observables, trained.features),
        pool_fold=assign_fold(pool.event_id, n_folds=splits.folds, salt=splits.salt),
        n_folds=splits.folds,
    )
    arrays = {name: getattr(found, name).astype(np.float32) for name in NAMES}
    np.savez(path, test_event_id=test.event_id, pool_event_id=pool.event_id, **arrays)
