"""Whether a reference density reaches wherever a process has weight; where it does not, the ratio to it is infinite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.errors import PhysicsDomainError
from toolkit.weights.simulation import SimulatedEvents

SHOWN = 3
"""Events and observables that a message names."""


@dataclass(frozen=True)
class SupportGap:
    """A process with weight where the reference has none.

    Attributes:
        process: The process.
        sample: The sample with most of these events.
        n_events: Number of events.
        event_ids: Numbers of the first ones.
        weight_fraction: Their part of the sum of |w| of the process.
        ranges: Smallest and largest value of each observable among them, those first that are narrow compared with all events.
    """

    process: str
    sample: str
    n_events: int
    event_ids: tuple[int, ...]
    weight_fraction: float
    ranges: Mapping[str, tuple[float, float]]

    def __str__(self) -> str:
        named = ", ".join(str(i) for i in self.event_ids[:SHOWN]) + (", ..." if self.n_events > SHOWN else "")
        where = ", ".join(f"{low:.6g} <= {name} <= {high:.6g}" for name, (low, high) in list(self.ranges.items())[:SHOWN])
        text = f"{self.process}: {self.n_events} events of sample {self.sample} (event {named}), {self.weight_fraction:.2g} of its weight"
        return f"{text}, at {where}" if where else text


def support_gaps(events: SimulatedEvents, reference: ArrayLike) -> tuple[SupportGap, ...]:
    """Find the processes with weight at events where the reference density is zero or negative.

    Args:
        events: Simulated events.
        reference: Coefficients of the processes in the reference, shape (n_processes,).

    Returns:
        One entry per process without support, the worst first.

    Raises:
        ShapeError: The number of coefficients is wrong.

    Examples:
        >>> weights = np.array([[1.0, 1.0], [0.5, 0.0]])
        >>> x = {"m4l": np.array([300.0, 900.0])}
        >>> events = SimulatedEvents(("S", "B"), np.array([7, 8], dtype=np.uint64), np.zeros(2, dtype=np.int64), ("S",), x, weights)
        >>> print(support_gaps(events, [0.0, 1.0])[0])
        S: 1 events of sample S (event 8), 0.33 of its weight, at 900 <= m4l <= 900
    """
    below = ~(events.weights_at(reference) > 0)
    gaps = []
    for j, process in enumerate(events.processes):
        w = events.weights[:, j]
        bad = below & (w != 0)
        if np.any(bad):
            counts = np.bincount(events.sample_index[bad], minlength=len(events.samples))
            gaps.append(
                SupportGap(
                    process=process,
                    sample=events.samples[int(np.argmax(counts))],
                    n_events=int(bad.sum()),
                    event_ids=tuple(int(i) for i in events.event_id[bad][:SHOWN]),
                    weight_fraction=float(np.abs(w[bad]).sum() / np.abs(w).sum()),
                    ranges=_ranges(events, bad),
                )
            )
    return tuple(sorted(gaps, key=lambda gap: -gap.weight_fraction))


def require_support(events: SimulatedEvents, reference: ArrayLike, *, name: str = "reference density") -> None:
    """Refuse a reference without support where a process has weight.

    Raises:
        PhysicsDomainError: Names processes, sample, events and the range of observables.

    Examples:
        >>> weights = np.array([[1.0, 1.0], [0.5, 0.2]])
        >>> zeros = np.zeros(2, dtype=np.int64)
        >>> events = SimulatedEvents(("S", "B"), np.array([7, 8], dtype=np.uint64), zeros, ("S",), {}, weights)
        >>> require_support(events, [0.0, 1.0])  # B reaches wherever S has weight
    """
    gaps = support_gaps(events, reference)
    if gaps:
        more = f"; also {', '.join(gap.process for gap in gaps[1:])}" if len(gaps) > 1 else ""
        raise PhysicsDomainError(
            what=f"{name} is not positive where processes have weight",
            got=f"{gaps[0]}{more}",
            expected="a positive density wherever a process has weight",
            remedy="add a process with support there to the reference, for example the signal alone, or cut the region away",
        )


def _ranges(events: SimulatedEvents, bad: NDArray[np.bool_]) -> dict[str, tuple[float, float]]:
    """Return the range of each observable among the bad events, relatively narrow ones first."""
    found = {}
    for name, values in events.observables.items():
        inside, everywhere = values[bad & np.isfinite(values)], values[np.isfinite(values)]
        if inside.size:
            width = float(np.ptp(everywhere))
            found[name] = (float(np.ptp(inside)) / width if width > 0 else 1.0, (float(inside.min()), float(inside.max())))
    return {name: limits for name, (_, limits) in sorted(found.items(), key=lambda item: item[1][0])}
