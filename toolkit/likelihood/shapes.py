"""Per-event systematic variations: logarithms of varied over nominal density for every process and nuisance parameter.

What to use when: `Shapes.of` from arrays of log ratios; a statistical uncertainty of a ratio is the variation (+sigma_i, -sigma_i).
The up and down logarithms of all processes stand in one table, one row per event, which an evaluation reads once: in the log-quadratic
interpolation ln g = u p(alpha) + d q(alpha), and the factors of code 4 are as simple in u, d and their exponentials
(`toolkit.likelihood.interpolation.code4_exponentials`). float32 halves the memory; the logarithms of the densities then carry rounding
errors of about 1e-7.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.likelihood.chunks import block_rows
from toolkit.likelihood.interpolation import ShapeCode, check_code, code4_coefficients, code4_exponentials, factor, log_quadratic
from toolkit.typing import FloatArray

Logs = NDArray[Any]
"""float64 or float32."""

_CHECK_ROWS = 1 << 14


@dataclass(frozen=True, eq=False)
class Shapes:
    """The variations of a set of events.

    Attributes:
        parameters: Per process, the nuisance parameters that vary its density.
        table: ln(varied/nominal density) of every event, (n_events, n_columns): per process k columns up, then k columns down, in
            the order of the process's parameters; float64 or float32, contiguous rows.
        code: Interpolation: "log_quadratic" or "code4".
    """

    parameters: tuple[tuple[str, ...], ...]
    table: Logs
    code: ShapeCode = "log_quadratic"

    def __post_init__(self) -> None:
        check_code(self.code, ShapeCode, where="per-event variations")
        width = 2 * sum(len(names) for names in self.parameters)
        t = self.table
        if not self.parameters or t.ndim != 2 or t.shape[1] != width or t.dtype not in (np.float64, np.float32):
            raise ShapeError(
                "per-event variations",
                got=f"{t.dtype} {t.shape}",
                expected=f"floating-point (n_events, {width}): up, then down, of {[list(names) for names in self.parameters]}",
            )
        object.__setattr__(self, "table", np.ascontiguousarray(t))
        for j, names in enumerate(self.parameters):
            if len(set(names)) != len(names):
                raise SchemaError(f"variations of process {j}", got=list(names), expected="different parameters")
            _check_finite(self.logs[j], names, j)

    @classmethod
    def of(
        cls,
        variations: Sequence[Mapping[str, tuple[ArrayLike, ArrayLike]]],
        *,
        n_events: int,
        code: ShapeCode = "log_quadratic",
        dtype: DTypeLike = np.float64,
    ) -> Shapes:
        """Stack variations.

        Args:
            variations: Per process, parameter to (up, down): ln(varied/nominal density), each (n_events,).
            n_events: Number of events.
            code: Interpolation.
            dtype: np.float64 or np.float32.

        Returns:
            The variations.

        Raises:
            ShapeError: Arrays of another length.
            PhysicsDomainError: A logarithm that is NaN or infinite.

        Examples:
            >>> shapes = Shapes.of([{"scale": ([0.1, 0.2], [-0.1, -0.1])}, {}], n_events=2)
            >>> shapes.names, shapes.logs[0].tolist()
            (('scale',), [[0.1, -0.1], [0.2, -0.1]])
        """
        table, first = np.empty((n_events, 2 * sum(len(own) for own in variations)), dtype=dtype), 0
        for j, own in enumerate(variations):
            for m, (name, pair) in enumerate(own.items()):
                for column, values in zip((first + m, first + len(own) + m), pair, strict=True):
                    array = np.asarray(values)
                    if array.shape != (n_events,):
                        raise ShapeError(f"variation {name!r} of process {j}", got=array.shape, expected=(n_events,))
                    table[:, column] = array
            first += 2 * len(own)
        return cls(parameters=tuple(tuple(own) for own in variations), table=table, code=code)

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Where the columns of each process begin, and where the last ones end, (n_processes + 1,)."""
        return np.cumsum([0, *(2 * len(names) for names in self.parameters)], dtype=np.int64)

    @cached_property
    def logs(self) -> tuple[Logs, ...]:
        """Per process its part of the table, (n_events, 2 k): up, then down."""
        return tuple(self.table[:, low:high] for low, high in zip(self.offsets[:-1], self.offsets[1:], strict=True))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All nuisance parameters, in the order of first appearance."""
        return tuple(dict.fromkeys(name for own in self.parameters for name in own))

    @cached_property
    def columns(self) -> tuple[NDArray[np.intp], ...]:
        """Per process, where its parameters stand in `names`."""
        return tuple(np.array([self.names.index(name) for name in own], dtype=np.intp) for own in self.parameters)

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        return self.table.nbytes

    @property
    def block_rows(self) -> int:
        """How many events make a block that fits into the cache."""
        return block_rows(self.table.dtype.itemsize * self.table.shape[1])

    def select(self, rows: NDArray[np.intp]) -> Shapes:
        """Return the variations of some events, (n_new,) positions."""
        return Shapes(parameters=self.parameters, table=self.table[rows], code=self.code)

    def at(self, alphas: FloatArray) -> ShapePoint:
        """Fix the nuisance parameters, (n_names,) in the order of `names`."""
        return ShapePoint(self, alphas)


class ShapePoint:
    """Variations at one value of the nuisance parameters; methods take a process and a slice of events.

    Args:
        shapes: The variations.
        alphas: Values in the order of `shapes.names`, (n_names,).

    Attributes:
        alphas: The values.
        varied: The processes that have variations.
        rows_varied: The same as an index, a slice where it can be: an index array would copy.
    """

    def __init__(self, shapes: Shapes, alphas: FloatArray) -> None:
        self.shapes, self.alphas = shapes, alphas
        self._alphas = [alphas[columns] for columns in shapes.columns]
        self.varied = [j for j, own in enumerate(self._alphas) if len(own)]
        self.rows_varied = slice(None) if len(self.varied) == len(self._alphas) else self.varied
        bases = [log_quadratic(a) for a in self._alphas]
        self._weights = [np.concatenate([b.up, b.down]).astype(logs.dtype) for b, logs in zip(bases, shapes.logs, strict=True)]
        self._bases = bases
        self._bends = [np.where(np.abs(a) < 1.0, 1.0, 0.0) for a in self._alphas]

    @cached_property
    def _slope_bases(self) -> list[Logs]:
        """Per process the matrix that turns logarithms into derivatives, (k, 2 k)."""
        pairs = zip(self._bases, self.shapes.logs, strict=True)
        return [np.concatenate([np.diag(b.up_slope), np.diag(b.down_slope)], axis=1).astype(logs.dtype) for b, logs in pairs]

    @cached_property
    def coefficients(self) -> FloatArray:
        """What the compiled sums need: (1, n_columns) weights of the logarithms, or with code 4 (n_columns / 2, 16) coefficients."""
        if self.shapes.code == "code4":
            return np.concatenate([code4_exponentials(a) for a in self._alphas])
        return np.concatenate([part for b in self._bases for part in (b.up, b.down)])[None, :]

    def empty_derivatives(self) -> FloatArray:
        """Return zeros for what the compiled sums make derivatives of: (n_columns,), or with code 4 half of it."""
        return np.zeros(self.shapes.table.shape[1] // (2 if self.shapes.code == "code4" else 1))

    def derivatives_of_all(self, sums: FloatArray) -> list[FloatArray]:
        """Turn them into the sums of weights times d ln g_ij / d alpha, (k,) for each of `varied`."""
        part = self.shapes.offsets // (2 if self.shapes.code == "code4" else 1)
        return [self.derivatives_of(j, sums[part[j] : part[j + 1]]) for j in self.varied]

    def log_factor(self, j: int, rows: slice) -> FloatArray:
        """Evaluate ln g_ij, (n_rows,) float64."""
        logs = self.shapes.logs[j][rows]
        if self.shapes.code == "log_quadratic":
            return np.asarray(logs @ self._weights[j], dtype=np.float64)
        factors = self._factors(j, logs)[0]
        return np.asarray(np.log(np.where(factors > 0.0, factors, np.nan)).sum(axis=1))

    def factors(self, rows: slice, log_norm: FloatArray) -> FloatArray:
        """Evaluate g_ij / N_j of the processes `varied`, (n_varied, n_rows), with ln N_j of all processes (n_processes,)."""
        out = np.empty((len(self.varied), rows.stop - rows.start))
        for i, j in enumerate(self.varied):
            out[i] = self.log_factor(j, rows)
        out -= log_norm[self.rows_varied, None]
        return np.asarray(np.exp(out, out=out))

    def weighted_sums(self, j: int, rows: slice, weights: FloatArray) -> FloatArray:
        """Sum weights (n_rows,) times what the derivatives are made of; sums over all rows go into `derivatives_of`."""
        logs = self.shapes.logs[j][rows]
        if self.shapes.code == "log_quadratic":
            return np.asarray(weights.astype(logs.dtype, copy=False) @ logs, dtype=np.float64)
        value, slope = self._factors(j, logs)
        return np.asarray(weights @ (slope / value))

    def empty_sums(self, j: int) -> FloatArray:
        """Return zeros of the form of `weighted_sums`."""
        return np.zeros(self.shapes.logs[j].shape[1] if self.shapes.code == "log_quadratic" else len(self._alphas[j]))

    def derivatives_of(self, j: int, sums: FloatArray) -> FloatArray:
        """Turn `weighted_sums` into the sum of weights times d ln g_ij / d alpha, (k,)."""
        if self.shapes.code != "log_quadratic":
            return sums
        k, b = len(self._alphas[j]), self._bases[j]
        return np.asarray(sums[:k] * b.up_slope + sums[k:] * b.down_slope)

    def hessian_of(self, j: int, sums: FloatArray) -> FloatArray:
        """Turn `weighted_sums` into the sum of weights times d^2 ln g_ij / d alpha^2, (k,); log-quadratic only."""
        k = len(self._alphas[j])
        return np.asarray((sums[:k] + sums[k:]) * self._bends[j])

    def derivatives(self, j: int, rows: slice) -> FloatArray:
        """Evaluate d ln g_ij / d alpha, (k, n_rows): one row per parameter, because sums over events want them together."""
        logs = self.shapes.logs[j][rows]
        if self.shapes.code == "log_quadratic":
            return np.asarray(self._slope_bases[j] @ logs.T, dtype=np.float64)
        value, slope = self._factors(j, logs)
        return np.asarray((slope / value).T)

    def _factors(self, j: int, logs: Logs) -> tuple[FloatArray, FloatArray]:
        k = len(self._alphas[j])
        up, down = np.asarray(logs[:, :k], dtype=np.float64), np.asarray(logs[:, k:], dtype=np.float64)
        inside = bool(np.any(np.abs(self._alphas[j]) < 1.0))
        return factor(self._alphas[j], up, down, coefficients=code4_coefficients(up, down) if inside else None)


def _check_finite(logs: Logs, names: Sequence[str], process: int) -> None:
    for start in range(0, len(logs), _CHECK_ROWS):
        good = np.isfinite(logs[start : start + _CHECK_ROWS])
        if not good.all():
            row, column = np.argwhere(~good)[0]
            raise PhysicsDomainError(
                f"variation {names[column % len(names)]!r} of process {process} at event {start + int(row)}",
                got=logs[start + row, column],
                expected="a finite ln(varied/nominal density)",
                remedy="check the inputs of the ratio model; a density that vanishes cannot be varied",
            )
