"""Bin edges and the bin of each event, for plots: nothing is refused.

What to use when: `toolkit.likelihood.bin_index` and `quantile_edges` for what is fitted, where an event outside the edges or a score that
repeats is an error; these for what is looked at, where outliers join the outer bins and repeated values make fewer bins.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csc_array

from toolkit.errors import SchemaError, ShapeError
from toolkit.likelihood.templates import bin_index
from toolkit.typing import FloatArray, IntArray

MISSING = -1
"""Bin index of an event whose value is missing (NaN)."""


def clipped_index(values: FloatArray, edges: FloatArray) -> IntArray:
    """Find the bin of each value; underflow joins the first bin, overflow the last.

    Args:
        values: (n,) values, NaN where missing.
        edges: (k + 1,) increasing edges; a bin holds its lower edge, the last bin also its upper one.

    Returns:
        (n,) index from 0 to k - 1, `MISSING` (-1) for NaN.

    Raises:
        SchemaError: The edges do not increase.

    Examples:
        >>> import numpy as np
        >>> clipped_index(np.array([-5.0, 0.0, 1.0, 9.0, np.nan]), np.array([0.0, 1.0, 2.0])).tolist()
        [0, 0, 1, 1, -1]
    """
    present = ~np.isnan(values)
    index = np.full(values.shape, MISSING, dtype=np.int64)
    index[present] = bin_index(values[present], edges, outside="clip")
    return index


def bin_sums(index: IntArray, n_bins: int, content: FloatArray) -> FloatArray:
    """Sum per bin, events of bin -1 left out.

    Args:
        index: (n,) bin of each event, -1 for none.
        n_bins: Number of bins.
        content: (n,) or (n, m) what each event adds.

    Returns:
        (n_bins,) or (n_bins, m) sums.

    Examples:
        >>> import numpy as np
        >>> bin_sums(np.array([0, -1, 0]), 2, np.array([1.0, 2.0, 4.0])).tolist()
        [5.0, 0.0]
    """
    n = index.size
    row = np.where(index < 0, n_bins, index)
    member = csc_array((np.ones(n), row, np.arange(n + 1)), shape=(n_bins + 1, n))  # row = bin, column = event
    return np.asarray((member @ content)[:n_bins])


def share_edges(values: FloatArray, weights: FloatArray, *, bins: int) -> FloatArray:
    """Choose edges that hold equal shares of |weight|; fewer bins where values repeat.

    Args:
        values: (n,) values; missing ones (NaN) are ignored.
        weights: (n,) weights of either sign; their absolute value counts.
        bins: Number of bins wanted.

    Returns:
        (k + 1,) increasing edges, k <= bins, from the smallest to the largest value.

    Raises:
        ShapeError: The arrays differ in length.
        SchemaError: Fewer than two different values carry weight.

    Examples:
        >>> import numpy as np
        >>> share_edges(np.arange(9.0), np.ones(9), bins=2).tolist()
        [0.0, 4.0, 8.0]
    """
    if values.shape != weights.shape:
        raise ShapeError(what="share_edges weights", got=weights.shape, expected=values.shape, remedy="pass one weight per value")
    used = np.isfinite(values) & (weights != 0)
    order = np.argsort(values[used], kind="stable")
    ordered = values[used][order]
    if ordered.size == 0 or ordered[0] == ordered[-1]:
        got = f"{ordered.size} weighted values, all equal" if ordered.size else "no weighted value"
        raise SchemaError(
            what="share_edges values", got=got, expected="at least two different values", remedy="check the observable and the selection"
        )
    share = np.cumsum(np.abs(weights[used][order]))
    inner = np.searchsorted(share, share[-1] * np.arange(1, bins) / bins)
    return np.unique(np.concatenate([ordered[:1], ordered[np.minimum(inner, ordered.size - 1)], ordered[-1:]]))
