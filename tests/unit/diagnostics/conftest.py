"""A world in which every density is known: x decides the process, y and the latent z do not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.unit.diagnostics.toy import densities
from toolkit.weights import SimulatedEvents

PROCESSES = ("ggF_S", "ggF_SBI", "ggF_B", "qqZZ")
YIELDS = np.array([40.0, 380.0, 420.0, 900.0])
REFERENCE = {"ggF_S": 0.4, "ggF_SBI": 0.3, "qqZZ": 0.3}
PI = np.array([0.4, 0.3, 0.0, 0.3])


@dataclass(frozen=True)
class Toy:
    events: SimulatedEvents
    log_ratios: NDArray[np.float64]
    """Exact log p_process / p_ref."""
    reference: dict[str, float]
    yields: NDArray[np.float64]


@pytest.fixture
def make_toy():
    """Return make(n, seed): events of one interfering and one other sample, weights with latent noise, some negative."""

    def make(n: int, seed: int) -> Toy:
        rng = np.random.default_rng(seed)
        x, is_qq = rng.uniform(size=n), rng.uniform(size=n) < 0.4
        z = rng.normal(size=n)
        p = densities(x)
        noise = 1 + 0.5 * z[:, None] * np.array([1.0, 0.6, 0.2, 0.5])
        weights = p * YIELDS * noise / n
        weights[:, :3] *= ~is_qq[:, None] / 0.6
        weights[:, 3] *= is_qq / 0.4
        observables = {
            "x": x,
            "y": rng.normal(size=n) + x,
            "z": rng.exponential(size=n),
            "m_jj": np.where(rng.uniform(size=n) < 0.3 + 0.4 * x, rng.exponential(100.0, size=n), np.nan),
        }
        events = SimulatedEvents(
            processes=PROCESSES,
            event_id=np.arange(n, dtype=np.uint64),
            sample_index=is_qq.astype(np.int64),
            samples=("ggF", "qqZZ"),
            observables=observables,
            weights=weights,
        )
        return Toy(events, np.log(p) - np.log(p @ PI)[:, None], dict(REFERENCE), YIELDS.copy())

    return make


@pytest.fixture
def morph():
    """Return morph(mu) -> coefficients (m, 4) of {S, SBI, B, qqZZ}."""

    def coefficients(mu: NDArray[np.float64]) -> NDArray[np.float64]:
        root = np.sqrt(mu)
        return np.stack([mu - root, root, 1 - root, np.ones_like(mu)], axis=1)

    return coefficients
