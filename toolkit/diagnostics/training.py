"""The course of a training, as it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from toolkit.diagnostics.serialise import jsonable
from toolkit.errors import ShapeError


@dataclass(frozen=True)
class TrainingCurve:
    """Loss of one network of an ensemble member after each epoch.

    Args:
        member: Number or name of the member.
        network: Which of its networks.
        train_loss: Mean loss over the training events, one per epoch.
        validation_loss: Mean loss over the validation events, one per epoch.
        best_epoch: Epoch, counted from 0, whose weights are kept.

    Examples:
        >>> curve = TrainingCurve("0", "classes", (0.70, 0.60, 0.55), (0.71, 0.63, 0.64), best_epoch=1)
        >>> curve.to_json()["best_epoch"]
        1
    """

    member: str
    network: str
    train_loss: tuple[float, ...]
    validation_loss: tuple[float, ...]
    best_epoch: int

    def __post_init__(self) -> None:
        n = len(self.train_loss)
        if len(self.validation_loss) != n:
            raise ShapeError(what=f"validation_loss of member {self.member}", got=len(self.validation_loss), expected=n)
        if not 0 <= self.best_epoch < n:
            raise ShapeError(what=f"best_epoch of member {self.member}", got=self.best_epoch, expected=f"0 to {n - 1}")

    def to_json(self) -> dict[str, Any]:
        """Return the plotted numbers as a JSON object."""
        return {name: jsonable(getattr(self, name)) for name in ("member", "network", "train_loss", "validation_loss", "best_epoch")}
