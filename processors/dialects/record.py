"""The internal event record: what every dialect is turned into."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.particles import Particles
from toolkit import units

ELECTRON = 11
MUON = 13
LEPTON_MASS = {ELECTRON: units.M_ELECTRON, MUON: units.M_MUON}


@dataclass(frozen=True, eq=False)
class EventRecord:
    """Events of one chunk in the internal form, whatever the ntuple looked like.

    Args:
        identity: ``run``, ``luminosityBlock`` and, where the ntuple numbers its events, ``event``, each (n,).
        gen_weight: Generator weight times the scale factors, (n,) float64; ones for data.
        benchmark_ratios: Weight under each benchmark relative to `gen_weight`, (n, n_benchmarks); (n, 0) without benchmarks.
        electrons: pt, eta, phi, mass (GeV), charge of n events, float64.
        muons: Same columns.
        jets: pt, eta, phi, mass (GeV); None where the ntuple has no jets.
        n_jets: Number of jets as a column of the ntuple states it, (n,) float64, NaN where missing; None to count `jets`.
        weight_vectors: Weights under variations relative to `gen_weight`, (n, k) each, by the names under `weight_vectors` of the sample.
        columns: Columns carried along, (n,) float64 each, NaN where missing, by the names under `columns` of the sample.
    """

    identity: dict[str, NDArray[Any]]
    gen_weight: NDArray[np.float64]
    benchmark_ratios: NDArray[np.float64]
    electrons: Particles
    muons: Particles
    jets: Particles | None
    n_jets: NDArray[np.float64] | None = None
    weight_vectors: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    columns: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.gen_weight)
