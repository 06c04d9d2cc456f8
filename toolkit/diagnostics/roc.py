"""The curve of background against signal efficiency of a score, with weights of either sign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.diagnostics.merit import check_same_size
from toolkit.diagnostics.separation import auc, positive_sum
from toolkit.diagnostics.serialise import jsonable
from toolkit.typing import FloatArray

POINTS = 201
"""Points of a curve: at equal steps of the weight of signal or background, whichever they are closer in."""


@dataclass(frozen=True, eq=False)
class RocCurve:
    """Efficiencies above falling cuts on a score.

    Attributes:
        name: What made the score.
        signal: (k,) share of the signal above the cut; with negative weights it need not rise.
        background: (k,) share of the background.
        area: Probability that the signal has the larger score.
        area_error: Its error from the finite simulation.
    """

    name: str
    signal: FloatArray
    background: FloatArray
    area: float
    area_error: float

    def to_json(self) -> dict[str, Any]:
        """Return all numbers as a JSON object."""
        return {name: jsonable(getattr(self, name)) for name in ("name", "signal", "background", "area", "area_error")}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> RocCurve:
        """Read what `to_json` wrote."""
        signal, background = (np.array(document[name], dtype=np.float64) for name in ("signal", "background"))
        return cls(document["name"], signal, background, float(document["area"]), float(document["area_error"]))


def roc_curve(score: FloatArray, *, signal: FloatArray, background: FloatArray, name: str = "") -> RocCurve:
    """Compute the curve of a score.

    Args:
        score: (n,) any score, larger for the signal.
        signal: (n,) weights under the signal, either sign, positive sum.
        background: (n,) weights of the same events under the background.
        name: What made the score.

    Returns:
        From (0, 0) to (1, 1): the true efficiencies at cuts between different scores. Events and their counterweights cancel.

    Raises:
        ShapeError: The arrays differ in length.
        PhysicsDomainError: A number is not finite, or a sum of weights is not positive.

    Examples:
        >>> curve = roc_curve(np.array([3.0, 2.0, 1.0]), signal=np.array([1.0, 1.0, 0.0]), background=np.array([0.0, 1.0, 1.0]))
        >>> curve.signal.tolist(), curve.background.tolist(), curve.area
        ([0.0, 0.5, 1.0, 1.0], [0.0, 0.0, 0.5, 1.0], 0.875)
    """
    check_same_size(score, signal, background)
    merit = auc(score, signal=signal, background=background)
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0.0, True))  # of every different score
    sums, steps = [], []
    for what, weights in (("signal", signal), ("background", background)):
        sorted_ = weights[order] / positive_sum(weights, what)
        sums.append(np.cumsum(sorted_)[last])
        steps.append(np.cumsum(np.abs(sorted_))[last])
    grid = np.linspace(0.0, 1.0, POINTS // 2 + 1)
    kept = np.unique(np.concatenate([np.searchsorted(step / step[-1], grid).clip(max=len(last) - 1) for step in steps]))
    above, behind = (np.append(0.0, part[kept]) for part in sums)
    return RocCurve(name, above, behind, merit.value, merit.error)
