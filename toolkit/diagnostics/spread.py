"""Spread of an ensemble: how far its members disagree, by process and along an observable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.diagnostics.binning import clipped_index
from toolkit.diagnostics.inputs import check_log_ratios
from toolkit.diagnostics.serialise import jsonable
from toolkit.errors import SchemaError, ShapeError
from toolkit.typing import FloatArray
from toolkit.weights.simulation import SimulatedEvents

QUANTILES = (0.16, 0.5, 0.84, 0.95)
"""Central 68 %, median and the tail."""


@dataclass(frozen=True, eq=False)
class SpreadProfile:
    """Quantiles of the spread of each process's log ratio over that process's own events.

    Attributes:
        processes: Names of the processes, (m,).
        observable: The observable of the bins.
        edges: (k + 1,) edges; first and last bin include what lies beyond.
        quantiles: Which quantiles, (q,).
        overall: (m, q) quantiles over all events.
        binned: (m, k, q) quantiles in each bin; NaN in a bin without events.
        n_members: Size of the ensemble, if known.
    """

    processes: tuple[str, ...]
    observable: str
    edges: FloatArray
    quantiles: tuple[float, ...]
    overall: FloatArray
    binned: FloatArray
    n_members: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return all plotted numbers as a JSON object."""
        names = ("processes", "observable", "edges", "quantiles", "overall", "binned", "n_members")
        return {name: jsonable(getattr(self, name)) for name in names}


def spread_profile(
    events: SimulatedEvents,
    spread: FloatArray,
    *,
    observable: str,
    edges: FloatArray,
    quantiles: Sequence[float] = QUANTILES,
    n_members: int | None = None,
) -> SpreadProfile:
    """Summarise the spread of an ensemble on test events.

    Args:
        events: Test events with weights (n, n_processes).
        spread: (n, n_processes) standard deviation of the members' log ratios, as `OnnxRatio.spread` gives it.
        observable: Observable of the bins; events without a value count in the overall quantiles only.
        edges: (k + 1,) increasing edges in the observable's unit.
        quantiles: Increasing numbers between 0 and 1.
        n_members: Size of the ensemble.

    Returns:
        The quantiles; each process is weighted with |weight|, since a spread has no sign to cancel.

    Raises:
        ShapeError: `spread` does not fit the events.
        SchemaError: The observable is unknown, or the edges do not increase.
        PhysicsDomainError: A spread is not finite.

    Notes:
        It is the spread of one member. That of the ensemble's mean is smaller by about the square root of the number of independent
        members; members that share events are not independent.

    Examples:
        >>> ids, zeros = np.arange(3, dtype=np.uint64), np.zeros(3, dtype=np.int64)
        >>> events = SimulatedEvents(("S",), ids, zeros, ("S",), {"m4l": np.array([250.0, 300.0, 600.0])}, np.ones((3, 1)))
        >>> spread = np.array([[0.1], [0.1], [0.4]])
        >>> spread_profile(events, spread, observable="m4l", edges=np.array([220.0, 400.0, 1000.0]), quantiles=[0.5]).binned[0, :, 0]
        array([0.1, 0.4])
    """
    check_log_ratios(spread, events)
    if observable not in events.observables:
        raise SchemaError(what="observable", got=observable, expected=f"one of {sorted(events.observables)}", remedy="check the spelling")
    grid = np.asarray(edges, dtype=np.float64)
    index, k = clipped_index(events.observables[observable], grid), grid.size - 1
    size, wanted = np.abs(events.weights), tuple(quantiles)
    overall = [weighted_quantiles(spread[:, j], size[:, j], wanted) for j in range(size.shape[1])]
    binned = np.full((size.shape[1], k, len(wanted)), np.nan)
    for b in range(k):
        here = index == b
        for j in range(size.shape[1]):
            binned[j, b] = weighted_quantiles(spread[here, j], size[here, j], wanted)
    return SpreadProfile(tuple(events.processes), observable, grid, wanted, np.array(overall), binned, n_members)


def weighted_quantiles(values: FloatArray, weights: FloatArray, quantiles: Sequence[float]) -> FloatArray:
    """Compute quantiles of weighted values: the smallest value at which the cumulative share reaches the quantile.

    Args:
        values: (n,) finite values.
        weights: (n,) weights >= 0.
        quantiles: (q,) numbers between 0 and 1.

    Returns:
        (q,) values; NaN if no event carries weight.

    Raises:
        ShapeError: The arrays differ in length.

    Examples:
        >>> weighted_quantiles(np.array([3.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0]), (0.25, 0.5, 1.0)).tolist()
        [1.0, 2.0, 3.0]
    """
    if values.shape != weights.shape:
        raise ShapeError("weights of quantiles", got=weights.shape, expected=values.shape, remedy="pass one weight per value")
    used = weights > 0
    if not used.any():
        return np.full(len(quantiles), np.nan)
    order = np.argsort(values[used], kind="stable")
    ordered, share = values[used][order], np.cumsum(weights[used][order])
    position = np.searchsorted(share / share[-1], np.asarray(quantiles) - 1e-12)
    return np.asarray(ordered[np.minimum(position, ordered.size - 1)])
