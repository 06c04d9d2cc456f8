"""Effective number of events of a weighted sample, in the two definitions that are in use, at one point or along a curve.

When to use what: `n_eff` of given weights; `effective_size_curve` of a morphed sample against the parameter;
`generation_curves` to see which generation point serves which parameter values, and what their combination gains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.weights.simulation import SimulatedEvents


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


@dataclass(frozen=True, eq=False)
class EffectiveSizeCurve:
    """Effective number of events of a morphed sample against the parameter.

    Attributes:
        name: What is summed, for legends.
        parameter: Name of the parameter.
        values: Its values, shape (m,).
        n_eff_kish: (sum w)^2 / sum w^2 at each value, shape (m,).
        n_eff_max: |sum w| / max |w| at each value, shape (m,).
        negative: Share of sum |w| that negative weights hold at each value, shape (m,).
        n_events: Simulated events with a weight.
    """

    name: str
    parameter: str
    values: NDArray[np.float64]
    n_eff_kish: NDArray[np.float64]
    n_eff_max: NDArray[np.float64]
    negative: NDArray[np.float64]
    n_events: int

    def to_json(self) -> dict[str, Any]:
        """Return all numbers as a JSON object."""
        arrays = ("values", "n_eff_kish", "n_eff_max", "negative")
        return {"name": self.name, "parameter": self.parameter, "n_events": self.n_events} | {a: getattr(self, a).tolist() for a in arrays}

    def where(self, minimum: float, *, definition: Literal["kish", "max"] = "kish") -> tuple[tuple[float, float], ...]:
        """Return the ranges of the parameter in which N_eff is at least `minimum`, as (low, high) among `values`.

        Examples:
            >>> numbers = np.array([5.0, 20.0, 30.0, 8.0, 12.0])
            >>> curve = EffectiveSizeCurve("all", "mu", np.arange(5.0), numbers, numbers, 0.0 * numbers, 40)
            >>> curve.where(10.0)
            ((1.0, 2.0), (4.0, 4.0))
        """
        enough = (self.n_eff_kish if definition == "kish" else self.n_eff_max) >= minimum
        edges = np.flatnonzero(np.diff(np.concatenate([[False], enough, [False]]).astype(np.int8)))
        return tuple((float(self.values[a]), float(self.values[b - 1])) for a, b in zip(edges[::2], edges[1::2], strict=True))


def effective_size_curve(
    weights: ArrayLike, values: ArrayLike, coefficients: ArrayLike, *, name: str = "all", parameter: str = "mu"
) -> EffectiveSizeCurve:
    """Compute N_eff of a morphed sample at many parameter values.

    Args:
        weights: Weights of the events under the benchmarks or processes, shape (n, n_b).
        values: Values of the parameter, shape (m,).
        coefficients: f_b at those values, shape (m, n_b), for example from `Morphing.coefficients_at`.
        name: What is summed.
        parameter: Name of the parameter.

    Returns:
        The curve.

    Raises:
        ShapeError: Shapes do not fit. PhysicsDomainError: a weight is not finite.

    Examples:
        Events of two benchmarks, f = (mu, 1 - mu). At mu = 1 the second benchmark does not count:

        >>> curve = effective_size_curve([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], [0.5, 1.0], [[0.5, 0.5], [1.0, 0.0]])
        >>> curve.n_eff_kish.tolist(), curve.negative.tolist()
        ([3.0, 2.0], [0.0, 0.0])
    """
    w, at, f = (np.asarray(a, dtype=np.float64) for a in (weights, values, coefficients))
    if w.ndim != 2 or f.shape != (len(at), w.shape[1]):
        raise ShapeError(what="coefficients", got=f"shape {f.shape}", expected=f"(m, n_b) for {len(at)} values and weights {w.shape}")
    kish, largest, negative = np.zeros((3, len(at)))
    for i, row in enumerate(f):
        morphed = w @ row
        size = float(np.abs(morphed).sum())
        kish[i], largest[i] = n_eff(morphed), n_eff(morphed, definition="max")
        negative[i] = 0.5 * (1.0 - float(morphed.sum()) / size) if size > 0 else 0.0
    used = int(np.count_nonzero(np.any(w[:, np.any(f != 0, axis=0)] != 0, axis=1)))
    return EffectiveSizeCurve(name, parameter, at, kish, largest, negative, used)


def generation_curves(
    events: SimulatedEvents, values: ArrayLike, coefficients: ArrayLike, *, benchmarks: Sequence[str], parameter: str = "mu"
) -> tuple[EffectiveSizeCurve, ...]:
    """Compute N_eff of the interfering events: all generation points together, then each sample alone.

    Args:
        events: From `combine_samples`.
        values: Values of the parameter, shape (m,).
        coefficients: f_j at those values, shape (m, n_processes).
        benchmarks: The interfering processes.
        parameter: Name of the parameter.

    Returns:
        `all samples`, and `SAMPLE alone` for every sample with interfering events, with the weights it has by itself; not the latter
        where samples were generated separately, of which each serves its own benchmark.

    Notes:
        A sample generated at mu = 1 serves other values badly where interference removed the events that the signal needs.

    Examples:
        >>> ids, samples, names = np.arange(3, dtype=np.uint64), np.array([0, 0, 1], dtype=np.int64), ("S", "B")
        >>> events = SimulatedEvents(names, ids, samples, names, {}, np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
        >>> curves = generation_curves(events, [0.0, 1.0], [[0.0, 1.0], [1.0, 1.0]], benchmarks=("S", "B"))
        >>> {curve.name: curve.n_eff_kish.tolist() for curve in curves}
        {'all samples': [1.0, 3.0], 'S alone': [0.0, 2.0], 'B alone': [1.0, 1.0]}
    """
    columns = [events.processes.index(name) for name in benchmarks]
    f = np.asarray(coefficients, dtype=np.float64)[:, columns]
    samples = [s for k, s in enumerate(events.samples) if np.any(events.weights[events.sample_index == k][:, columns])]
    curves = [effective_size_curve(events.weights[:, columns], values, f, name="all samples", parameter=parameter)]
    if len(samples) > 1 and not events.separate:
        for sample in samples:
            own = events.alone(sample).weights[:, columns]
            curves.append(effective_size_curve(own, values, f, name=f"{sample} alone", parameter=parameter))
    return tuple(curves)
