"""A toy with interference in one observable: amplitudes a_S, a_B(x), a background q; weights of every event under every process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from toolkit.likelihood import UnbinnedLikelihood, morphing_expressions

COEFFICIENTS = morphing_expressions(n_backgrounds=1)


@dataclass(frozen=True)
class Toy:
    """x (n,), weights (n, 4) of S, SBI, B, q; expectations 48, 126, 158 and 2412 events."""

    x: NDArray[np.float64]
    weights: NDArray[np.float64]

    @property
    def yields(self) -> NDArray[np.float64]:
        return self.weights.sum(axis=0)

    @property
    def log_ratios(self) -> NDArray[np.float64]:
        return np.log(self.weights * len(self.x) / self.yields)

    def asimov(self, mu: float) -> NDArray[np.float64]:
        root = np.sqrt(mu)
        return self.weights @ np.array([mu - root, root, 1 - root, 1.0])

    def likelihood(self, mu: float, *, low: float = 0.0, high: float = 6.0) -> UnbinnedLikelihood:
        return UnbinnedLikelihood(
            log_ratios=self.log_ratios,
            weights=self.asimov(mu),
            yields=self.yields,
            coefficients=COEFFICIENTS,
            parameters=("mu",),
            bounds={"mu": (low, high)},
        )


@pytest.fixture(scope="session")
def make_toy() -> Callable[[int, int], Toy]:
    """Return a maker of toys: (number of events, seed)."""

    def make(n: int, seed: int) -> Toy:
        x = np.random.default_rng(seed).uniform(0.0, 1.0, n)
        a_s, a_b = 0.3 + 0.9 * x**3, -1.2 * np.exp(-2.0 * x) - 0.5
        s, b = a_s**2, a_b**2
        sbi = s + b + 0.6 * 2 * a_s * a_b
        q = 4.0 * np.exp(-3.0 * x) + 0.1
        scale = 48.1 / s.mean()
        return Toy(x=x, weights=np.stack([s * scale, sbi * scale, b * scale, q * 2412.0 / q.mean()], axis=1) / n)

    return make


@pytest.fixture(scope="session")
def toy(make_toy: Callable[[int, int], Toy]) -> Toy:
    """10^4 events of the toy."""
    return make_toy(10_000, 1)
