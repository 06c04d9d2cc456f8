"""What the weights of the simulation are worth: effective sizes against the parameter, negative weights and where they sit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.typing import FloatArray
from toolkit.weights.effective_size import EffectiveSizeCurve, generation_curves
from toolkit.weights.negative import NegativeProfile, NegativeWeights, negative_profile, negative_weights, with_negative_weight
from toolkit.weights.simulation import SimulatedEvents


@dataclass(frozen=True, eq=False)
class WeightQuality:
    """Weights of the simulated events.

    Attributes:
        sizes: Effective sizes of the interfering events: all samples, then each sample alone if there are several.
        negative: Counts per process (and hypothesis) and region.
        profiles: Where in observables the negative weight sits, for processes that have any.
    """

    sizes: tuple[EffectiveSizeCurve, ...]
    negative: tuple[NegativeWeights, ...]
    profiles: tuple[NegativeProfile, ...]

    @property
    def observables(self) -> tuple[str, ...]:
        """Observables of the profiles."""
        return tuple(dict.fromkeys(p.observable for p in self.profiles))

    def of_observable(self, name: str) -> tuple[NegativeProfile, ...]:
        """Return the profiles in one observable."""
        return tuple(p for p in self.profiles if p.observable == name)

    def to_json(self) -> dict[str, Any]:
        """Return counts and profiles as a JSON object (not the curves)."""
        return {"negative": [n.to_json() for n in self.negative], "profiles": [p.to_json() for p in self.profiles]}


def weight_quality(
    events: SimulatedEvents,
    *,
    values: FloatArray,
    coefficients: FloatArray,
    benchmarks: Sequence[str],
    parameter: str = "mu",
    hypotheses: Mapping[str, FloatArray] | None = None,
    regions: Mapping[str, NDArray[np.bool_]] | None = None,
    edges: Mapping[str, FloatArray] | None = None,
) -> WeightQuality:
    """Look at the weights of simulated events.

    Args:
        events: Simulated events.
        values: (m,) values of the parameter.
        coefficients: (m, n_processes) morphing coefficients there.
        benchmarks: The interfering processes.
        parameter: Name of the parameter.
        hypotheses: Mixtures whose negative weights are counted too: coefficients (n_processes,) by name.
        regions: Events of each region, (n,) bool by name.
        edges: Observables in which negative weights are located, with their bin edges.

    Returns:
        Curves, counts and profiles.

    Examples:
        >>> weights = np.array([[1.0, 1.0], [1.0, 2.0], [-0.5, 1.0]])
        >>> ids, zeros = np.arange(3, dtype=np.uint64), np.zeros(3, dtype=np.int64)
        >>> events = SimulatedEvents(("S", "B"), ids, zeros, ("S",), {}, weights)
        >>> mu, f = np.array([0.0, 1.0]), np.array([[0.0, 1.0], [1.0, 1.0]])
        >>> found = weight_quality(events, values=mu, coefficients=f, benchmarks=("S", "B"))
        >>> found.sizes[0].n_eff_kish.round(3), [entry.n_negative for entry in found.negative]
        (array([2.667, 2.283]), [1, 0])
    """
    counts = negative_weights(events, regions=regions, hypotheses=hypotheses)
    affected = [name for name in with_negative_weight(counts) if name in events.processes]
    return WeightQuality(
        sizes=generation_curves(events, values, coefficients, benchmarks=benchmarks, parameter=parameter),
        negative=counts,
        profiles=tuple(
            negative_profile(events, process=process, observable=name, edges=grid)
            for name, grid in (edges or {}).items()
            for process in affected
        ),
    )
