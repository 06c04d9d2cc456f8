"""Coefficients of the benchmarks of an effective theory, as expressions for likelihoods of templates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from toolkit.errors import PhysicsDomainError


def wilson_expressions(parameters: Sequence[str], benchmarks: ArrayLike) -> tuple[str, ...]:
    """Write the morphing coefficients of a quadratic effective theory as expressions.

    A cross-section is a polynomial of second order in the Wilson coefficients c: monomials 1, c_i, c_i c_j.

    Args:
        parameters: Names of the coefficients, n.
        benchmarks: Points of the samples, ((n + 1)(n + 2)/2, n).

    Returns:
        One expression per benchmark; they are 1 at their own point and 0 at the others.

    Raises:
        PhysicsDomainError: Another number of benchmarks than monomials, or points that do not tell them apart.

    Examples:
        >>> from toolkit.expressions import Expression
        >>> f = wilson_expressions(("c",), [[0.0], [1.0], [-1.0]])
        >>> [round(Expression.parse(e).value({"c": 1.0}), 12) for e in f]
        [0.0, 1.0, 0.0]
    """
    points = np.asarray(benchmarks, dtype=np.float64)
    n = len(parameters)
    pairs = [(i, j) for i in range(n) for j in range(i, n)]
    texts = ["1", *parameters, *(f"{parameters[i]} * {parameters[j]}" for i, j in pairs)]
    if points.shape != (len(texts), n):
        raise PhysicsDomainError("benchmarks of the Wilson coefficients", got=points.shape, expected=f"({len(texts)}, {n})")
    matrix = np.concatenate([np.ones((len(points), 1)), points, np.stack([points[:, i] * points[:, j] for i, j in pairs], axis=1)], axis=1)
    if np.linalg.cond(matrix) > 1e10:
        raise PhysicsDomainError(
            "benchmarks of the Wilson coefficients",
            got=f"a condition number of {np.linalg.cond(matrix):.3g}",
            expected="points that tell the monomials apart",
            remedy="move the benchmarks",
        )
    inverse = np.linalg.inv(matrix)
    return tuple(" + ".join(f"({float(c)!r}) * {text}" for c, text in zip(column, texts, strict=True)) for column in inverse.T)
