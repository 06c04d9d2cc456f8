"""Negative and zero weights: how many, how much precision they cost, and where they sit.

Negative weights are kept everywhere; this is what says so. With a share f of negative events of equal |w|, n events are
worth (1 - 2 f)^2 n: 20 % of negative events cost 64 % of the sample.

When to use what: `negative_weights` for a table per process and region, `negative_profile` for the place in an observable.
`resampling` in the ratios replaces them by positive weights of the same expectation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.errors import SchemaError, ShapeError
from toolkit.weights.effective_size import n_eff
from toolkit.weights.simulation import SimulatedEvents

EVERYWHERE = "all"
"""Name of the region that holds every event."""


@dataclass(frozen=True)
class NegativeWeights:
    """The weights of one process in one region.

    Attributes:
        process: Its name, or that of a hypothesis.
        region: Name of the region.
        n_events: Simulated events of the samples that inform the process.
        n_negative: Those with a negative weight.
        n_zero: Those with weight zero: kept, but they say nothing about this process.
        expected: Sum of the weights.
        event_fraction: n_negative / (n_events - n_zero); NaN without any weight.
        weight_fraction: Sum of |w| over negative weights, divided by the sum of |w|.
        size_factor: (1 - 2 weight_fraction)^2 = (sum w)^2 / (sum |w|)^2, the part of the effective size that the signs leave.
        n_eff: (sum w)^2 / sum w^2.
    """

    process: str
    region: str
    n_events: int
    n_negative: int
    n_zero: int
    expected: float
    event_fraction: float
    weight_fraction: float
    size_factor: float
    n_eff: float

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as a JSON object, undefined ones as null."""
        return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in asdict(self).items()}


@dataclass(frozen=True, eq=False)
class NegativeProfile:
    """Where in an observable the negative weight of a process sits.

    Attributes:
        process: Its name.
        observable: Name of the observable.
        edges: Bin edges, shape (k + 1,); the first and last bin include underflow and overflow.
        positive: Sum of |w| over positive weights per bin, shape (k,).
        negative: Sum of |w| over negative weights per bin, shape (k,).
        fraction: negative / (negative + positive), NaN in empty bins, shape (k,).
        error: Its simulation error, shape (k,).
        missing: Sum of |w| of events without a value.
    """

    process: str
    observable: str
    edges: NDArray[np.float64]
    positive: NDArray[np.float64]
    negative: NDArray[np.float64]
    fraction: NDArray[np.float64]
    error: NDArray[np.float64]
    missing: float

    def to_json(self) -> dict[str, Any]:
        """Return all numbers as a JSON object, undefined ones as null."""
        arrays = ("edges", "positive", "negative", "fraction", "error")
        numbers = {name: [v if np.isfinite(v) else None for v in getattr(self, name).tolist()] for name in arrays}
        return {"process": self.process, "observable": self.observable, "missing": self.missing} | numbers


def negative_weights(
    events: SimulatedEvents,
    *,
    regions: Mapping[str, NDArray[np.bool_]] | None = None,
    hypotheses: Mapping[str, ArrayLike] | None = None,
) -> tuple[NegativeWeights, ...]:
    """Count negative and zero weights of every process in every region.

    Args:
        events: Simulated events.
        regions: Events of each region, (n,) bool by name; the region `all` is always first.
        hypotheses: Mixtures to count as well: coefficients (n_processes,) by name.

    Returns:
        One entry per process (then hypothesis) and region.

    Raises:
        ShapeError: A region or hypothesis has the wrong shape.

    Examples:
        >>> weights = np.array([[2.0], [-1.0], [0.0], [2.0]])
        >>> events = SimulatedEvents(("qq",), np.arange(4, dtype=np.uint64), np.zeros(4, dtype=np.int64), ("qq",), {}, weights)
        >>> found = negative_weights(events)[0]
        >>> found.n_negative, found.n_zero, found.weight_fraction, found.size_factor
        (1, 1, 0.2, 0.36)
    """
    masks = {EVERYWHERE: np.ones(len(events), dtype=np.bool_)} | {k: np.asarray(v) for k, v in (regions or {}).items()}
    for name, mask in masks.items():
        if mask.shape != (len(events),) or mask.dtype != np.bool_:
            raise ShapeError(what=f"region {name}", got=f"{mask.dtype} of shape {mask.shape}", expected=f"bool of shape ({len(events)},)")
    unit = np.eye(len(events.processes))
    columns = {name: (events.weights[:, j], _informing(events, unit[j])) for j, name in enumerate(events.processes)}
    for name, f in (hypotheses or {}).items():
        columns[name] = (events.weights_at(f), _informing(events, np.asarray(f, dtype=np.float64)))
    return tuple(_count(w[inside & mask], process, region) for process, (w, inside) in columns.items() for region, mask in masks.items())


def negative_profile(events: SimulatedEvents, *, process: str, observable: str, edges: ArrayLike) -> NegativeProfile:
    """Compute where in an observable the negative weight of a process sits.

    Args:
        events: Simulated events.
        process: Its name.
        observable: Name of an observable of the events.
        edges: Increasing bin edges, shape (k + 1,).

    Returns:
        Sums of |w| of both signs and the negative fraction, per bin.

    Raises:
        SchemaError: Process or observable is unknown, or the edges do not increase.

    Examples:
        >>> weights = np.array([[2.0], [-1.0], [3.0]])
        >>> x = {"m4l": np.array([250.0, 280.0, 600.0])}
        >>> events = SimulatedEvents(("qq",), np.arange(3, dtype=np.uint64), np.zeros(3, dtype=np.int64), ("qq",), x, weights)
        >>> negative_profile(events, process="qq", observable="m4l", edges=[220.0, 400.0, 1000.0]).fraction.round(3)
        array([0.333, 0.   ])
    """
    for what, name, known in (("process", process, events.processes), ("observable", observable, tuple(events.observables))):
        if name not in known:
            raise SchemaError(what=what, got=name, expected=f"one of {list(known)}")
    grid = np.asarray(edges, dtype=np.float64)
    if grid.ndim != 1 or grid.size < 2 or not np.all(np.diff(grid) > 0):
        raise SchemaError(what="edges", got=grid.tolist(), expected="at least two increasing numbers")
    w, x = events.weights[:, events.processes.index(process)], events.observables[observable]
    there = ~np.isnan(x)
    index = np.clip(np.searchsorted(grid, x[there], side="right") - 1, 0, grid.size - 2)
    used, n_bins = w[there], grid.size - 1

    def total(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(index, weights=numbers, minlength=n_bins).astype(np.float64)

    negative, size = total(np.maximum(-used, 0.0)), total(np.abs(used))
    fraction = np.divide(negative, size, out=np.full(n_bins, np.nan), where=size > 0)
    deviation = total(np.square(np.maximum(-used, 0.0) - fraction[index] * np.abs(used)))
    error = np.divide(np.sqrt(deviation), size, out=np.full(n_bins, np.nan), where=size > 0)
    return NegativeProfile(process, observable, grid, size - negative, negative, fraction, error, float(np.abs(w[~there]).sum()))


def with_negative_weight(found: Sequence[NegativeWeights]) -> tuple[str, ...]:
    """Return the processes that have negative weights anywhere, in order.

    Examples:
        >>> weights = np.array([[2.0, 1.0], [-1.0, 1.0]])
        >>> events = SimulatedEvents(("qq", "gg"), np.arange(2, dtype=np.uint64), np.zeros(2, dtype=np.int64), ("qq",), {}, weights)
        >>> with_negative_weight(negative_weights(events))
        ('qq',)
    """
    return tuple(dict.fromkeys(entry.process for entry in found if entry.n_negative))


def _informing(events: SimulatedEvents, coefficients: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say which events belong to a sample that has weight under any process with a coefficient, (n,)."""
    used = np.any(events.weights[:, coefficients != 0] != 0, axis=1)
    samples = np.unique(events.sample_index[used])
    return np.isin(events.sample_index, samples)


def _count(w: NDArray[np.float64], process: str, region: str) -> NegativeWeights:
    n_negative, n_zero, size = int(np.sum(w < 0)), int(np.sum(w == 0)), float(np.abs(w).sum())
    counted = len(w) - n_zero
    fraction = float(-w[w < 0].sum()) / size if size > 0 else float("nan")
    return NegativeWeights(
        process=process,
        region=region,
        n_events=len(w),
        n_negative=n_negative,
        n_zero=n_zero,
        expected=float(w.sum()),
        event_fraction=n_negative / counted if counted else float("nan"),
        weight_fraction=fraction,
        size_factor=(1.0 - 2.0 * fraction) ** 2,
        n_eff=n_eff(w),
    )
