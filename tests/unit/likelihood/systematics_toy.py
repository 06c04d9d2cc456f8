"""A small analytic channel with two processes, a morphing coefficient, two shapes, a yield systematic and a luminosity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.likelihood import Constraint, NormSys, Parameter, ShapeReference, Shapes, UnbinnedLikelihood

PARAMETERS = (
    Parameter("mu", init=1.0, low=0.0, high=5.0),
    Parameter("t0", init=1.0, low=0.2, high=3.0),
    Parameter("scale", init=0.0, low=-5.0, high=5.0),
    Parameter("slope", init=0.0, low=-5.0, high=5.0),
    Parameter("lumi", init=1.0, low=0.8, high=1.2),
)
COEFFICIENTS = ("(mu - sqrt(mu)) * lumi", "sqrt(mu) * lumi", "(1 - sqrt(mu)) * lumi", "t0 * lumi")
CONSTRAINTS = (Constraint("scale"), Constraint("slope"), Constraint("lumi", observed=1.0, scale=0.02))
SYSTEMATICS = (NormSys(3, "scale", 1.06, 0.95), NormSys(1, "scale", 0.97, 1.02), NormSys(0, "slope", 1.1, 0.92))
YIELDS = np.array([48.0, 126.0, 158.0, 800.0])


def log_ratios(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Densities of S, SBI, B and a background over the uniform one on [0, 1], (n, 4)."""
    s, b = 0.3 + 0.9 * x**3, -1.2 * np.exp(-2.0 * x) - 0.5
    columns = [s**2, s**2 + b**2 + 1.2 * s * b, b**2, 4.0 * np.exp(-3.0 * x) + 0.1]
    grid = (np.arange(4000) + 0.5) / 4000
    sg, bg = 0.3 + 0.9 * grid**3, -1.2 * np.exp(-2.0 * grid) - 0.5
    means = [np.mean(c) for c in (sg**2, sg**2 + bg**2 + 1.2 * sg * bg, bg**2, 4.0 * np.exp(-3.0 * grid) + 0.1)]
    return np.log(np.stack([c / m for c, m in zip(columns, means, strict=True)], axis=1))


def shapes(x: NDArray[np.float64], **options: Any) -> Shapes:
    """Varied over nominal, not normalised: `scale` moves all processes, `slope` the background and S."""
    moved = (0.25 * (x - 0.3) + 0.05, -0.2 * (x - 0.3) + 0.02 * x**2)
    tilted = (0.15 * np.sin(5.0 * x), -0.1 * np.sin(5.0 * x) + 0.05)
    return Shapes.of(
        [{"scale": moved, "slope": tilted}, {"scale": moved}, {}, {"slope": tilted, "scale": moved}], n_events=len(x), **options
    )


def asimov(x: NDArray[np.float64], mu: float = 1.0) -> NDArray[np.float64]:
    """Weights that turn uniform events into the expectation at mu, all nuisance parameters nominal, (n,)."""
    root = np.sqrt(mu)
    return np.asarray(np.exp(log_ratios(x)) @ (np.array([mu - root, root, 1.0 - root, 1.0]) * YIELDS) / len(x))


@dataclass(frozen=True)
class Channel:
    """Events and the sample on which their variations are normalised."""

    x: NDArray[np.float64]
    grid: NDArray[np.float64]

    def reference(self, **options: Any) -> ShapeReference:
        return ShapeReference(np.exp(log_ratios(self.grid)), shapes(self.grid, **options))

    def likelihood(self, *, weights: Any = None, **changes: Any) -> UnbinnedLikelihood:
        code = changes.pop("code", "log_quadratic")
        options: dict[str, Any] = {
            "log_ratios": log_ratios(self.x),
            "weights": np.ones(len(self.x)) if weights is None else weights,
            "yields": YIELDS,
            "coefficients": COEFFICIENTS,
            "parameters": PARAMETERS,
            "systematics": SYSTEMATICS,
            "shapes": shapes(self.x, code=code),
            "reference": self.reference(code=code),
            "constraints": CONSTRAINTS,
        }
        return UnbinnedLikelihood(**{**options, **changes})


def channel(n: int = 700, *, seed: int = 3, n_grid: int = 300) -> Channel:
    """Draw n uniform events; the reference is a regular grid."""
    return Channel(np.random.default_rng(seed).uniform(0.0, 1.0, n), (np.arange(n_grid) + 0.5) / n_grid)
