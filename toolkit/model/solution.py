"""From the monomials of the benchmarks to the coefficients of the morphing: solve M^T f = m, or say what is degenerate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError

RANK_TOLERANCE = 1e-10
"""Singular values below this fraction of the largest (rows and columns of M normalised) count as zero."""
SHOWN_RELATIONS = 3
"""Linear relations between benchmarks that a message writes out."""


def solve_benchmarks(
    matrix: NDArray[np.float64],
    *,
    names: Sequence[str],
    monomials: Sequence[str],
    variances: NDArray[np.float64] | None = None,
    what: str = "benchmarks of the morphing",
) -> NDArray[np.float64]:
    """Solve M^T f = m for every m.

    Args:
        matrix: M_bk = m_k(theta_b), shape (n_benchmarks, n_monomials).
        names: Names of the benchmarks.
        monomials: Texts of the monomials.
        variances: sigma_b^2 of the benchmarks, shape (n_benchmarks,), > 0; equal by default. Matters only when there are more
            benchmarks than monomials.
        what: What a message is about.

    Returns:
        F with f = F m, shape (n_benchmarks, n_monomials): of all solutions that with the smallest sum_b f_b^2 sigma_b^2,

            F = V^-1 M (M^T V^-1 M)^-1,     V = diag(sigma_b^2)

    Raises:
        SchemaError: The benchmarks do not determine all monomials; names the degenerate ones and the relation between them.
        PhysicsDomainError: A variance is not positive and finite.

    References:
        Aitken (1936): generalised least squares.

    Examples:
        >>> m = np.array([[1.0, 0.0], [1.0, 1.0]])
        >>> solve_benchmarks(m, names=("off", "on"), monomials=("1", "c")).tolist()
        [[1.0, -1.0], [0.0, 1.0]]
    """
    scaled, rows = _normalised(matrix)
    left, singular, right = np.linalg.svd(scaled)
    rank = int(np.sum(singular > RANK_TOLERANCE * singular[0]))
    n_benchmarks, n_monomials = matrix.shape
    if rank < n_monomials:
        raise SchemaError(
            what=what,
            got=f"{n_benchmarks} benchmarks of rank {rank} for {n_monomials} monomials"
            + _dependent(left[:, rank:], names)
            + _undetermined(right[rank:], monomials)
            + _relations(scaled * rows[:, None], names),
            expected=f"{n_monomials} independent benchmarks",
            remedy="move one of the degenerate benchmarks, add a benchmark, or drop a monomial",
        )
    if n_benchmarks == n_monomials:
        return np.asarray(np.linalg.inv(matrix.T), dtype=np.float64)
    return least_variance(matrix, names=names, variances=variances)


def least_variance(
    matrix: NDArray[np.float64], *, names: Sequence[str], variances: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Return the solution of least sum_b f_b^2 sigma_b^2 without asking whether M determines all monomials; see `solve_benchmarks`.

    Examples:
        >>> least_variance(np.array([[1.0], [1.0]]), names=("a", "b"), variances=np.array([1.0, 3.0])).round(12).tolist()
        [[0.75], [0.25]]
    """
    sigma = _sigma(variances, names)
    columns = np.linalg.norm(matrix, axis=0)
    columns = np.where(columns > 0, columns, 1.0)
    solution: NDArray[np.float64] = np.linalg.pinv((matrix / columns / sigma[:, None]).T, rcond=RANK_TOLERANCE) / sigma[:, None] / columns
    return solution


def null_space(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return directions of the monomials that no benchmark sees, as columns, (n_monomials, n_directions).

    Examples:
        >>> null_space(np.array([[1.0, 0.0], [2.0, 0.0]])).round(12).tolist()
        [[0.0], [1.0]]
    """
    columns = np.linalg.norm(matrix, axis=0)
    scaled, _ = _normalised(matrix)
    _, singular, right = np.linalg.svd(scaled)
    rank = int(np.sum(singular > RANK_TOLERANCE * singular[0]))
    directions: NDArray[np.float64] = right[rank:].T / np.where(columns > 0, columns, 1.0)[:, None]
    return directions / np.linalg.norm(directions, axis=0) if directions.size else directions


def condition_number(matrix: NDArray[np.float64]) -> float:
    """Compute the ratio of the largest to the smallest singular value, rows and columns normalised.

    It says by how much relative errors of the benchmark weights can grow in the worst case: 1 is ideal.

    Examples:
        >>> condition_number(np.eye(3))
        1.0
    """
    singular = np.linalg.svd(_normalised(matrix)[0], compute_uv=False)
    return float(singular[0] / singular[-1])


def _normalised(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scale columns, then rows, to length 1; also return the lengths of the rows."""
    columns = np.linalg.norm(matrix, axis=0)
    scaled = matrix / np.where(columns > 0, columns, 1.0)
    rows = np.linalg.norm(scaled, axis=1)
    rows = np.where(rows > 0, rows, 1.0)
    return scaled / rows[:, None], rows


def _sigma(variances: NDArray[np.float64] | None, names: Sequence[str]) -> NDArray[np.float64]:
    if variances is None:
        return np.ones(len(names))
    if variances.shape != (len(names),):
        raise ShapeError(what="variances of the benchmarks", got=f"shape {variances.shape}", expected=f"one for each of {list(names)}")
    bad = ~(np.isfinite(variances) & (variances > 0))
    if np.any(bad):
        i = int(np.argmax(bad))
        raise PhysicsDomainError(
            what=f"variance of benchmark {names[i]}", got=variances[i], expected="a positive number", remedy="leave the benchmark out"
        )
    root: NDArray[np.float64] = np.sqrt(variances)
    return root


def _dependent(left: NDArray[np.float64], names: Sequence[str]) -> str:
    """Name the benchmarks that depend on each other: those with a part in a left null vector."""
    dependent = [b for b, part in zip(names, np.abs(left), strict=True) if np.any(part > 1e-6)]
    return f"; degenerate: {', '.join(dependent)}" if dependent else ""


def _undetermined(right: NDArray[np.float64], monomials: Sequence[str]) -> str:
    undetermined = [m for m, part in zip(monomials, np.abs(right.T), strict=True) if np.any(part > 1e-6)]
    return f"; undetermined: {', '.join(undetermined)}"


def _relations(rows: NDArray[np.float64], names: Sequence[str]) -> str:
    """Write the null vectors as relations, each of as few benchmarks as elimination allows: `two = 2 one - zero`."""
    reduced = rows.T / np.max(np.abs(rows))
    pivots: list[int] = []
    texts = []
    for column in range(len(names)):
        r = len(pivots)
        row = r + int(np.argmax(np.abs(reduced[r:, column]))) if r < len(reduced) else r
        if r == len(reduced) or abs(reduced[row, column]) <= RANK_TOLERANCE:
            parts = [(float(reduced[i, column]), names[p]) for i, p in enumerate(pivots)]
            texts.append(f"{names[column]} = {_sum_text(parts)}")
            continue
        reduced[[r, row]] = reduced[[row, r]]
        reduced[r] = reduced[r] / reduced[r, column]
        others = np.arange(len(reduced)) != r
        reduced[others] = reduced[others] - np.outer(reduced[others, column], reduced[r])
        pivots.append(column)
    more = f" and {len(texts) - SHOWN_RELATIONS} more" if len(texts) > SHOWN_RELATIONS else ""
    return f"; relations: {', '.join(texts[:SHOWN_RELATIONS])}{more}" if texts else ""


def _sum_text(parts: Sequence[tuple[float, str]]) -> str:
    text = ""
    for factor, name in parts:
        if abs(factor) > 1e-9:
            sign = " - " if factor < 0 else " + "
            size = "" if abs(abs(factor) - 1.0) < 1e-9 else f"{abs(factor):.4g} "
            text += f"{sign}{size}{name}"
    return text.removeprefix(" + ").replace(" - ", "-", 1) if text.startswith(" - ") else text.removeprefix(" + ") or "0"
