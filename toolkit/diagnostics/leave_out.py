"""Closure of a morphing: predict a benchmark that was left out of the basis, and compare with its own events or weights.

When to use what: with the weights of all benchmarks at every event the comparison is made event by event, and must agree to the
precision of the stored weights. With separate samples it is statistical: histograms of the predicted and of the true sample,
with the chi-square of their difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from toolkit.diagnostics.binning import bin_sums, clipped_index
from toolkit.diagnostics.chi2 import ChiSquare, chi_square
from toolkit.diagnostics.serialise import jsonable
from toolkit.errors import SchemaError, ShapeError
from toolkit.typing import FloatArray
from toolkit.weights.morphing import Morphing, Point, benchmark_row

EXACT = 1e-5
"""Largest relative deviation of an event that counts as rounding of stored weights."""


@dataclass(frozen=True, eq=False)
class LeftOutHistogram:
    """An observable of the left-out benchmark; the first and last bin include underflow and overflow.

    `error` (k,) is that of predicted - true: it knows which events are in both. `true_error` is that of `true` alone.
    """

    observable: str
    edges: FloatArray
    predicted: FloatArray
    true: FloatArray
    error: FloatArray
    true_error: FloatArray
    test: ChiSquare

    @property
    def largest_deviation(self) -> float:
        """Largest |predicted - true| / true over bins with a positive truth."""
        filled = self.true > 0
        return float(np.max(np.abs(self.predicted - self.true)[filled] / self.true[filled], initial=0.0))

    def to_json(self) -> dict[str, Any]:
        """Return all numbers as a JSON object."""
        names = ("observable", "edges", "predicted", "true", "error", "true_error", "largest_deviation")
        return {name: jsonable(getattr(self, name)) for name in names} | {"test": self.test.to_json()}


@dataclass(frozen=True, eq=False)
class LeaveOutClosure:
    """Prediction of one benchmark from the others.

    Attributes:
        left_out: Its name.
        basis: The benchmarks of the prediction.
        coefficients: Their coefficients at the left-out point.
        predicted: Predicted yield.
        true: Yield of the left-out benchmark.
        error: Simulation error of their difference.
        event_deviation: Largest |predicted - true| of an event, relative to the sum of the sizes of all terms; None if events
            carry the weight of their own sample only.
        histograms: The observables.
    """

    left_out: str
    basis: tuple[str, ...]
    coefficients: FloatArray
    predicted: float
    true: float
    error: float
    event_deviation: float | None
    histograms: tuple[LeftOutHistogram, ...]

    @property
    def exact(self) -> bool:
        """Whether every event agrees to the precision of stored weights; the chi-squares then say nothing."""
        return self.event_deviation is not None and self.event_deviation < EXACT

    def to_json(self) -> dict[str, Any]:
        """Return all numbers as a JSON object."""
        names = ("left_out", "basis", "coefficients", "predicted", "true", "error", "event_deviation", "exact")
        return {name: jsonable(getattr(self, name)) for name in names} | {"histograms": [h.to_json() for h in self.histograms]}


def leave_out_closure(
    weights: ArrayLike,
    *,
    benchmarks: Mapping[str, Point | str],
    monomials: Sequence[str],
    left_out: str,
    observables: Mapping[str, FloatArray],
    edges: Mapping[str, FloatArray],
    parameters: Sequence[str] | None = None,
    variances: Mapping[str, float] | None = None,
) -> LeaveOutClosure:
    """Predict one benchmark from the others.

    Args:
        weights: Weights under the benchmarks, (n, n_benchmarks): of the same events under all of them, or of separate samples, where
            each event has weight in the column of its own sample only.
        benchmarks: Points by name, in the order of the columns, the left-out one included.
        monomials: Of the parameterisation.
        left_out: Name of the benchmark to predict.
        observables: Values of the events, each (n,), NaN where missing.
        edges: Edges of the observables to compare, (k + 1,) each.
        parameters: Order of theta.
        variances: Variance of each benchmark, for an optimal combination of more benchmarks than monomials.

    Returns:
        Yields, event-by-event agreement, and histograms with chi-squares.

    Raises:
        SchemaError: The other benchmarks do not determine the monomials, or names are unknown. ShapeError: wrong shapes.

    Notes:
        Each event moves predicted - true by sum_b f_b w_b - w; the variance of a bin is the sum of the squares of these movements. For the
        same events under all benchmarks that is far below the sum of the two variances, for separate samples it is that sum.

    Examples:
        >>> w = np.array([[1.0, 1.5, 2.0], [2.0, 2.0, 2.0]])  # linear in c, event by event
        >>> closure = leave_out_closure(w, benchmarks={"0": 0, "1": 1, "2": 2}, monomials=["1", "c"], left_out="2",
        ...                             observables={"x": np.array([0.2, 0.7])}, edges={"x": np.array([0.0, 0.5, 1.0])})
        >>> closure.coefficients.round(12).tolist(), closure.exact, closure.histograms[0].predicted.tolist()
        ([-1.0, 2.0], True, [2.0, 2.0])
    """
    w = np.asarray(weights, dtype=np.float64)
    if w.ndim != 2 or w.shape[1] != len(benchmarks):
        raise ShapeError(what="benchmark weights", got=f"shape {w.shape}", expected=f"(n, {len(benchmarks)}) for {list(benchmarks)}")
    if left_out not in benchmarks:
        raise SchemaError(what="left_out", got=left_out, expected=f"one of {list(benchmarks)}")
    missing = sorted(set(edges) - set(observables))
    if missing:
        raise SchemaError(what="edges", got=f"edges of {missing}", expected=f"observables among {sorted(observables)}")
    names = list(benchmarks)
    basis = [name for name in names if name != left_out]
    known = None if variances is None else {name: variances[name] for name in basis}
    morphing = Morphing(monomials=monomials, benchmarks={n: benchmarks[n] for n in basis}, parameters=parameters, variances=known)
    f = morphing.solution @ benchmark_row(morphing.vector, left_out, benchmarks[left_out])
    used, true = morphing.event_weights(w[:, [names.index(name) for name in basis]]), w[:, names.index(left_out)]
    predicted = used @ f
    return LeaveOutClosure(
        left_out=left_out,
        basis=tuple(basis),
        coefficients=f,
        predicted=float(predicted.sum()),
        true=float(true.sum()),
        error=float(np.linalg.norm(predicted - true)),
        event_deviation=_event_deviation(used, f, true, predicted),
        histograms=tuple(_histogram(name, observables[name], grid, predicted, true) for name, grid in edges.items()),
    )


def _event_deviation(used: FloatArray, f: FloatArray, true: FloatArray, predicted: FloatArray) -> float | None:
    """Return the largest relative deviation of an event, or None for separate samples."""
    shared = (true != 0) & np.any(used != 0, axis=1)
    if not np.any(shared):
        return None
    size = np.abs(used) @ np.abs(f) + np.abs(true)
    return float(np.max(np.divide(np.abs(predicted - true), size, out=np.zeros_like(size), where=size > 0)))


def _histogram(name: str, values: FloatArray, edges: FloatArray, predicted: FloatArray, true: FloatArray) -> LeftOutHistogram:
    grid = np.asarray(edges, dtype=np.float64)
    index, k = clipped_index(values, grid), len(grid) - 1
    sums = bin_sums(index, k, np.stack([predicted, true, np.square(predicted - true), np.square(true)], axis=1)).T
    return LeftOutHistogram(
        observable=name,
        edges=grid,
        predicted=sums[0],
        true=sums[1],
        error=np.sqrt(sums[2]),
        true_error=np.sqrt(sums[3]),
        test=chi_square(sums[0] - sums[1], np.diag(sums[2])),
    )
