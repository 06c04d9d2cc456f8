"""Histograms of two observables, unrolled into one row of bins; cells that expect too little are merged with a neighbour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from toolkit.errors import PhysicsDomainError, ShapeError
from toolkit.likelihood.templates import Outside, bin_index, checked_edges
from toolkit.typing import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Plane:
    """The bins of a histogram of two observables.

    Attributes:
        observables: Names of the two observables.
        edges: Bin edges of each, (n_first + 1,) and (n_second + 1,), increasing.
        groups: Number of the bin that each cell belongs to, (n_first, n_second), from 0 without gaps.

    Examples:
        >>> plane = Plane.of(("m4l", "cos_theta_star"), ([220.0, 300.0, 500.0], [-1.0, 0.0, 1.0]))
        >>> plane.index([250.0, 400.0], [0.5, -0.5]).tolist(), plane.n_bins
        ([1, 2], 4)
    """

    observables: tuple[str, str]
    edges: tuple[FloatArray, FloatArray]
    groups: IntArray

    @classmethod
    def of(cls, observables: tuple[str, str], edges: tuple[ArrayLike, ArrayLike]) -> Plane:
        """Number the cells one after the other, the second observable running faster."""
        first, second = (checked_edges(e) for e in edges)
        shape = (len(first) - 1, len(second) - 1)
        return cls(observables, (first, second), np.arange(shape[0] * shape[1]).reshape(shape))

    @property
    def n_bins(self) -> int:
        """Number of bins after merging."""
        return int(self.groups.max()) + 1

    @property
    def labels(self) -> tuple[str, ...]:
        """One label per bin, for messages: the ranges that its cells cover."""
        found = []
        for bin_ in range(self.n_bins):
            where = np.nonzero(self.groups == bin_)
            ranges = (f"{o} {e[k.min()]:g} ... {e[k.max() + 1]:g}" for o, e, k in zip(self.observables, self.edges, where, strict=True))
            found.append(", ".join(ranges))
        return tuple(found)

    def index(self, first: ArrayLike, second: ArrayLike, *, outside: Outside = "raise") -> IntArray:
        """Find the bin of each event, (n_events,); arguments as for `bin_index`, which both observables go through."""
        rows, columns = (bin_index(v, e, outside=outside) for v, e in zip((first, second), self.edges, strict=True))
        return np.asarray(np.where((rows < 0) | (columns < 0), -1, self.groups[rows, columns]))

    def spread(self, content: ArrayLike) -> FloatArray:
        """Give every cell the content of its bin (n_bins,): (n_first, n_second)."""
        return np.asarray(np.asarray(content, dtype=np.float64)[self.groups])

    def merged(self, templates: ArrayLike, coefficients: ArrayLike, *, least: float) -> Plane:
        """Merge bins until each expects enough, at every value of the parameters.

        The bin that expects least goes to its neighbour that expects least, again and again.

        Args:
            templates: Expected events of each process in each bin, (n_processes, n_bins).
            coefficients: Coefficients of the processes at the values of the parameters, (n_points, n_processes).
            least: Expected events that each bin must have, > 0.

        Returns:
            The plane with larger bins; itself if nothing is to be merged.

        Raises:
            ShapeError: Templates of another number of bins.
            PhysicsDomainError: All bins together expect too little.
        """
        totals = np.asarray(coefficients, dtype=np.float64) @ np.asarray(templates, dtype=np.float64)
        if totals.shape[1] != self.n_bins:
            what = "templates of a plane"
            raise ShapeError(what, got=f"{totals.shape[1]} bins", expected=f"{self.n_bins} bins")
        if not totals.sum(axis=1).min() >= least:
            what = f"expected events of {' x '.join(self.observables)}"
            raise PhysicsDomainError(what, got=float(totals.sum(axis=1).min()), expected=f"at least {least:g} in all bins together")
        groups, columns = self.groups.copy(), {k: totals[:, k] for k in range(self.n_bins)}
        while True:
            lowest = {k: float(c.min()) for k, c in columns.items()}
            poor = min(lowest, key=lambda k: (lowest[k], k))
            if lowest[poor] >= least:
                break
            partner = min(_neighbours(groups, poor), key=lambda k: (lowest[k], k))
            groups[groups == poor] = partner
            columns[partner] = columns[partner] + columns.pop(poor)
        numbered = np.unique(groups, return_inverse=True)[1].reshape(groups.shape)
        return Plane(self.observables, self.edges, _in_order(numbered))

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"observables": list(self.observables), "edges": [e.tolist() for e in self.edges], "groups": self.groups.tolist()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Plane:
        """Read what `to_json` wrote."""
        first, second = (np.asarray(e, dtype=np.float64) for e in document["edges"])
        one, two = document["observables"]
        return cls((one, two), (first, second), np.asarray(document["groups"], dtype=np.int64))


def poor_bins(templates: ArrayLike, coefficients: ArrayLike, labels: Sequence[str]) -> tuple[str, ...]:
    """List the bins whose expected total is not positive somewhere.

    Args:
        templates: Expected events of each process, (n_processes, n_bins).
        coefficients: Coefficients of the processes at the values of the parameters, (n_points, n_processes).
        labels: One per bin.

    Returns:
        Their labels.

    Examples:
        >>> poor_bins([[5.0, 1.0], [-1.0, -2.0]], [[1.0, 1.0]], ("low", "high"))
        ('high',)
    """
    lowest = (np.asarray(coefficients, dtype=np.float64) @ np.asarray(templates, dtype=np.float64)).min(axis=0)
    return tuple(label for label, value in zip(labels, lowest, strict=True) if not value > 0.0)


def _neighbours(groups: IntArray, chosen: int) -> set[int]:
    """Return the groups that share an edge with a group."""
    found: set[int] = set()
    for axis in (0, 1):
        one = groups[:-1] if axis == 0 else groups[:, :-1]
        two = groups[1:] if axis == 0 else groups[:, 1:]
        found |= set(two[one == chosen].tolist()) | set(one[two == chosen].tolist())
    return found - {chosen}


def _in_order(groups: IntArray) -> IntArray:
    """Number groups in the order in which their first cells come."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    return np.asarray(rank[inverse].reshape(groups.shape))
