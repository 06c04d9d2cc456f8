"""Signal strengths of the four production and mass regions as expressions in the parameters of a measurement.

What to use when: `parameterisation(name)` gives an expression for each of mu_ggF and mu_EW, off and on shell, in terms of the parameters
that are fitted; `toolkit.likelihood.morphing_expressions(parameter="(...)")` turns one of them into morphing coefficients, and a counting
channel uses it as it is. With mu_ggF = kappa_g^2 kappa_V^2, mu_EW = kappa_V^4 and on-shell rates scaling as SM width over width
(docs/method.md), Gamma_H/Gamma_SM = mu_off / mu_on when couplings are the same on and off shell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from toolkit.errors import PhysicsDomainError, SchemaError

_KNOWN = {
    "mu_off": ("mu_off", "mu_off", "mu_on", "mu_on"),
    "production": ("mu_ggF", "mu_EW", "mu_ggF_on", "mu_EW_on"),
    "width": ("mu_ggF_on * gamma", "mu_EW_on * gamma", "mu_ggF_on", "mu_EW_on"),
    "R_gg": ("R_gg * R_VV * mu_ggF_on", "R_VV ** 2 * mu_EW_on", "mu_ggF_on", "mu_EW_on"),
}


@dataclass(frozen=True)
class SignalStrengths:
    """Expressions of the signal strengths.

    Attributes:
        ggf_off: Off-shell gluon fusion.
        ew_off: Off-shell electroweak production.
        ggf_on: On-shell gluon fusion.
        ew_on: On-shell electroweak production.
    """

    ggf_off: str
    ew_off: str
    ggf_on: str
    ew_on: str


def parameterisation(name: str) -> SignalStrengths:
    """Return the signal strengths of a measurement.

    Args:
        name: "mu_off" (one off-shell strength `mu_off`, one on-shell `mu_on`), "production" (`mu_ggF`, `mu_EW` off shell, `mu_ggF_on`,
            `mu_EW_on`), "width" (`gamma` = Gamma_H/Gamma_SM with the same couplings on and off shell), "R_gg" (`R_gg`, `R_VV`: squared
            couplings off over on shell, for the width of the Standard Model; fix `R_VV` at 1 to fit R_gg alone).

    Returns:
        The expressions.

    Raises:
        SchemaError: Another name.

    Examples:
        >>> parameterisation("width").ggf_off
        'mu_ggF_on * gamma'
    """
    if name not in _KNOWN:
        raise SchemaError("parameterisation", got=repr(name), expected=f"one of {sorted(_KNOWN)}")
    return SignalStrengths(*_KNOWN[name])


def wilson_expressions(parameters: Sequence[str], benchmarks: ArrayLike) -> tuple[str, ...]:
    """Write the morphing coefficients of a quadratic effective theory as expressions.

    A cross-section is a polynomial of second order in the Wilson coefficients c: monomials 1, c_i, c_i c_j.

    Args:
        parameters: Names of the coefficients, n.
        benchmarks: Points of the samples, ((n + 1)(n + 2)/2, n).

    Returns:
        One expression per benchmark; they are 1 at their own point and 0 at the others.

    Raises:
        PhysicsDomainError: Another number of benchmarks than monomials, or points that do not tell them apart.

    Examples:
        >>> from toolkit.expressions import Expression
        >>> f = wilson_expressions(("c",), [[0.0], [1.0], [-1.0]])
        >>> [round(Expression.parse(e).value({"c": 1.0}), 12) for e in f]
        [0.0, 1.0, 0.0]
    """
    points = np.asarray(benchmarks, dtype=np.float64)
    n = len(parameters)
    pairs = [(i, j) for i in range(n) for j in range(i, n)]
    texts = ["1", *parameters, *(f"{parameters[i]} * {parameters[j]}" for i, j in pairs)]
    if points.shape != (len(texts), n):
        raise PhysicsDomainError("benchmarks of the Wilson coefficients", got=points.shape, expected=f"({len(texts)}, {n})")
    matrix = np.concatenate([np.ones((len(points), 1)), points, np.stack([points[:, i] * points[:, j] for i, j in pairs], axis=1)], axis=1)
    if np.linalg.cond(matrix) > 1e10:
        raise PhysicsDomainError(
            "benchmarks of the Wilson coefficients",
            got=f"a condition number of {np.linalg.cond(matrix):.3g}",
            expected="points that tell the monomials apart",
            remedy="move the benchmarks",
        )
    inverse = np.linalg.inv(matrix)
    return tuple(" + ".join(f"({float(c)!r}) * {text}" for c, text in zip(column, texts, strict=True)) for column in inverse.T)
