"""Moments of the nine angular functions, and the coefficients of the angular distribution that follow from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.errors import ShapeError
from toolkit.kinematics import angular_overlaps
from toolkit.typing import FloatArray


@dataclass(frozen=True, eq=False)
class AngularMoments:
    """Weighted means of f1 ... f9.

    Attributes:
        means: Means, shape (9,).
        covariance: Their covariance matrix from the spread of the events, shape (9, 9).
        n_events: Events with all angles.
        n_undefined: Events left out because an angle is undefined.
    """

    means: FloatArray
    covariance: FloatArray
    n_events: int
    n_undefined: int

    @property
    def errors(self) -> FloatArray:
        """Standard errors of the means, shape (9,)."""
        return np.sqrt(np.diag(self.covariance))

    @property
    def coefficients(self) -> FloatArray:
        """a_k of the density sum_k a_k f_k in both cosines and phi that has these means, shape (9,)."""
        return np.asarray(np.linalg.solve(angular_overlaps(), self.means), dtype=np.float64)

    @property
    def coefficient_errors(self) -> FloatArray:
        """Standard errors of the coefficients, shape (9,)."""
        inverse = np.linalg.inv(angular_overlaps())
        return np.asarray(np.sqrt(np.diag(inverse @ self.covariance @ inverse.T)), dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """Return moments, errors, covariance and coefficients for JSON."""
        rows = {"means": self.means, "errors": self.errors, "covariance": self.covariance}
        rows |= {"coefficients": self.coefficients, "coefficient_errors": self.coefficient_errors}
        return {"n_events": self.n_events, "n_undefined": self.n_undefined} | {name: row.tolist() for name, row in rows.items()}


def angular_moments(functions: FloatArray, weights: FloatArray | None = None) -> AngularMoments:
    """Compute the weighted means of the angular functions and their errors.

    Args:
        functions: f1 ... f9, shape (9, n): `angular_functions`, or the observables `f_1` ... `f_9` of an event table.
        weights: Event weights of any sign, shape (n,); by default 1.

    Returns:
        The moments. Events in which a function is NaN are left out and counted.

    Raises:
        ShapeError: Not nine functions, other numbers of weights, or a sum of weights that is not positive.

    Notes:
        The error of a mean is that of a ratio of sums, sqrt(sum w^2 (f - mean)^2) / sum w. The coefficients are right where the whole
        sphere is accepted: cuts on leptons change the overlaps of the functions, moments stay what they are.

    References:
        Banerjee et al., arXiv:1912.07628, section 3 (method of moments).

    Examples:
        Decays without any preference have f1 = (2/3)^2 and f3 = (4/3)^2 on average, and nothing else:

        >>> from toolkit.kinematics import angular_functions
        >>> rng = np.random.default_rng(1)
        >>> flat = angular_functions(rng.uniform(-1, 1, 40000), rng.uniform(-1, 1, 40000), rng.uniform(-np.pi, np.pi, 40000))
        >>> moments = angular_moments(flat)
        >>> moments.means[[0, 2]].round(2).tolist(), moments.errors[[0, 2]].round(4).tolist()
        ([0.44, 1.78], [0.0015, 0.0028])
    """
    functions = np.asarray(functions, dtype=np.float64)
    if functions.ndim != 2 or len(functions) != 9:
        raise ShapeError(what="functions", got=f"shape {functions.shape}", expected="(9, n)", remedy="pass what angular_functions returns")
    w = np.ones(functions.shape[1]) if weights is None else np.asarray(weights, dtype=np.float64)
    if w.shape != functions.shape[1:]:
        raise ShapeError(what="weights", got=f"shape {w.shape}", expected=f"{functions.shape[1:]}, one per event")
    defined = np.isfinite(functions).all(axis=0)
    f, w = functions[:, defined], w[defined]
    total = float(np.sum(w))
    if not total > 0.0:
        remedy = "give events with defined angles and a positive sum of weights"
        raise ShapeError(what="sum of weights", got=total, expected="a positive number", remedy=remedy)
    means = f @ w / total
    rest = (f - means[:, np.newaxis]) * w
    return AngularMoments(means, rest @ rest.T / total**2, int(defined.sum()), int(np.sum(~defined)))
