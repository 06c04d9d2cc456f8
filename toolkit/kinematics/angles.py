"""Decay angles of X -> Z1 Z2 -> 4l.

Conventions of Gao et al. (arXiv:1001.3396) and Bolognesi et al. (arXiv:1208.4018). With hats for unit vectors,
the beam axis z unrotated, and momenta in the X frame after one direct boost of the laboratory momenta:

    n1 = unit(a1 x b1)     n2 = unit(a2 x b2)     nsc = unit(z x Z1)               X frame
    cos_theta_star = z . Z1hat                                                     X frame
    cos_theta_1 = - Z2hat . a1hat                                                  Z1 frame
    cos_theta_2 = - Z1hat . a2hat                                                  Z2 frame
    phi   = sign(Z1hat . (n1 x n2))  arccos(-n1 . n2)                              X frame
    phi_1 = sign(Z1hat . (n1 x nsc)) arccos( n1 . nsc)                             X frame
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

from toolkit.errors import SchemaError
from toolkit.kinematics.fourvectors import boost_to_rest, boost_transverse, chunked, mass_of, same_length
from toolkit.typing import BoolArray, FloatArray

Recoil = Literal["none", "transverse"]

PLANE_TOLERANCE = 1e-12
"""Two momenta whose angle has a sine below this span no plane: the angle of such a plane would be rounding noise."""


@dataclass(frozen=True, eq=False)
class DecayAngles:
    """Decay angles, each of shape (n,), NaN where undefined.

    Attributes:
        cos_theta_star: Cosine of the polar angle of Z1 in the X frame.
        cos_theta_1: Cosine of the decay angle of the negative lepton of Z1.
        cos_theta_2: Cosine of the decay angle of the negative lepton of Z2.
        phi: Angle between the two decay planes, radians in (-pi, pi].
        phi_1: Angle between the decay plane of Z1 and the scattering plane, radians in (-pi, pi].

    Examples:
        Two Z at rest in the frame of X have no direction of flight, so that no angle is defined:

        >>> lepton, other = [[0.0, 0.0, 45.0, 45.0]], [[0.0, 0.0, -45.0, 45.0]]
        >>> decay_angles(lepton, other, lepton, other).n_undefined
        1
    """

    cos_theta_star: FloatArray
    cos_theta_1: FloatArray
    cos_theta_2: FloatArray
    phi: FloatArray
    phi_1: FloatArray

    @property
    def n_undefined(self) -> int:
        """Number of events in which at least one angle is undefined."""
        return int(np.sum(np.any([np.isnan(getattr(self, f.name)) for f in fields(self)], axis=0)))


def decay_angles(a1: Any, b1: Any, a2: Any, b2: Any, *, recoil: Recoil = "none") -> DecayAngles:
    """Compute the five decay angles of X -> Z1 Z2, Z1 -> a1 b1, Z2 -> a2 b2.

    Args:
        a1: Negative lepton of Z1, laboratory frame, px, py, pz, E in GeV, shape (n, 4); any form of `as_cartesian`.
        b1: Positive lepton of Z1.
        a2: Negative lepton of Z2.
        b2: Positive lepton of Z2.
        recoil: `none`: the beam axis is the laboratory +z axis, used in the X frame. `transverse`: first boost
            all leptons by the transverse velocity of X, so that pT(4l) = 0; changes cos_theta_star and phi_1 only.

    Returns:
        The angles, float64. Cosines in [-1, 1]; phi and phi_1 in (-pi, pi], 0 where the sign is 0.

    Raises:
        ShapeError: The momenta are not (n, 4) or differ in length.
        SchemaError: Unknown `recoil`.

    Notes:
        Undefined angles (a plane spanned by parallel momenta, a Z at rest in the X frame, a massless Z, NaN
        input) are NaN and counted by `n_undefined`, never filled. The decay cosines are computed along the
        direction of flight of each Z, which boosts that differ from the direct one by a rotation leave as it
        is. Planes are compared with arctan2 of sine and cosine, accurate where arccos loses half the digits.

    References:
        Gao et al., arXiv:1001.3396, figure 1; Bolognesi et al., arXiv:1208.4018, appendix A.

    Examples:
        All decays perpendicular to the flight of the Z, which is along y:

        >>> a1, b1 = [[5.0, 3.0, 0.0, 34**0.5]], [[-5.0, 3.0, 0.0, 34**0.5]]
        >>> a2, b2 = [[5.0, -3.0, 0.0, 34**0.5]], [[-5.0, -3.0, 0.0, 34**0.5]]
        >>> angles = decay_angles(a1, b1, a2, b2)
        >>> float(angles.cos_theta_star[0]), float(angles.cos_theta_1[0]), float(angles.phi[0]), float(angles.phi_1[0])
        (0.0, 0.0, 0.0, -1.5707963267948966)
    """
    if recoil not in ("none", "transverse"):
        raise SchemaError(what="recoil", got=recoil, expected="'none' or 'transverse'")
    momenta = same_length(a1=a1, b1=b1, a2=a2, b2=b2)
    out = np.empty((5, len(momenta[0])))
    with np.errstate(all="ignore"):
        for part, (p1, q1, p2, q2) in chunked(*momenta):
            z1, z2 = p1 + q1, p2 + q2
            x = z1 + z2
            out[:, part] = decay_angle_kernel(p1, p2, z1, x, masses=(mass_of(x), mass_of(z1), mass_of(z2)), recoil=recoil)
    return DecayAngles(*out)


def decay_angle_kernel(
    a1: FloatArray, a2: FloatArray, z1: FloatArray, x: FloatArray, *, masses: tuple[FloatArray, FloatArray, FloatArray], recoil: Recoil
) -> tuple[FloatArray, ...]:
    """Compute the decay angles from laboratory components (4, n); the positive leptons follow from the sums.

    Args:
        a1: Negative lepton of Z1.
        a2: Negative lepton of Z2.
        z1: First Z.
        x: Sum of the four leptons.
        masses: Masses of X, Z1 and Z2, each (n,).
        recoil: See `decay_angles`.

    Returns:
        cos_theta_star, cos_theta_1, cos_theta_2, phi, phi_1, each (n,).

    Examples:
        >>> a1, b1 = np.array([[5.0], [3.0], [0.0], [34**0.5]]), np.array([[-5.0], [3.0], [0.0], [34**0.5]])
        >>> a2, b2 = a1 * [[1.0], [-1.0], [1.0], [1.0]], b1 * [[1.0], [-1.0], [1.0], [1.0]]
        >>> z1, x = a1 + b1, a1 + b1 + a2 + b2
        >>> masses = (mass_of(x), mass_of(z1), mass_of(a2 + b2))
        >>> [round(float(angle[0]), 3) for angle in decay_angle_kernel(a1, a2, z1, x, masses=masses, recoil="none")]
        [0.0, 0.0, 0.0, 0.0, -1.571]
    """
    m_x, m_1, m_2 = masses
    if recoil == "transverse":
        a1, a2, z1, x = (boost_transverse(p, x) for p in (a1, a2, z1, x))
    a, b, q = (boost_to_rest(p, x, m_x) for p in (a1, a2, z1))
    normal_1, normal_2 = cross(a, q), cross(b, q)
    square_1, square_2, transverse = dot(normal_1, normal_1), dot(normal_2, normal_2), q[0] ** 2 + q[1] ** 2
    square_q = transverse + q[2] ** 2
    flight = np.sqrt(square_q)
    cos_1 = _decay_cosine(dot(a, q), square_1, a[3] * square_q, z=(q[3], m_1))
    cos_2 = _decay_cosine(-dot(b, q), square_2, b[3] * square_q, z=(m_x - q[3], m_2))
    tolerance = PLANE_TOLERANCE**2 * square_q
    plane_1, plane_2 = square_1 > tolerance * dot(a, a), square_2 > tolerance * dot(b, b)
    phi = plane_angle(-flight * dot(a, normal_2), dot(normal_1, normal_2), defined=plane_1 & plane_2)
    sine, cosine = flight * (a[1] * q[0] - a[0] * q[1]), normal_1[1] * q[0] - normal_1[0] * q[1]
    phi_1 = plane_angle(sine, cosine, defined=plane_1 & (transverse > tolerance))
    return q[2] / flight, cos_1, cos_2, phi, phi_1


def plane_angle(sine: FloatArray, cosine: FloatArray, *, defined: BoolArray) -> FloatArray:
    """Compute sign(sine) * arccos(cosine / norm) in (-pi, pi] with sign(0) = 0; NaN where not defined, shape (n,).

    Examples:
        >>> sine, cosine = np.array([1.0, -1.0, 0.0]), np.array([0.0, 1.0, -1.0])
        >>> plane_angle(sine, cosine, defined=np.array([True, True, True])) / np.pi
        array([ 0.5 , -0.25,  0.  ])
    """
    angle = np.arctan2(sine, cosine)
    angle[angle == -np.pi] = np.pi
    angle[sine == 0.0] = 0.0
    angle[np.logical_not(defined)] = np.nan
    return angle


def dot(p: FloatArray, q: FloatArray) -> FloatArray:
    """Compute the scalar product of three-momenta, components (>= 3, n), shape (n,).

    Examples:
        >>> dot(np.array([[1.0], [2.0], [3.0]]), np.array([[4.0], [5.0], [6.0]]))
        array([32.])
    """
    product: FloatArray = p[0] * q[0] + p[1] * q[1] + p[2] * q[2]
    return product


def cross(p: FloatArray, q: FloatArray) -> FloatArray:
    """Compute the vector product of three-momenta, components (>= 3, n), shape (3, n).

    Examples:
        >>> cross(np.array([[1.0], [0.0], [0.0]]), np.array([[0.0], [1.0], [0.0]])).T
        array([[0., 0., 1.]])
    """
    product = np.empty((3, p.shape[1]))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        np.subtract(p[j] * q[k], p[k] * q[j], out=product[i])
    return product


def _decay_cosine(along: FloatArray, across: FloatArray, energy: FloatArray, *, z: tuple[FloatArray, FloatArray]) -> FloatArray:
    """Compute the cosine of a lepton l to the flight q of its Z, in the Z frame, from X-frame components.

    Args:
        along: l . q, shape (n,).
        across: |l x q|^2.
        energy: Energy of the lepton times |q|^2.
        z: Energy and mass of the Z.

    Returns:
        Cosine, shape (n,). NaN where the Z has no mass.
    """
    energy_z, mass_z = z
    boosted = energy_z * along - energy
    cosine: FloatArray = boosted / np.sqrt(boosted**2 + mass_z**2 * across)
    cosine[mass_z == 0.0] = np.nan
    return cosine
