"""What a method can tell of two hypotheses, and how much more another method can; their JSON form (contract: results.json)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Gain:
    """The unbinned method's number over that of another method.

    Attributes:
        value: The ratio.
        error: Its standard error from the finite simulation; both numbers come from the same events and fluctuate together.
    """

    value: float
    error: float

    def to_json(self) -> dict[str, float]:
        """Return the JSON form."""
        return {"value": self.value, "error": self.error}

    @classmethod
    def from_json(cls, document: Mapping[str, Any] | None) -> Gain | None:
        """Read what `to_json` wrote; None stays None."""
        return None if document is None else cls(float(document["value"]), float(document["error"]))


@dataclass(frozen=True)
class Information:
    """A lower bound of the expected -2 Delta lnL between two hypotheses: twice the sum of a ln r - b (r - 1) over test events.

    a and b are the expected events that a test event stands for under `truth` and `against`, and r is what the method takes for the ratio
    of the two rates at the event: that of the densities of the networks, or that of the templates in its bin.

    Attributes:
        truth: Parameters of the true hypothesis.
        against: Those of the other one.
        value: The bound.
        error: Its standard error from the finite number of test events.
        gain: The bound of the unbinned method over this one; None for itself, and where this one is within 3 errors of 0.

    Examples:
        >>> one = Information({"mu": 1.0}, {"mu": 0.0}, 1.12, 0.03, Gain(1.49, 0.03))
        >>> Information.from_json(one.to_json()) == one
        True
    """

    truth: Mapping[str, float]
    against: Mapping[str, float]
    value: float
    error: float
    gain: Gain | None = None

    def to_json(self) -> dict[str, Any]:
        """Return an entry of `method["information"]`."""
        own = {"truth": dict(self.truth), "against": dict(self.against), "value": self.value, "error": self.error}
        return own | ({} if self.gain is None else {"gain_of_nsbi": self.gain.to_json()})

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Information:
        """Read what `to_json` wrote."""
        value, error = (math.nan if document[name] is None else float(document[name]) for name in ("value", "error"))
        gain = Gain.from_json(document.get("gain_of_nsbi"))
        return cls(dict(document["truth"]), dict(document["against"]), value, error, gain)
