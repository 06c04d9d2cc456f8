"""Probabilities of a test statistic: for many events, and counted among toys.

References:
    Cowan, Cranmer, Gross, Vitells, arXiv:1007.1727, equations 12, 52; C. Clopper, E. Pearson, Biometrika 26 (1934) 404.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import beta, norm

from toolkit.errors import SchemaError, ShapeError
from toolkit.typing import FloatArray

TIE = 1e-6
"""Two fits of the same data differ by less: a toy with the counts of the data is as far from background as they are."""


@dataclass(frozen=True)
class Significance:
    """Test of background alone.

    Attributes:
        q: The test statistic, >= 0.

    Examples:
        >>> found = Significance(q=25.0)
        >>> found.z, round(found.p_value * 1e7, 3)
        (5.0, 2.867)
    """

    q: float

    @property
    def z(self) -> float:
        """Standard deviations of a Gaussian, one-sided."""
        return math.sqrt(self.q)

    @property
    def p_value(self) -> float:
        """Probability of q or more with background alone, if q is distributed as for many events; 1/2 at q = 0."""
        return float(norm.sf(self.z))

    def to_json(self) -> dict[str, float]:
        """Return the JSON form."""
        return {"q": self.q, "z": self.z, "p_value": self.p_value}


@dataclass(frozen=True)
class ToyPValue:
    """Probability of the data or worse, from toys.

    Attributes:
        q: The test statistic of the data.
        n_above: Toys with that value or more.
        n_toys: Number of toys.

    Examples:
        >>> found = ToyPValue(q=4.1, n_above=25, n_toys=1000)
        >>> found.value, [round(x, 4) for x in found.interval], round(found.z, 2)
        (0.025, [0.0201, 0.031], 1.96)
    """

    q: float
    n_above: int
    n_toys: int

    @property
    def value(self) -> float:
        """Share of toys with the value of the data or more."""
        return self.n_above / self.n_toys

    @property
    def interval(self) -> tuple[float, float]:
        """Central 68.27 % interval of the probability (Clopper and Pearson); without a toy above it begins at 0."""
        k, n, tail = self.n_above, self.n_toys, 0.158655
        low = float(beta.ppf(tail, k, n - k + 1)) if k > 0 else 0.0
        high = float(beta.ppf(1.0 - tail, k + 1, n - k)) if k < n else 1.0
        return low, high

    @property
    def z(self) -> float:
        """The probability in standard deviations of a Gaussian, one-sided; infinite if no toy is above."""
        return float(norm.isf(self.value))

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form; `z` is null if no toy is above."""
        return {
            "q": self.q,
            "p_value": self.value,
            "interval_68": list(self.interval),
            "z": self.z if math.isfinite(self.z) else None,
            "n_above": self.n_above,
            "n_toys": self.n_toys,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ToyPValue:
        """Read what `to_json` wrote."""
        return cls(document["q"], document["n_above"], document["n_toys"])


def one_sided(t: ArrayLike, best_fit: ArrayLike, *, background: float = 0.0) -> FloatArray:
    """Turn t of the background's value into q_0: 0 where the best fit is not above it.

    Args:
        t: -2 ln lambda(background) / lambda(best fit), (n,).
        best_fit: Best fits, (n,).
        background: Value without signal.

    Returns:
        q_0, (n,).

    Examples:
        >>> one_sided([4.0, 1.0], [1.2, -0.3]).tolist()
        [4.0, 0.0]
    """
    statistic, fitted = np.asarray(t, dtype=np.float64), np.asarray(best_fit, dtype=np.float64)
    if statistic.shape != fitted.shape:
        raise ShapeError("t and best fits", got=f"{statistic.shape} and {fitted.shape}", expected="(n,) twice")
    return np.where(fitted > background, statistic, 0.0)


def toy_p_value(q: float, toys: ArrayLike) -> ToyPValue:
    """Count the toys of background alone that look at least as much like a signal as the data.

    Args:
        q: Test statistic of the data; `significance(...).q`.
        toys: The same of each toy, (n_toys,): `one_sided(toys.t, toys.best_fit)` of `run_toys` at the background's value.

    Returns:
        The probability with its interval.

    Raises:
        SchemaError: No toys.

    Examples:
        >>> toy_p_value(2.0, [0.0, 0.5, 2.0, 3.0]).value
        0.5
    """
    drawn = np.asarray(toys, dtype=np.float64)
    if drawn.ndim != 1 or not len(drawn):
        raise SchemaError("toys of background alone", got=f"array of shape {drawn.shape}", expected="at least one toy, (n_toys,)")
    return ToyPValue(float(q), int(np.sum(drawn >= q - TIE)), len(drawn))
