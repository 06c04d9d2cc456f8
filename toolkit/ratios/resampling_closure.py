"""Closure of positive weights against the signed ones, in bins of an observable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from toolkit.errors import SchemaError, ShapeError
from toolkit.ratios.resampling import Resampled
from toolkit.typing import FloatArray


@dataclass(frozen=True, eq=False)
class ResamplingClosure:
    """Signed and positive sums of weights per bin; the first and last bin include underflow and overflow.

    Attributes:
        observable: Its name.
        edges: Bin edges, shape (k + 1,).
        signed: Sum of the signed weights, shape (k,).
        positive: Sum of the positive weights, shape (k,).
        covariance: Of positive - signed, shape (k, k): finite sample (both are sums over the same events) and spread of the networks.
        network_error: The part of the error that the networks have, shape (k,).
        chi2: Of the difference.
        p_value: Probability of a larger one.

    Examples:
        >>> closure = ResamplingClosure("m4l", np.array([220.0, 400.0, 2000.0]), np.array([10.0, 5.0]), np.array([10.5, 4.9]),
        ...                             np.diag([0.25, 0.04]), np.array([0.1, 0.1]), chi2=1.25, p_value=0.535)
        >>> closure.pulls
        array([ 1. , -0.5])
    """

    observable: str
    edges: FloatArray
    signed: FloatArray
    positive: FloatArray
    covariance: FloatArray
    network_error: FloatArray
    chi2: float
    p_value: float

    @property
    def pulls(self) -> FloatArray:
        """(positive - signed) / error per bin, shape (k,)."""
        error = np.sqrt(np.diag(self.covariance))
        return np.divide(self.positive - self.signed, error, out=np.zeros_like(error), where=error > 0)

    def to_json(self) -> dict[str, Any]:
        """Return all numbers as a JSON object."""
        arrays = {name: getattr(self, name).tolist() for name in ("edges", "signed", "positive", "covariance", "network_error", "pulls")}
        return {"observable": self.observable, "chi2": self.chi2, "p_value": self.p_value} | arrays


def resampling_closure(resampled: Resampled, values: FloatArray, *, observable: str, edges: FloatArray) -> ResamplingClosure:
    """Compare positive with signed weights.

    Args:
        resampled: The weights.
        values: The observable of the same events, shape (n,), NaN where missing; need not be an input of the networks.
        observable: Its name.
        edges: Increasing bin edges, shape (k + 1,).

    Returns:
        The comparison.

    Raises:
        ShapeError: The number of values is wrong. SchemaError: The edges do not increase.
    """
    grid = np.asarray(edges, dtype=np.float64)
    if values.shape != resampled.signed.shape:
        raise ShapeError(what=observable, got=f"shape {values.shape}", expected=f"shape {resampled.signed.shape}")
    if grid.ndim != 1 or grid.size < 2 or not np.all(np.diff(grid) > 0):
        raise SchemaError(what="edges", got=grid.tolist(), expected="at least two increasing numbers")
    there = ~np.isnan(values)
    index, k = np.clip(np.searchsorted(grid, values[there], side="right") - 1, 0, grid.size - 2), grid.size - 1

    def total(numbers: FloatArray) -> FloatArray:
        return np.bincount(index, weights=numbers[there], minlength=k).astype(np.float64)

    signed, positive = total(resampled.signed), total(resampled.weights)
    members = np.stack([total(np.abs(resampled.signed) * share) for share in resampled.member_shares])
    network = np.atleast_2d(np.cov(members, rowvar=False))
    covariance = network + np.diag(total(np.square(resampled.weights - resampled.signed)))
    live = np.diag(covariance) > 0
    difference = (positive - signed)[live]
    chi2 = float(difference @ np.linalg.pinv(covariance[np.ix_(live, live)], hermitian=True) @ difference)
    error = np.sqrt(np.diag(network))
    return ResamplingClosure(observable, grid, signed, positive, covariance, error, chi2, float(stats.chi2.sf(chi2, int(live.sum()))))
