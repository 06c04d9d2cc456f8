"""Effective number of events of a weighted sample, in the two definitions that are in use."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from toolkit.errors import PhysicsDomainError, SchemaError


def n_eff(weights: ArrayLike, *, definition: Literal["kish", "max"] = "kish") -> float:
    """Compute the effective number of events of a weighted sample.

    Args:
        weights: Event weights of any scale and sign, shape (n,).
        definition: `kish` is (sum w)^2 / sum w^2, the number of unweighted events with the same relative
            error of the sum. `max` is |sum w| / max |w|, the expected number that unweighting would keep.

    Returns:
        Effective number of events, between 0 and n; 0 for an empty or all-zero sample.

    Raises:
        PhysicsDomainError: A weight is not finite.
        SchemaError: Unknown definition.

    Notes:
        `max` is set by the single largest weight: it falls with the size of the sample when weights have a tail.

    References:
        Kish, "Survey Sampling" (1965); Brehmer et al., arXiv:1805.00020, for the maximum.

    Examples:
        >>> n_eff([2.0, 2.0, 2.0]), n_eff([1.0, 1.0, 2.0], definition="max")
        (3.0, 2.0)
    """
    w = np.asarray(weights, dtype=np.float64)
    if not np.all(np.isfinite(w)):
        raise PhysicsDomainError(
            what="weights", got=f"{int(np.sum(~np.isfinite(w)))} values that are not finite", expected="finite weights"
        )
    if definition not in ("kish", "max"):
        raise SchemaError(what="definition of n_eff", got=definition, expected="'kish' or 'max'")
    largest = float(np.max(np.abs(w), initial=0.0))
    if largest == 0.0:
        return 0.0
    relative = w / largest
    total = abs(float(relative.sum()))
    return total if definition == "max" else total**2 / float(np.square(relative).sum())
