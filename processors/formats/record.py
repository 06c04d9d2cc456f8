"""The internal event record: what every format is turned into."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
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
        electrons: pt, eta, phi, mass (GeV), charge of n events, float64, and the further properties that the caller asked for.
        muons: Same columns.
        jets: pt, eta, phi, mass (GeV); None where the ntuple has no jets.
        weight_vectors: Further weights that the caller asked for, relative to `gen_weight`, (n, k) each, by branch; (n, 1) for a
            single column. Vectors are as the ntuple holds them (NanoAOD: relative), those of LHE files are divided here.
        columns: Observables that are columns of the ntuple, (n,) float64 each, NaN where missing, by name.
    """

    identity: dict[str, NDArray[Any]]
    gen_weight: NDArray[np.float64]
    benchmark_ratios: NDArray[np.float64]
    electrons: Particles
    muons: Particles
    jets: Particles | None
    weight_vectors: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    columns: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.gen_weight)

    def between(self, start: int, stop: int) -> EventRecord:
        """Return the events from `start` up to, but without, `stop`; the arrays share memory with these."""
        part = slice(start, stop)
        return EventRecord(
            identity={name: values[part] for name, values in self.identity.items()},
            gen_weight=self.gen_weight[part],
            benchmark_ratios=self.benchmark_ratios[part],
            electrons=self.electrons.between(start, stop),
            muons=self.muons.between(start, stop),
            jets=None if self.jets is None else self.jets.between(start, stop),
            weight_vectors={name: values[part] for name, values in self.weight_vectors.items()},
            columns={name: values[part] for name, values in self.columns.items()},
        )


def with_mass_and_charge(columns: Mapping[str, NDArray[np.float64]], flavour: int) -> dict[str, NDArray[np.float64]]:
    """Add what an ntuple of leptons need not say: their known mass, and the charge by the sign of the PDG number.

    Args:
        columns: Columns of leptons by name; `pt`, and `pdg_id` where there is no `charge`.
        flavour: PDG number of the negative lepton.

    Examples:
        >>> with_mass_and_charge({"pt": np.array([20.0]), "pdg_id": np.array([-11.0])}, ELECTRON)["charge"].tolist()
        [1.0]
    """
    added = {} if "mass" in columns else {"mass": np.full_like(columns["pt"], LEPTON_MASS[flavour])}
    if "charge" not in columns:
        added["charge"] = -np.sign(columns["pdg_id"])
    return {**columns, **added}


def no_particles(n_events: int, *, charge: bool, more: Collection[str] = ()) -> Particles:
    """Return empty lists for every event, for ntuples that do not hold this kind of particle.

    Examples:
        >>> no_particles(2, charge=True).counts.tolist()
        [0, 0]
    """
    names = ("pt", "eta", "phi", "mass", *(("charge",) if charge else ()), *more)
    return Particles(np.zeros(n_events, dtype=np.int64), {name: np.empty(0) for name in names})


def numbered(record: EventRecord, file_index: int, start: int) -> EventRecord:
    """Number the events of an ntuple that does not: 2^32 times the position of the file in the sample plus the entry.

    Args:
        record: The events of a chunk.
        file_index: Position of the file in its sample.
        start: First entry of the chunk.

    Returns:
        The record, with ``event`` in its identity.
    """
    if "event" in record.identity:
        return record
    event = np.arange(start, start + len(record), dtype=np.uint64) + (np.uint64(file_index) << np.uint64(32))
    return replace(record, identity={"event": event, **record.identity})
