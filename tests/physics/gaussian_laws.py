"""Hypotheses with Gaussian densities, known in closed form, and a hidden variable: what an estimator must converge to.

Hidden z, observed x = z + Gaussian noise. Two amplitudes whose squares are Gaussians in z interfere with a constant relative phase,
so that signal, background and interference are Gaussians in z and, wider, in x; a further Gaussian background does not interfere.
The joint ratio depends on z, the marginal one on x alone.
"""

from __future__ import annotations

import numpy as np

from toolkit.weights import Morphing, SimulatedEvents
from toolkit.weights.hypotheses import Hypotheses

NOISE = 0.5
WIDTH = 0.8
S, B, B2 = (60.0, 0.9), (150.0, -0.3), (120.0, 0.0, 1.5)
"""Yield and mean (and width) of signal, interfering background and background."""
COHERENCE = -0.6
RANGE = (0.0, 4.0)
PROCESSES = ("S", "SBI", "B", "b")


def gauss(x, mean, width):
    return np.exp(-0.5 * ((x - mean) / width) ** 2) / (width * np.sqrt(2.0 * np.pi))


def components(x, noise):
    """Expected density of S, I, B, b at x smeared by `noise`, each (n,)."""
    wide = np.hypot(WIDTH, noise)
    overlap = np.exp(-((S[1] - B[1]) ** 2) / (8.0 * WIDTH**2))
    s, b = S[0] * gauss(x, S[1], wide), B[0] * gauss(x, B[1], wide)
    interference = 2.0 * COHERENCE * np.sqrt(S[0] * B[0]) * overlap * gauss(x, 0.5 * (S[1] + B[1]), wide)
    return s, interference, b, B2[0] * gauss(x, B2[1], np.hypot(B2[2], noise))


def simulate(n, seed):
    """n interfering events and n/2 of the background; `y` is independent of everything."""
    rng = np.random.default_rng(seed)
    z, zb = rng.normal(0.2, 1.2, n), rng.normal(B2[1], B2[2], n // 2)
    s, i, b, _ = components(z, 0.0)
    proposal = n * gauss(z, 0.2, 1.2)
    weights = np.zeros((n + n // 2, 4))
    weights[:n, :3] = np.stack([s, s + i + b, b], axis=1) / proposal[:, None]
    weights[n:, 3] = B2[0] / (n // 2)
    x = np.concatenate([z, zb]) + NOISE * rng.normal(size=n + n // 2)
    return SimulatedEvents(
        processes=PROCESSES,
        event_id=np.arange(len(x), dtype=np.uint64) + np.uint64(10**7 * seed),
        sample_index=np.repeat([0, 1], [n, n // 2]),
        samples=("SBI", "b"),
        observables={"x": x, "y": rng.normal(size=len(x))},
        weights=weights,
    )


def hypotheses(events, reference=None, ranges=(RANGE,)):
    """The signal strength mu in the range, against the equal mixture or another reference."""
    morphing = Morphing(monomials=["mu", "sqrt(mu)", "1"], benchmarks={"S": "mu", "SBI": 1.0, "B": 0.0})
    return Hypotheses.build(events, morphing=morphing, benchmarks=("S", "SBI", "B"), ranges=ranges, reference=reference)


def densities(x, noise=NOISE):
    """Expected events per x of S, SBI, B, b, (n, 4)."""
    s, i, b, other = components(x, noise)
    return np.stack([s, s + i + b, b, other], axis=1)


def exact_log_ratio(x, mu, reference):
    """log p(x|mu) / p_ref(x) with the reference's coefficients of the processes, (4,)."""
    grid = np.linspace(-12.0, 12.0, 4001)
    f = np.array([mu - mu**0.5, mu**0.5, 1.0 - mu**0.5, 1.0])

    def log_p(c):
        return np.log(densities(x) @ c) - np.log(np.trapezoid(densities(grid) @ c, grid))

    return log_p(f) - log_p(np.asarray(reference))


def exact_score(x, mu):
    """d log p(x|mu) / d mu, (n,)."""
    grid = np.linspace(-12.0, 12.0, 4001)
    f = np.array([mu - mu**0.5, mu**0.5, 1.0 - mu**0.5, 1.0])
    g = np.array([1.0 - 0.5 / mu**0.5, 0.5 / mu**0.5, -0.5 / mu**0.5, 0.0])
    total = densities(grid)
    return densities(x) @ g / (densities(x) @ f) - np.trapezoid(total @ g, grid) / np.trapezoid(total @ f, grid)
