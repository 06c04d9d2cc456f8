"""Where to simulate: the benchmarks, or generation points, with the smallest variance over a parameter range.

When to use what: `choose_benchmarks` when each benchmark becomes a sample of its own (or a weight whose variance is known): the
variance of a morphed yield is sum_b f_b(theta)^2 sigma_b^2. `choose_generation_points` when every event will carry the
weights of all benchmarks, so that only the density of the generated events matters; it needs a pilot sample.

Small choices are made by trying all subsets, larger ones by exchanges from several starts; both are deterministic, and of equal
choices the first in the order of the candidates is taken.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.model.solution import RANK_TOLERANCE
from toolkit.weights.monomials import MonomialVector
from toolkit.weights.morphing import Morphing, Point, benchmark_row

Objective = Literal["mean", "max"]
Subset = tuple[int, ...]
Evaluate = Callable[[NDArray[np.int64]], NDArray[np.float64]]
EXHAUSTIVE = 20_000
"""Up to this many subsets all are tried."""
CHUNK = 2_000
TIE = 1e-9
"""Relative improvement that counts; below it the earlier choice stays."""


@dataclass(frozen=True, eq=False)
class BenchmarkChoice:
    """The best subset of the candidates.

    Attributes:
        names: Its members, in the order of the candidates.
        value: Mean or largest relative variance over the range.
        variances: Relative variance at each theta, shape (m,); 1 / variance is an effective number of events.
        exhaustive: Whether all subsets were tried.
        morphing: The morphing of these benchmarks; None for generation points.
    """

    names: tuple[str, ...]
    value: float
    variances: NDArray[np.float64]
    exhaustive: bool
    morphing: Morphing | None = None


def choose_benchmarks(
    candidates: Mapping[str, Point | str],
    *,
    monomials: Sequence[str],
    thetas: ArrayLike,
    number: int | None = None,
    variances: Mapping[str, float] | None = None,
    yields: ArrayLike | None = None,
    objective: Objective = "mean",
    keep: Sequence[str] = (),
    parameters: Sequence[str] | None = None,
) -> BenchmarkChoice:
    """Choose the benchmarks with the smallest variance of the morphed yield, sum_b f_b(theta)^2 sigma_b^2 / nu(theta)^2.

    Args:
        candidates: Points by name, as for `Morphing`.
        monomials: Of the parameterisation.
        thetas: Where the morphing will be used, shape (m, n_parameters), or (m,) for one parameter.
        number: How many benchmarks; by default as many as monomials.
        variances: sigma_b^2 of the yield of each candidate by name; equal by default. See `expected_variances`, and
            `sample_variances` for samples that exist.
        yields: nu(theta), shape (m,); 1 by default.
        objective: Minimise the mean or the largest variance over `thetas`.
        keep: Candidates that must be chosen, for example because they exist.
        parameters: Order of theta.

    Returns:
        The choice, with its morphing (which knows the variances when there are more benchmarks than monomials).

    Raises:
        SchemaError: Too few candidates or a number too small, unknown names in `keep`, or no subset determines all monomials.
        PhysicsDomainError: A variance or a yield is not positive.

    References:
        Atkinson, Donev, Tobias, "Optimum experimental designs" (2007): this is I-optimality (mean) and G-optimality (max).

    Examples:
        >>> points = {f"{mu:g}": mu for mu in (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)}
        >>> choose_benchmarks(points, monomials=["mu", "sqrt(mu)", "1"], thetas=np.linspace(0.0, 10.0, 21)).names
        ('0', '2', '10')
    """
    vector = MonomialVector.build(monomials, parameters=parameters)
    rows = np.stack([benchmark_row(vector, name, point) for name, point in candidates.items()])
    names = tuple(candidates)
    sigma2 = _by_name("variances", variances, names)
    points = vector.values_at(vector.points(thetas))
    nu = np.ones(len(points)) if yields is None else _positive("yields", np.asarray(yields, dtype=np.float64), len(points))
    columns = np.linalg.norm(rows, axis=0)
    scaled = rows / np.where(columns > 0, columns, 1.0) / np.sqrt(sigma2)[:, None]
    wanted = points / np.where(columns > 0, columns, 1.0) / nu[:, None]

    def evaluate(subsets: NDArray[np.int64]) -> NDArray[np.float64]:
        return _summary(_design_variances(scaled[subsets], wanted), objective)

    size = len(vector.monomials) if number is None else number
    if size < len(vector.monomials):
        raise SchemaError(what="number of benchmarks", got=size, expected=f"at least {len(vector.monomials)}, the number of monomials")
    best, value, exhaustive = _search(names, size, keep, evaluate)
    if not math.isfinite(value):
        raise SchemaError(
            what="candidates for benchmarks",
            got=f"no {size} of {list(names)} that determine {[str(m) for m in vector.monomials]}",
            expected="candidates in general position",
            remedy="add points, for example at other values of every parameter",
        )
    chosen = {names[i]: candidates[names[i]] for i in best}
    known = {names[i]: float(sigma2[i]) for i in best}
    morphing = Morphing(monomials=monomials, benchmarks=chosen, parameters=vector.parameters, variances=known)
    return BenchmarkChoice(tuple(chosen), value, _design_variances(scaled[[best]], wanted)[0], exhaustive, morphing)


def expected_variances(
    candidates: Mapping[str, Point | str], *, pilot: Morphing, yields: ArrayLike, n_events: float | Mapping[str, float] = 1.0
) -> dict[str, float]:
    """Predict sigma_b^2 = nu_b^2 / N_b of samples of unweighted events that do not exist yet.

    Args:
        candidates: Points by name.
        pilot: A morphing whose benchmarks are known.
        yields: Their yields, shape (n_benchmarks,).
        n_events: Planned number of events, one for all or by name.

    Returns:
        Variance of the yield of each candidate.

    Raises:
        PhysicsDomainError: A candidate has no positive yield.

    Examples:
        >>> pilot = Morphing(monomials=["1", "c"], benchmarks={"a": 0.0, "b": 1.0})
        >>> expected_variances({"x": 2.0}, pilot=pilot, yields=[10.0, 15.0], n_events=100)
        {'x': 4.0}
    """
    vector = pilot.vector
    content = pilot.solution.T @ np.asarray(yields, dtype=np.float64)
    nu = np.array([benchmark_row(vector, name, point) @ content for name, point in candidates.items()])
    _positive("yields of the candidates", nu, len(candidates))
    n = np.array([n_events[name] if isinstance(n_events, Mapping) else n_events for name in candidates], dtype=np.float64)
    return dict(zip(candidates, (nu**2 / _positive("n_events", n, len(n))).tolist(), strict=True))


def choose_generation_points(
    candidates: Mapping[str, ArrayLike],
    *,
    weights: ArrayLike,
    thetas: ArrayLike,
    number: int,
    objective: Objective = "mean",
    keep: Sequence[str] = (),
) -> BenchmarkChoice:
    """Choose where to generate events that will carry the weights of all benchmarks.

    With equal numbers of unweighted events from each point g, combined by the balance heuristic, the density of events is
    q(z) = mean_g w_g(z) / nu_g, and N events give the yield at theta with the variance (1 / N) integral w_theta^2 / q.

    Args:
        candidates: Morphing coefficients of each candidate point by name, shape (n_benchmarks,).
        weights: Benchmark weights of pilot events, shape (n_events, n_benchmarks).
        thetas: Morphing coefficients where the events will be used, shape (m, n_benchmarks).
        number: How many generation points.
        objective: Minimise the mean or the largest variance.
        keep: Candidates that must be chosen.

    Returns:
        The choice; `variances` are those of the yield, relative to its square, times the number of events: 1 is that of
        events generated at theta itself, and N / variance the effective number of events.

    Raises:
        SchemaError: Wrong number or names. ShapeError: shapes do not fit.
        PhysicsDomainError: A candidate or theta has no positive yield.

    Notes:
        Negative densities of a candidate count as 0: no event can be generated there. The pilot must reach wherever the
        candidates do; a region without pilot events is not seen.

    Examples:
        Two pilot events, one that only the signal makes; without a sample of signal that event would never be generated:

        >>> choice = choose_generation_points(
        ...     {"S": [1.0, 0.0], "B": [0.0, 1.0]}, weights=[[1.0, 0.0], [1.0, 2.0]], thetas=[[1.0, 1.0]], number=1
        ... )
        >>> choice.names, choice.variances.round(3).tolist()
        (('S',), [1.25])
    """
    w = np.asarray(weights, dtype=np.float64)
    g = np.stack([np.asarray(f, dtype=np.float64) for f in candidates.values()])
    at = np.asarray(thetas, dtype=np.float64)
    if w.ndim != 2 or g.shape[1:] != w.shape[1:] or at.ndim != 2 or at.shape[1:] != w.shape[1:]:
        raise ShapeError(what="coefficients", got=f"shapes {g.shape} and {at.shape}", expected=f"(k, n_benchmarks) for weights {w.shape}")
    density = np.maximum(w @ g.T, 0.0)
    density = density / _positive("yields of the candidates", density.sum(axis=0), len(g))
    morphed = w @ at.T
    squares = np.square(morphed / _positive("yields at theta", morphed.sum(axis=0), len(at)))

    def variances(subset: Sequence[int]) -> NDArray[np.float64]:
        q = density[:, list(subset)].mean(axis=1)
        if np.any((q <= 0) & np.any(squares > 0, axis=1)):
            return np.full(len(at), np.inf)
        out: NDArray[np.float64] = np.divide(1.0, q, out=np.zeros_like(q), where=q > 0) @ squares
        return out

    def evaluate(subsets: NDArray[np.int64]) -> NDArray[np.float64]:
        return _summary(np.stack([variances(subset) for subset in subsets]), objective)

    names = tuple(candidates)
    best, value, exhaustive = _search(names, number, keep, evaluate)
    return BenchmarkChoice(tuple(names[i] for i in best), value, variances(best), exhaustive)


def _design_variances(rows: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute min_f sum_b f_b^2 with rows^T f = m for stacks of rows (k, n_b, n_m) and m (m, n_m); (k, m), inf if degenerate."""
    _, singular, right = np.linalg.svd(rows, full_matrices=False)
    bad = singular[:, -1] <= RANK_TOLERANCE * singular[:, 0]
    parts = np.einsum("kij,mj->kmi", right, wanted) / np.where(bad[:, None], 1.0, singular)[:, None, :]
    return np.where(bad[:, None], np.inf, np.sum(np.square(parts), axis=2))


def _summary(variances: NDArray[np.float64], objective: Objective) -> NDArray[np.float64]:
    if objective not in ("mean", "max"):
        raise SchemaError(what="objective", got=objective, expected="'mean' or 'max'")
    summary: NDArray[np.float64] = variances.mean(axis=1) if objective == "mean" else variances.max(axis=1)
    return summary


def _search(names: Sequence[str], number: int, keep: Sequence[str], evaluate: Evaluate) -> tuple[list[int], float, bool]:
    """Find the subset with the smallest value: all subsets if they are few, exchanges otherwise."""
    unknown = [name for name in keep if name not in names]
    if unknown or len(set(keep)) != len(keep):
        raise SchemaError(what="keep", got=list(keep), expected=f"some of {list(names)}, each once")
    if not max(1, len(keep)) <= number <= len(names):
        raise SchemaError(what="number of points", got=number, expected=f"{max(1, len(keep))} to {len(names)}, the number of candidates")
    fixed = [names.index(name) for name in keep]
    free = [i for i in range(len(names)) if i not in fixed]
    exhaustive = math.comb(len(free), number - len(fixed)) <= EXHAUSTIVE
    if exhaustive:
        subsets = (tuple(sorted((*fixed, *more))) for more in itertools.combinations(free, number - len(fixed)))
        best, value = _smallest(sorted(subsets), evaluate)
    else:
        starts = _starts(free, fixed, number - len(fixed), evaluate)
        best, value = min((_exchange(start, fixed, free, evaluate) for start in starts), key=lambda found: found[1])
    return list(best), value, exhaustive


def _smallest(subsets: Sequence[Subset], evaluate: Evaluate) -> tuple[Subset, float]:
    """Return the first of the subsets with the smallest value."""
    best, value = subsets[0], math.inf
    for part in _chunks(subsets):
        values = evaluate(np.array(part))
        i = int(np.argmax(values <= values.min() * (1.0 + TIE)))
        if values[i] < value * (1.0 - TIE):
            best, value = part[i], float(values[i])
    return best, value


def _chunks(subsets: Sequence[Subset]) -> Iterator[Sequence[Subset]]:
    for start in range(0, len(subsets), CHUNK):
        yield subsets[start : start + CHUNK]


def _starts(free: Sequence[int], fixed: Sequence[int], wanted: int, evaluate: Evaluate) -> tuple[Subset, ...]:
    """Return evenly spread candidates, and the best of many drawn ones."""
    spread = tuple(sorted((*fixed, *(free[round(k * (len(free) - 1) / max(1, wanted - 1))] for k in range(wanted)))))
    rng = np.random.default_rng(len(free))
    draws = [tuple(sorted((*fixed, *rng.choice(free, wanted, replace=False).tolist()))) for _ in range(CHUNK)]
    return spread, _smallest(draws, evaluate)[0]


def _exchange(start: Subset, fixed: Sequence[int], free: Sequence[int], evaluate: Evaluate) -> tuple[Subset, float]:
    """Exchange one member at a time for the best other candidate until nothing improves (Fedorov)."""
    best, value = _smallest([start], evaluate)
    while True:
        others = [i for i in free if i not in best]
        moves = [tuple(sorted((*(k for k in best if k != out), new))) for out in best if out not in fixed for new in others]
        found, lower = _smallest(moves, evaluate)
        if not lower < value * (1.0 - TIE):
            return best, value
        best, value = found, lower


def _by_name(what: str, numbers: Mapping[str, float] | None, names: Sequence[str]) -> NDArray[np.float64]:
    if numbers is None:
        return np.ones(len(names))
    if set(numbers) != set(names):
        raise SchemaError(what=what, got=sorted(numbers), expected=f"one for each of {list(names)}")
    return _positive(what, np.array([numbers[name] for name in names], dtype=np.float64), len(names))


def _positive(what: str, values: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    if values.shape != (n,):
        raise ShapeError(what=what, got=f"shape {values.shape}", expected=f"shape ({n},)")
    bad = ~(np.isfinite(values) & (values > 0))
    if np.any(bad):
        i = int(np.argmax(bad))
        raise PhysicsDomainError(what=what, got=f"{values[i]:g} at position {i}", expected="positive numbers")
    return values
