"""Default edges of an observable: its registered range, bins joined until every process fills them."""

from __future__ import annotations

import numpy as np

from toolkit.diagnostics.binning import bin_sums, clipped_index, share_edges
from toolkit.errors import SchemaError
from toolkit.kinematics import OBSERVABLES
from toolkit.typing import FloatArray
from toolkit.weights.simulation import SimulatedEvents


def observable_edges(events: SimulatedEvents, observable: str, *, bins: int = 20, min_effective: float = 25.0) -> FloatArray:
    """Choose edges for plots and closure tests.

    Args:
        events: Simulated events.
        observable: Name; one that is not registered gets bins of equal content.
        bins: Number of bins before joining.
        min_effective: Smallest number of effective events (Kish, absolute weights) of every process in a bin.

    Returns:
        (k + 1,) edges in the observable's unit, 1 <= k <= bins. Values beyond the ends belong to the end bins.

    Raises:
        SchemaError: The events do not have the observable, or no value is finite.

    Notes:
        Counts (names that begin with `n_`) get one bin per whole number, centred on it; flags (`has_`) one for no and one for yes.

    Examples:
        Bins are joined until each holds enough; numbers of jets get one bin each:

        >>> rng = np.random.default_rng(1)
        >>> ids, zeros = np.arange(400, dtype=np.uint64), np.zeros(400, dtype=np.int64)
        >>> x = {"m4l": 220.0 + rng.exponential(100.0, size=400), "n_jets": np.arange(400) % 3}
        >>> events = SimulatedEvents(("S",), ids, zeros, ("S",), x, np.ones((400, 1)))
        >>> observable_edges(events, "n_jets"), observable_edges(events, "m4l", bins=10).size < 11
        (array([-0.5,  0.5,  1.5,  2.5]), True)
    """
    if observable not in events.observables:
        raise SchemaError(what="observable", got=observable, expected=f"one of {sorted(events.observables)}", remedy="check the spelling")
    values, weights = events.observables[observable], np.abs(events.weights)
    inside = np.isfinite(values)
    if not inside.any():
        raise SchemaError(what=f"observable {observable}", got="no event has a value", expected="a finite value in at least one event")
    grid = starting_grid(values, weights.sum(axis=1), observable=observable, bins=bins)
    index = clipped_index(values, grid)
    sums, squares = bin_sums(index, grid.size - 1, weights), bin_sums(index, grid.size - 1, weights**2)
    return join_bins(grid, sums, squares, min_effective=min_effective)


def starting_grid(values: FloatArray, weights: FloatArray, *, observable: str, bins: int) -> FloatArray:
    """Choose the edges of an observable before any are joined; see `observable_edges`.

    Args:
        values: (n,) values, NaN where missing; at least one is finite.
        weights: (n,) weights, absolute, for bins of equal content.
        observable: Name.
        bins: Number of bins.

    Returns:
        (k + 1,) edges in the observable's unit.

    Raises:
        SchemaError: The observable is not registered and has fewer than two different values.

    Examples:
        >>> starting_grid(np.array([0.0, 2.0]), np.ones(2), observable="n_jets", bins=20).tolist()
        [-0.5, 0.5, 1.5, 2.5]
    """
    low, high = OBSERVABLES[observable].range if observable in OBSERVABLES else (None, None)
    if observable.startswith("n_"):
        largest = float(np.max(values[np.isfinite(values)]))
        return np.arange(0.0, (largest if high is None else min(high, largest)) + 2.0) - 0.5
    if observable.startswith("has_"):
        return np.array([-0.5, 0.5, 1.5])
    if low is None or high is None:
        return share_edges(values, weights, bins=bins)
    return np.linspace(low, high, bins + 1)


def join_bins(grid: FloatArray, sums: FloatArray, squares: FloatArray, *, min_effective: float) -> FloatArray:
    """Join bins from the left until each holds enough; what remains on the right joins the last bin.

    Args:
        grid: (k + 1,) edges.
        sums: (k, m) sums of absolute weights of m sets of events.
        squares: (k, m) sums of their squares.
        min_effective: Smallest number of effective events of every set in a bin.

    Returns:
        Edges, from the first to the last bin that any set fills.

    Raises:
        SchemaError: No bin holds anything.

    Examples:
        >>> join_bins(np.arange(4.0), np.array([[0.0], [3.0], [30.0]]), np.array([[0.0], [3.0], [30.0]]), min_effective=25.0).tolist()
        [1.0, 3.0]
    """
    live = squares.sum(axis=0) > 0
    filled = np.flatnonzero(squares.sum(axis=1) > 0)
    if filled.size == 0:
        raise SchemaError(what="bins to join", got="no weight in any bin", expected="events that carry weight")
    first, last = int(filled[0]), int(filled[-1])
    edges = [grid[first]]
    total, square = np.zeros(int(live.sum())), np.zeros(int(live.sum()))
    for k in range(first, last + 1):
        total, square = total + sums[k, live], square + squares[k, live]
        enough = (total**2 >= min_effective * square) & (square > 0)
        if enough.all():
            edges.append(grid[k + 1])
            total, square = np.zeros_like(total), np.zeros_like(square)
    if len(edges) == 1:
        return np.array([grid[first], grid[last + 1]])
    edges[-1] = grid[last + 1]
    return np.array(edges)
