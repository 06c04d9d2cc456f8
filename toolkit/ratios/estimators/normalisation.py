"""The normalisation that every ratio must have: its mean over the reference is 1 at every theta.

A network fulfils it up to its error. `measure_normalisation` says by how much not, on events of one's choice; `Normalised` divides a model
by the mean on calibration events, which must be neither training events nor those of the fit. One number per theta is corrected,
with the noise of the calibration events; shapes are left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from toolkit.errors import PhysicsDomainError, ShapeError
from toolkit.typing import FloatArray
from toolkit.weights.hypotheses import Hypotheses
from toolkit.weights.morphing import Point


class LogRatio(Protocol):
    """A model of the ratio at any theta."""

    @property
    def hypotheses(self) -> Hypotheses:
        """Parameters and reference."""
        ...

    def log_ratio(self, x: FloatArray, theta: Point) -> FloatArray:
        """Compute log p(x|theta) / p_ref(x), (n,)."""
        ...


@dataclass(frozen=True, eq=False)
class NormalisationCheck:
    """Means of a ratio over the reference.

    Attributes:
        theta: Points, (n_points, n_parameters).
        mean: E_ref[r] at each point, 1 if the ratio is right, (n_points,).
        error: Its error from the finite number of events, (n_points,).
    """

    theta: FloatArray
    mean: FloatArray
    error: FloatArray


def reference_mean(log_ratio: FloatArray, weights: FloatArray) -> tuple[float, float]:
    """Compute the mean of e^log_ratio over events with reference weights, and its error.

    Args:
        log_ratio: log r of the events, (n,).
        weights: Weights under the reference, any normalisation, (n,); signed weights count as they are.

    Returns:
        (mean, standard error).

    Raises:
        ShapeError: The arrays do not belong together. PhysicsDomainError: The weights have no positive sum.

    Examples:
        >>> reference_mean(np.log([0.5, 1.5]), np.ones(2))
        (1.0, 0.3535533905932738)
    """
    if log_ratio.shape != weights.shape or log_ratio.ndim != 1:
        raise ShapeError("log ratio and weights", got=f"{log_ratio.shape} and {weights.shape}", expected="(n,) twice")
    total = float(weights.sum())
    if not total > 0:
        raise PhysicsDomainError("reference weights", got=f"sum {total:g}", expected="> 0")
    r = np.exp(log_ratio)
    mean = float(weights @ r) / total
    return mean, float(np.sqrt(np.sum((weights * (r - mean)) ** 2))) / total


def measure_normalisation(model: LogRatio, x: FloatArray, weights: FloatArray, *, points: Sequence[Point]) -> NormalisationCheck:
    """Compute E_ref[r] at several points.

    Args:
        model: The ratio.
        x: Observables, (n, n_features).
        weights: Weights of these events under the reference, (n,).
        points: Parameter points.
    """
    pairs = [reference_mean(model.log_ratio(x, p), weights) for p in points]
    theta = np.stack([model.hypotheses.point(p) for p in points])
    return NormalisationCheck(theta, np.array([m for m, _ in pairs]), np.array([e for _, e in pairs]))


@dataclass(frozen=True, eq=False)
class Normalised:
    """A model divided by its mean over the reference on calibration events.

    Attributes:
        model: The ratio.
        x: Observables of the calibration events, (n, n_features).
        weights: Their weights under the reference, (n,).
    """

    model: LogRatio
    x: FloatArray
    weights: FloatArray
    _means: dict[tuple[float, ...], float] = field(default_factory=dict, repr=False)

    @property
    def hypotheses(self) -> Hypotheses:
        """Parameters and reference."""
        return self.model.hypotheses

    def log_mean(self, theta: Point) -> float:
        """Return log E_ref[r] of the model at a point; every point is computed once."""
        key = tuple(float(v) for v in self.hypotheses.point(theta))
        if key not in self._means:
            self._means[key] = float(np.log(reference_mean(self.model.log_ratio(self.x, theta), self.weights)[0]))
        return self._means[key]

    def log_ratio(self, x: FloatArray, theta: Point) -> FloatArray:
        """Compute the normalised log p(x|theta) / p_ref(x), (n,)."""
        return np.asarray(self.model.log_ratio(x, theta) - self.log_mean(theta))
