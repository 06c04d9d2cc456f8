"""Reweighting closure: the reference, reweighted by the estimated ratio, against the true target.

p_ref(x) r(x) must be the target in EVERY observable, those the network never saw included; an observable in which
it fails names what the network has not learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.diagnostics.binning import MISSING, bin_sums, clipped_index
from toolkit.diagnostics.chi2 import ChiSquare, chi_square
from toolkit.diagnostics.covariance import influence_covariance
from toolkit.diagnostics.inputs import check_log_ratios, check_vector, process_index
from toolkit.diagnostics.serialise import jsonable
from toolkit.errors import SchemaError, ShapeError
from toolkit.typing import FloatArray
from toolkit.weights.simulation import SimulatedEvents


@dataclass(frozen=True, eq=False)
class ReweightingClosure:
    """One observable of one target: true, reweighted and untouched reference, in expected events per bin.

    The first and last bin include underflow and overflow. Events whose value is missing (no second jet) are the
    pair `missing` (target, reweighted) and are one more category of the chi-square. `difference_error` is the error
    of reweighted minus target, NOT the quadratic sum of the two errors: both come from the same events.
    """

    observable: str
    target_name: str
    trained_on: bool
    edges: FloatArray
    target: FloatArray
    target_error: FloatArray
    reweighted: FloatArray
    reweighted_error: FloatArray
    reference: FloatArray
    difference_covariance: FloatArray
    missing: tuple[float, float]
    test: ChiSquare
    shape_test: ChiSquare

    @property
    def difference(self) -> FloatArray:
        """Reweighted minus target, (k,) expected events."""
        return self.reweighted - self.target

    @property
    def difference_error(self) -> FloatArray:
        """Standard error of the difference, (k,) expected events."""
        return np.sqrt(np.diag(self.difference_covariance))

    @property
    def mean_deviation(self) -> float:
        """Sum of |reweighted - target| over sum of |target|: the size of the disagreement, statistical noise included."""
        return float(np.abs(self.difference).sum() / np.abs(self.target).sum())

    def to_json(self) -> dict[str, Any]:
        """Return all plotted numbers as a JSON object."""
        names = (
            "observable",
            "target_name",
            "trained_on",
            "edges",
            "target",
            "target_error",
            "reweighted",
            "reweighted_error",
            "reference",
        )
        more = ("difference", "difference_error", "difference_covariance", "missing")
        arrays = {name: jsonable(getattr(self, name)) for name in names + more}
        return {**arrays, **self.test.to_json(), "shape": self.shape_test.to_json(), "mean_deviation": jsonable(self.mean_deviation)}


def reweighting_closure(
    events: SimulatedEvents,
    log_ratios: FloatArray,
    *,
    observable: str,
    edges: FloatArray,
    reference: Mapping[str, float],
    target: str | tuple[str, FloatArray],
    trained_on: bool,
) -> ReweightingClosure:
    """Compare the reweighted reference with the true target in one observable.

    Args:
        events: Test events (not used in training) with weights (n, n_processes).
        log_ratios: (n, n_processes) log p_process / p_ref in the order of `events.processes`.
        observable: Name of the observable, as in `events.observables`.
        edges: (k + 1,) edges in the observable's unit.
        reference: Fractions of the processes in p_ref; they are normalised to sum 1.
        target: A process, or a name and morphing coefficients (n_processes,) of a hypothesis.
        trained_on: Whether the observable is a feature of the network; only reported.

    Returns:
        The comparison. `test` is absolute (a wrong normalisation of r counts); `shape_test` compares the two
        histograms after the reweighted one is scaled to the target's total.

    Raises:
        SchemaError: A process or observable is unknown, or the edges do not increase.
        ShapeError: `log_ratios` does not fit the events.
        PhysicsDomainError: A log ratio is NaN.

    Notes:
        Event i adds w_ref,i sum_j c_j N_j r_j(x_i) to the reweighted histogram and sum_j c_j w_ij to the true one; the
        variance of the difference is summed over events, with the fluctuation of the totals N_j, which enter
        w_ref = sum_j pi_j w_ij / N_j, propagated. Bins of one observable are tested with their full covariance. Different observables
        and targets share the events too: their p-values are correlated, and the smallest of many is small by
        chance (with 20 comparisons one below 0.05 is expected). The network is taken as fixed. Where the
        reference has few events and r is large the error is estimated from those few and is itself uncertain.

    References:
        ATLAS, arXiv:2412.01600, section on validation of the density ratios.

    Examples:
        With exact ratios the reweighted reference is the target, bin by bin:

        >>> weights = np.array([[1.0, 3.0], [3.0, 1.0]])
        >>> ids, zeros = np.arange(2, dtype=np.uint64), np.zeros(2, dtype=np.int64)
        >>> events = SimulatedEvents(("S", "B"), ids, zeros, ("S",), {"m4l": np.array([250.0, 600.0])}, weights)
        >>> closure = reweighting_closure(events, np.log(weights / 2.0), observable="m4l", edges=np.array([220.0, 400.0, 1000.0]),
        ...                               reference={"S": 1.0, "B": 1.0}, target="S", trained_on=True)
        >>> closure.reference, closure.reweighted, closure.target
        (array([2., 2.]), array([1., 3.]), array([1., 3.]))
    """
    check_log_ratios(log_ratios, events)
    name, coefficients = _target(events, target)
    pi = reference_fractions(events, reference)
    if observable not in events.observables:
        raise SchemaError(what="observable", got=observable, expected=f"one of {sorted(events.observables)}", remedy="check the spelling")
    grid = np.asarray(edges, dtype=np.float64)
    k = grid.size  # the bins and, last, the missing values
    index = clipped_index(events.observables[observable], grid)
    index = np.where(index == MISSING, k - 1, index)

    w, totals = events.weights, events.weights.sum(axis=0)
    safe = np.where(totals == 0, 1.0, totals)
    w_ref = w @ (pi / safe)
    ratios = np.exp(log_ratios)
    q = ratios @ (coefficients * totals)
    reweighted, truth = w_ref * q, w @ coefficients
    gain = bin_sums(index, k, w_ref[:, None] * ratios) * coefficients
    loss = bin_sums(index, k, q[:, None] * w) * (pi / safe**2)
    local, response = reweighted - truth, gain - loss
    covariance = influence_covariance(index, n_bins=k, local=local, columns=w, response=response)

    sums = bin_sums(index, k, np.stack([truth, truth**2, reweighted, reweighted**2, w_ref * truth.sum()], axis=1))
    difference = sums[:, 2] - sums[:, 0]
    shape_difference, shape_covariance = _shape(sums[:, 0], sums[:, 2], covariance)
    inner = slice(0, k - 1)
    return ReweightingClosure(
        observable=observable,
        target_name=name,
        trained_on=trained_on,
        edges=grid,
        target=sums[inner, 0],
        target_error=np.sqrt(sums[inner, 1]),
        reweighted=sums[inner, 2],
        reweighted_error=np.sqrt(sums[inner, 3]),
        reference=sums[inner, 4],
        difference_covariance=covariance[inner, inner],
        missing=(float(sums[-1, 0]), float(sums[-1, 2])),
        test=chi_square(difference, covariance),
        shape_test=chi_square(shape_difference, shape_covariance),
    )


def reference_fractions(events: SimulatedEvents, reference: Mapping[str, float]) -> FloatArray:
    """Return the fractions of the processes in p_ref, (n_processes,), normalised to sum 1.

    Args:
        events: Names the processes.
        reference: Positive share of each process that is part of the reference.

    Raises:
        SchemaError: A process is unknown, a share negative, or their sum zero.

    Examples:
        >>> ids, zeros = np.arange(1, dtype=np.uint64), np.zeros(1, dtype=np.int64)
        >>> events = SimulatedEvents(("S", "B", "qqZZ"), ids, zeros, ("S",), {}, np.ones((1, 3)))
        >>> reference_fractions(events, {"S": 1.0, "qqZZ": 3.0})
        array([0.25, 0.  , 0.75])
    """
    pi = np.zeros(len(events.processes))
    for name, share in reference.items():
        pi[process_index(events, name)] = share
    if (pi < 0).any() or pi.sum() <= 0:
        raise SchemaError(
            what="reference shares",
            got=dict(reference),
            expected="shares >= 0 with a positive sum",
            remedy="take them from the ONNX metadata",
        )
    return np.asarray(pi / pi.sum())


def _target(events: SimulatedEvents, target: str | tuple[str, FloatArray]) -> tuple[str, FloatArray]:
    n_processes = len(events.processes)
    if isinstance(target, str):
        return target, np.eye(n_processes)[process_index(events, target)]
    name, coefficients = target
    coefficients = np.asarray(coefficients, dtype=np.float64)
    if coefficients.shape != (n_processes,):
        raise ShapeError(
            what=f"coefficients of {name}", got=coefficients.shape, expected=(n_processes,), remedy="pass one coefficient per process"
        )
    check_vector(coefficients, name=f"coefficients of {name}", size=n_processes)
    return name, coefficients


def _shape(target: FloatArray, reweighted: FloatArray, covariance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Scale the reweighted histogram to the target's total; propagate to the difference and its covariance.

    To first order in the difference d: d' = d - t sum(d) / sum(t), t the target.
    """
    total = target.sum()
    if total == 0 or reweighted.sum() == 0:
        return np.zeros_like(target), np.zeros_like(covariance)
    projection = np.eye(target.size) - np.outer(target / total, np.ones(target.size))
    return projection @ (reweighted - target), projection @ covariance @ projection.T
