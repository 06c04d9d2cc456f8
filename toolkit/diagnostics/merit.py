"""Significances as figures of merit, from yields or from weighted events in bins of a score.

What to use when: `z` and `asimov_z` are the usual significances of a signal on top of a background. Where signal and
background interfere there is no yield of the signal alone; `interference_z` and `interference_asimov_z` use the yields that
exist: S (the squared signal amplitude), SVI (signal, interfering background and their interference), V (the interfering background)
and B2 (everything that does not interfere). In bins of a score the significances add in quadrature.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from toolkit.diagnostics.binning import bin_sums, clipped_index
from toolkit.diagnostics.inputs import check_vector
from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.typing import FloatArray

Kind = Literal["z", "interference_z", "asimov_z", "interference_asimov_z"]

S, SVI, V, B2 = range(4)
"""Columns of the yields."""


@dataclass(frozen=True, eq=False)
class Merit:
    """A number and what every event adds to its fluctuation.

    Attributes:
        value: The figure of merit.
        influence: (n,) first-order change of the value if the event happened once more. For a Poisson number of simulated
            events the variance of the value is the sum of its squares; of a difference of two values from the same
            events, the sum of the squared differences.

    Examples:
        >>> Merit(10.0, np.array([3.0, 4.0])).error
        5.0
    """

    value: float
    influence: FloatArray

    @property
    def error(self) -> float:
        """Standard error from the finite simulation."""
        return float(np.linalg.norm(self.influence))


@dataclass(frozen=True, eq=False)
class MeritWeights:
    """Weights of the same events under signal, total and backgrounds, each (n,), expected events, either sign.

    Attributes:
        signal: S, the squared signal amplitude.
        total: SVI, signal, interfering background and interference.
        interfering_background: V.
        background: B2, everything that does not interfere.

    Examples:
        >>> weights = MeritWeights.without_interference(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
        >>> weights.columns.tolist(), weights.all_background.tolist()
        ([[1.0, 1.0, 0.0, 3.0], [2.0, 2.0, 0.0, 4.0]], [3.0, 4.0])
    """

    signal: FloatArray
    total: FloatArray
    interfering_background: FloatArray
    background: FloatArray

    def __post_init__(self) -> None:
        for name in ("signal", "total", "interfering_background", "background"):
            check_vector(getattr(self, name), name=f"{name} weights", size=self.signal.size)

    @classmethod
    def without_interference(cls, signal: FloatArray, background: FloatArray) -> MeritWeights:
        """Weights of a signal that does not interfere: SVI = S, V = 0, so that iZ = Z and iZ' = Z'."""
        return cls(signal, signal, np.zeros_like(signal), background)

    @property
    def columns(self) -> FloatArray:
        """S, SVI, V, B2, (n, 4)."""
        return np.stack([self.signal, self.total, self.interfering_background, self.background], axis=1)

    @property
    def all_background(self) -> FloatArray:
        """V + B2, (n,)."""
        return self.interfering_background + self.background


def z(yields: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Compute Z = S / sqrt(S + B), B = V + B2, and its gradient.

    Args:
        yields: (k, 4) expected events S, SVI, V, B2 in each bin.

    Returns:
        Z (k,) and dZ/dyields (k, 4).

    Examples:
        >>> z(np.array([[6.0, 0.0, 10.0, 20.0]]))[0].tolist()
        [1.0]
    """
    s, n = yields[:, S], yields[:, S] + yields[:, V] + yields[:, B2]
    value = s / np.sqrt(n)
    by_b = -value / (2 * n)
    return value, np.stack([1 / np.sqrt(n) + by_b, np.zeros_like(s), by_b, by_b], axis=1)


def interference_z(yields: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Compute iZ = (S + SVI - V) / (2 sqrt(SVI + B2)) and its gradient; arguments and result as for `z`.

    Notes:
        Without interference (SVI = S + V) it equals S / sqrt(S + V + B2). Destructive interference makes it smaller, and
        negative where SVI + S < V.

    Examples:
        >>> interference_z(np.array([[6.0, 16.0, 10.0, 20.0]]))[0].tolist()
        [1.0]
    """
    s, both, v, b2 = yields.T
    n = both + b2
    value = (s + both - v) / (2 * np.sqrt(n))
    half, by_n = 1 / (2 * np.sqrt(n)), -value / (2 * n)
    return value, np.stack([half, half + by_n, -half, by_n], axis=1)


def asimov_z(yields: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Compute Z' = sqrt(2 ((S + B) ln(1 + S/B) - S)), B = V + B2, and its gradient; arguments and result as for `z`.

    Notes:
        Negative for a deficit (S < 0), where the formula gives the size only.

    References:
        Cowan, Cranmer, Gross, Vitells, arXiv:1007.1727, eq. 97.

    Examples:
        >>> asimov_z(np.array([[10.0, 0.0, 0.0, 100.0]]))[0].round(4).tolist()
        [0.984]
    """
    s, b = yields[:, S], yields[:, V] + yields[:, B2]
    value, by_s, by_b = _poisson_z(s, b)
    return value, np.stack([by_s, np.zeros_like(s), by_b, by_b], axis=1)


def interference_asimov_z(yields: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Compute iZ' = sqrt(2 [(SVI + B2) ln(1 + (SVI - V)/(V + B2)) - (SVI - V)]) and its gradient; arguments and result as for `z`.

    Notes:
        The expected discrimination between SVI + B2 and V + B2, negative where the signal lowers the rate. It is the square root
        of the Asimov -2 Delta lnL of a count.

    Examples:
        >>> interference_asimov_z(np.array([[0.0, 10.0, 0.0, 100.0]]))[0].round(4).tolist()
        [0.984]
    """
    _, both, v, b2 = yields.T
    value, by_d, by_b = _poisson_z(both - v, v + b2)
    return value, np.stack([np.zeros_like(v), by_d, by_b - by_d, by_b], axis=1)


FORMULAS: Mapping[Kind, Callable[[FloatArray], tuple[FloatArray, FloatArray]]] = MappingProxyType(
    {"z": z, "interference_z": interference_z, "asimov_z": asimov_z, "interference_asimov_z": interference_asimov_z}
)


def significance(score: FloatArray, weights: MeritWeights, *, kind: Kind, edges: FloatArray) -> Merit:
    """Compute a significance in bins of a score, added in quadrature.

    Args:
        score: (n,) any score; values beyond the edges count in the end bins.
        weights: Weights of the same events.
        kind: Which formula.
        edges: (k + 1,) increasing edges. One bin gives the significance of the rate, with its sign.

    Returns:
        sqrt(sum_k Z_k^2) (of one bin: Z), with the influence of every event. Weights under S, SBI and B of the same event
        fluctuate together, which is accounted for.

    Raises:
        SchemaError: The kind is unknown, or the edges do not increase.
        PhysicsDomainError: A bin has no positive background or total.

    Notes:
        The noise of few events per bin adds up: the sum of squares is larger than the true one by the sum of the variances of
        Z_k. Bins should hold many effective events; edges that were chosen on the same scores are taken as given.

    Examples:
        Two bins of 6 signal events on 30 of background add in quadrature:

        >>> weights = MeritWeights.without_interference(np.array([6.0, 6.0]), np.array([30.0, 30.0]))
        >>> merit = significance(np.array([0.2, 0.8]), weights, kind="z", edges=np.array([0.0, 0.5, 1.0]))
        >>> round(merit.value, 4), round(2**0.5, 4)
        (1.4142, 1.4142)
    """
    if kind not in FORMULAS:
        raise SchemaError("figure of merit", got=kind, expected=f"one of {list(FORMULAS)}", remedy="check the spelling")
    columns = weights.columns
    check_vector(score, name="score", size=len(columns))
    index, k = clipped_index(score, np.asarray(edges, dtype=np.float64)), np.asarray(edges).size - 1
    yields = bin_sums(index, k, columns)
    _check_positive(yields, kind)
    values, slopes = FORMULAS[kind](yields)
    total = float(values[0]) if k == 1 else float(np.sqrt(values @ values))
    share = np.ones(1) if k == 1 else values / total if total > 0 else np.full(k, np.nan)
    return Merit(total, np.einsum("ij,ij->i", columns, (share[:, None] * slopes)[index]))


def check_same_size(score: FloatArray, *others: FloatArray) -> None:
    """Refuse arrays that are not (n,) finite numbers, n the length of the score."""
    if score.ndim != 1:
        raise ShapeError("score", got=score.shape, expected="(n,)", remedy="pass one column of the outputs")
    check_vector(score, name="score", size=score.size)
    for weights in others:
        check_vector(weights, name="weights", size=score.size)


def _poisson_z(d: FloatArray, b: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Compute sign(d) sqrt(2 [(b + d) ln(1 + d/b) - d]) and its derivatives with respect to d and b."""
    log = np.log1p(d / b)
    size = np.sqrt(np.maximum(2 * ((b + d) * log - d), 0.0))
    value = np.copysign(size, d)
    near = size < 1e-6 * np.sqrt(b)  # the limit d / sqrt(b), where the difference above has lost its digits
    value = np.where(near, d / np.sqrt(b), value)
    safe = np.where(near, 1.0, value)
    by_d = np.where(near, 1 / np.sqrt(b), log / safe)
    by_b = np.where(near, -d / (2 * b**1.5), (log - d / b) / safe)
    return value, by_d, by_b


def _check_positive(yields: FloatArray, kind: str) -> None:
    both = {"z": (S, V, B2), "interference_z": (SVI, B2), "asimov_z": (S, V, B2), "interference_asimov_z": (SVI, B2)}[kind]
    total = yields[:, list(both)].sum(axis=1)
    background = yields[:, V] + yields[:, B2]
    for name, values in (("expected events", total), ("background", background)):
        if kind in {"z", "interference_z"} and name == "background":
            continue
        if not (values > 0).all():
            worst = int(np.argmin(values))
            raise PhysicsDomainError(
                f"{name} in bin {worst} of the score", got=f"{values[worst]:g}", expected="> 0", remedy="use fewer or wider bins"
            )
