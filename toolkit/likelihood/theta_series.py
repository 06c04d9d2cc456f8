"""Functions of theta, one per event, as Chebyshev series: what a network that reads theta says, evaluated once for a whole range.

A network computes log r(x, theta) in single precision, so that differences of neighbouring values are noise. Over a range it is a
smooth function of theta: its values at Chebyshev nodes give a series whose value, slope and sum over events cost nothing, and
whose least-squares fit averages the rounding out. The nodes are doubled until the series predicts the values between them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike

from toolkit.errors import FitError, PhysicsDomainError, SchemaError
from toolkit.typing import BoolArray, FloatArray, IntArray

Evaluate = Callable[[FloatArray], FloatArray]
"""Gives the function of all rows, (n_rows,), at one point (n_axes,)."""

DEGREES = {1: (16, 32, 64, 128), 2: (8, 16, 32)}
"""Degrees per axis that are tried, by the number of axes."""
ACCURATE = 2e-6
"""Root mean square over the rows below which the series is as good as a network in single precision."""
ROUGH = 1e-4
"""Above this the function is not smooth: its corners, not its rounding, are what the series misses."""
LARGEST = 250_000_000
"""Values of all rows at all nodes; more would not fit the memory."""


@dataclass(frozen=True)
class ThetaAxis:
    """Range of one component of theta, and the coordinate in which functions of it are smooth.

    Attributes:
        name: Its name.
        low: Lower end, included.
        high: Upper end, included.
        root: The coordinate is the square root, as where interference enters with sqrt(mu).

    Examples:
        >>> ThetaAxis("mu", 0.0, 4.0, root=True).to_internal(np.array([0.0, 1.0, 4.0])).tolist()
        [-1.0, 0.0, 1.0]
    """

    name: str
    low: float
    high: float
    root: bool = False

    def __post_init__(self) -> None:
        if not (np.isfinite(self.high - self.low) and self.low < self.high and (self.low >= 0.0 or not self.root)):
            expected = "finite, low < high" + (", low >= 0 under a root" if self.root else "")
            raise SchemaError(f"range of theta {self.name!r}", got=[self.low, self.high], expected=expected)

    def to_internal(self, theta: ArrayLike) -> FloatArray:
        """Return the coordinate, -1 at the lower end and 1 at the upper one."""
        u, low, high = (np.sqrt(v) if self.root else np.asarray(v) for v in (np.asarray(theta, dtype=np.float64), self.low, self.high))
        return np.asarray(2.0 * (u - low) / (high - low) - 1.0)

    def slope(self, theta: float) -> float:
        """Return the derivative of the coordinate by theta; infinite at 0 under a root."""
        if not self.root:
            return 2.0 / (self.high - self.low)
        width = float(np.sqrt(self.high) - np.sqrt(self.low))
        return 1.0 / (width * float(np.sqrt(theta))) if theta > 0.0 else np.inf

    def nodes(self, degree: int) -> FloatArray:
        """Return the Chebyshev nodes of a degree, (degree + 1,), increasing, rounded to what a network reads."""
        x = -np.cos(np.pi * np.arange(degree + 1) / degree)
        low, high = (float(np.sqrt(v)) if self.root else v for v in (self.low, self.high))
        u = low + 0.5 * (x + 1.0) * (high - low)
        theta = np.asarray(u**2 if self.root else u, dtype=np.float32).astype(np.float64)
        theta[0], theta[-1] = self.low, self.high
        return np.asarray(np.clip(theta, self.low, self.high))


@dataclass(frozen=True, eq=False)
class ThetaSeries:
    """Functions of theta, one per row.

    Attributes:
        axes: The components of theta.
        coefficients: Chebyshev coefficients in the coordinates of the axes, (n_rows, n_terms); of two axes the second runs fastest.
        degrees: Degree along each axis.
        error: Root mean square over the rows of what the series misses at the worst node that it was tested at.
    """

    axes: tuple[ThetaAxis, ...]
    coefficients: FloatArray
    degrees: tuple[int, ...]
    error: float

    @classmethod
    def of(cls, evaluate: Evaluate, axes: Sequence[ThetaAxis]) -> ThetaSeries:
        """Evaluate functions at Chebyshev nodes until their series is accurate.

        Args:
            evaluate: Gives all rows at one point.
            axes: The components of theta, one or two.

        Returns:
            The series.

        Raises:
            SchemaError: More than two components.
            FitError: The functions are not smooth: no series of the degrees tried predicts them.
            PhysicsDomainError: A value is not finite.

        Examples:
            >>> series = ThetaSeries.of(lambda theta: np.array([1.0, 2.0]) * np.sqrt(theta[0]), [ThetaAxis("mu", 0.0, 4.0, root=True)])
            >>> series.at([2.25]).round(6).tolist(), series.gradient_at([2.25])[0].round(5).tolist()
            ([1.5, 3.0], [0.33333, 0.66667])
        """
        axes = tuple(axes)
        if len(axes) not in DEGREES:
            raise SchemaError(
                "components of theta that a network reads",
                got=[a.name for a in axes],
                expected="one or two",
                remedy="use the mixture for more",
            )
        known: dict[tuple[float, ...], FloatArray] = {}
        coarse = cls(axes, np.empty((0, 0)), (), np.inf)
        missed = np.inf
        for degree in DEGREES[len(axes)]:
            points = grid(axes, (degree,) * len(axes))
            values = np.stack([_value(evaluate, point, known) for point in points], axis=1)
            if coarse.degrees:
                missed = float(np.sqrt(np.mean((coarse.at_points(points) - values) ** 2, axis=0)).max()) if values.size else 0.0
                if missed <= ACCURATE or 0.5 * coarse.error < missed <= ROUGH:  # the second is rounding, which no degree mends
                    return replace(cls.through(axes, points, values, degrees=coarse.degrees), error=missed)
            coarse = replace(cls.through(axes, points, values, degrees=(degree,) * len(axes)), error=missed)
        raise FitError(
            f"log ratio as a function of {', '.join(a.name for a in axes)}",
            got=f"a series of degree {coarse.degrees[0]} misses it by {coarse.error:.2g} (root mean square)",
            expected=f"a smooth function, {ROUGH:g} or better",
            remedy="train with a smooth activation (tanh, silu), or shorten the range of the parameter",
        )

    @classmethod
    def through(cls, axes: Sequence[ThetaAxis], points: FloatArray, values: FloatArray, *, degrees: tuple[int, ...]) -> ThetaSeries:
        """Fit series to values (n_rows, n_points) at points (n_points, n_axes), by least squares."""
        axes = tuple(axes)
        if values.size > LARGEST:
            remedy = "fit fewer events, or split them into channels"
            raise FitError("values of a network at the nodes of theta", got=f"{values.size}", expected=f"at most {LARGEST}", remedy=remedy)
        basis = _basis(axes, points, degrees)
        return cls(axes, np.asarray(np.linalg.lstsq(basis, values.T, rcond=None)[0].T, dtype=np.float64), degrees, 0.0)

    def __len__(self) -> int:
        return len(self.coefficients)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the components of theta."""
        return tuple(a.name for a in self.axes)

    def inside(self, points: FloatArray) -> BoolArray:
        """Say which points (n_points, n_axes) are in the range, (n_points,)."""
        low, high = (np.array([getattr(a, end) for a in self.axes]) for end in ("low", "high"))
        return np.asarray(np.all((points >= low) & (points <= high), axis=1))

    def basis(self, points: FloatArray) -> FloatArray:
        """Evaluate the terms at points (n_points, n_axes) inside the range, (n_points, n_terms)."""
        return _basis(self.axes, points, self.degrees)

    def at_points(self, points: FloatArray) -> FloatArray:
        """Evaluate at points (n_points, n_axes), (n_rows, n_points)."""
        return np.asarray(self.coefficients @ self.basis(points).T)

    def at(self, point: ArrayLike) -> FloatArray:
        """Evaluate at one point (n_axes,), (n_rows,)."""
        return np.asarray(self.at_points(np.asarray(point, dtype=np.float64)[None, :])[:, 0])

    def gradient_at(self, point: ArrayLike) -> FloatArray:
        """Differentiate at one point (n_axes,), (n_axes, n_rows); infinite at 0 under a root, where the function depends on it."""
        theta = np.asarray(point, dtype=np.float64)
        out = np.empty((len(self.axes), len(self)))
        for k, axis in enumerate(self.axes):
            out[k] = axis.slope(float(theta[k])) * (self.coefficients @ self._terms(theta, derivative=k))
        return out

    def summed(self, weights: FloatArray) -> ThetaSeries:
        """Return the sum over the rows with weights (n_rows,), as a series of one row."""
        return replace(self, coefficients=(weights @ self.coefficients)[None, :])

    def select(self, rows: IntArray) -> ThetaSeries:
        """Return some of the rows."""
        return replace(self, coefficients=self.coefficients[rows])

    def _terms(self, theta: FloatArray, *, derivative: int) -> FloatArray:
        """Evaluate the terms at one point, differentiated by one coordinate."""
        parts = []
        for k, (axis, degree) in enumerate(zip(self.axes, self.degrees, strict=True)):
            x = float(axis.to_internal(theta[k]))
            parts.append(_chebyshev_slopes(x, degree) if k == derivative else chebyshev.chebvander(np.array([x]), degree)[0])
        return np.asarray(reduce(np.kron, parts))


def grid(axes: Sequence[ThetaAxis], degrees: Sequence[int]) -> FloatArray:
    """Return the product of the nodes of all axes, (n_points, n_axes), the last axis running fastest."""
    nodes = np.meshgrid(*(a.nodes(d) for a, d in zip(axes, degrees, strict=True)), indexing="ij")
    return np.stack([n.ravel() for n in nodes], axis=1)


def _basis(axes: Sequence[ThetaAxis], points: FloatArray, degrees: Sequence[int]) -> FloatArray:
    columns = [chebyshev.chebvander(a.to_internal(points[:, k]), d) for k, (a, d) in enumerate(zip(axes, degrees, strict=True))]
    return np.asarray(reduce(lambda left, right: (left[:, :, None] * right[:, None, :]).reshape(len(points), -1), columns))


def _chebyshev_slopes(x: float, degree: int) -> FloatArray:
    """Return T_n'(x) = n U_(n-1)(x) for n = 0 to degree."""
    second = [0.0, 1.0]  # U_-1, U_0
    for _ in range(degree):
        second.append(2.0 * x * second[-1] - second[-2])
    return np.asarray(np.arange(degree + 1) * np.array(second[: degree + 1]), dtype=np.float64)


def _value(evaluate: Evaluate, point: FloatArray, known: dict[tuple[float, ...], FloatArray]) -> FloatArray:
    key = tuple(point.tolist())
    if key not in known:
        values = np.asarray(evaluate(point), dtype=np.float64)
        if not np.all(np.isfinite(values)):
            row = int(np.argmax(~np.isfinite(values)))
            raise PhysicsDomainError(f"log ratio of event {row} at theta = {list(key)}", got=float(values[row]), expected="a finite number")
        known[key] = values
    return known[key]
