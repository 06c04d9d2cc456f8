"""Squared leading-order matrix elements of four leptons: gg -> H* -> ZZ -> 4l and q qbar -> ZZ -> 4l.

Leptons and light quarks are massless, Z bosons have a fixed width, and the leptons of the two pairs count as different. Above the ZZ
threshold identical leptons interfere by less than 0.2 %, but for one event of 4e or 4mu in 1300: with two leptons of different pairs
within a few GeV, the photon between them adds up to 18 %. The coupling of a fermion f with charge Q and isospin T to a Z is
e g with g_left = (T - Q s^2) / (s c), g_right = -Q s / c, s = sin(theta_W).

Everything here is in the rest frame of the four leptons, the beams along z. A partonic system that recoils against radiation has no
unique beam axis; it is that of the decay angles (`recoil`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolkit.kinematics.angles import Recoil
from toolkit.kinematics.fourvectors import boost_to_rest, boost_transverse, mass_of
from toolkit.kinematics.spinors import ComplexArray, SpinorProducts
from toolkit.typing import FloatArray

M_Z, GAMMA_Z = 91.1876, 2.4952
M_H, GAMMA_H = 125.0, 0.00407
M_TOP, M_BOTTOM = 173.2, 4.75
SIN2_THETA_W = 0.2312
"""Values of the benchmark sample; masses and widths in GeV."""

_NORM = np.sqrt(SIN2_THETA_W * (1.0 - SIN2_THETA_W))
_LEPTON = ((-0.5 + SIN2_THETA_W) / _NORM, SIN2_THETA_W / _NORM)
"""Left and right coupling of a charged lepton to the Z, in units of e."""

ANNIHILATION_TO_HIGGS = 768.0 * np.pi**2 * (SIN2_THETA_W * (1.0 - SIN2_THETA_W)) ** 2
"""Colours, spins and couplings of `annihilation_squared` over those of `higgs_squared`, without alpha_s^2."""

# Labels of the spinors: quark, antiquark, negative and positive lepton of each pair.
Q1, Q2, A1, B1, A2, B2 = range(6)


@dataclass(frozen=True, eq=False)
class PartonicEvent:
    """Momenta of 1 2 -> a1 b1 a2 b2 in the rest frame of the four leptons, massless.

    Attributes:
        momenta: Parton along +z, parton along -z, a1, b1, a2, b2; components (4, n) in GeV.
        m4l: Mass of the four leptons in GeV, shape (n,).
        y4l: Rapidity of the four leptons in the laboratory, shape (n,).
    """

    momenta: tuple[FloatArray, ...]
    m4l: FloatArray
    y4l: FloatArray

    @classmethod
    def of(cls, a1: FloatArray, b1: FloatArray, a2: FloatArray, b2: FloatArray, *, recoil: Recoil = "none") -> PartonicEvent:
        """Boost leptons from the laboratory, components (4, n), and give them energies E = |p|.

        Examples:
            >>> a1, b1 = np.array([[5.0], [3.0], [0.0], [34**0.5]]), np.array([[-5.0], [3.0], [0.0], [34**0.5]])
            >>> event = PartonicEvent.of(a1, b1, a1 * [[1.0], [-1.0], [1.0], [1.0]], b1 * [[1.0], [-1.0], [1.0], [1.0]])
            >>> event.m4l.round(3).tolist(), event.momenta[0].T.round(3).tolist()
            ([23.324], [[0.0, 0.0, 11.662, 11.662]])
        """
        leptons = (a1, b1, a2, b2)
        x = a1 + b1 + a2 + b2
        rapidity = np.arctanh(x[2] / x[3])
        if recoil == "transverse":
            leptons = tuple(boost_transverse(p, x) for p in leptons)  # type: ignore[assignment]
            x = leptons[0] + leptons[1] + leptons[2] + leptons[3]
        mass = mass_of(x)
        rest = [boost_to_rest(p, x, mass) for p in leptons]
        for p in rest:
            p[3] = np.sqrt(p[0] ** 2 + p[1] ** 2 + p[2] ** 2)
        m4l = rest[0][3] + rest[1][3] + rest[2][3] + rest[3][3]
        zero, half = np.zeros_like(m4l), 0.5 * m4l
        beams = np.stack([zero, zero, half, half]), np.stack([zero, zero, -half, half])
        return cls((*beams, *rest), m4l, rapidity)


def higgs_squared(event: PartonicEvent) -> FloatArray:
    """Compute the squared matrix element of gg -> H* -> ZZ -> 4l over alpha_s^2, up to a constant, shape (n,).

    Notes:
        The product of the squares of the loops of top and bottom, of the propagator of the Higgs boson and of its decay: for leptons of
        the same (opposite) helicity |<a1 a2> [b1 b2]|^2 (|<a1 b2> [b1 a2]|^2).

    References:
        Djouadi, hep-ph/0503172, equations 2.43 and 2.46 (the loop); Campbell, Ellis, Williams, arXiv:1107.5569, equation 9 (the decay).
    """
    products = SpinorProducts(event.momenta)
    left, right = _LEPTON
    same = products.invariant(A1, A2) * products.invariant(B1, B2)
    opposite = products.invariant(A1, B2) * products.invariant(B1, A2)
    decay = (left**4 + right**4) * same + 2.0 * left**2 * right**2 * opposite
    propagators = np.abs(z_propagator(products.invariant(A1, B1)) * z_propagator(products.invariant(A2, B2))) ** 2
    s = event.m4l**2
    higgs = 1.0 / ((s - M_H**2) ** 2 + (M_H * GAMMA_H) ** 2)
    squared: FloatArray = np.abs(higgs_loop(event.m4l)) ** 2 * s**2 * higgs * propagators * decay
    return squared


def higgs_loop(m4l: FloatArray) -> ComplexArray:
    """Compute the amplitude of the loops of top and bottom over that of a top of infinite mass, shape (n,).

    References:
        Djouadi, hep-ph/0503172, equations 2.43 to 2.47: 3/2 tau [1 + (1 - tau) f(tau)], tau = 4 m^2 / m4l^2.

    Examples:
        >>> higgs_loop(np.array([200.0, 500.0])).round(2).tolist()
        [(1.06+0.04j), (1.32+1.08j)]
    """
    total = np.zeros(np.shape(m4l), dtype=np.complex128)
    for mass in (M_TOP, M_BOTTOM):
        tau = 4.0 * mass**2 / m4l**2
        below = np.arcsin(1.0 / np.sqrt(np.maximum(tau, 1.0))) ** 2
        beta = np.sqrt(np.maximum(1.0 - tau, 0.0))
        above = -0.25 * (np.log((1.0 + beta) / (1.0 - np.minimum(beta, 1.0 - 1e-15))) - 1j * np.pi) ** 2
        total += 1.5 * tau * (1.0 + (1.0 - tau) * np.where(tau >= 1.0, below, above))
    return total


def annihilation_squared(event: PartonicEvent, *, from_positive: bool) -> tuple[FloatArray, FloatArray]:
    """Compute the squared matrix elements of q qbar -> 4l, summed over helicities, up to a constant.

    Args:
        event: The momenta.
        from_positive: The quark comes along +z; otherwise the antiquark does.

    Returns:
        Those of a quark of charge 2/3 and of one of charge -1/3, each (n,).

    Notes:
        Three groups of diagrams, each with Z and photon: both bosons from the quarks (t and u channel), and one s-channel boson whose
        leptons radiate the other pair: tiny with two Z on their poles, up to 10 % far from them.

    References:
        Gunion, Kunszt, Phys. Rev. D 33 (1986) 665; Dixon, Kunszt, Signer, hep-ph/9803250, section 2 (tree amplitudes in this form).
    """
    beams = event.momenta[:2] if from_positive else event.momenta[1::-1]
    products = SpinorProducts((*beams, *event.momenta[2:]))
    pairs = products.invariant(A1, B1), products.invariant(A2, B2)
    s = event.m4l**2
    amplitudes = {(h1, h2): _left_quark(products, h1, h2) for h1 in (0, 1) for h2 in (0, 1)}
    # What an s-channel boson makes radiates as its charge and its couplings to the leptons say, whatever the quark.
    radiated = {h: tuple(_exchange(pair, 1.0, h) for pair in pairs) for h in {a * b for a in _LEPTON for b in _LEPTON}}
    totals = []
    for charge, isospin in ((2.0 / 3.0, 0.5), (-1.0 / 3.0, -0.5)):
        total = np.zeros_like(s)
        for hq, quark in enumerate(((isospin - charge * SIN2_THETA_W) / _NORM, -charge * SIN2_THETA_W / _NORM)):
            # Quark to leptons of each helicity, through a boson of the mass of the first pair, of the second, and of all four.
            bosons = {h: tuple(_exchange(v, -charge, quark * _LEPTON[h]) for v in (*pairs, s)) for h in (0, 1)}
            for (h1, h2), left in amplitudes.items():
                # Parity: a right quark with leptons (h1, h2) is the conjugate of a left quark with the opposite leptons.
                both, first, second = left if hq == 0 else (np.conj(a) for a in amplitudes[1 - h1, 1 - h2])
                by_first, by_second = radiated[_LEPTON[h1] * _LEPTON[h2]]
                amplitude = bosons[h1][0] * bosons[h2][1] * both
                amplitude += bosons[h1][2] * by_second * first + bosons[h2][2] * by_first * second
                total += amplitude.real**2 + amplitude.imag**2
        totals.append(total)
    return totals[0], totals[1]


def z_propagator(s: FloatArray) -> ComplexArray:
    """Compute the propagator of the Z boson at a squared mass in GeV^2, shape (n,).

    Examples:
        >>> z_propagator(np.array([M_Z**2])).round(5).tolist()
        [-0.00439j]
    """
    return np.asarray(1.0 / (s - M_Z**2 + 1j * M_Z * GAMMA_Z), dtype=np.complex128)


def _exchange(s: FloatArray, charges: float, couplings: float) -> ComplexArray:
    """Compute the sum of photon and Z between two fermions with these products of charges and couplings, shape (n,)."""
    return charges / s + couplings * z_propagator(s)


def _left_quark(products: SpinorProducts, h1: int, h2: int) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
    """Compute the amplitudes of a left quark without couplings and propagators of bosons, each (n,).

    Args:
        products: Spinor products of quark, antiquark and leptons.
        h1: Helicity of the negative lepton of the first pair: 0 left, 1 right, which exchanges it with the positive one.
        h2: The same for the second pair.

    Returns:
        Both pairs from the quarks; the second pair from the leptons of the first; the first from those of the second.
    """
    i, j = (A1, B1) if h1 == 0 else (B1, A1)
    k, m = (A2, B2) if h2 == 0 else (B2, A2)
    both = _from_quarks(products, i, j, k, m) + _from_quarks(products, k, m, i, j)
    # Reversing a line of three vertices changes its sign with that of its one propagator.
    first, second = _from_leptons(products, i, j, k, m), _from_leptons(products, k, m, i, j)
    return both, first if h1 == 0 else -first, second if h2 == 0 else -second


def _from_quarks(products: SpinorProducts, i: int, j: int, k: int, m: int) -> ComplexArray:
    """Compute <q2 k> [m| q1 - i - j |i> [j q1] / (q1 - i - j)^2: the quark radiates the pair (i, j) first, shape (n,)."""
    chain = products.square(m, Q1) * products.angle(Q1, i) - products.square(m, j) * products.angle(j, i)
    t = products.invariant(i, j) - products.invariant(Q1, i) - products.invariant(Q1, j)
    amplitude: ComplexArray = products.angle(Q2, k) * chain * products.square(j, Q1) / t
    return amplitude


def _from_leptons(products: SpinorProducts, i: int, j: int, k: int, m: int) -> ComplexArray:
    """Compute the amplitude in which the line of (i, j), made by an s-channel boson, radiates the pair (k, m), shape (n,)."""
    first = products.angle(i, k) * products.sandwich(m, (i, k), Q2) * products.square(Q1, j) / products.invariant(i, k, m)
    last = products.angle(i, Q2) * products.sandwich(Q1, (j, m), k) * products.square(m, j) / products.invariant(j, k, m)
    amplitude: ComplexArray = first - last
    return amplitude
