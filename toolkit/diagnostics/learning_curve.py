"""What the unbinned method is worth against the number of simulated events that its networks learn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from toolkit.likelihood import Gain


@dataclass(frozen=True)
class LearningPoint:
    """Networks of one share of the training events.

    Attributes:
        share: Of the training events.
        events: Their number.
        bound: Lower bound of the expected -2 Delta lnL between the hypotheses of the curve, on the test events.
        error: Its standard error from the finite test events.
        gain: The bound over that of the histogram, with the paired error of the same test events; None where the histogram tells nothing.
    """

    share: float
    events: int
    bound: float
    error: float
    gain: Gain | None


@dataclass(frozen=True)
class LearningCurve:
    """Bounds of networks that learned from more and more events.

    Attributes:
        truth: Parameters of the true hypothesis.
        against: Those of the other one.
        histogram: The method that the networks are compared with; its templates come from all training events.
        bound: Its lower bound.
        error: Standard error of that.
        points: The smallest share first; the last one has all training events.
    """

    truth: Mapping[str, float]
    against: Mapping[str, float]
    histogram: str
    bound: float
    error: float
    points: tuple[LearningPoint, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the curve as a JSON object."""
        return asdict(self)
