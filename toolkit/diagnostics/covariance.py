"""Covariance of binned sums whose normalisations come from the same events.

What to use when: every check here compares two histograms of the SAME events under two sets of weights. Their
errors must not be added in quadrature. Each event moves the difference in its own bin by a local amount, and every
bin through the normalisations; the sum over events of the outer product of these movements is the covariance.
"""

from __future__ import annotations

import numpy as np

from toolkit.diagnostics.binning import bin_sums
from toolkit.typing import FloatArray, IntArray


def influence_covariance(
    index: IntArray,
    *,
    n_bins: int,
    local: FloatArray,
    columns: FloatArray,
    response: FloatArray,
) -> FloatArray:
    """Compute sum_e u_e u_e^T for u_e[k] = [event e is in bin k] local_e + sum_l columns[e, l] response[k, l].

    Args:
        index: (n,) bin of each event, -1 for none.
        n_bins: Number of bins k.
        local: (n,) what the event adds to its own bin.
        columns: (n, m) what the event adds to each of m global sums.
        response: (n_bins, m) derivative of each bin with respect to each global sum.

    Returns:
        (n_bins, n_bins) covariance for a Poisson number of events (the variance of a sum of w is the sum of w^2).

    Examples:
        >>> import numpy as np
        >>> influence_covariance(np.array([0, 0, 1]), n_bins=2, local=np.array([1.0, 2.0, 3.0]),
        ...                      columns=np.zeros((3, 1)), response=np.zeros((2, 1))).tolist()
        [[5.0, 0.0], [0.0, 9.0]]
    """
    own = np.diag(bin_sums(index, n_bins, local**2))
    cross = bin_sums(index, n_bins, local[:, None] * columns) @ response.T
    shared = response @ (columns.T @ columns) @ response.T
    return np.asarray(own + cross + cross.T + shared)
