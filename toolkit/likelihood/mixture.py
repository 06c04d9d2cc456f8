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
    densities: FloatArray, coefficients: FloatArray, complain: Complain, visit: Callable[[slice, slice, FloatArray], None]
) -> None:
    """Visit ln sum_j f_j D_ij block by block, so that the memory does not depend on the number of rows.

    Args:
        densities: D, (n, n_processes).
        coefficients: f at each point, (n_points, n_processes).
        complain: Raises for a row whose total density is not positive.
        visit: Called with (rows, points, log_density (n_rows, n_points)); may overwrite the array.
    """
    for first in range(0, len(coefficients), POINT_BLOCK):
        points = slice(first, min(first + POINT_BLOCK, len(coefficients)))
        f = coefficients[points].T
        length = max(BLOCK // f.shape[1], 1)
        for begin in range(0, len(densities), length):
            rows = slice(begin, min(begin + length, len(densities)))
            total = densities[rows] @ f
            lowest = int(np.argmin(total))
            if not total.flat[lowest] > 0.0:
                row, point = np.unravel_index(lowest, total.shape)
                complain(begin + int(row), first + int(point), float(total[row, point]))
            np.log(total, out=total)
            visit(rows, points, total)


def sum_log_density(densities: FloatArray, weights: FloatArray, coefficients: FloatArray, complain: Complain) -> FloatArray:
    """Sum w_i ln sum_j f_j D_ij over the rows.

    Args:
        densities: D, (n, n_processes).
        weights: w, (n,).
        coefficients: f at each point, (n_points, n_processes).
        complain: Raises for a row whose total density is not positive.

    Returns:
        The sums, (n_points,).
    """
    out = np.zeros(len(coefficients))

    def add(rows: slice, points: slice, log_density: FloatArray) -> None:
        out[points] += weights[rows] @ log_density

    for_each_block(densities, coefficients, complain, add)
    return out


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
