"""Coverage: in how many pseudo-experiments the interval holds the truth, against the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from toolkit.diagnostics.serialise import jsonable
from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.typing import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class CoverageCurve:
    """Coverage of one kind of interval.

    Attributes:
        name: Kind of interval, for legends.
        parameter: Name of the parameter.
        level: Nominal coverage.
        truth: (m,) true values.
        covered: (m,) pseudo-experiments whose interval holds the truth.
        trials: (m,) pseudo-experiments.
        coverage: (m,) covered / trials.
        low: (m,) lower end of its 68.3 % interval (Clopper-Pearson).
        high: (m,) upper end.

    Examples:
        670 of 1000 is within the fluctuation of 68.3 %, 600 of 1000 is not:

        >>> [round(coverage_curve([1.0], covered=[k], trials=1000, level=0.683, name="Wilks").p_value, 3) for k in (670, 600)]
        [0.377, 0.0]
    """

    name: str
    parameter: str
    level: float
    truth: FloatArray
    covered: IntArray
    trials: IntArray
    coverage: FloatArray
    low: FloatArray
    high: FloatArray

    @property
    def p_value(self) -> float:
        """Probability, if the coverage is nominal everywhere, of a binomial chi-square as large as this one."""
        expected = self.level * self.trials
        chi2 = float(np.sum((self.covered - expected) ** 2 / (expected * (1 - self.level))))
        return float(stats.chi2.sf(chi2, self.truth.size))

    def to_json(self) -> dict[str, Any]:
        """Return all plotted numbers as a JSON object."""
        names = ("name", "parameter", "level", "truth", "covered", "trials", "coverage", "low", "high", "p_value")
        return {name: jsonable(getattr(self, name)) for name in names}


def coverage_curve(
    truth: ArrayLike, *, covered: ArrayLike, trials: ArrayLike, level: float, name: str, parameter: str = "mu"
) -> CoverageCurve:
    """Compute the coverage with its binomial interval at every true value.

    Args:
        truth: (m,) true values.
        covered: (m,) numbers of pseudo-experiments whose interval holds the truth.
        trials: Numbers of pseudo-experiments, one or (m,).
        level: Nominal coverage, in (0, 1), for example 0.683 or 0.95.
        name: Kind of interval.
        parameter: Name of the parameter.

    Returns:
        The curve.

    Raises:
        ShapeError: The arrays differ in length.
        SchemaError: The level is not in (0, 1).
        PhysicsDomainError: A count is negative or larger than the number of trials, or there are no trials.

    References:
        Clopper, Pearson, Biometrika 26 (1934) 404.

    Examples:
        >>> curve = coverage_curve([1.0], covered=[68], trials=100, level=0.683, name="asymptotic")
        >>> curve.coverage.tolist(), bool(curve.low[0] < 0.68 < curve.high[0])
        ([0.68], True)
    """
    if not 0 < level < 1:
        raise SchemaError("level of the coverage", got=level, expected="between 0 and 1, both excluded", remedy="for example 0.95")
    x, k = np.asarray(truth, dtype=np.float64), np.asarray(covered, dtype=np.int64)
    if k.shape != x.shape or x.ndim != 1 or np.asarray(trials).shape not in {(), x.shape}:
        raise ShapeError("covered", got=(k.shape, np.asarray(trials).shape), expected=x.shape, remedy="pass one count per truth")
    n = np.broadcast_to(np.asarray(trials, dtype=np.int64), x.shape)
    if (n < 1).any() or (k < 0).any() or (k > n).any():
        raise PhysicsDomainError("covered", got=f"{k.tolist()} of {n.tolist()}", expected="0 <= covered <= trials", remedy="count again")
    tail = float(stats.norm.sf(1.0))
    low = np.where(k == 0, 0.0, stats.beta.ppf(tail, np.maximum(k, 1), n - k + 1))
    high = np.where(k == n, 1.0, stats.beta.isf(tail, k + 1, np.maximum(n - k, 1)))
    return CoverageCurve(name, parameter, float(level), x, k, np.array(n), k / n, low, high)


def coverage_from_toys(covered: ArrayLike, *, truth: ArrayLike, level: float, name: str, parameter: str = "mu") -> CoverageCurve:
    """Compute the coverage from one yes or no per pseudo-experiment.

    Args:
        covered: (m, n_toys) whether the interval of each pseudo-experiment holds the truth.
        truth: (m,) true values.
        level: Nominal coverage.
        name: Kind of interval.
        parameter: Name of the parameter.

    Returns:
        The curve.

    Raises:
        ShapeError: `covered` is not (m, n_toys).

    Examples:
        >>> covered = [[True, True, False, True], [True, True, True, True]]
        >>> coverage_from_toys(covered, truth=[0.0, 1.0], level=0.683, name="asymptotic").coverage
        array([0.75, 1.  ])
    """
    hits = np.asarray(covered, dtype=bool)
    if hits.ndim != 2:
        raise ShapeError("covered", got=hits.shape, expected="(m, n_toys)", remedy="pass one row per truth")
    return coverage_curve(truth, covered=hits.sum(axis=1), trials=hits.shape[1], level=level, name=name, parameter=parameter)
