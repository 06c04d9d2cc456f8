"""Expected distribution of an observable: each process, and the total at several values of the parameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.diagnostics.binning import bin_sums, clipped_index
from toolkit.diagnostics.inputs import process_index
from toolkit.diagnostics.serialise import jsonable
from toolkit.errors import SchemaError, ShapeError
from toolkit.typing import FloatArray
from toolkit.weights.simulation import SimulatedEvents


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Expected events per bin; the first and last bin include underflow and overflow.

    `expected`, `expected_error` (n_processes, k) are the processes themselves; `total` (m, k) is the mixture at each
    of the m `values` of the parameter, `interfering` its part that depends on the parameter. `ratio` is total over
    the total at `values[denominator]`, with an error that knows that both come from the same events.
    """

    observable: str
    edges: FloatArray
    processes: tuple[str, ...]
    expected: FloatArray
    expected_error: FloatArray
    parameter: str
    values: FloatArray
    denominator: int
    total: FloatArray
    total_error: FloatArray
    interfering: FloatArray
    backgrounds: tuple[str, ...]
    ratio: FloatArray
    ratio_error: FloatArray
    missing: FloatArray
    interference: FloatArray | None = None
    interference_error: FloatArray | None = None

    def to_json(self) -> dict[str, Any]:
        """Return all plotted numbers as a JSON object."""
        names = ("observable", "edges", "processes", "expected", "expected_error", "parameter", "values", "denominator", "total")
        more = ("total_error", "interfering", "backgrounds", "ratio", "ratio_error", "missing")
        found = {name: jsonable(getattr(self, name)) for name in names + more}
        if self.interference is not None:
            found |= {"interference": jsonable(self.interference), "interference_error": jsonable(self.interference_error)}
        return found


def count_data(values: FloatArray, *, edges: FloatArray) -> FloatArray:
    """Count data events in the bins of a spectrum.

    Args:
        values: (n,) values of the observable; events without one (NaN) are not counted.
        edges: (k + 1,) edges.

    Returns:
        (k,) numbers of events; the first and last bin include underflow and overflow, as those of a `Spectrum` do.

    Examples:
        >>> count_data(np.array([250.0, 300.0, 5000.0, np.nan]), edges=np.array([220.0, 400.0, 1000.0]))
        array([2., 1.])
    """
    grid = np.asarray(edges, dtype=np.float64)
    index = clipped_index(np.asarray(values, dtype=np.float64), grid)
    return bin_sums(index, grid.size - 1, np.ones((index.size, 1)))[:, 0]


def spectrum(
    events: SimulatedEvents,
    *,
    observable: str,
    edges: FloatArray,
    values: FloatArray,
    coefficients: FloatArray,
    backgrounds: Sequence[str] = (),
    parameter: str = "mu",
    denominator: float = 1.0,
    benchmarks: tuple[str, str, str] | None = None,
) -> Spectrum:
    """Histogram an observable for every process and for the total at each value of the parameter.

    Args:
        events: Simulated events with weights (n, n_processes).
        observable: Name, as in `events.observables`.
        edges: (k + 1,) edges in the observable's unit.
        values: (m,) values of the parameter, for example 0, 1, 4.
        coefficients: (m, n_processes) morphing coefficients there.
        backgrounds: Processes that do not interfere.
        parameter: Name of the parameter.
        denominator: The one of `values` below in the ratio.
        benchmarks: Names of S, SBI and B among the processes, for the interference SBI - S - B; None leaves it out.

    Returns:
        Expected events with simulation errors; `missing` (n_processes,) counts events without a value.

    Raises:
        SchemaError: The observable, a background or the denominator is unknown, or the edges do not increase.
        ShapeError: `coefficients` is not (m, n_processes).

    Notes:
        The error of the ratio T_a / T_b is sqrt(sum (w_a - R w_b)^2) / |T_b|, w the weights of the same events under both
        values: far smaller than if the two were independent.

    Examples:
        >>> weights = np.array([[1.0, 2.0], [2.0, 1.0]])
        >>> ids, zeros = np.arange(2, dtype=np.uint64), np.zeros(2, dtype=np.int64)
        >>> events = SimulatedEvents(("S", "B"), ids, zeros, ("S",), {"m4l": np.array([250.0, 600.0])}, weights)
        >>> found = spectrum(events, observable="m4l", edges=np.array([220.0, 400.0, 1000.0]), values=np.array([0.0, 1.0]),
        ...                  coefficients=np.array([[0.0, 1.0], [1.0, 1.0]]), backgrounds=["B"])
        >>> found.total, found.ratio[0].round(3)
        (array([[2., 1.],
               [3., 3.]]), array([0.667, 0.333]))
    """
    if observable not in events.observables:
        raise SchemaError(what="observable", got=observable, expected=f"one of {sorted(events.observables)}", remedy="check the spelling")
    shape = (values.size, len(events.processes))
    if coefficients.shape != shape:
        raise ShapeError(what="spectrum coefficients", got=coefficients.shape, expected=shape, remedy="pass one row per parameter value")
    below = np.flatnonzero(np.isclose(values, denominator))
    if below.size == 0:
        raise SchemaError(what="denominator", got=denominator, expected=f"one of {values.tolist()}", remedy="add it to the values")
    fixed = [process_index(events, name) for name in backgrounds]
    interfering = np.ones(len(events.processes))
    interfering[fixed] = 0.0

    grid, w = np.asarray(edges, dtype=np.float64), events.weights
    index, k = clipped_index(events.observables[observable], grid), grid.size - 1
    expected, squares = bin_sums(index, k, w), bin_sums(index, k, w**2)
    morphed = w @ coefficients.T
    total = bin_sums(index, k, morphed)
    base = int(below[0])
    scale = np.where(total[:, base] != 0, total[:, base], np.nan)
    ratio = total / scale[:, None]
    safe = np.maximum(index, 0)
    alone = None if benchmarks is None else w[:, [process_index(events, name) for name in benchmarks]] @ np.array([-1.0, 1.0, -1.0])
    deviation = bin_sums(index, k, (morphed - ratio[safe] * morphed[:, [base]]) ** 2)
    return Spectrum(
        observable=observable,
        edges=grid,
        processes=tuple(events.processes),
        expected=expected.T,
        expected_error=np.sqrt(squares).T,
        parameter=parameter,
        values=np.array(values, dtype=np.float64),
        denominator=base,
        total=total.T,
        total_error=np.sqrt(bin_sums(index, k, morphed**2)).T,
        interfering=bin_sums(index, k, w @ (coefficients * interfering).T).T,
        backgrounds=tuple(backgrounds),
        ratio=ratio.T,
        ratio_error=(np.sqrt(deviation) / np.abs(scale)[:, None]).T,
        missing=w[index < 0].sum(axis=0),
        interference=None if alone is None else bin_sums(index, k, alone[:, None])[:, 0],
        interference_error=None if alone is None else np.sqrt(bin_sums(index, k, alone[:, None] ** 2)[:, 0]),
    )
