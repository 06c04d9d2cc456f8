"""The nine functions of angles that the squared amplitude of V V' with one leptonic decay is a sum of.

With Theta the production angle of the vector boson, theta the decay angle of its negative lepton and phi the azimuth between the
planes of production and decay, |M|^2 = sum_k a_k f_k, where the a_k depend on masses and couplings:

    f1 = sin^2 Theta sin^2 theta            f4 = cos phi sin Theta sin theta    f6 = sin phi sin Theta sin theta
    f2 = cos Theta cos theta                f5 = f4 cos Theta cos theta         f7 = f6 cos Theta cos theta
    f3 = (1 + cos^2 Theta)(1 + cos^2 theta)
    f8 = cos 2 phi sin^2 Theta sin^2 theta  f9 = sin 2 phi sin^2 Theta sin^2 theta

f8 and f9 carry cos 2 phi and sin 2 phi, which are orthogonal to f1; squares of cos phi and sin phi would not be. The functions with
sin phi (f6, f7, f9) change their sign under time reversal without exchange of in and out states: their means vanish at tree level
without CP violation.
"""

from __future__ import annotations

import numpy as np

from toolkit.typing import FloatArray


def angular_functions(cos_production: FloatArray, cos_decay: FloatArray, phi: FloatArray) -> FloatArray:
    """Compute f1 ... f9.

    Args:
        cos_production: cos Theta, shape (n,), in [-1, 1].
        cos_decay: cos theta, shape (n,), in [-1, 1].
        phi: Azimuth between the planes in radians, shape (n,).

    Returns:
        The functions, shape (9, n); NaN where an angle is.

    References:
        Banerjee, Gupta, Reiness, Seth, Spannowsky, arXiv:1912.07628, equation 8.

    Examples:
        >>> angular_functions(np.array([0.0]), np.array([0.0]), np.array([np.pi / 4]))[:, 0].round(3).tolist()
        [1.0, 0.0, 1.0, 0.707, 0.0, 0.707, 0.0, 0.0, 1.0]
    """
    square_1, square_2 = 1.0 - cos_production**2, 1.0 - cos_decay**2
    sines, cosines = np.sqrt(square_1 * square_2), cos_production * cos_decay
    along, across = np.cos(phi) * sines, np.sin(phi) * sines
    return np.stack(
        [
            square_1 * square_2,
            cosines,
            (1.0 + cos_production**2) * (1.0 + cos_decay**2),
            along,
            along * cosines,
            across,
            across * cosines,
            np.cos(2.0 * phi) * square_1 * square_2,
            np.sin(2.0 * phi) * square_1 * square_2,
        ]
    )


def angular_overlaps() -> FloatArray:
    """Compute the integrals of f_j f_k over the sphere of each angle, shape (9, 9).

    Notes:
        Only f1 and f3 overlap. The integrals run over both cosines and phi; the azimuth of the whole event is left out.

    Examples:
        >>> overlaps = angular_overlaps() / (2 * np.pi)
        >>> overlaps[[0, 0, 2, 3, 7], [0, 2, 2, 3, 7]].round(6).tolist()
        [1.137778, 2.56, 13.937778, 0.888889, 0.568889]
        >>> bool(overlaps[0, 7] == 0.0)
        True
    """
    sine_4, sine_cosine = 16.0 / 15.0, 4.0 / 15.0  # integrals of sin^4 and sin^2 cos^2 over the cosine
    sine_2, cosine_2, one_plus, mixed = 4.0 / 3.0, 2.0 / 3.0, 56.0 / 15.0, 8.0 / 5.0  # (1 + cos^2)^2; sin^2 (1 + cos^2)
    half = [sine_2**2, sine_cosine**2, sine_2**2, sine_cosine**2, sine_4**2, sine_4**2]
    overlaps = np.diag(2.0 * np.pi * np.array([sine_4**2, cosine_2**2, one_plus**2, *(0.5 * h for h in half)]))
    overlaps[0, 2] = overlaps[2, 0] = 2.0 * np.pi * mixed**2
    return overlaps
