"""Sums over events of a mixture whose densities depend on nuisance parameters: value, gradient and Hessian, block by block.

With densities D_ij, factors F_j of the processes and per-event variations g_ij(alpha),

    t_i = sum_j F_j D_ij g_ij(alpha) / N_j(alpha),      N_j(alpha) = E_j[g_j(alpha)]

`sums` and `derivatives` give sum_i w_i ln t_i and its derivatives by F_j and alpha. N_j is the mean of the variation over the nominal
density of process j, taken over a reference sample at every alpha: densities stay normalised whatever the variations are.
Values and first derivatives come from compiled kernels (`toolkit.likelihood.fused_kernels`); the NumPy code here is their slow twin, and
does the rest. Blocks fit into the cache, so that the arrays are read from memory once per call; threads share the events.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.errors import PhysicsDomainError, ShapeError
from toolkit.likelihood.chunks import blocks, map_chunks
from toolkit.likelihood.fused import kernels
from toolkit.likelihood.shapes import ShapePoint, Shapes
from toolkit.typing import FloatArray

T = TypeVar("T")


class Derivatives(NamedTuple):
    """sum_i w_i ln t_i and its derivatives by F_j (n_processes,) and by the nuisance parameters (n_names,)."""

    value: float
    by_factor: FloatArray
    by_alpha: FloatArray


class Norms(NamedTuple):
    """ln N_j (n_processes,) and its derivatives (n_processes, n_names), (n_processes, n_names, n_names)."""

    log: FloatArray
    slope: FloatArray
    hessian: FloatArray


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

    def norms(self, alphas: ArrayLike, *, hessian: bool = False, threads: int | None = None) -> Norms:
        """Compute the mean of every process's variation at nuisance parameters (n_names,), and its derivatives.

        Raises:
            PhysicsDomainError: A mean that is not positive (signed weights in a sample that is too small).
        """
        at, columns = self.shapes.at(np.asarray(alphas, dtype=np.float64)), self.shapes.columns
        n_processes, n, rows = self.weights.shape[1], len(self.shapes.names), self.shapes.block_rows
        none = np.zeros(n_processes)

        def chunk(part: slice) -> list[_Moments]:
            found = [_Moments.empty(at, j) for j in at.varied]
            for block in blocks(part, rows):
                weighted = at.factors(block, none)
                weighted *= self.weights[block].T[at.rows_varied]
                for own, j, q in zip(found, at.varied, weighted, strict=True):
                    own.add(at, j, block, q, hessian=hessian)
            return found

        mean, slope = np.ones(n_processes), np.zeros((n_processes, n))
        if not hessian and kernels(self.shapes.table.dtype.name) is not None:
            return self._norms(at, self._fused_moments(at, threads))
        second = np.zeros((n_processes, n, n)) if hessian else np.zeros((0, 0, 0))
        sums = list(map_chunks(chunk, len(self.weights), rows=rows, threads=threads))
        for i, j in enumerate(at.varied):
            own = _Moments.total([found[i] for found in sums])
            mean[j], slope[j, columns[j]] = own.weight, at.derivatives_of(j, own.first)
            if hessian:
                second[j][np.ix_(columns[j], columns[j])] = own.second
                second[j, columns[j], columns[j]] += at.hessian_of(j, own.first)
        return self._norms(at, Norms(mean, slope, second))

    def _fused_moments(self, at: ShapePoint, threads: int | None) -> Norms:
        """Sum the variations and their derivatives with compiled kernels."""
        shapes, fused = self.shapes, kernels(self.shapes.table.dtype.name)
        assert fused is not None

        def chunk(part: slice) -> tuple[FloatArray, FloatArray]:
            mean, sums = np.zeros(self.weights.shape[1]), at.empty_derivatives()
            fused.means(shapes.table[part], shapes.offsets, shapes.code == "code4", at.coefficients, self.weights[part], mean, sums)
            return mean, sums

        found = list(map_chunks(chunk, len(self.weights), rows=shapes.block_rows, threads=threads))
        mean, slope = np.ones(self.weights.shape[1]), np.zeros((self.weights.shape[1], len(shapes.names)))
        mean[at.rows_varied] = np.sum([own for own, _ in found], axis=0)[at.rows_varied]
        for j, own in zip(at.varied, at.derivatives_of_all(np.sum([sums for _, sums in found], axis=0)), strict=True):
            slope[j, shapes.columns[j]] = own
        return Norms(mean, slope, np.zeros((0, 0, 0)))

    def _norms(self, at: ShapePoint, moments: Norms) -> Norms:
        """Turn means and their derivatives into logarithms and theirs."""
        mean, slope, hessian = moments
        if not np.all(mean > 0.0):
            j = int(np.argmin(mean))
            raise PhysicsDomainError(
                f"mean variation of process {j} at {dict(zip(self.shapes.names, at.alphas.tolist(), strict=True))}",
                got=float(mean[j]),
                expected="> 0",
                remedy="normalise on more events, or without events of negative weight",
            )
        slope = slope / mean[:, None]
        if hessian.size:
            hessian = hessian / mean[:, None, None] - slope[:, :, None] * slope[:, None, :]
        return Norms(np.log(mean), slope, hessian)


@dataclass
class _Moments:
    """Weighted sums over the events of one process: of 1, of what the derivatives h are made of, of h h^T."""

    weight: float
    first: FloatArray
    second: FloatArray

    @classmethod
    def empty(cls, at: ShapePoint, j: int) -> _Moments:
        """Start with zeros."""
        k = len(at.shapes.columns[j])
        return cls(0.0, at.empty_sums(j), np.zeros((k, k)))

    def add(self, at: ShapePoint, j: int, rows: slice, weights: FloatArray, *, hessian: bool) -> None:
        """Add a block of events with weights (n_rows,)."""
        self.weight += float(weights.sum())
        self.first += at.weighted_sums(j, rows, weights)
        if hessian:
            h = at.derivatives(j, rows)
            self.second += (h * weights) @ h.T

    @classmethod
    def total(cls, parts: Sequence[_Moments]) -> _Moments:
        """Add the sums of several chunks, in order."""
        first, second = (np.sum([getattr(p, name) for p in parts], axis=0) for name in ("first", "second"))
        return cls(sum(p.weight for p in parts), first, second)


@dataclass(frozen=True, eq=False)
class ShapedMixture:
    """Events with densities, weights and variations.

    Attributes:
        densities: D, (n_events, n_processes).
        weights: w, (n_events,).
        shapes: The variations.
        reference: What they are normalised on; None leaves them as they are.
        threads: Number of threads that share the events; see `toolkit.likelihood.chunks`.
    """

    densities: FloatArray
    weights: FloatArray
    shapes: Shapes
    reference: ShapeReference | None
    threads: int | None = None

    def norms(self, alphas: FloatArray, *, hessian: bool = False) -> Norms:
        """Return ln N_j and its derivatives; zero without a reference."""
        if self.reference is not None:
            return self.reference.norms(alphas, hessian=hessian, threads=self.threads)
        n_processes, n = self.densities.shape[1], len(self.shapes.names)
        return Norms(np.zeros(n_processes), np.zeros((n_processes, n)), np.zeros((n_processes, n, n)))

    def sums(self, factors: FloatArray, alphas: FloatArray) -> FloatArray:
        """Sum w_i ln t_i for several F (n_points, n_processes) at one set of nuisance parameters (n_names,); returns (n_points,).

        A sum is not finite where the density t_i of an event is not positive.
        """
        at, log_norm, fused = self.shapes.at(alphas), self.norms(alphas).log, kernels(self.shapes.table.dtype.name)

        def chunk(part: slice) -> FloatArray:
            out = np.zeros(len(factors))
            if fused is not None:
                fused.log_sums(*self._fused_arguments(at, log_norm, part), np.ascontiguousarray(factors), out)
                return out
            for rows in blocks(part, self._rows):
                total = factors @ self._terms(at, log_norm, rows)
                with np.errstate(invalid="ignore", divide="ignore"):  # threads do not inherit it
                    out += np.log(total, out=total) @ self.weights[rows]
            return out

        with np.errstate(invalid="ignore"):
            return np.asarray(sum(self._map(chunk), np.zeros(len(factors))))

    def totals(self, factors: FloatArray, alphas: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return t_i of every event at F (n_processes,) and the sizes sum_j |F_j| D_ij g_ij / N_j of its terms, (n_events,) each."""
        at, log_norm = self.shapes.at(alphas), self.norms(alphas).log
        parts = [self._terms(at, log_norm, rows) for rows in blocks(slice(0, len(self.densities)), self._rows)]
        terms = np.concatenate(parts, axis=1) if parts else np.zeros((len(factors), 0))
        return np.asarray(factors @ terms), np.asarray(np.abs(factors) @ np.abs(terms))

    def derivatives(self, factors: FloatArray, alphas: FloatArray) -> Derivatives:
        """Evaluate value and derivatives at F (n_processes,) and nuisance parameters (n_names,) in one pass.

        The value is not finite where the density of an event is not positive.
        """
        at, norms = self.shapes.at(alphas), self.norms(alphas)
        if kernels(self.shapes.table.dtype.name) is not None:
            return self._fused_slopes(at, norms, factors)

        def chunk(part: slice) -> tuple[float, FloatArray, list[FloatArray]]:
            value, by_factor = 0.0, np.zeros(len(factors))
            first = [at.empty_sums(j) for j in at.varied]
            for rows in blocks(part, self._rows):
                terms, w = self._terms(at, norms.log, rows), self.weights[rows]
                total = factors @ terms
                with np.errstate(invalid="ignore", divide="ignore"):  # threads do not inherit it
                    value += float(w @ np.log(total))
                    terms *= w / total
                by_factor += terms.sum(axis=1)
                terms *= factors[:, None]
                for i, j in enumerate(at.varied):
                    first[i] += at.weighted_sums(j, rows, terms[j])
            return value, by_factor, first

        value, by_factor, by_alpha = 0.0, np.zeros(len(factors)), np.zeros(len(alphas))
        for own_value, own_factor, first in self._map(chunk):
            value += own_value
            by_factor += own_factor
            for j, own in zip(at.varied, first, strict=True):
                by_alpha[self.shapes.columns[j]] += at.derivatives_of(j, own)
        return Derivatives(value, by_factor, by_alpha - (factors * by_factor) @ norms.slope)

    def _fused_slopes(self, at: ShapePoint, norms: Norms, factors: FloatArray) -> Derivatives:
        """Evaluate `derivatives` with compiled kernels."""
        fused = kernels(self.shapes.table.dtype.name)
        assert fused is not None

        def chunk(part: slice) -> tuple[float, FloatArray, FloatArray]:
            by_factor, sums = np.zeros(len(factors)), at.empty_derivatives()
            value = fused.log_derivatives(*self._fused_arguments(at, norms.log, part), np.ascontiguousarray(factors), by_factor, sums)
            return value, by_factor, sums

        value, by_factor, sums, by_alpha = 0.0, np.zeros(len(factors)), at.empty_derivatives(), np.zeros(len(self.shapes.names))
        for own_value, own_factor, own_sums in self._map(chunk):
            value, by_factor, sums = value + own_value, by_factor + own_factor, sums + own_sums
        for j, own in zip(at.varied, at.derivatives_of_all(sums), strict=True):
            by_alpha[self.shapes.columns[j]] += own
        return Derivatives(value, by_factor, by_alpha - (factors * by_factor) @ norms.slope)

    def _fused_arguments(self, at: ShapePoint, log_norm: FloatArray, part: slice) -> tuple[Any, ...]:
        """Return what the compiled kernels take of a chunk of events."""
        s = self.shapes
        return s.table[part], s.offsets, s.code == "code4", at.coefficients, log_norm, self.densities[part], self.weights[part]

    def hessian(self, factors: FloatArray, alphas: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Evaluate the second derivatives of sum_i w_i ln t_i by (F, alpha), and its derivatives by F.

        Args:
            factors: F, (n_processes,).
            alphas: Nuisance parameters, (n_names,).

        Returns:
            Second derivatives, (n_processes + n_names,) squared; first derivatives by F, (n_processes,).

        Notes:
            With u_j = D_j g_j / (N_j t), h_j = d ln g_j / d alpha - d ln N_j / d alpha and S = sum_j F_j u_j h_j an event adds
            - u_j u_k, u_j (h_j - S) and sum_j F_j u_j (h_j h_j^T + d h_j / d alpha) - S S^T.
        """
        at, norms, p = self.shapes.at(alphas), self.norms(alphas, hessian=True), len(factors)

        def chunk(part: slice) -> _Bends:
            sums = _Bends(at, norms, factors)
            for rows in blocks(part, self._rows):
                sums.add(rows, self._terms(at, norms.log, rows), self.weights[rows])
            return sums

        found = list(self._map(chunk))
        out = sum((own.hessian for own in found), np.zeros((p + len(alphas), p + len(alphas))))
        by_factor = sum((own.by_factor for own in found), np.zeros(p))
        out[:p, p:] = out[p:, :p].T
        out[p:, p:] -= np.einsum("j,jab->ab", factors * by_factor, norms.hessian)
        return out, by_factor

    @property
    def _rows(self) -> int:
        return self.shapes.block_rows

    def _map(self, chunk: Callable[[slice], T]) -> Iterator[T]:
        return map_chunks(chunk, len(self.densities), rows=self._rows, threads=self.threads)

    def _terms(self, at: ShapePoint, log_norm: FloatArray, rows: slice) -> FloatArray:
        """Return D_ij g_ij / N_j, (n_processes, n_rows)."""
        terms = np.array(self.densities[rows].T, order="C", copy=True)  # a copy whatever the memory order: it is overwritten
        terms[at.rows_varied] *= at.factors(rows, log_norm)
        return terms


class _Bends:
    """Sums over events for the Hessian: the second derivatives with their lower left corner, and the first ones by F.

    Args:
        at: The variations at a point.
        norms: ln N_j with its derivatives there.
        factors: F, (n_processes,).
    """

    def __init__(self, at: ShapePoint, norms: Norms, factors: FloatArray) -> None:
        self.at, self.norms, self.factors = at, norms, factors
        n = len(factors) + len(at.shapes.names)
        self.hessian, self.by_factor = np.zeros((n, n)), np.zeros(len(factors))

    def add(self, rows: slice, terms: FloatArray, w: FloatArray) -> None:
        """Add a block of events with terms D g / N (n_processes, n_rows) and weights (n_rows,)."""
        p = len(self.factors)
        scores = np.zeros((len(self.hessian), len(w)))
        u = scores[:p]
        np.divide(terms, self.factors @ terms, out=u)
        self.by_factor += u @ w
        for j in self.at.varied:
            columns = self.at.shapes.columns[j]
            h = self.at.derivatives(j, rows)
            h -= self.norms.slope[j, columns][:, None]
            share = self.factors[j] * u[j]
            weighted = h * share
            scores[_positions(p, columns)] += weighted
            self.hessian[p + columns, j] += h @ (u[j] * w)
            weighted *= w
            self.hessian[np.ix_(p + columns, p + columns)] += weighted @ h.T
            self.hessian[p + columns, p + columns] += self.at.hessian_of(j, self.at.weighted_sums(j, rows, share * w))
        self.hessian -= (scores * w) @ scores.T


def _positions(first: int, at: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """Return rows as a slice where they are consecutive: much faster than an index array."""
    low = int(at[0])
    return slice(first + low, first + low + len(at)) if np.array_equal(at, np.arange(low, low + len(at))) else first + at
