"""Sets of members that together describe one uncertainty, such as those of a parton density or of scale choices."""

from __future__ import annotations

import numpy as np

from toolkit.errors import SchemaError
from toolkit.typing import FloatArray


def combine_members(nominal: FloatArray, members: FloatArray, *, how: str) -> tuple[FloatArray, FloatArray]:
    """Combine the members of a set to an upward and a downward variation of sums of weights.

    Args:
        nominal: Nominal sums, any shape.
        members: Sums under each member, (n_members, ...).
        how: ``envelope``: largest and smallest of members and nominal. ``hessian``: nominal plus and minus
            sqrt(sum_k (m_k - nominal)^2). ``hessian_pairs``: with members in pairs, plus sqrt(sum_k max(m_2k - nominal,
            m_2k+1 - nominal, 0)^2), minus likewise. ``replicas``: plus and minus the standard deviation of the members (n - 1).

    Returns:
        (up, down), each of the shape of `nominal`.

    Notes:
        `up` is never below the nominal, `down` never above it: the direction says nothing about correlations between bins.

    References:
        PDF4LHC recommendations (arXiv:1510.03865), equations 20 and 21, 23; Nadolsky and Sullivan (hep-ph/0110378) for pairs.

    Examples:
        >>> up, down = combine_members(np.array([10.0]), np.array([[13.0], [6.0]]), how="hessian")
        >>> up.tolist(), down.tolist()
        ([15.0], [5.0])
    """
    difference = members - nominal
    if how == "envelope":
        return np.maximum(nominal, members.max(axis=0)), np.minimum(nominal, members.min(axis=0))
    if how == "hessian":
        width = np.sqrt(np.sum(difference**2, axis=0))
        return nominal + width, nominal - width
    if how == "hessian_pairs":
        one, two = difference[0::2], difference[1::2]
        up = np.sqrt(np.sum(np.maximum(np.maximum(one, two), 0.0) ** 2, axis=0))
        down = np.sqrt(np.sum(np.minimum(np.minimum(one, two), 0.0) ** 2, axis=0))
        return nominal + up, nominal - down
    if how == "replicas":
        width = np.std(members, axis=0, ddof=1)
        return nominal + width, nominal - width
    raise SchemaError("combination of members", got=how, expected="envelope, hessian, hessian_pairs or replicas")
