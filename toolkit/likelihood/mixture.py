"""Poisson likelihood of a mixture whose process coefficients are functions of the parameters.

One formula serves events and bins. With densities D (n, n_processes), yields nu_j and coefficients f_j(theta),

    twice_nll = 2 [ sum_j f_j nu_j - sum_i w_i ln sum_j f_j D_ij ]

where for events D_ij = nu_j p_j(x_i) / p_ref(x_i) and w_i is the event's weight, and for bins D_bj is the template and w_b the count.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from toolkit.typing import FloatArray

Complain = Callable[[int, int, float], None]
"""Called with (row, point, total density) of a total that is not positive; raises."""

BLOCK = 1 << 16
"""Elements of the temporary (rows, points) array (0.5 MB: it stays in the cache)."""
POINT_BLOCK = 256


def for_each_block(
    densities: FloatArray, coefficients: FloatArray, complain: Complain | None, visit: Callable[[slice, slice, FloatArray], None]
) -> None:
    """Visit ln sum_j f_j D_ij block by block, so that the memory does not depend on the number of rows.

    Args:
        densities: D, (n, n_processes).
        coefficients: f at each point, (n_points, n_processes).
        complain: Raises for a row whose total density is not positive; without it the logarithm there is NaN or -infinity.
        visit: Called with (rows, points, log_density (n_rows, n_points)); may overwrite the array.
    """
    for first in range(0, len(coefficients), POINT_BLOCK):
        points = slice(first, min(first + POINT_BLOCK, len(coefficients)))
        f = coefficients[points].T
        length = max(BLOCK // f.shape[1], 1)
        for begin in range(0, len(densities), length):
            rows = slice(begin, min(begin + length, len(densities)))
            total = densities[rows] @ f
            lowest = int(np.argmin(total)) if complain is not None else 0
            if complain is not None and not total.flat[lowest] > 0.0:
                row, point = np.unravel_index(lowest, total.shape)
                complain(begin + int(row), first + int(point), float(total[row, point]))
            with np.errstate(invalid="ignore", divide="ignore"):
                np.log(total, out=total)
                visit(rows, points, total)


def sum_log_density(densities: FloatArray, weights: FloatArray, coefficients: FloatArray) -> FloatArray:
    """Sum w_i ln sum_j f_j D_ij over the rows.

    Args:
        densities: D, (n, n_processes).
        weights: w, (n,).
        coefficients: f at each point, (n_points, n_processes).

    Returns:
        The sums, (n_points,); not finite where the total density of a row is not positive.

    Examples:
        >>> sum_log_density(np.array([[1.0, 1.0], [1.0, 3.0]]), np.array([1.0, 2.0]), np.array([[1.0, 0.0], [1.0, -0.5]])).tolist()
        [0.0, nan]
    """
    out = np.zeros(len(coefficients))

    def add(rows: slice, points: slice, log_density: FloatArray) -> None:
        out[points] += weights[rows] @ log_density

    for_each_block(densities, coefficients, None, add)
    return out


def missing_density(densities: FloatArray, coefficients: FloatArray, *, zero: bool = False) -> FloatArray:
    """Sum over the rows what their total densities lack to be positive, relative to the sizes of their terms.

    Args:
        densities: D, (n, n_processes).
        coefficients: f at each point, (n_points, n_processes).
        zero: Whether a density of zero is allowed.

    Returns:
        The sums, (n_points,): 0 exactly where all rows are positive, at least 1e-9 elsewhere.

    Examples:
        >>> missing_density(np.array([[1.0, 1.0], [1.0, 3.0]]), np.array([[1.0, 0.0], [1.0, -0.5]])).round(3).tolist()
        [0.0, 0.2]
    """
    out = np.zeros(len(coefficients))
    for i, f in enumerate(coefficients):
        total = densities @ f
        bad = np.flatnonzero(~(total >= 0.0 if zero else total > 0.0))
        out[i] = missing_total(total[bad], np.abs(densities[bad]) @ np.abs(f), zero=zero)
    return out


def missing_total(total: FloatArray, size: FloatArray, *, zero: bool = False) -> float:
    """Sum what totals (n,) lack to be positive, relative to the sizes (n,) of their terms.

    Examples:
        >>> missing_total(np.array([1.0, 2.0]), np.array([1.0, 3.0])), round(missing_total(np.array([-1.0, 2.0]), np.array([2.0, 3.0])), 3)
        (0.0, 0.5)
    """
    bad = ~(total >= 0.0 if zero else total > 0.0)
    if not bad.any():
        return 0.0
    lack = np.divide(-total[bad], size[bad], out=np.ones(int(bad.sum())), where=size[bad] > 0.0)
    return float(np.sum(np.nan_to_num(lack, nan=1.0))) + 1e-9


def slope_by_coefficient(densities: FloatArray, weights: FloatArray, yields: FloatArray, coefficients: FloatArray) -> FloatArray:
    """Differentiate `twice_nll` by the coefficients.

    Args:
        densities: D, (n, n_processes).
        weights: w, (n,).
        yields: nu, (n_processes,).
        coefficients: f at one point, (n_processes,).

    Returns:
        Derivatives, (n_processes,).

    Examples:
        Two events expect 1 and 3 in a process at f = 1, of 4 expected in total: the slope vanishes for weights (1, 3):

        >>> densities, yields = np.array([[1.0], [3.0]]), np.array([4.0])
        >>> slope_by_coefficient(densities, np.array([1.0, 3.0]), yields, np.array([1.0]))
        array([0.])
    """
    ratio = np.divide(weights, densities @ coefficients)
    return np.asarray(2.0 * (yields - ratio @ densities))


def by_parameters(jacobian: FloatArray, by_coefficient: FloatArray) -> FloatArray:
    """Turn derivatives by the coefficients (n_processes,) into those by the parameters: jacobian (n_parameters, n_processes) times them.

    Examples:
        >>> by_parameters(np.array([[1.0, 2.0]]), np.array([3.0, 4.0]))
        array([11.])
    """
    with np.errstate(invalid="ignore"):  # a fixed parameter at the edge where its derivative diverges
        return np.asarray(jacobian @ by_coefficient)
