"""An interfering mixture whose exact density ratios are integrals over one hidden variable.

Hidden z in [-1, 1], uniform; amplitudes A_S(z) = a_s sqrt(e^(2z)), A_B(z) = 1 with a relative sign that changes with z; observed
x = z + Gaussian noise. The background b has x from a wider Gaussian. Everything observable follows by numerical integration.
"""

from __future__ import annotations

import numpy as np

from toolkit.model import Model, ModelParameter, Process
from toolkit.weights import SimulatedEvents

NOISE = 0.3
PROCESSES = ("S", "SBI", "B", "b")
MU = ModelParameter("mu", range=(0.0, 6.0))
GG = Process.build("gg", {"S": "sqrt(mu)", "B": "1"}, {"S": [1, 0], "SBI": [1, 1], "B": [0, 1]})
MODEL = Model((MU,), (GG, Process.build("b", {"b": "1"})))


def amplitudes(z):
    return 0.5 * np.exp(z), 1.0 + 0.0 * z, -np.cos(2.0 * z)


def densities(z):
    """S, SBI, B at the hidden point."""
    s, b, phase = amplitudes(z)
    return s**2, s**2 + b**2 + 2.0 * phase * s * b, b**2


def toy(n, seed):
    """n interfering and n background events; y is independent of everything."""
    rng = np.random.default_rng(seed)
    z = rng.uniform(-1.0, 1.0, n)
    s, sbi, b = densities(z)
    x = np.concatenate([z + NOISE * rng.normal(size=n), rng.normal(0.0, 1.2, n)])
    weights = np.zeros((2 * n, 4))
    weights[:n, 0], weights[:n, 1], weights[:n, 2] = 40.0 * s / n, 40.0 * sbi / n, 40.0 * b / n
    weights[n:, 3] = 100.0 / n
    return SimulatedEvents(
        processes=PROCESSES,
        event_id=np.arange(2 * n, dtype=np.uint64) + np.uint64(10**6 * seed),
        sample_index=np.repeat([0, 1], n),
        samples=("SBI", "b"),
        observables={"x": x, "y": rng.normal(size=2 * n)},
        weights=weights,
    )


def exact_log_ratios(x, names=PROCESSES):
    """log p_j(x) up to a common constant, (n, 4)."""
    z = np.linspace(-1.0, 1.0, 801)
    kernel = np.exp(-0.5 * ((x[:, None] - z) / NOISE) ** 2) / (NOISE * np.sqrt(2 * np.pi))
    columns = []
    for d in densities(z):
        total = np.trapezoid(d, z)
        columns.append(np.trapezoid(kernel * d, z, axis=1) / total)
    columns.append(np.exp(-0.5 * (x / 1.2) ** 2) / (1.2 * np.sqrt(2 * np.pi)))
    return np.log(np.stack(columns, axis=1))
