"""Log ratios that only the training framework can give, kept for the report: before the calibration, and on training events."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from toolkit.ratios import RatioModel
from toolkit.weights import SimulatedEvents

NAMES = ("before_calibration", "test_by_part", "in_sample")
"""The arrays of log ratios in the file."""


def write_inspection(path: Path, trained: RatioModel, *, training: SimulatedEvents, test: SimulatedEvents) -> None:
    """Evaluate the trained estimator and write the log ratios in single precision.

    Args:
        path: The file.
        trained: The estimator.
        training: Training events.
        test: Test events.
    """
    found = trained.inspect(training=training, test=test)
    arrays = {name: getattr(found, name).astype(np.float32) for name in NAMES}
    np.savez(path, test_event_id=test.event_id, training_event_id=training.event_id, **arrays)
