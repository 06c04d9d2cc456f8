"""Production angles of q q' -> X j1 j2 by fusion of V1 and V2, with X -> Z1 Z2.

The jets are made massless first; j1 is the one with larger pz. The incoming partons P1 (along +z) and P2 are
those of X + j1 + j2 after a boost by its transverse velocity. In the X frame

    V1 = j1 - P1      V2 = j2 - P2      q2_v1 = -V1^2      q2_v2 = -V2^2
    m1 = unit(j1 x (-P1))      m2 = unit(j2 x (-P2))      m3 = unit(Z2 x V1)
    cos_theta_star = V1hat . Z2hat      cos_theta_1 = V1hat . j1hat      cos_theta_2 = V2hat . j2hat
    phi = sign((m1 x m2) . V1) arccos(-m1 . m2)      phi_1 = sign((m1 x m3) . V1) arccos(m1 . m3)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.kinematics.angles import PLANE_TOLERANCE, cross, dot, plane_angle
from toolkit.kinematics.fourvectors import boost_to_rest, boost_transverse, chunked, mass_of, mass_squared, same_length
from toolkit.typing import FloatArray


@dataclass(frozen=True, eq=False)
class VbfAngles:
    """Production angles and virtualities, each of shape (n,), NaN where undefined.

    Attributes:
        cos_theta_star: Cosine of Z2 to V1.
        cos_theta_1: Cosine of j1 to V1.
        cos_theta_2: Cosine of j2 to V2.
        phi: Angle between the two production planes, radians in (-pi, pi].
        phi_1: Angle between the plane of j1 and the plane of the Z bosons, radians in (-pi, pi].
        q2_v1: Minus the squared momentum of V1, GeV^2, >= 0 up to rounding.
        q2_v2: Minus the squared momentum of V2, GeV^2.
    """

    cos_theta_star: FloatArray
    cos_theta_1: FloatArray
    cos_theta_2: FloatArray
    phi: FloatArray
    phi_1: FloatArray
    q2_v1: FloatArray
    q2_v2: FloatArray


def vbf_angles(a1: Any, b1: Any, a2: Any, b2: Any, j1: Any, j2: Any) -> VbfAngles:  # noqa: PLR0917 - six momenta of one event
    """Compute the production angles of four leptons and two jets.

    Args:
        a1: Negative lepton of Z1, laboratory frame, px, py, pz, E in GeV, shape (n, 4); any form of `as_cartesian`.
        b1: Positive lepton of Z1.
        a2: Negative lepton of Z2.
        b2: Positive lepton of Z2.
        j1: One of the two jets.
        j2: The other; their order does not matter.

    Returns:
        Angles and virtualities. NaN where a jet is missing (NaN) or a plane is undefined.

    Raises:
        ShapeError: The momenta are not (n, 4) or differ in length.

    References:
        Bolognesi et al., arXiv:1208.4018; Anderson et al., arXiv:1309.4819, figure 1 and appendix A.

    Examples:
        Two Z back to back along x, two jets forward and backward in the same plane:

        >>> a1, b1 = [[50.0, 40.0, 0.0, 4100**0.5]], [[50.0, -40.0, 0.0, 4100**0.5]]
        >>> a2, b2 = [[-50.0, 40.0, 0.0, 4100**0.5]], [[-50.0, -40.0, 0.0, 4100**0.5]]
        >>> j1, j2 = [[30.0, 0.0, 400.0, 160900**0.5]], [[-30.0, 0.0, -400.0, 160900**0.5]]
        >>> angles = vbf_angles(a1, b1, a2, b2, j1, j2)
        >>> round(float(angles.phi[0]), 3), round(float(angles.q2_v1[0]), 1), round(float(angles.q2_v2[0]), 1)
        (0.0, 1189.0, 1189.0)
    """
    momenta = same_length(a1=a1, b1=b1, a2=a2, b2=b2, j1=j1, j2=j2)
    out = np.empty((7, len(momenta[0])))
    with np.errstate(all="ignore"):
        for part, (p1, q1, p2, q2, jet_1, jet_2) in chunked(*momenta):
            z2 = p2 + q2
            out[:, part] = vbf_kernel(p1 + q1 + z2, z2, *massless_jets(jet_1, jet_2))
    return VbfAngles(*out)


def massless_jets(j1: FloatArray, j2: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Make two jets massless without changing their sum or their common axis in the dijet frame.

    Args:
        j1: First jet, components (4, n).
        j2: Second jet.

    Returns:
        The massless jets, components (4, n).

    Examples:
        >>> j1, j2 = np.array([[30.0], [0.0], [400.0], [402.0]]), np.array([[-30.0], [0.0], [-400.0], [402.0]])
        >>> one, two = massless_jets(j1, j2)
        >>> mass_squared(j1).round(6), mass_squared(one).round(6) + 0.0, (one + two - j1 - j2).round(6).T + 0.0
        (array([704.]), array([0.]), array([[0., 0., 0., 0.]]))
    """
    total = j1 + j2
    squared = mass_squared(total)
    product = j1[3] * total[3] - dot(j1, total)
    axis = j1 - total * (product / squared)
    half = axis * (0.5 * np.sqrt(squared / -mass_squared(axis)))
    return 0.5 * total + half, 0.5 * total - half


def incoming_partons(total: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Compute massless partons along +z and -z of the frame without transverse momentum, in the laboratory frame.

    Args:
        total: X + j1 + j2, components (4, n).

    Returns:
        P1 (moving along +z in that frame) and P2, which sum to `total`.

    Examples:
        A system at rest of 600 GeV comes from two partons of 300 GeV each:

        >>> one, two = incoming_partons(np.array([[0.0], [0.0], [0.0], [600.0]]))
        >>> one.T, two.T
        (array([[  0.,   0., 300., 300.]]), array([[   0.,    0., -300.,  300.]]))
    """
    flat = boost_transverse(total, total)
    zero = np.zeros_like(flat[3])
    plus, minus = 0.5 * (flat[3] + flat[2]), 0.5 * (flat[3] - flat[2])
    p1, p2 = np.stack([zero, zero, plus, plus]), np.stack([zero, zero, -minus, minus])
    return boost_transverse(p1, total, sign=1.0), boost_transverse(p2, total, sign=1.0)


def vbf_kernel(x: FloatArray, z2: FloatArray, jet_1: FloatArray, jet_2: FloatArray) -> tuple[FloatArray, ...]:
    """Compute the production angles from laboratory components (4, n); the jets come from `massless_jets`.

    Args:
        x: Sum of the four leptons.
        z2: Second Z.
        jet_1: One massless jet.
        jet_2: The other.

    Returns:
        The fields of `VbfAngles` in their order, each (n,).

    Examples:
        >>> x, z2 = np.array([[0.0], [0.0], [0.0], [256.0]]), np.array([[-100.0], [0.0], [0.0], [128.0]])
        >>> j1, j2 = np.array([[30.0], [0.0], [400.0], [160900**0.5]]), np.array([[-30.0], [0.0], [-400.0], [160900**0.5]])
        >>> [round(float(value[0]), 3) for value in vbf_kernel(x, z2, j1, j2)[-2:]]  # the virtualities
        [1188.858, 1188.858]
    """
    forward = jet_1[2] >= jet_2[2]
    j1, j2 = np.where(forward, jet_1, jet_2), np.where(forward, jet_2, jet_1)
    p1, p2 = incoming_partons(x + j1 + j2)
    mass = mass_of(x)
    z2, j1, j2, p1, p2 = (boost_to_rest(p, x, mass) for p in (z2, j1, j2, p1, p2))
    v1, v2 = j1 - p1, j2 - p2
    m1, m2, m3 = cross(p1, j1), cross(p2, j2), cross(z2, v1)
    size_v1 = np.sqrt(dot(v1, v1))
    planes = [dot(m, m) > PLANE_TOLERANCE**2 * dot(p, p) * dot(q, q) for m, p, q in ((m1, p1, j1), (m2, p2, j2), (m3, z2, v1))]
    phi = plane_angle(dot(cross(m1, m2), v1) / size_v1, -dot(m1, m2), defined=planes[0] & planes[1])
    phi_1 = plane_angle(dot(cross(m1, m3), v1) / size_v1, dot(m1, m3), defined=planes[0] & planes[2])
    return _cosine(v1, z2), _cosine(v1, j1), _cosine(v2, j2), phi, phi_1, -mass_squared(v1), -mass_squared(v2)


def _cosine(p: FloatArray, q: FloatArray) -> FloatArray:
    """Compute the cosine between three-momenta, clipped to [-1, 1], shape (n,)."""
    cosine: FloatArray = np.clip(dot(p, q) / np.sqrt(dot(p, p) * dot(q, q)), -1.0, 1.0)
    return cosine
