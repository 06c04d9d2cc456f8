"""What the simulation holds of each process: expected events, effective sizes, negative weights."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from toolkit.diagnostics.serialise import jsonable
from toolkit.weights.effective_size import n_eff
from toolkit.weights.simulation import SimulatedEvents


@dataclass(frozen=True)
class ProcessSummary:
    """One process in the simulation.

    Attributes:
        process: Its name.
        expected: Expected events at the luminosity.
        error: Their simulation error, sqrt(sum w^2).
        n_events: Simulated events with a non-zero weight.
        n_eff_kish: (sum w)^2 / sum w^2.
        n_eff_max: |sum w| / max |w|.
        negative_events: Share of those events whose weight is negative.
        negative_weight: Sum of |w| over negative weights, divided by sum of |w|.
    """

    process: str
    expected: float
    error: float
    n_events: int
    n_eff_kish: float
    n_eff_max: float
    negative_events: float
    negative_weight: float

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as a JSON object."""
        return dict(jsonable(asdict(self)))


def process_summaries(events: SimulatedEvents) -> tuple[ProcessSummary, ...]:
    """Summarise every process, in the order of `events.processes`.

    Notes:
        An event of an interfering sample counts for every process it informs: the columns share events.

    Examples:
        >>> weights = np.array([[2.0], [2.0], [-1.0]])
        >>> events = SimulatedEvents(("qqZZ",), np.arange(3, dtype=np.uint64), np.zeros(3, dtype=np.int64), ("qqZZ",), {}, weights)
        >>> summary = process_summaries(events)[0]
        >>> summary.expected, summary.error, summary.n_eff_kish, summary.negative_weight
        (3.0, 3.0, 1.0, 0.2)
    """
    summaries = []
    for name, w in zip(events.processes, events.weights.T, strict=True):
        negative, n, size = w < 0, int(np.count_nonzero(w)), float(np.abs(w).sum())
        summaries.append(
            ProcessSummary(
                process=name,
                expected=float(w.sum()),
                error=float(np.linalg.norm(w)),
                n_events=n,
                n_eff_kish=n_eff(w),
                n_eff_max=n_eff(w, definition="max"),
                negative_events=float(negative.sum()) / n if n else 0.0,
                negative_weight=abs(float(w[negative].sum())) / size if size else 0.0,
            )
        )
    return tuple(summaries)
