"""A small mixture with known densities of one observable x, for the methods of the fit stage."""

from __future__ import annotations

import numpy as np

from toolkit.analysis.model import FitModel
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents

PROCESSES = ("S", "SBI", "B", "q")
COEFFICIENTS = ("mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)", "1")
MODEL = FitModel.of_one(PROCESSES, COEFFICIENTS, range=(0.0, 6.0))
YIELDS = np.array([20.0, 55.0, 50.0, 100.0])


def densities(x: FloatArray) -> FloatArray:
    """Normalised densities on [0, 1]: S rises, B falls, q is flat, and I = SBI - S - B is negative at low x; (n, 4)."""
    s, b, q = 2.0 * x, 2.0 * (1.0 - x), np.ones_like(x)
    interference = -15.0 * 6.0 * x * (1.0 - x)
    sbi = (YIELDS[0] * s + YIELDS[2] * b + interference) / YIELDS[1]
    return np.stack([s, sbi, b, q], axis=1)


def events_at(x: FloatArray, processes: tuple[str, ...] = PROCESSES) -> SimulatedEvents:
    """Return one event of a flat sample at every x (n,), with the weights of all processes."""
    n = len(x)
    return SimulatedEvents(
        processes=processes,
        event_id=np.arange(n, dtype=np.uint64),
        sample_index=np.zeros(n, dtype=np.int64),
        samples=("flat",),
        observables={"x": x},
        weights=densities(x) * YIELDS / n,
    )


def simulate(n: int, seed: int) -> SimulatedEvents:
    """Draw n events, x uniform."""
    return events_at(np.random.default_rng(seed).uniform(size=n))
