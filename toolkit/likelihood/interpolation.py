"""Interpolation of systematic variations between down (alpha = -1), nominal (0) and up (1), with derivatives.

What to use when, with the codes of HistFactory (as pyhf numbers them):

| code | what it interpolates | inside abs(alpha) < 1 | outside |
|---|---|---|---|
| `code4` | factors (yields; per-event ratios on request) | polynomial of sixth order, C2 | exponential |
| `code1` | factors | exponential, with a kink at 0 | exponential |
| `code4p` | differences (histograms) | polynomial, C2 | linear |
| `code0` | differences | linear, with a kink at 0 | linear |
| log-quadratic | logarithms of per-event ratios | quadratic in the logarithm | linear in the logarithm, C1 |

The log-quadratic one needs no arithmetic per event beyond a matrix product: ln g = u p(alpha) + d q(alpha) with u, d the logarithms of
the up and down ratio; it is the default of per-event variations. All return value and derivative by alpha.

References:
    Cranmer et al., HistFactory, CERN-OPEN-2012-016, section 4; code 4: arXiv:1210.6210 as implemented in ROOT and pyhf.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike

from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.typing import FloatArray

FactorCode = Literal["code4", "code1"]
ShiftCode = Literal["code4p", "code0"]
ShapeCode = Literal["log_quadratic", "code4"]

CODE4 = np.array(
    [
        [15 / 16, -15 / 16, -7 / 16, -7 / 16, 1 / 16, -1 / 16],
        [3 / 2, 3 / 2, -9 / 16, 9 / 16, 1 / 16, 1 / 16],
        [-5 / 8, 5 / 8, 5 / 8, 5 / 8, -1 / 8, 1 / 8],
        [-3 / 2, -3 / 2, 7 / 8, -7 / 8, -1 / 8, -1 / 8],
        [3 / 16, -3 / 16, -3 / 16, -3 / 16, 1 / 16, -1 / 16],
        [1 / 2, 1 / 2, -5 / 16, 5 / 16, 1 / 16, 1 / 16],
    ]
)
"""From value - 1, first and second derivative at alpha = 1 and -1 (alternating) to the coefficients of alpha ... alpha^6."""


class Interpolated(NamedTuple):
    """A value and its derivative by alpha."""

    value: FloatArray
    slope: FloatArray


class Basis(NamedTuple):
    """Weights p of the up and q of the down logarithm in the log-quadratic interpolation, and their derivatives."""

    up: FloatArray
    down: FloatArray
    up_slope: FloatArray
    down_slope: FloatArray


def check_code(code: str, kind: object, *, where: str) -> None:
    """Refuse a code that is not one of a Literal type (`FactorCode`, `ShiftCode`, `ShapeCode`).

    Raises:
        SchemaError: Another code.
    """
    if code not in get_args(kind):
        what = f"interpolation of {where}"
        raise SchemaError(what, got=repr(code), expected=f"one of {list(get_args(kind))}")


def code4_coefficients(log_up: ArrayLike, log_down: ArrayLike) -> FloatArray:
    """Compute the polynomial of code 4.

    Args:
        log_up: Logarithm of the factor at alpha = 1, (...).
        log_down: Logarithm of the factor at alpha = -1, (...).

    Returns:
        Coefficients of alpha, alpha^2, ..., alpha^6, (6, ...); the value is 1 plus the polynomial.

    Examples:
        The polynomial meets the exponential at alpha = 1:

        >>> 1.0 + round(float(code4_coefficients(np.log(1.1), np.log(0.95)).sum()), 12)
        1.1
    """
    u, d = np.asarray(log_up, dtype=np.float64), np.asarray(log_down, dtype=np.float64)
    up, down = np.exp(u), np.exp(d)
    conditions = np.stack([up - 1.0, down - 1.0, u * up, -d * down, u * u * up, d * d * down])
    return np.asarray(np.tensordot(CODE4, conditions, axes=1))


def code4_exponentials(alpha: ArrayLike) -> FloatArray:
    """Write the factor of code 4 as a constant plus exp(c x) (p + q x + r x^2) of the up and of the down logarithm x.

    The polynomial's coefficients are linear in the two exponentials, and so is the factor: no coefficient of an event has to be kept.

    Args:
        alpha: Nuisance parameters, (k,).

    Returns:
        Per parameter c, p, q, r and p, q, r of the slope for up, the same seven for down, and the two constants, (k, 16).

    Examples:
        At alpha = 2 the factor is exp(2 x) of the up logarithm x, its slope x exp(2 x):

        >>> code4_exponentials([2.0])[0, :7].tolist()
        [2.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    """
    a = np.asarray(alpha, dtype=np.float64)
    out, powers = np.zeros((len(a), 16)), np.arange(1.0, 7.0)[:, None]
    value = CODE4.T @ a**powers
    slope = CODE4.T @ (powers * a ** (powers - 1.0))
    for first, at, sign in ((0, (0, 2, 4), 1.0), (7, (1, 3, 5), -1.0)):  # the derivative at -1 is -d exp(d)
        signs = np.array([1.0, sign, 1.0])
        out[:, first] = 1.0
        out[:, first + 1 : first + 4] = value[list(at)].T * signs
        out[:, first + 4 : first + 7] = slope[list(at)].T * signs
    out[:, 14], out[:, 15] = 1.0 - value[0] - value[1], -slope[0] - slope[1]
    for first, beyond, sign in ((0, a >= 1.0, 1.0), (7, a <= -1.0, -1.0)):
        out[beyond] = 0.0
        out[beyond, first], out[beyond, first + 1], out[beyond, first + 5] = sign * a[beyond], 1.0, sign
    return out


def factor(
    alpha: ArrayLike, log_up: ArrayLike, log_down: ArrayLike, *, code: FactorCode = "code4", coefficients: FloatArray | None = None
) -> Interpolated:
    """Interpolate factors.

    Args:
        alpha: Nuisance parameter, broadcast against the others.
        log_up: Logarithm of the factor at alpha = 1, (...).
        log_down: Logarithm of the factor at alpha = -1, (...).
        code: "code4" or "code1".
        coefficients: Of `code4_coefficients`, if they are known.

    Returns:
        Factors (1 at alpha = 0) and their derivatives, of the broadcast shape.

    Examples:
        >>> factor([-1.0, 0.0, 2.0], np.log(1.1), np.log(0.95)).value.round(9).tolist()
        [0.95, 1.0, 1.21]
    """
    a, u, d = np.broadcast_arrays(
        np.asarray(alpha, dtype=np.float64), np.asarray(log_up, dtype=np.float64), np.asarray(log_down, dtype=np.float64)
    )
    rate = np.where(a >= 0.0, u, -d)
    value = np.asarray(np.exp(rate * a))
    slope = np.asarray(rate * value)
    if code == "code4":
        inside = np.abs(a) < 1.0
        if inside.any():
            c = code4_coefficients(u, d) if coefficients is None else np.broadcast_to(coefficients, (6, *a.shape))
            x, polynomial, derivative = a[inside], np.zeros(int(inside.sum())), np.zeros(int(inside.sum()))
            for k in range(5, -1, -1):
                derivative = derivative * x + (k + 1) * c[k][inside]
                polynomial = (polynomial + c[k][inside]) * x
            value[inside], slope[inside] = 1.0 + polynomial, derivative
    return Interpolated(value, slope)


def shift(alpha: ArrayLike, up: ArrayLike, down: ArrayLike, *, code: ShiftCode = "code4p") -> Interpolated:
    """Interpolate differences.

    Args:
        alpha: Nuisance parameter, broadcast against the others.
        up: Varied less nominal at alpha = 1, (...).
        down: Varied less nominal at alpha = -1, (...).
        code: "code4p" or "code0".

    Returns:
        Differences to the nominal (0 at alpha = 0) and their derivatives.

    Examples:
        >>> shift([-1.0, 0.0, 2.0], 3.0, -1.0).value.tolist()
        [-1.0, 0.0, 6.0]
    """
    a, high, low = np.broadcast_arrays(
        np.asarray(alpha, dtype=np.float64), np.asarray(up, dtype=np.float64), -np.asarray(down, dtype=np.float64)
    )
    slope = np.where(a >= 0.0, high, low)
    value = slope * a
    if code == "code4p":
        inside = np.abs(a) < 1.0
        odd, even, square = 0.5 * (high + low), 0.0625 * (high - low), a * a
        value = np.where(inside, a * odd + square * (15.0 + square * (3.0 * square - 10.0)) * even, value)
        slope = np.where(inside, odd + a * (30.0 + square * (18.0 * square - 40.0)) * even, slope)
    return Interpolated(np.asarray(value), np.asarray(slope))


def log_quadratic(alpha: ArrayLike) -> Basis:
    """Compute the basis of the log-quadratic interpolation.

    ln g(alpha) = u p + d q: with a = (u - d)/2 and b = (u + d)/2 it is a alpha + b alpha^2 for abs(alpha) < 1 and
    a alpha + b (2 abs(alpha) - 1) beyond, so that value and derivative are continuous.

    Args:
        alpha: Nuisance parameters, (...).

    Returns:
        p, q and their derivatives by alpha, each (...).

    Examples:
        >>> [x.tolist() for x in log_quadratic([-1.0, 0.0, 1.0])[:2]]
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    a = np.asarray(alpha, dtype=np.float64)
    inside = np.abs(a) < 1.0
    even = np.where(inside, a * a, 2.0 * np.abs(a) - 1.0)
    even_slope = np.where(inside, 2.0 * a, 2.0 * np.sign(a))
    return Basis(0.5 * (even + a), 0.5 * (even - a), 0.5 * (even_slope + 1.0), 0.5 * (even_slope - 1.0))


def checked_logarithm(ratio: ArrayLike, *, where: str) -> FloatArray:
    """Take the logarithm of varied over nominal.

    Raises:
        PhysicsDomainError: A ratio that is not positive or not finite: a factor cannot be interpolated through zero.

    Examples:
        >>> checked_logarithm([1.0, 2.0], where="normsys").round(4)
        array([0.    , 0.6931])
    """
    r = np.asarray(ratio, dtype=np.float64)
    bad = ~(np.isfinite(r) & (r > 0.0))
    if bad.any():
        what = f"{where}: varied over nominal"
        position = np.unravel_index(int(np.argmax(bad)), r.shape)
        raise PhysicsDomainError(
            what,
            got=f"{r[position]} ({int(bad.sum())} not positive or not finite)",
            expected="finite numbers > 0",
            remedy="merge bins or enlarge the simulation of the variation",
        )
    return np.asarray(np.log(r))
