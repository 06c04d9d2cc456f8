"""Toys of an unbinned channel whose network reads theta."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from toolkit.errors import PhysicsDomainError, ShapeError
from toolkit.likelihood.coefficients import describe_point
from toolkit.likelihood.parameterised import ParameterisedLikelihood
from toolkit.likelihood.ratio_mean import RatioMean
from toolkit.likelihood.toy_sources import Negative, sample_auxiliary
from toolkit.typing import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class ParameterisedToys:
    """Toys drawn from the model's own density, event i with a probability proportional to m_i r(x_i; theta), or from the simulation.

    From the model, the ratio is divided by its mean over the same events, in the toys and in their fit, so that the toys follow the
    likelihood that fits them. The number of events is Poisson distributed around the expected total.

    Args:
        likelihood: Likelihood of the simulated events; its weights do not matter.
        reference: m, weights under which its events follow the reference density, (n_events,), up to a factor; >= 0.
        simulation: Instead: expected events of each event under each process at f_j = 1, (n_events, n_processes).
        negative: What to do with negative weights of the simulation at theta; see `UnbinnedToys`.

    Raises:
        ShapeError: Not one weight per event.
        PhysicsDomainError: A negative reference weight, or none at all.
    """

    likelihood: ParameterisedLikelihood
    reference: FloatArray | None = None
    simulation: FloatArray | None = None
    negative: Negative = "error"
    _last: dict[str, Any] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        n, n_processes = len(self.likelihood.weights), len(self.likelihood.yields)
        if self.simulation is not None:
            if self.reference is not None or self.simulation.shape != (n, n_processes):
                raise ShapeError("simulated events of the toys", got=self.simulation.shape, expected=f"({n}, {n_processes}), no reference")
            return
        m = np.asarray(self.reference, dtype=np.float64)
        if m.shape != self.likelihood.weights.shape:
            raise ShapeError("reference weights of the toys", got=m.shape, expected=self.likelihood.weights.shape)
        if m.min(initial=0.0) < 0.0 or not m.sum() > 0.0:
            got = f"a sum of {m.sum():g}, the smallest {m.min(initial=0.0):g}"
            raise PhysicsDomainError("reference weights of the toys", got=got, expected="weights >= 0")
        series = self.likelihood.log_ratios
        mean = RatioMean.measure(series.at, m, series.axes).series(series.axes)
        object.__setattr__(self, "reference", m)
        object.__setattr__(self, "likelihood", self.likelihood.with_mean(mean))

    def sample(self, theta: Mapping[str, float], generator: np.random.Generator) -> tuple[IntArray, dict[str, float]]:
        """Draw event numbers, (n_toy,), and auxiliary measurements by parameter."""
        cumulative = self._cumulative(theta)
        n = int(generator.poisson(cumulative[-1]))
        rows = np.searchsorted(cumulative, np.sort(generator.random(n)) * cumulative[-1], side="right")
        return np.minimum(rows, len(cumulative) - 1), sample_auxiliary(self.likelihood.constraints, theta, generator)

    def likelihood_of(self, data: tuple[IntArray, dict[str, float]]) -> ParameterisedLikelihood:
        """Build the likelihood of drawn events."""
        rows, auxiliary = data
        self._last.setdefault("interfering", (self.likelihood.interfering, self.likelihood.diverging))  # found once, and kept by its toys
        toy = self.likelihood.with_events(rows)
        return toy.with_auxiliary(auxiliary) if auxiliary else toy

    def weights(self, theta: Mapping[str, float]) -> FloatArray:
        """Return the expected weight of each event at theta, (n_events,), >= 0.

        Raises:
            PhysicsDomainError: An expected total that is not positive, or a theta that the network does not know.
        """
        point = self.likelihood.point(theta)
        found = self.likelihood.not_positive(point)
        if found is not None:
            raise found.error
        if self.simulation is not None:
            return self._simulated(point)
        w = self.reference * np.exp(self.likelihood.log_density(point[None, :])[:, 0])
        nu = float(self.likelihood.expected(point[None, :])[0])
        if not np.isfinite(w.sum()):
            what = f"density ratios of toys at {describe_point(self.likelihood.parameter_names, point)}"
            raise PhysicsDomainError(what, got=float(w.sum()), expected="a finite sum")
        return np.asarray(w * (nu / w.sum()))

    def _simulated(self, point: FloatArray) -> FloatArray:
        w = np.asarray(self.simulation @ self.likelihood.coefficients.values(point[None, :])[0])
        total = float(w.sum())
        if not total > 0.0 or (self.negative == "error" and w.min() < 0.0):
            where = describe_point(self.likelihood.parameter_names, point)
            what = f"expected weights of toys at {where}"
            got = f"a sum of {total:g}, {int(np.sum(w < 0.0))} negative ones"
            remedy = 'draw from the model, or drop negative ones: negative="drop"'
            raise PhysicsDomainError(what, got=got, expected="weights >= 0", remedy=remedy)
        kept = np.maximum(w, 0.0)
        return np.asarray(kept * (total / kept.sum()))

    def fingerprint(self) -> str:
        """Return a hash of densities, weights and model."""
        base = self.likelihood
        parts = (base.parameters, base.coefficients.texts, base.inputs.texts, base.constraints, base.log_ratios.axes)
        digest = hashlib.sha256(repr(("parameterised", self.negative, *parts)).encode("utf-8"))
        mean = () if base.log_mean is None else (base.log_mean.coefficients,)
        drawn = self.reference if self.simulation is None else self.simulation
        for array in (base.log_ratios.coefficients, base.yields, np.asarray(drawn), *mean):
            digest.update(repr(array.shape).encode("ascii") + np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:32]

    def _cumulative(self, theta: Mapping[str, float]) -> FloatArray:
        key = tuple(sorted(theta.items()))
        if self._last.get("key") != key:
            self._last.update(key=key, cumulative=np.cumsum(self.weights(theta)))
        return np.asarray(self._last["cumulative"])
