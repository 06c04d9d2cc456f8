"""Sums over events of a mixture whose densities depend on nuisance parameters: value, gradient and Hessian, block by block.

With densities D_ij, factors F_j of the processes and per-event variations g_ij(alpha),

    t_i = sum_j F_j D_ij g_ij(alpha) / N_j(alpha),      N_j(alpha) = E_j[g_j(alpha)]

`sums` and `slopes` give sum_i w_i ln t_i and its derivatives by F_j and alpha. N_j is the mean of the variation over the nominal
density of process j, taken over a reference sample at every alpha: densities stay normalised whatever the variations are.
Blocks fit into the cache, so that the arrays are read from memory once per call.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.errors import PhysicsDomainError, ShapeError
from toolkit.likelihood.mixture import Complain
from toolkit.likelihood.shapes import ShapePoint, Shapes
from toolkit.typing import FloatArray

ROWS = 1 << 11
"""Events per block: 20 variations of 6 processes in float64 are 4 MB, so that the second use of a block finds it in the cache."""


class Slopes(NamedTuple):
    """sum_i w_i ln t_i and its derivatives by F_j (n_processes,) and by the nuisance parameters (n_names,)."""

    value: float
    by_factor: FloatArray
    by_alpha: FloatArray


class Norms(NamedTuple):
    """ln N_j (n_processes,) and its derivatives (n_processes, n_names), (n_processes, n_names, n_names)."""

    log: FloatArray
    slope: FloatArray
    bend: FloatArray


@dataclass(frozen=True, eq=False)
class ShapeReference:
    """Simulated events over which per-event variations are normalised.

    Attributes:
        weights: Weight of each event under each process, (n_events, n_processes): expected events, or reference weight times
            density ratio. Only their shape in each column counts.
        shapes: The variations of these events, with the parameters of the likelihood's.
    """

    weights: FloatArray
    shapes: Shapes

    def __post_init__(self) -> None:
        w = np.asarray(self.weights, dtype=np.float64)
        if w.shape != (len(self.shapes), len(self.shapes.parameters)):
            raise ShapeError("weights of the normalisation", got=w.shape, expected=f"({len(self.shapes)}, {len(self.shapes.parameters)})")
        total = w.sum(axis=0)
        if not (np.all(np.isfinite(w)) and np.all(total > 0.0)):
            raise PhysicsDomainError("weights of the normalisation", got=f"sums {total.tolist()}", expected="finite, positive sums")
        object.__setattr__(self, "weights", w / total)

    def norms(self, alphas: ArrayLike, *, bends: bool = False) -> Norms:
        """Compute the mean of every process's variation at nuisance parameters (n_names,), and its derivatives.

        Raises:
            PhysicsDomainError: A mean that is not positive (signed weights in a sample that is too small).
        """
        point, n = self.shapes.at(np.asarray(alphas, dtype=np.float64)), len(self.shapes.names)
        mean, slope = np.zeros(self.weights.shape[1]), np.zeros((self.weights.shape[1], n))
        bend = np.zeros((len(mean), n, n)) if bends else np.zeros((0, 0, 0))
        for rows in blocks(len(self.weights)):
            for j, at in enumerate(self.shapes.columns):
                if not len(at):
                    continue
                q = self.weights[rows, j] * np.exp(point.log_factor(j, rows))
                mean[j] += q.sum()
                slope[j, at] += point.weighted_slopes(j, rows, q)
                if bends:
                    h = point.slopes(j, rows)
                    bend[j][np.ix_(at, at)] += (h * q[:, None]).T @ h + np.diag(point.weighted_bends(j, rows, q))
        mean[[j for j, at in enumerate(self.shapes.columns) if not len(at)]] = 1.0
        if not np.all(mean > 0.0):
            j = int(np.argmin(mean))
            raise PhysicsDomainError(
                f"mean variation of process {j} at {dict(zip(self.shapes.names, np.asarray(alphas).tolist(), strict=True))}",
                got=float(mean[j]),
                expected="> 0",
                remedy="normalise on more events, or without events of negative weight",
            )
        slope /= mean[:, None]
        if bends:
            bend = bend / mean[:, None, None] - slope[:, :, None] * slope[:, None, :]
        return Norms(np.log(mean), slope, bend)


@dataclass(frozen=True, eq=False)
class ShapedMixture:
    """Events with densities, weights and variations.

    Attributes:
        densities: D, (n_events, n_processes).
        weights: w, (n_events,).
        shapes: The variations.
        reference: What they are normalised on; None leaves them as they are.
    """

    densities: FloatArray
    weights: FloatArray
    shapes: Shapes
    reference: ShapeReference | None

    def norms(self, alphas: FloatArray, *, bends: bool = False) -> Norms:
        """Return ln N_j and its derivatives; zero without a reference."""
        if self.reference is not None:
            return self.reference.norms(alphas, bends=bends)
        n_processes, n = self.densities.shape[1], len(self.shapes.names)
        return Norms(np.zeros(n_processes), np.zeros((n_processes, n)), np.zeros((n_processes, n, n)))

    def sums(self, factors: FloatArray, alphas: FloatArray, complain: Complain) -> FloatArray:
        """Sum w_i ln t_i for several F (n_points, n_processes) at one set of nuisance parameters (n_names,); returns (n_points,)."""
        out, point, log_norm = np.zeros(len(factors)), self.shapes.at(alphas), self.norms(alphas).log
        for rows in blocks(len(self.densities)):
            total = factors @ self._terms(point, log_norm, rows)
            self._check(total, rows, complain)
            out += np.log(total, out=total) @ self.weights[rows]
        return out

    def slopes(self, factors: FloatArray, alphas: FloatArray, complain: Complain) -> Slopes:
        """Evaluate value and derivatives at F (n_processes,) and nuisance parameters (n_names,) in one pass."""
        point, norms = self.shapes.at(alphas), self.norms(alphas)
        value, by_factor, by_alpha = 0.0, np.zeros(len(factors)), np.zeros(len(alphas))
        for rows in blocks(len(self.densities)):
            terms = self._terms(point, norms.log, rows)
            total = factors @ terms
            self._check(total[None, :], rows, complain)
            w = self.weights[rows]
            value += float(w @ np.log(total))
            terms *= w / total
            by_factor += terms.sum(axis=1)
            for j, at in enumerate(self.shapes.columns):
                if len(at):
                    by_alpha[at] += point.weighted_slopes(j, rows, factors[j] * terms[j])
        return Slopes(value, by_factor, by_alpha - (factors * by_factor) @ norms.slope)

    def hessian(self, factors: FloatArray, alphas: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Evaluate the second derivatives of sum_i w_i ln t_i by (F, alpha), and its derivatives by F.

        Args:
            factors: F, (n_processes,).
            alphas: Nuisance parameters, (n_names,).

        Returns:
            Second derivatives, (n_processes + n_names,) squared; first derivatives by F, (n_processes,).
        """
        point, norms, p = self.shapes.at(alphas), self.norms(alphas, bends=True), len(factors)
        out = np.zeros((p + len(alphas), p + len(alphas)))
        by_factor = np.zeros(p)
        for rows in blocks(len(self.densities)):
            terms, w = self._terms(point, norms.log, rows), self.weights[rows]
            terms /= factors @ terms
            by_factor += terms @ w
            scores = np.zeros((terms.shape[1], len(out)))
            scores[:, :p] = terms.T
            for j, at in enumerate(self.shapes.columns):
                if not len(at):
                    continue
                h = point.slopes(j, rows)
                h -= norms.slope[j, at]
                share = factors[j] * terms[j]
                weighted = h * share[:, None]
                scores[:, _positions(p, at)] += weighted
                cross = (terms[j] * w) @ h
                out[j, p + at] += cross
                out[p + at, j] += cross
                weighted *= w[:, None]
                out[np.ix_(p + at, p + at)] += weighted.T @ h
                out[p + at, p + at] += point.weighted_bends(j, rows, share * w)
            out -= (scores * w[:, None]).T @ scores
        out[p:, p:] -= np.einsum("j,jab->ab", factors * by_factor, norms.bend)
        return out, by_factor

    def _terms(self, point: ShapePoint, log_norm: FloatArray, rows: slice) -> FloatArray:
        """Return D_ij g_ij / N_j, (n_processes, n_rows)."""
        terms = np.array(self.densities[rows].T, order="C", copy=True)  # a copy whatever the memory order: it is overwritten
        for j, at in enumerate(self.shapes.columns):
            if len(at):
                terms[j] *= np.exp(point.log_factor(j, rows) - log_norm[j])
        return terms

    @staticmethod
    def _check(total: FloatArray, rows: slice, complain: Complain) -> None:
        if total.size and not total.min() > 0.0:
            point, row = np.unravel_index(int(np.argmin(total)), total.shape)
            complain(rows.start + int(row), int(point), float(total[point, row]))


def blocks(n: int) -> Iterator[slice]:
    """Cut n events into slices of `ROWS`."""
    for start in range(0, n, ROWS):
        yield slice(start, min(start + ROWS, n))


def _positions(first: int, at: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """Return columns as a slice where they are consecutive: much faster than an index array."""
    low = int(at[0])
    return slice(first + low, first + low + len(at)) if np.array_equal(at, np.arange(low, low + len(at))) else first + at
