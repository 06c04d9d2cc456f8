"""The monomials of a morphing as one function of the parameter vector, with its derivative."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.model.monomials import Monomial


@dataclass(frozen=True, eq=False)
class MonomialVector:
    """All monomials m_k(theta) of a morphing as one function of the parameter vector, with its derivative.

    Attributes:
        monomials: The components.
        parameters: The order of theta.
        exponents: Shape (n_monomials, n_parameters).
    """

    monomials: tuple[Monomial, ...]
    parameters: tuple[str, ...]
    exponents: NDArray[np.float64]

    @classmethod
    def build(cls, monomials: Sequence[str], *, parameters: Sequence[str] | None = None) -> MonomialVector:
        """Parse the monomials; the parameters are in order of first appearance unless given."""
        parsed = tuple(Monomial.parse(text) for text in monomials)
        if len(set(parsed)) != len(parsed):
            raise SchemaError(what="monomials", got=[str(m) for m in parsed], expected="no monomial twice")
        found = tuple(dict.fromkeys(name for m in parsed for name in m.parameters))
        names = found if parameters is None else tuple(parameters)
        if set(names) != set(found) or len(set(names)) != len(names) or not names:
            raise SchemaError(what="parameters", got=list(names), expected=f"each parameter of the monomials once: {list(found)}")
        exponents = np.array([[dict(m.powers).get(name, 0.0) for name in names] for m in parsed])
        return cls(parsed, names, exponents)

    def values(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Evaluate m_k(theta), shape (n_monomials,); 0**0 is 1."""
        self._check_domain(theta)
        values: NDArray[np.float64] = np.prod(theta**self.exponents, axis=1)
        return values

    def gradient(self, theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Evaluate d m_k / d theta_p, shape (n_parameters, n_monomials).

        Raises:
            PhysicsDomainError: A root has an infinite slope: its parameter is 0 (or negative).
        """
        self._check_domain(theta)
        singular = (theta == 0.0) & (self.exponents > 0.0) & (self.exponents < 1.0)
        if np.any(singular):
            k, p = (int(i) for i in np.argwhere(singular)[0])
            raise PhysicsDomainError(
                what=f"derivative of {self.monomials[k]} with respect to {self.parameters[p]}",
                got=f"{self.parameters[p]} = 0, where it is infinite",
                expected=f"{self.parameters[p]} > 0",
                remedy=f"use the coupling c with {self.parameters[p]} = c**2 as the parameter, or a one-sided difference of the values",
            )
        rows = []
        for p in range(len(self.parameters)):
            power = self.exponents[:, p]
            lowered = np.array(self.exponents)
            lowered[:, p] = np.where(power > 0.0, power - 1.0, 0.0)
            rows.append(power * np.prod(theta**lowered, axis=1))
        return np.stack(rows)

    def values_at(self, thetas: NDArray[np.float64]) -> NDArray[np.float64]:
        """Evaluate m_k at many points, (n, n_parameters) -> (n, n_monomials); 0**0 is 1."""
        self._check_domains(thetas)
        return self._powers(thetas, self.exponents)

    def gradient_at(self, thetas: NDArray[np.float64]) -> NDArray[np.float64]:
        """Evaluate d m_k / d theta_p at many points, (n, n_parameters) -> (n, n_parameters, n_monomials).

        Raises:
            PhysicsDomainError: As `gradient`, naming the first point.
        """
        self._check_domains(thetas)
        roots = np.any((self.exponents > 0.0) & (self.exponents < 1.0), axis=0)
        singular = np.any((thetas == 0.0) & roots, axis=1)
        if np.any(singular):
            self.gradient(thetas[int(np.argmax(singular))])
        out = np.empty((len(thetas), len(self.parameters), len(self.monomials)))
        for p in range(len(self.parameters)):
            power = self.exponents[:, p]
            lowered = np.array(self.exponents)
            lowered[:, p] = np.where(power > 0.0, power - 1.0, 0.0)
            out[:, p] = power * self._powers(thetas, lowered)
        return out

    def leading(self) -> NDArray[np.float64]:
        """Direction of m(theta) for theta -> infinity, one parameter only: the unit vector of the highest power."""
        if len(self.parameters) != 1:
            remedy = "name the monomial that survives instead"
            raise SchemaError(what="benchmark at infinity", got=f"{len(self.parameters)} parameters", expected="one", remedy=remedy)
        unit: NDArray[np.float64] = np.eye(len(self.monomials))[int(np.argmax(self.exponents[:, 0]))]
        return unit

    def point(self, theta: float | Sequence[float] | NDArray[np.float64] | Mapping[str, float]) -> NDArray[np.float64]:
        """Bring a parameter point (a number, a sequence or a mapping by name) into the form (n_parameters,)."""
        names = self.parameters
        if isinstance(theta, Mapping):
            if set(theta) != set(names):
                raise SchemaError(what="theta", got=sorted(theta), expected=f"a value for each of {list(names)}")
            theta = [theta[name] for name in names]
        values = np.atleast_1d(np.asarray(theta, dtype=np.float64))
        if values.shape != (len(names),):
            raise ShapeError(what="theta", got=f"shape {values.shape}", expected=f"{len(names)} values for {list(names)}")
        return values

    def limits(self, ranges: Mapping[str, tuple[float, float]]) -> NDArray[np.float64]:
        """Bring ranges by parameter into the form (n_parameters, 2), infinite where none is given."""
        unknown = sorted(set(ranges) - set(self.parameters))
        if unknown:
            raise SchemaError(what="ranges of the morphing", got=f"ranges of {unknown}", expected=f"ranges of {list(self.parameters)}")
        limits = np.array([ranges.get(name, (-np.inf, np.inf)) for name in self.parameters], dtype=np.float64)
        empty = [name for name, (low, high) in zip(self.parameters, limits, strict=True) if not low < high]
        if empty:
            raise SchemaError(what=f"range of {empty[0]}", got=ranges[empty[0]], expected="(low, high) with low < high")
        return limits

    def points(self, thetas: ArrayLike) -> NDArray[np.float64]:
        """Bring many parameter points into the form (n, n_parameters); (n,) numbers serve for one parameter."""
        values = np.asarray(thetas, dtype=np.float64)
        if values.ndim == 1 and len(self.parameters) == 1:
            values = values[:, None]
        if values.ndim != 2 or values.shape[1] != len(self.parameters):
            expected = f"shape (n, {len(self.parameters)}), a column for each of {list(self.parameters)}"
            raise ShapeError(what="thetas", got=f"shape {values.shape}", expected=expected)
        return values

    def _powers(self, thetas: NDArray[np.float64], exponents: NDArray[np.float64]) -> NDArray[np.float64]:
        """Evaluate prod_p theta_p**exponent_kp, column by column: no array larger than the result."""
        out = np.ones((len(thetas), len(exponents)))
        for k, row in enumerate(exponents):
            for p in np.flatnonzero(row):
                out[:, k] *= thetas[:, p] ** row[p]
        return out

    def _check_domains(self, thetas: NDArray[np.float64]) -> None:
        rooted = np.any(self.exponents % 1.0 != 0.0, axis=0)
        bad = ~np.all(np.isfinite(thetas), axis=1) | np.any((thetas < 0.0) & rooted, axis=1)
        if np.any(bad):
            self._check_domain(thetas[int(np.argmax(bad))])

    def _check_domain(self, theta: NDArray[np.float64]) -> None:
        for p, (name, value) in enumerate(zip(self.parameters, theta, strict=True)):
            if not math.isfinite(value):
                raise PhysicsDomainError(what=f"parameter {name}", got=value, expected="a finite number")
            if value < 0 and np.any(self.exponents[:, p] % 1.0 != 0.0):
                roots = [str(m) for m, power in zip(self.monomials, self.exponents[:, p], strict=True) if power % 1.0]
                raise PhysicsDomainError(what=f"parameter {name}", got=value, expected=f"{name} >= 0, because of {', '.join(roots)}")
