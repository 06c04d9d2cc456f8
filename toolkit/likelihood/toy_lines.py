"""Fits of many toys of one free parameter at once: sums of tabulated logarithms, then polynomials around all minima.

What to use when: `fit_on_grid` for one likelihood; this for blocks of toys that draw rows, events or bins, from one table. The
logarithm of the density of a row is a smooth function of the parameter, so twenty numbers per row hold it at all grid points to 1e-8, and
a toy is the sum of these numbers over its rows. That takes a tenth of the time of a likelihood of its own. Toys that are not smooth enough
for the polynomials are left to `fit_on_grid`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from scipy.sparse import csr_array

from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.grid_fit import GRID_POINTS, NEIGHBOURS, WIDE, free_parameter
from toolkit.likelihood.parameters import Parameter
from toolkit.typing import BoolArray, FloatArray, IntArray

CHUNK = 20_000
"""Rows whose logarithms are in memory at a time."""
SAMPLE = 2000
"""Rows from which the common shapes of the logarithms are taken."""
STEEP = 200
"""Further ones, whose density changes most over the range."""
EXACT = 1e-8
"""Largest accepted distance of a logarithm from the sum of common shapes."""
SMOOTH = 1e-5
"""Largest accepted difference between the minima of the polynomials through five and through seven grid points."""
STEPS = 10

Drawn = tuple[IntArray, FloatArray]
"""Rows of a table, (n,), in any number of times, and what each counts, (n,)."""


class Factors(Protocol):
    """Coefficients of the processes as functions of parameters."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters."""
        ...

    def values(self, points: FloatArray) -> FloatArray:
        """Evaluate at points (n_points, n_parameters), (n_points, n_processes)."""
        ...


@dataclass(frozen=True, eq=False)
class Rows:
    """What the likelihood of drawn rows is made of: twice_nll = 2 [ sum_j f_j nu_j - sum_i w_i ln sum_j f_j D_ij ].

    Attributes:
        densities: D, (n_rows, n_processes).
        yields: nu, (n_processes,).
        coefficients: f.
    """

    densities: FloatArray
    yields: FloatArray
    coefficients: Factors


@runtime_checkable
class LineSource(Protocol):
    """An experiment whose toys are rows of tables, one table per channel."""

    @property
    def lines(self) -> Lines | None:
        """The tables; None where toys have to be fitted one by one."""
        ...

    def rows_of(self, data: Any) -> tuple[Drawn, ...]:
        """Return the rows of drawn data in every table."""
        ...


@dataclass(frozen=True, eq=False)
class LineFit:
    """Fits of a block of toys.

    Attributes:
        value: Best fits, (n_toys,).
        t: -2 ln of the likelihood ratio between the tested value and the best fit, (n_toys,), >= 0.
        at_boundary: Whether the best fit is an end of the range, (n_toys,).
        smooth: Whether the fit can be trusted, (n_toys,).
    """

    value: FloatArray
    t: FloatArray
    at_boundary: BoolArray
    smooth: BoolArray


@dataclass(frozen=True, eq=False)
class _Table:
    """Logarithms of the densities of all rows at the grid points: offset + terms @ shapes, and twice the rate there."""

    rows: Rows
    offset: FloatArray
    terms: FloatArray
    shapes: FloatArray
    rate: FloatArray


@dataclass(frozen=True, eq=False)
class Lines:
    """Tables of all channels along the free parameter.

    Args:
        parameter: The free parameter.
        root: Whether the likelihood is smooth in the square root.
        points: All parameters at the grid points, (n_points, n_parameters), the free one in column `index`.
        index: Its column.
        names: Names of the parameters.
        tables: One per channel.
    """

    parameter: Parameter
    root: bool
    points: FloatArray
    index: int
    names: tuple[str, ...]
    tables: tuple[_Table, ...]
    _tested: dict[float, tuple[tuple[FloatArray, float], ...]] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(cls, likelihood: Likelihood, channels: Sequence[Rows]) -> Lines | None:
        """Tabulate channels of a likelihood; None unless one parameter is free, in a finite range, and all densities positive."""
        parameter = free_parameter(likelihood)
        if parameter is None or likelihood.constraints:
            return None
        root, span = parameter.name in likelihood.diverging, parameter.high - parameter.low
        length = float(np.sqrt(span)) if root else span
        if length > WIDE:
            return None
        x, index = np.linspace(0.0, length, GRID_POINTS), likelihood.parameters.index(parameter)
        points = np.tile([p.init for p in likelihood.parameters], (GRID_POINTS, 1)).astype(np.float64)
        points[:, index] = np.minimum(parameter.low + (x**2 if root else x), parameter.high)
        tables = [_tabulated(rows, points, likelihood.parameter_names) for rows in channels]
        if any(table is None for table in tables):
            return None
        return cls(parameter, root, points, index, likelihood.parameter_names, tuple(t for t in tables if t is not None))

    @property
    def expected(self) -> float:
        """Expected events of a toy, at the end of the range where they are more."""
        return max(sum(float(table.rate[k]) / 2.0 for table in self.tables) for k in (0, -1))

    def fit(self, drawn: Sequence[tuple[Drawn, ...]], *, truth: float) -> LineFit:
        """Fit a block of toys and test one value of the parameter.

        Args:
            drawn: Rows of every toy in every table.
            truth: The value.
        """
        heights, tested = np.zeros((len(drawn), len(self.points))), np.zeros(len(drawn))
        for k, (table, (logs, rate)) in enumerate(zip(self.tables, self._at(truth), strict=True)):
            rows, weights = ([toy[k][part] for toy in drawn] for part in (0, 1))
            ends = np.concatenate([[0], np.cumsum([len(r) for r in rows])])
            counts = csr_array((np.concatenate(weights), np.concatenate(rows), ends), shape=(len(drawn), len(table.terms)))
            total = np.asarray(counts @ np.ones(len(table.terms)))
            heights += table.rate - 2.0 * (total[:, None] * table.offset + _product(np.asarray(counts @ table.terms), table.shapes))
            tested += rate - 2.0 * np.asarray(counts @ logs)
        return self._minimised(heights, tested)

    def _at(self, truth: float) -> tuple[tuple[FloatArray, float], ...]:
        """Return the logarithms of all rows at a value, and twice the rate there, for every table; kept until the next value."""
        if truth not in self._tested:
            point = self.points[:1].copy()
            point[0, self.index] = truth
            found = []
            for table in self.tables:
                f = _factors(table.rows, point, self.names)
                found.append((np.log(table.rows.densities @ f[0]), 2.0 * float(f[0] @ table.rows.yields)))
            self._tested.clear()
            self._tested[truth] = tuple(found)
        return self._tested[truth]

    def _minimised(self, heights: FloatArray, tested: FloatArray) -> LineFit:
        """Find the lowest minimum of every toy between the grid points, (n_toys, n_points)."""
        n = heights.shape[1]
        padded = np.pad(heights, ((0, 0), (1, 1)), constant_values=np.inf)
        toys, at = np.nonzero((heights <= padded[:, :-2]) & (heights <= padded[:, 2:]))
        wide, narrow = (_vertices(heights, toys, at, width=w) for w in (NEIGHBOURS, NEIGHBOURS - 2))
        lowest = np.full(len(heights), np.inf)
        np.minimum.at(lowest, toys, wide[1])
        best = np.flatnonzero(wide[1] == lowest[toys])
        first = best[np.unique(toys[best], return_index=True)[1]]
        place = np.clip(at[first] + wide[0][first], 0.0, n - 1.0)
        x = place * (np.sqrt(self.parameter.high - self.parameter.low) if self.root else self.parameter.high - self.parameter.low) / (n - 1)
        value = np.minimum(self.parameter.low + (x**2 if self.root else x), self.parameter.high)
        off = np.zeros(len(heights))
        np.maximum.at(off, toys, np.abs(wide[1] - narrow[1]))
        edge = (place == 0.0) | (place == n - 1.0)
        return LineFit(value, np.maximum(tested - lowest, 0.0), edge, off < SMOOTH)


def _vertices(heights: FloatArray, toys: IntArray, at: IntArray, *, width: int) -> tuple[FloatArray, FloatArray]:
    """Find the minima of the polynomials through `width` grid points around points: steps from the point, and heights there."""
    n = heights.shape[1]
    # Windows at the ends of the grid are shifted inside. There are few different positions of a point in its window, hence few
    # matrices to invert, whatever the number of toys.
    first = np.clip(at - width // 2, 0, n - width)
    nodes = first[:, None] - at[:, None] + np.arange(width)
    offset = heights[toys, at]
    around = heights[toys[:, None], first[:, None] + np.arange(width)] - offset[:, None]
    inverse = {int(s): np.linalg.inv(np.vander(s + np.arange(width), increasing=True).astype(np.float64)) for s in np.unique(nodes[:, 0])}
    series = np.einsum("pij,pj->pi", np.array([inverse[int(s)] for s in nodes[:, 0]]).reshape(-1, width, width), around)
    low, high = np.maximum(nodes[:, 0], -1.0), np.minimum(nodes[:, -1], 1.0)
    place, bent = np.zeros(len(at)), np.ones(len(at), dtype=bool)
    for _ in range(STEPS):
        _, slope, bend = _polynomials(series, place)
        bent &= bend > 0.0
        place = np.where(bent, np.clip(place - slope / np.where(bent, bend, 1.0), low, high), 0.0)
    return place, offset + np.minimum(_polynomials(series, place)[0], 0.0)


def _polynomials(series: FloatArray, at: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Evaluate polynomials (n, n_terms), lowest order first, with slope and second derivative (Horner's scheme)."""
    value, slope, half_bend = np.zeros(len(at)), np.zeros(len(at)), np.zeros(len(at))
    for k in range(series.shape[1] - 1, -1, -1):
        half_bend = half_bend * at + slope
        slope = slope * at + value
        value = value * at + series[:, k]
    return value, slope, 2.0 * half_bend


def _tabulated(rows: Rows, points: FloatArray, names: tuple[str, ...]) -> _Table | None:
    f = _factors(rows, points, names)
    few = rows.densities @ f[:: (len(points) - 1) // 5].T
    if not few.min() > 0.0:
        return None
    step = max(len(few) // SAMPLE, 1)
    steep = np.argsort(few.min(axis=1) / few.max(axis=1), kind="stable")[:STEEP]  # their shapes are those that others lack
    some = rows.densities[np.concatenate([np.arange(0, len(few), step), steep])] @ f.T
    if not some.min() > 0.0:
        return None
    logs = np.log(some)
    offset = logs.mean(axis=0)
    common = np.linalg.svd(logs - offset, full_matrices=False)[2]
    for n_shapes in (12, 16, 20, 24, 32, len(points)):
        shapes = common[:n_shapes] if n_shapes < len(points) else np.eye(len(points))
        terms = np.empty((len(rows.densities), len(shapes)))
        for start in range(0, len(terms), CHUNK):
            density = rows.densities[start : start + CHUNK] @ f.T
            if not density.min() > 0.0:
                return None
            own = np.log(density) - offset
            terms[start : start + CHUNK] = own @ shapes.T
            if np.abs(terms[start : start + CHUNK] @ shapes - own).max() > EXACT:
                break
        else:
            return _Table(rows, offset, terms, shapes, 2.0 * (f @ rows.yields))
    return None


def _factors(rows: Rows, points: FloatArray, names: tuple[str, ...]) -> FloatArray:
    """Evaluate the coefficients at parameter points, (n_points, n_processes)."""
    columns = [names.index(name) for name in rows.coefficients.parameters]
    return np.asarray(rows.coefficients.values(points[:, columns]))


def _product(sums: FloatArray, shapes: FloatArray) -> FloatArray:
    """Multiply term by term, so that a toy has the same bits in any block."""
    out = np.zeros((len(sums), shapes.shape[1]))
    for k, shape in enumerate(shapes):
        out += sums[:, k, None] * shape
    return out
