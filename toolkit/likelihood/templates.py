"""Histogram templates of the processes from simulated events, with the covariance between processes.

What to use when: fixed `edges` for an observable, `quantile_edges` for a score whose scale means nothing. Both take arrays:
the weight matrix of `toolkit.weights.SimulatedEvents` and one value per event.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.typing import FloatArray

Outside = Literal["raise", "drop", "clip"]


@dataclass(frozen=True, eq=False)
class Templates:
    """Expected events per process and bin.

    Attributes:
        processes: Names of the processes, length n_processes.
        edges: Bin edges, (n_bins + 1,).
        values: Expected events at the luminosity of the weights, (n_processes, n_bins); negative entries are legal.
        covariance: Of the processes in each bin from finite simulation, (n_bins, n_processes, n_processes): one simulated event
            fills several processes, so they are correlated.
        counts: Simulated events per bin, (n_bins,).

    Examples:
        >>> made = fill_templates([0.5, 1.5], [[1.0, 0.5], [2.0, 0.0]], [0.0, 1.0, 2.0], processes=("S", "B"))
        >>> made.expected([2.0, 1.0]), made.variance([2.0, 1.0]), made.labels
        (array([2.5, 4. ]), array([ 6.25, 16.  ]), ('0 ... 1', '1 ... 2'))
    """

    processes: tuple[str, ...]
    edges: FloatArray
    values: FloatArray
    covariance: FloatArray
    counts: FloatArray

    @property
    def variances(self) -> FloatArray:
        """Variance of each template entry from finite simulation, (n_processes, n_bins)."""
        return np.asarray(np.einsum("bjj->jb", self.covariance))

    @property
    def labels(self) -> tuple[str, ...]:
        """One label per bin, "low ... high", for messages."""
        return tuple(f"{a:g} ... {b:g}" for a, b in zip(self.edges[:-1], self.edges[1:], strict=True))

    def expected(self, coefficients: ArrayLike) -> FloatArray:
        """Mix the processes: sum_j f_j t_jb, (n_bins,)."""
        return np.asarray(np.asarray(coefficients, dtype=np.float64) @ self.values)

    def variance(self, coefficients: ArrayLike) -> FloatArray:
        """Variance of `expected` from finite simulation, correlations included, (n_bins,)."""
        f = np.asarray(coefficients, dtype=np.float64)
        return np.asarray(np.einsum("j,bjk,k->b", f, self.covariance, f))


def fill_templates(
    values: ArrayLike, weights: ArrayLike, edges: ArrayLike, *, processes: tuple[str, ...], outside: Outside = "raise"
) -> Templates:
    """Histogram the weight matrix.

    Args:
        values: Observable or score of each event, (n_events,).
        weights: Weight of each event under each process, (n_events, n_processes).
        edges: Increasing bin edges, (n_bins + 1,); low included, high excluded, but the last bin is closed.
        processes: Names of the processes.
        outside: Events outside the edges, or NaN: "raise", "drop", or "clip" into the first and last bin (NaN still raises).

    Returns:
        The templates.

    Raises:
        ShapeError: Arrays do not belong together.
        SchemaError: Edges do not increase.
        PhysicsDomainError: A weight that is not finite, or events outside the edges.

    Examples:
        >>> t = fill_templates([0.5, 1.5, 1.6], [[1.0, 0.0], [2.0, -1.0], [1.0, 0.5]], [0.0, 1.0, 2.0], processes=("S", "B"))
        >>> t.values.tolist()
        [[1.0, 3.0], [0.0, -0.5]]
        >>> t.variances.tolist()
        [[1.0, 5.0], [0.0, 1.25]]
    """
    x, w, e = np.asarray(values, dtype=np.float64), np.asarray(weights, dtype=np.float64), checked_edges(edges)
    if x.ndim != 1 or w.shape != (len(x), len(processes)):
        what = "values and weights"
        raise ShapeError(what, got=f"{x.shape} and {w.shape}", expected=f"(n_events,) and (n_events, {len(processes)})")
    if not np.all(np.isfinite(w)):
        row, column = np.argwhere(~np.isfinite(w))[0]
        what = f"weight of event {row} under {processes[column]}"
        raise PhysicsDomainError(what, got=w[row, column], expected="a finite number", remedy="find where the weight comes from")
    index = bin_index(x, e, outside=outside)
    kept = index >= 0
    index, w, n_bins = index[kept], w[kept], len(e) - 1
    columns = [np.bincount(index, weights=w[:, j], minlength=n_bins) for j in range(len(processes))]
    covariance = np.zeros((n_bins, len(processes), len(processes)))
    for j in range(len(processes)):
        for k in range(j + 1):
            covariance[:, j, k] = covariance[:, k, j] = np.bincount(index, weights=w[:, j] * w[:, k], minlength=n_bins)
    counts = np.bincount(index, minlength=n_bins).astype(np.float64)
    return Templates(processes=tuple(processes), edges=e, values=np.array(columns), covariance=covariance, counts=counts)


def bin_index(values: ArrayLike, edges: ArrayLike, *, outside: Outside = "raise") -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Find the bin of each event.

    Args:
        values: Observable, (n_events,).
        edges: Increasing bin edges, (n_bins + 1,); the last bin is closed.
        outside: "raise", "drop" (index -1) or "clip" for events outside the edges; NaN raises unless dropped.

    Returns:
        Bin numbers, (n_events,) int64.

    Raises:
        PhysicsDomainError: Events outside the edges, or NaN.

    Examples:
        >>> bin_index([0.0, 0.99, 1.0, 2.0, 2.5], [0.0, 1.0, 2.0], outside="drop")
        array([ 0,  0,  1,  1, -1])
    """
    x, e = np.asarray(values, dtype=np.float64), checked_edges(edges)
    if outside not in ("raise", "drop", "clip"):
        what = "outside"
        raise SchemaError(what, got=repr(outside), expected='"raise", "drop" or "clip"')
    index = np.searchsorted(e, x, side="right").astype(np.int64) - 1
    index[x == e[-1]] = len(e) - 2
    missing = np.isnan(x)
    if outside == "clip" and not missing.any():
        return np.clip(index, 0, len(e) - 2)
    out = missing | (index < 0) | (index > len(e) - 2)
    if out.any() and outside != "drop":
        what = f"{int(out.sum())} of {len(x)} events"
        raise PhysicsDomainError(
            what,
            got=f"values such as {x[out][0]:g} ({int(missing.sum())} NaN)",
            expected=f"values in [{e[0]:g}, {e[-1]:g}]",
            remedy='widen the edges, or say outside="drop" or outside="clip"',
        )
    return np.where(out, -1, index)


def checked_edges(edges: ArrayLike) -> FloatArray:
    """Check that edges are at least two increasing numbers; the outer ones may be infinite.

    Examples:
        >>> checked_edges([220, 400, 2000])
        array([ 220.,  400., 2000.])
    """
    e = np.array(edges, dtype=np.float64)
    if e.ndim != 1 or len(e) < 2 or not np.all(np.diff(e) > 0):
        what = "bin edges"
        raise SchemaError(
            what, got=np.array2string(e, threshold=8), expected="two or more increasing numbers", remedy="sort them, drop repetitions"
        )
    return e


def quantile_edges(values: ArrayLike, weights: ArrayLike, *, bins: int) -> FloatArray:
    """Choose edges so that every bin holds the same share of a sample.

    Args:
        values: Score of each event, (n_events,), finite.
        weights: Expected events, (n_events,); the running sum must not decrease much: signed weights are allowed if their sum
            grows on the scale of a bin.
        bins: Number of bins.

    Returns:
        Edges, (bins + 1,), from the smallest to the largest score. Fill other samples with outside="clip".

    Raises:
        SchemaError: Fewer distinct scores than bins.
        PhysicsDomainError: Scores that are not finite, or weights without a positive sum.

    Examples:
        >>> quantile_edges([1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 1.0, 1.0], bins=2).tolist()
        [1.0, 2.5, 4.0]
    """
    x, w = np.asarray(values, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if x.ndim != 1 or w.shape != x.shape:
        what = "scores and weights"
        raise ShapeError(what, got=f"{x.shape} and {w.shape}", expected="(n_events,) twice")
    if bins < 1 or not np.all(np.isfinite(x)) or not np.all(np.isfinite(w)) or not w.sum() > 0.0:
        what = "quantile bins"
        raise PhysicsDomainError(
            what,
            got=f"{bins} bins, {int((~np.isfinite(x)).sum())} scores not finite, sum of weights {w.sum():g}",
            expected="at least one bin, finite scores, a positive sum of finite weights",
        )
    order = np.argsort(x, kind="stable")
    running = np.maximum.accumulate(np.cumsum(w[order]))
    inner = np.searchsorted(running, running[-1] * np.arange(1, bins) / bins * (1 - 1e-12))
    ordered = x[order]
    above = np.minimum(inner + 1, len(x) - 1)
    edges = np.concatenate([[ordered[0]], 0.5 * (ordered[inner] + ordered[above]), [ordered[-1]]])
    if not np.all(np.diff(edges) > 0):
        what = "quantile bins"
        raise SchemaError(
            what, got=f"{len(np.unique(x))} distinct scores for {bins} bins", expected="increasing edges", remedy="ask for fewer bins"
        )
    return edges
