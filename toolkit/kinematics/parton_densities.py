"""Ratios of the parton densities of the proton to that of the gluon, which a q qbar and a gg process do not share.

They are fits to CTEQ6L1 (Pumplin et al., hep-ph/0201195), written by `benchmarks/matrix_elements.py` from the table of that set:

    ln f(x, Q) / g(x, Q) = sum over i < 10 and j < 3 of c_ij b_i(x) [ln(Q / 300 GeV)]^j

with b_i = (2 x^0.3 - 1)^i for i < 9 and b_9 = ln(1 - x). For 2e-4 < x < 0.2 and 100 < Q < 1000 GeV the ratio is right to 0.3 %, for
u and d to 0.1 %; for x < 0.5 to 3 %.
"""

from __future__ import annotations

import numpy as np

from toolkit.typing import FloatArray

# fmt: off
_COEFFICIENTS: dict[str, tuple[float, ...]] = {
    "u": (
        -0.25507, 0.10482, -0.00202, 4.89467, 0.13713, 0.0039, 0.65257, -0.01346, 0.0252, -0.52191,
        0.03389, 0.02458, 1.00924, 0.22227, -0.00366, -0.10197, -0.18901, 0.017, -0.01417, -0.23305,
        0.03974, 0.97096, 0.31614, 0.01022, 0.06762, 0.25719, -0.00506, 0.02179, 0.22178, 0.03986,
    ),
    "ubar": (
        -3.1403, -0.14551, 0.01782, -2.50688, -0.69822, 0.07461, -5.06248, -0.993, 0.10755, -2.36151,
        -0.78357, 0.087, -0.72201, -0.5722, 0.06263, -2.8527, -0.43702, 0.04631, -5.32817, -0.3823,
        0.05555, -4.60507, -0.40644, 0.07081, -1.84242, -0.19618, 0.03433, -9.20488, -1.95473, 0.22077,
    ),
    "d": (
        -0.66347, 0.08721, -0.0028, 4.36814, 0.10325, 7e-05, 0.84093, 0.00498, 0.01306, -0.29099,
        -0.00414, 0.01675, 1.50608, 0.07933, 0.00665, 0.01619, -0.14414, 0.01952, -1.72456, -0.11172,
        0.02474, 0.03051, 0.25769, -0.00024, 0.43383, 0.19382, -0.00713, 1.10574, 0.17362, 0.02412,
    ),
    "dbar": (
        -6.04098, 0.08757, 0.02473, -13.09021, 0.10245, 0.10001, -21.33277, 0.09514, 0.14051, -17.40387,
        0.11393, 0.1018, -9.94375, -0.04855, 0.07475, -7.35537, -0.28192, 0.08556, -11.74342, 0.25787,
        0.07202, -12.50638, 0.93517, 0.02781, -5.07381, 0.52758, 0.00144, -40.08199, 0.32096, 0.28203,
    ),
    "s": (
        -4.35313, -0.04494, 0.0257, -5.71539, -0.42016, 0.11271, -9.40543, -0.60825, 0.15602, -7.5271,
        -0.42209, 0.11402, -4.90222, -0.30499, 0.07659, -3.13273, -0.33373, 0.07349, -4.24809, -0.17187,
        0.08261, -5.38044, 0.05475, 0.07568, -2.65045, 0.06121, 0.03106, -17.62856, -1.1145, 0.31358,
    ),
    "c": (
        -4.7543, 0.21628, -0.00849, -6.17197, 0.42184, 0.00615, -8.77617, 0.49438, 0.01776, -6.07691,
        0.35999, 0.01535, -4.55628, 0.171, 0.01888, -3.80868, 0.12044, 0.02815, -2.78651, 0.4853,
        -0.00148, -1.87839, 0.75593, -0.03978, -0.85248, 0.35528, -0.02381, -15.8787, 1.08933, 0.03343,
    ),
    "b": (
        -5.01242, 0.31122, -0.02862, -5.60294, 0.55671, -0.02384, -7.47456, 0.66109, -0.02116, -5.23228,
        0.49683, -0.01518, -3.97269, 0.24182, 0.00622, -3.27534, 0.20556, 0.01596, -1.9133, 0.60782,
        -0.03669, -0.74494, 0.8659, -0.0881, -0.31022, 0.38776, -0.04415, -13.5114, 1.42626, -0.04573,
    ),
}
# fmt: on
"""c_ij by parton, row after row; s, c and b are those of the antiquark too."""


def gluon_ratio(parton: str, x: FloatArray, scale: FloatArray) -> FloatArray:
    """Compute the density of a parton over that of the gluon, shape (n,).

    Args:
        parton: `u`, `ubar`, `d`, `dbar`, `s`, `c` or `b`.
        x: Fraction of the momentum of the proton, shape (n,), in (0, 1).
        scale: Factorisation scale in GeV, shape (n,).

    Examples:
        >>> gluon_ratio("u", np.array([0.02, 0.2]), np.array([150.0, 150.0])).round(2).tolist()
        [0.13, 2.35]
    """
    coefficients = np.array(_COEFFICIENTS[parton]).reshape(10, 3)
    argument, level = 2.0 * x**0.3 - 1.0, np.log(scale / 300.0)
    basis = [*(argument**i for i in range(9)), np.log1p(-x)]
    exponent = np.sum([b * (c[0] + level * (c[1] + level * c[2])) for b, c in zip(basis, coefficients, strict=True)], axis=0)
    ratio: FloatArray = np.exp(exponent)
    return ratio


def annihilation_luminosity(x_quark: FloatArray, x_antiquark: FloatArray, scale: FloatArray, *, up: bool) -> FloatArray:
    """Compute the luminosity of quarks of one charge and their antiquarks over that of two gluons, shape (n,).

    Args:
        x_quark: Fraction of the momentum of the quark.
        x_antiquark: Fraction of the momentum of the antiquark.
        scale: Factorisation scale in GeV.
        up: Quarks u and c; otherwise d, s and b.

    Examples:
        >>> x, scale = np.array([0.03]), np.array([150.0])
        >>> annihilation_luminosity(x, x, scale, up=True).round(4).tolist()
        [0.0164]
    """
    pairs = (("u", "ubar"), ("c", "c")) if up else (("d", "dbar"), ("s", "s"), ("b", "b"))
    products = [gluon_ratio(quark, x_quark, scale) * gluon_ratio(anti, x_antiquark, scale) for quark, anti in pairs]
    luminosity: FloatArray = np.sum(products, axis=0)
    return luminosity


def coupling_squared(scale: FloatArray) -> FloatArray:
    """Compute alpha_s^2 at one loop with five flavours and alpha_s(M_Z) = 0.130, as CTEQ6L1 has it, shape (n,).

    Examples:
        >>> (coupling_squared(np.array([91.1876])) ** 0.5).round(3).tolist()
        [0.13]
    """
    slope = (33.0 - 2.0 * 5.0) / (12.0 * np.pi)
    value: FloatArray = (1.0 / 0.130 + slope * np.log(scale**2 / 91.1876**2)) ** -2
    return value
