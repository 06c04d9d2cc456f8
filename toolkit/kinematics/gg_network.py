"""The squared matrix elements of gg -> (H* ->) ZZ -> 4l with box and interference, and of the box alone, from small networks.

The box of five light and two heavy quarks has no short formula, but its dependence on the decay angles has: in the helicities of the
two bosons the squared matrix element is a sum of products of nine functions of the decay of each, 81 in all. The coefficients are
smooth functions of m4l, the masses of the pairs and the production angle once the propagators of the Z bosons are divided out
(photons add polynomials of the masses). A network gives these coefficients. It has learned them from the exact values at the points
of a benchmark sample; `benchmarks/matrix_elements.py` trains both and says how accurate they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import onnxruntime

from toolkit.kinematics.angles import cross, dot
from toolkit.kinematics.matrix_elements import M_Z, PartonicEvent, z_propagator
from toolkit.typing import BoolArray, FloatArray

FILE, BOX_FILE = "gg_network.onnx", "box_network.onnx"
M4L_RANGE, M_LL_RANGE = (200.0, 2000.0), (40.0, 140.0)
"""Where the network was trained, in GeV."""


@dataclass(frozen=True, eq=False)
class NetworkInputs:
    """What the network needs of each event.

    Attributes:
        x: ln(m4l / 400), both masses less that of the Z in 10 GeV, |cos_theta_star|, sin_theta_star, ln(t u / s^2); shape (n, 6).
        functions: Products of the nine functions of each decay, shape (n, 81).
        scale: m4l^4 times the squared propagators of both Z bosons, shape (n,).
        known: Whether the event is inside the range of the training, shape (n,).
    """

    x: FloatArray
    functions: FloatArray
    scale: FloatArray
    known: BoolArray


def gg_squared(event: PartonicEvent) -> FloatArray:
    """Compute the squared matrix element of gg -> (H* ->) ZZ -> 4l over alpha_s^2, in the units of `higgs_squared`.

    Returns:
        Higgs boson, box and interference, shape (n,). NaN outside `M4L_RANGE` and `M_LL_RANGE`, and where the network is not positive.
    """
    return _squared(event, FILE)


def box_squared(event: PartonicEvent) -> FloatArray:
    """Compute the same without the Higgs boson; NaN as there."""
    return _squared(event, BOX_FILE)


def _squared(event: PartonicEvent, file: str) -> FloatArray:
    inputs = network_inputs(event)
    out = np.full(len(inputs.scale), np.nan)
    if np.any(inputs.known):
        coefficients = _session(file).run(None, {"x": inputs.x[inputs.known].astype(np.float32)})[0]
        total = np.sum(coefficients * inputs.functions[inputs.known], axis=1, dtype=np.float64)
        out[inputs.known] = np.where(total > 0.0, total, np.nan) * inputs.scale[inputs.known]
    return out


def network_inputs(event: PartonicEvent) -> NetworkInputs:
    """Compute inputs and angular functions.

    Notes:
        The pair nearest to the Z mass counts as the first, and the beam along which it flies forward as +z: the matrix element knows
        neither the order of the pairs nor that of the gluons. Azimuths are around the flight of the first pair, from the scattering plane.
    """
    leptons = np.stack(event.momenta[2:])
    masses = [_mass(leptons[k] + leptons[k + 1]) for k in (0, 2)]
    turned = np.abs(masses[1] - M_Z) < np.abs(masses[0] - M_Z)
    a1, b1, a2, b2 = np.where(turned, leptons[[2, 3, 0, 1]], leptons)
    z1, z2 = a1 + b1, a2 + b2
    m_1, m_2, m_x = _mass(z1), _mass(z2), event.m4l
    flight = z1[:3] / np.sqrt(dot(z1, z1))
    sign = np.where(flight[2] < 0.0, -1.0, 1.0)
    across = sign * np.stack([-flight[1], flight[0], np.zeros_like(sign)])
    across /= np.sqrt(dot(across, across))
    axes = (flight, across, cross(across, flight))
    first = _decay_functions(a1, z1, m_1, axes=axes)
    second = _decay_functions(a2, z2, m_2, axes=axes)
    functions = (first[:, np.newaxis] * second).reshape(81, -1).T
    sine = np.sqrt(flight[0] ** 2 + flight[1] ** 2)
    t_u = ((m_1**2 - m_x * z1[3]) ** 2 - (m_x * z1[2]) ** 2) / m_x**4
    x = np.stack([np.log(m_x / 400.0), (m_1 - M_Z) / 10.0, (m_2 - M_Z) / 10.0, np.abs(flight[2]), sine, np.log(t_u)], axis=1)
    scale = m_x**4 * np.abs(z_propagator(m_1**2) * z_propagator(m_2**2)) ** 2
    known = np.isfinite(x).all(axis=1) & np.isfinite(functions).all(axis=1) & (m_x >= M4L_RANGE[0]) & (m_x <= M4L_RANGE[1])
    for mass in (m_1, m_2):
        known &= (mass >= M_LL_RANGE[0]) & (mass <= M_LL_RANGE[1])
    return NetworkInputs(x, functions, scale, known)


def _decay_functions(lepton: FloatArray, z: FloatArray, mass: FloatArray, *, axes: tuple[FloatArray, FloatArray, FloatArray]) -> FloatArray:
    """Compute products of two spin-1 amplitudes of a decay: 1, cos, cos^2 of the polar angle and sines with azimuth, shape (9, n)."""
    along, transverse = axes[0], axes[1:]
    momentum = dot(z, along)
    parallel = (z[3] * dot(lepton, along) - momentum * lepton[3]) / mass
    energy = 0.5 * mass
    cosine = parallel / energy
    x, y = (dot(lepton, axis) / energy for axis in transverse)
    return np.stack([np.ones_like(x), cosine, cosine**2, x, y, x * cosine, y * cosine, x * x - y * y, x * y])


def _mass(p: FloatArray) -> FloatArray:
    """Compute the mass of components (4, n) in GeV, shape (n,)."""
    mass: FloatArray = np.sqrt(np.maximum(p[3] ** 2 - p[0] ** 2 - p[1] ** 2 - p[2] ** 2, 0.0))
    return mass


def network_file(file: str) -> bytes:
    """Return the content of an ONNX file: layers `w0`, `b0`, ..., of which the last two give the logarithm of a scale and 81 numbers.

    Examples:
        >>> len(network_file(FILE))
        40252
    """
    return resources.files("toolkit.kinematics").joinpath(file).read_bytes()


@cache
def _session(file: str) -> onnxruntime.InferenceSession:
    """Load a network once per process, for one thread: the events of a processor are chunks already."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(network_file(file), sess_options=options, providers=["CPUExecutionProvider"])
