"""Weights at any parameter point as linear combinations of the weights at benchmark points.

A squared amplitude is w(theta) = sum_k m_k(theta) w_k with few monomials m_k. Weights at enough benchmark
points theta_b determine the w_k, so that w(theta) = sum_b f_b(theta) w(theta_b) with M^T f = m(theta),
M_bk = m_k(theta_b).

When to use what: `coefficients` for yields and densities (f_b multiplies the process b), `weights` for events
that carry all benchmark weights, `score` as the training target of SALLY, RASCAL and their relatives.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.model.monomials import parse_combination
from toolkit.model.solution import condition_number, solve_benchmarks
from toolkit.weights.monomials import MonomialVector
from toolkit.weights.sums import require_one_sum

Outside = Literal["raise", "warn", "allow"]
Ranges = Mapping[str, tuple[float, float]]
Point = float | Sequence[float] | NDArray[np.float64] | Mapping[str, float]


class Morphing:
    """Linear morphing between benchmark points.

    Args:
        monomials: Expressions such as `mu`, `sqrt(mu)`, `1`, `c1*c2`, `kappa**4`.
        benchmarks: Points by name. A point is a number (one parameter), a sequence in the order of the
            parameters, a mapping by parameter name, infinity (one parameter: the highest power alone), or a text
            that says which monomials the sample holds: `mu` for the signal amplitude alone, `mu + sqrt(mu)` for
            signal and interference without background. A plain sequence of points is named by its values.
        parameters: Order of theta; by default the order of first appearance in the monomials.
        ranges: Where the parameterisation holds (or the simulation reaches), by parameter; no limits by default.
        outside: What to do with a theta outside the ranges: refuse, warn, or go on.
        variances: Variance of the yield of each benchmark, by name. With more benchmarks than monomials the
            solution of least sum_b f_b^2 sigma_b^2 is taken; equal variances by default.

    Raises:
        SchemaError: The benchmarks do not determine all monomials; the degenerate ones are named. Or they belong to processes that are
            added without interfering, and the monomial 1 would stand for several of them.

    Notes:
        Coefficients, and weights made with them, may be negative; nothing is clipped.

    References:
        Brehmer, Cranmer, Louppe, Pavez, arXiv:1805.00020, section II.C; ATLAS, ATL-PHYS-PUB-2015-047.

    Examples:
        >>> ggf = Morphing(monomials=["mu", "sqrt(mu)", "1"], benchmarks={"S": "mu", "SBI": 1.0, "B": 0.0})
        >>> ggf.coefficients(4.0).round(12) + 0.0  # mu - sqrt(mu), sqrt(mu), 1 - sqrt(mu)
        array([ 2.,  2., -1.])
    """

    def __init__(
        self,
        *,
        monomials: Sequence[str],
        benchmarks: Mapping[str, Point | str] | Sequence[Point | str] | NDArray[np.float64],
        parameters: Sequence[str] | None = None,
        ranges: Ranges | None = None,
        outside: Outside = "raise",
        variances: Mapping[str, float] | None = None,
    ) -> None:
        vector = MonomialVector.build(monomials, parameters=parameters)
        points = benchmarks if isinstance(benchmarks, Mapping) else _name_points(benchmarks)
        rows = {name: benchmark_row(vector, name, point) for name, point in points.items()}
        require_one_sum(vector, rows, contents=[name for name, point in points.items() if isinstance(point, str)])
        self._assemble(vector, rows, ranges, outside, variances)

    @classmethod
    def from_rows(
        cls,
        rows: Mapping[str, ArrayLike],
        *,
        monomials: Sequence[str],
        parameters: Sequence[str] | None = None,
        ranges: Ranges | None = None,
        outside: Outside = "raise",
        variances: Mapping[str, float] | None = None,
    ) -> Morphing:
        """Build a morphing from the content of each benchmark in monomials, (n_monomials,) numbers by name."""
        morphing = cls.__new__(cls)
        vector = MonomialVector.build(monomials, parameters=parameters)
        numbers = {name: np.asarray(row, dtype=np.float64) for name, row in rows.items()}
        for name, row in numbers.items():
            if row.shape != (len(vector.monomials),):
                expected = f"a number for each of {[str(m) for m in vector.monomials]}"
                raise ShapeError(what=f"benchmark {name!r}", got=f"shape {row.shape}", expected=expected)
        morphing._assemble(vector, numbers, ranges, outside, variances)
        return morphing

    def _assemble(
        self,
        vector: MonomialVector,
        rows: Mapping[str, NDArray[np.float64]],
        ranges: Ranges | None,
        outside: Outside,
        variances: Mapping[str, float] | None,
    ) -> None:
        self._vector = vector
        self._benchmarks = tuple(rows)
        if not rows:
            raise SchemaError(what="benchmarks of the morphing", got="none", expected=f"at least {len(vector.monomials)}")
        self._matrix = np.stack(list(rows.values()))
        self._limits = vector.limits(ranges or {})
        self._outside: Outside = outside
        if variances is not None and set(variances) != set(rows):
            raise SchemaError(what="variances of the benchmarks", got=sorted(variances), expected=f"one for each of {list(rows)}")
        sigma2 = None if variances is None else np.array([variances[name] for name in rows], dtype=np.float64)
        self._solution = solve_benchmarks(self._matrix, names=self._benchmarks, monomials=self.monomials, variances=sigma2)

    def with_ranges(self, ranges: Ranges, *, outside: Outside = "raise") -> Morphing:
        """Return the same morphing with other ranges and another policy outside them."""
        other = Morphing.__new__(Morphing)
        other.__dict__.update(self.__dict__)
        other._limits, other._outside = self._vector.limits(ranges), outside
        return other

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Order of theta."""
        return self._vector.parameters

    @property
    def benchmark_names(self) -> tuple[str, ...]:
        """Order of the coefficients and of the columns of w."""
        return self._benchmarks

    @property
    def monomials(self) -> tuple[str, ...]:
        """The monomials, in normal form."""
        return tuple(str(m) for m in self._vector.monomials)

    @property
    def vector(self) -> MonomialVector:
        """The monomials as functions of theta."""
        return self._vector

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Where the morphing may be used, by parameter; infinite where there is no limit."""
        return {name: (float(low), float(high)) for name, (low, high) in zip(self.parameter_names, self._limits, strict=True)}

    @property
    def condition_number(self) -> float:
        """Worst growth of relative errors from the benchmarks to the monomials: 1 is ideal, 1e10 is refused."""
        return condition_number(self._matrix)

    @property
    def matrix(self) -> NDArray[np.float64]:
        """M_bk = m_k(theta_b), shape (n_benchmarks, n_monomials); a copy."""
        return np.array(self._matrix)

    @property
    def solution(self) -> NDArray[np.float64]:
        """F with f(theta) = F m(theta), shape (n_benchmarks, n_monomials); a copy."""
        return np.array(self._solution)

    def coefficients(self, theta: Point) -> NDArray[np.float64]:
        """Compute the coefficients f_b(theta) of the benchmarks.

        Args:
            theta: Parameter point: a number, (n_parameters,) values or a mapping by name.

        Returns:
            f_b, shape (n_benchmarks,).

        Raises:
            PhysicsDomainError: A parameter under a root is negative, or one is not finite or outside its range.
            SchemaError: Wrong names of parameters. ShapeError: wrong number of them.
        """
        coefficients: NDArray[np.float64] = self._solution @ self._vector.values(self._point(theta))
        return coefficients

    def gradient(self, theta: Point) -> NDArray[np.float64]:
        """Compute the derivatives d f_b / d theta_p.

        Args:
            theta: Parameter point.

        Returns:
            Derivatives, shape (n_parameters, n_benchmarks).

        Raises:
            PhysicsDomainError: As `coefficients`; also at theta_p = 0 where theta_p stands under a root, because
                the derivative is infinite there (interference alone rises like sqrt(mu)). It is refused rather
                than returned as inf, which would turn into NaN in the next product.
        """
        gradient: NDArray[np.float64] = self._vector.gradient(self._point(theta)) @ self._solution.T
        return gradient

    def coefficients_at(self, thetas: ArrayLike) -> NDArray[np.float64]:
        """Compute the coefficients at many points at once, for example one point per event.

        Args:
            thetas: Parameter points, shape (n, n_parameters); (n,) serves for one parameter.

        Returns:
            f_b, shape (n, n_benchmarks): row i is `coefficients(thetas[i])`.

        Raises:
            PhysicsDomainError: As `coefficients`. ShapeError: wrong number of columns.

        Examples:
            >>> Morphing(monomials=["1", "c"], benchmarks={"off": 0.0, "on": 1.0}).coefficients_at([0.0, 0.25, 2.0])
            array([[ 1.  ,  0.  ],
                   [ 0.75,  0.25],
                   [-1.  ,  2.  ]])
        """
        coefficients: NDArray[np.float64] = self._vector.values_at(self._points(thetas)) @ self._solution.T
        return coefficients

    def gradient_at(self, thetas: ArrayLike) -> NDArray[np.float64]:
        """Compute d f_b / d theta_p at many points, (n, n_parameters) -> (n, n_parameters, n_benchmarks); as `gradient`."""
        gradient: NDArray[np.float64] = self._vector.gradient_at(self._points(thetas)) @ self._solution.T
        return gradient

    def weights(self, w: ArrayLike, theta: Point) -> NDArray[np.float64]:
        """Compute the event weights at theta.

        Args:
            w: Weights of the same events under the benchmarks, shape (n_events, n_benchmarks).
            theta: Parameter point.

        Returns:
            w(theta), shape (n_events,), in the unit of w; may be negative, not clipped.

        Raises:
            ShapeError: w has another number of columns than there are benchmarks.
            PhysicsDomainError: A weight is not finite; see also `coefficients`.
        """
        weights: NDArray[np.float64] = self.event_weights(w) @ self.coefficients(theta)
        return weights

    def score(
        self, w: ArrayLike, theta: Point, *, yields: ArrayLike | None = None, nonpositive: Literal["raise", "nan"] = "raise"
    ) -> NDArray[np.float64]:
        """Compute the joint score, the derivative of the normalised log density of each event.

        t_p(z) = d/d theta_p log p(z | theta) = grad_p w / w - grad_p sigma / sigma.

        Args:
            w: Weights of the events under the benchmarks, shape (n_events, n_benchmarks).
            theta: Parameter point, inside the domain of `gradient`.
            yields: Total cross-section (or yield) of each benchmark in the unit of w, shape (n_benchmarks,). By
                default the sum of w over the events: right only when these are all events of one sample.
            nonpositive: What to do where w(theta) <= 0: refuse, naming the event, or return NaN there.

        Returns:
            Joint score, shape (n_events, n_parameters).

        Raises:
            PhysicsDomainError: w(theta) <= 0 at an event (unless `nonpositive` is `nan`), or in total.
            ShapeError: Wrong number of columns of w or of yields.

        Notes:
            Its mean over events weighted by w(theta) is 0 (exactly, with the default yields).

        References:
            Brehmer et al., arXiv:1805.00020, eq. 14.
        """
        events = self.event_weights(w)
        total = events.sum(axis=0) if yields is None else np.asarray(yields, dtype=np.float64)
        if total.shape != (len(self._benchmarks),):
            raise ShapeError(what="yields", got=f"shape {total.shape}", expected=f"one per benchmark {self._benchmarks}")
        f, gradient = self.coefficients(theta), self.gradient(theta)
        density, sigma = events @ f, float(total @ f)
        if sigma <= 0:
            raise PhysicsDomainError(what="total yield", got=f"{sigma:g} at theta = {theta}", expected="a positive yield")
        bad = ~(density > 0)
        if np.any(bad) and nonpositive == "raise":
            i = int(np.argmax(bad))
            raise PhysicsDomainError(
                what=f"density of event {i} at theta = {theta}",
                got=f"{density[i]:g} ({int(bad.sum())} of {len(bad)} events are not positive)",
                expected="a positive weight",
                remedy="drop these events, or pass nonpositive='nan' to mark them",
            )
        safe = np.where(bad, np.nan, density)
        score: NDArray[np.float64] = (events @ gradient.T) / safe[:, None] - gradient @ total / sigma
        return score

    def event_weights(self, w: ArrayLike) -> NDArray[np.float64]:
        """Return benchmark weights as (n_events, n_benchmarks) numbers, after checking shape and finiteness."""
        values = np.asarray(w, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != len(self._benchmarks):
            expected = f"(n_events, {len(self._benchmarks)}) for benchmarks {self._benchmarks}"
            raise ShapeError(what="benchmark weights w", got=f"shape {values.shape}", expected=expected)
        if not np.all(np.isfinite(values)):
            i = int(np.argmax(~np.all(np.isfinite(values), axis=1)))
            raise PhysicsDomainError(what=f"benchmark weights of event {i}", got=values[i], expected="finite weights")
        return values

    def _point(self, theta: Point) -> NDArray[np.float64]:
        point = self._vector.point(theta)
        self._check_range(point[None])
        return point

    def _points(self, thetas: ArrayLike) -> NDArray[np.float64]:
        points = self._vector.points(thetas)
        self._check_range(points)
        return points

    def _check_range(self, points: NDArray[np.float64]) -> None:
        """Apply the policy to points outside the ranges."""
        if self._outside == "allow":
            return
        low, high = self._limits.T
        bad = (points < low) | (points > high)
        if not np.any(bad):
            return
        i, p = (int(k) for k in np.argwhere(bad)[0])
        name = self.parameter_names[p]
        error = PhysicsDomainError(
            what=f"theta outside the range of the morphing: {name}",
            got=f"{points[i, p]:g} ({int(bad.any(axis=1).sum())} of {len(points)} points are outside)",
            expected=f"{low[p]:g} <= {name} <= {high[p]:g}",
            remedy="simulate a benchmark out there, or state outside='warn' or 'allow'",
        )
        if self._outside == "raise":
            raise error
        warnings.warn(str(error), stacklevel=4)


def benchmark_row(vector: MonomialVector, name: str, point: Point | str) -> NDArray[np.float64]:
    """Compute m(theta_b) of one benchmark, given by a point or by its content; shape (n_monomials,)."""
    if isinstance(point, str):
        content = parse_combination(point)
        known = [str(m) for m in vector.monomials]
        unknown = [str(m) for m in content if m not in vector.monomials]
        if unknown:
            raise SchemaError(what=f"benchmark {name!r}", got=f"monomial {unknown[0]!r}", expected=f"one of {known}")
        row: NDArray[np.float64] = np.array([content.get(m, 0.0) for m in vector.monomials])
        return row
    theta = vector.point(point)
    return vector.leading() if np.all(np.isposinf(theta)) else vector.values(theta)


def _name_points(points: Sequence[Any] | NDArray[np.float64]) -> dict[str, Any]:
    """Name each point by its values."""
    names = [point if isinstance(point, str) else ",".join(f"{v:g}" for v in np.atleast_1d(point)) for point in points]
    if len(set(names)) != len(names):
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise SchemaError(
            what="benchmarks of the morphing", got=f"degenerate: {', '.join(repeated)} given twice", expected="each point once"
        )
    return dict(zip(names, points, strict=True))
