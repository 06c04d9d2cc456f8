"""Moments of the nine angular functions, and the coefficients of the angular distribution that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.diagnostics.chi2 import ChiSquare, chi_square
from toolkit.errors import ShapeError
from toolkit.kinematics import angular_overlaps
from toolkit.typing import FloatArray

OBSERVABLES = tuple(f"f_{k}" for k in range(1, 10))
"""Names of the functions of production and decay of Z1."""


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


def observed_moments(observables: Mapping[str, FloatArray], weights: FloatArray) -> AngularMoments | None:
    """Compute the moments of events that have the observables `f_1` ... `f_9`.

    Args:
        observables: Observables by name, each (n,).
        weights: Event weights of any sign, (n,).

    Returns:
        The moments; None without the nine observables, or where the weights have no positive sum, as those of an interference.

    Examples:
        >>> found = observed_moments({name: np.array([0.0, 1.0]) for name in OBSERVABLES}, np.array([1.0, 3.0]))
        >>> found.means[:2].tolist(), observed_moments({"f_1": np.array([0.5])}, np.ones(1)) is None
        ([0.75, 0.75], True)
    """
    if not set(OBSERVABLES) <= set(observables):
        return None
    functions = np.stack([observables[name] for name in OBSERVABLES])
    if not np.sum(weights[np.isfinite(functions).all(axis=0)]) > 0.0:
        return None
    return angular_moments(functions, weights)


@dataclass(frozen=True, eq=False)
class MomentDifference:
    """Moments of two independent sets of events.

    Attributes:
        a: Those of A.
        b: Those of B.
        test: Chi-square of the nine differences with their covariance.
    """

    a: AngularMoments
    b: AngularMoments
    test: ChiSquare

    @property
    def differences(self) -> FloatArray:
        """Means of B less those of A, shape (9,)."""
        return np.asarray(self.b.means - self.a.means)

    @property
    def errors(self) -> FloatArray:
        """Standard errors of the differences, shape (9,)."""
        return np.hypot(self.a.errors, self.b.errors)

    @property
    def pulls(self) -> FloatArray:
        """Differences in units of their errors, shape (9,); 0 where both are exact."""
        errors = self.errors
        return np.divide(self.differences, errors, out=np.zeros(9), where=errors > 0.0)

    def to_json(self) -> dict[str, Any]:
        """Return moments and test for JSON."""
        return {"a": self.a.to_json(), "b": self.b.to_json(), "pulls": self.pulls.tolist(), **self.test.to_json()}


def compare_moments(a: AngularMoments, b: AngularMoments) -> MomentDifference:
    """Compare the moments of two independent sets of events.

    Args:
        a: Those of A.
        b: Those of B.

    Examples:
        >>> from toolkit.kinematics import angular_functions
        >>> rng = np.random.default_rng(2)
        >>> one, two = (angular_moments(angular_functions(*rng.uniform(-1, 1, (3, 20000)))) for _ in range(2))
        >>> compare_moments(one, two).test.p_value > 0.001
        True
    """
    return MomentDifference(a, b, chi_square(b.means - a.means, a.covariance + b.covariance))
