"""Scores from log density ratios: ln of one sum of densities over another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from toolkit.typing import FloatArray


def log_score(
    log_ratios: FloatArray,
    names: Sequence[str],
    *,
    numerator: Mapping[str, float],
    denominator: Mapping[str, float],
    reference: str | None = None,
) -> FloatArray:
    """Compute ln( sum_a c_a p_a(x) / sum_b c_b p_b(x) ).

    Args:
        log_ratios: ln p_j(x) / p_reference(x), (n, n_names).
        names: Densities of the columns.
        numerator: Coefficients (> 0) of the densities above the line, by name.
        denominator: Coefficients of those below.
        reference: Name of the reference, which may be named too: its log ratio is 0.

    Returns:
        The score, (n,); stable for log ratios of any size.

    Examples:
        >>> log_score(np.log([[1.0, 2.0, 4.0]]), ["S", "B", "q"], numerator={"S": 6.0}, denominator={"B": 1.0, "q": 1.0})
        array([0.])
    """
    by_name = {name: log_ratios[:, j] for j, name in enumerate(names)}
    if reference is not None:
        by_name.setdefault(reference, np.zeros(len(log_ratios)))
    above, below = (
        np.logaddexp.reduce([by_name[name] + np.log(c) for name, c in part.items()], axis=0) for part in (numerator, denominator)
    )
    return np.asarray(above - below, dtype=np.float64)
