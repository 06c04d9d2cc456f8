"""What is kept of a training besides the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TrainingHistory:
    """Losses of one network, one entry per epoch, and what was noticed on the way.

    Attributes:
        network: What was trained, for example `classes` or `composition`.
        train: Mean loss over the training events while they were seen.
        validation: Loss on the validation events after the epoch.
        best_epoch: Epoch (from 0) whose weights were kept.
        negative_weight: Share of the sum of |weight| that negative weights hold, in the first epoch; None where the loop was not
            told the weights.
        smallest_effective_size: Smallest (sum w)^2 / sum w^2 of a batch in the first epoch, in events; None likewise.
        largest_gradient: Largest norm of a step's gradient before clipping; None where nobody looked: without clipping it is
            computed for signed weights only.
        clipped_steps: Share of the steps whose gradient was shortened.
        warnings: Sentences for the reader of a report; usually empty.
    """

    network: str
    train: tuple[float, ...]
    validation: tuple[float, ...]
    best_epoch: int
    negative_weight: float | None = None
    smallest_effective_size: float | None = None
    largest_gradient: float | None = None
    clipped_steps: float = 0.0
    warnings: tuple[str, ...] = ()

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> TrainingHistory:
        """Rebuild a history from `dataclasses.asdict`, lists or tuples alike."""
        values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in document.items()}
        return cls(**values)
