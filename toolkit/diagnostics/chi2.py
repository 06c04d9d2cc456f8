"""Goodness of fit of a vector of differences that are correlated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from toolkit.diagnostics.serialise import jsonable
from toolkit.errors import ShapeError
from toolkit.typing import FloatArray


@dataclass(frozen=True)
class ChiSquare:
    """A chi-square with its degrees of freedom and the probability of a larger one."""

    chi2: float
    ndf: int
    p_value: float

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as a JSON object; an undefined p-value is null."""
        return {"chi2": jsonable(self.chi2), "ndf": self.ndf, "p_value": jsonable(self.p_value)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ChiSquare:
        """Read what `to_json` wrote.

        Examples:
            >>> ChiSquare.from_json({"chi2": 0.0, "ndf": 0, "p_value": None})
            ChiSquare(chi2=0.0, ndf=0, p_value=nan)
        """
        chi2, p_value = (math.nan if document[name] is None else float(document[name]) for name in ("chi2", "p_value"))
        return cls(chi2, int(document["ndf"]), p_value)


def chi_square(difference: FloatArray, covariance: FloatArray, *, tolerance: float = 1e-9, natural: FloatArray | None = None) -> ChiSquare:
    """Compute d^T C^-1 d, its degrees of freedom and its p-value.

    Args:
        difference: (k,) differences whose expectation is zero under the hypothesis tested.
        covariance: (k, k) their covariance.
        tolerance: Directions whose variance, in units of the bins' own errors, is below `tolerance` times the
            largest are left out: they are fixed by construction and carry no information.
        natural: (k,) errors that the differences would have if nothing were fixed by construction. Then directions are left out
            whose variance is below `tolerance` times the natural one: what varies there is of second order, which a covariance of
            first order does not describe.

    Returns:
        Chi-square, number of directions used, and probability of a larger value. With no direction left,
        chi-square 0, ndf 0 and a NaN p-value.

    Raises:
        ShapeError: The shapes do not belong together.

    Notes:
        The p-value holds for Gaussian differences. With a covariance that is estimated from the same events it is
        too small when a few heavy events dominate a bin.

    Examples:
        >>> import numpy as np
        >>> result = chi_square(np.array([1.0, 2.0]), np.diag([1.0, 4.0]))
        >>> round(result.chi2, 12), result.ndf, round(result.p_value, 4)
        (2.0, 2, 0.3679)
    """
    size = difference.size
    if covariance.shape != (size, size):
        raise ShapeError(
            what="chi_square covariance", got=covariance.shape, expected=(size, size), remedy="pass the covariance of the differences"
        )
    error = np.sqrt(np.diag(covariance))
    live = error > 0
    if not live.any():
        return ChiSquare(0.0, 0, float("nan"))
    unit = error[live] if natural is None else natural[live]
    pull = difference[live] / unit
    correlation = covariance[np.ix_(live, live)] / np.outer(unit, unit)
    eigenvalues, eigenvectors = np.linalg.eigh(correlation)
    keep = eigenvalues > tolerance * (eigenvalues[-1] if natural is None else 1.0)
    if not keep.any():
        return ChiSquare(0.0, 0, float("nan"))
    projected = eigenvectors[:, keep].T @ pull
    value = float(np.sum(projected**2 / eigenvalues[keep]))
    ndf = int(keep.sum())
    return ChiSquare(value, ndf, float(stats.chi2.sf(value, ndf)))
