"""Les Houches event files: generator-level leptons, partons as jets, weights by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from processors.formats.columns import benchmark_columns, identity, lists, scalars, weight_vector
from processors.formats.fields import NO_FIELDS, Kind, ObjectFields
from processors.formats.momenta import angular
from processors.formats.record import ELECTRON, LEPTON_MASS, MUON, EventRecord
from processors.particles import Particles
from toolkit.config import LheLayout, SampleConfig
from toolkit.errors import PhysicsDomainError

WEIGHT = "XWGTUP"
"""Nominal weight of an event, as the standard calls it."""
PARTICLES = ("particle_pdg_id", "particle_status", "particle_px", "particle_py", "particle_pz", "particle_mass")
FINAL = 1
GLUON = 21
HEAVIEST_JET_QUARK = 5


@dataclass(frozen=True)
class LheReader:
    """Reads the columns that `processors.lhefile` makes of an LHE file.

    Args:
        layout: Names of the benchmark weights.
        data: Never true for a generator; kept for the common interface.
    """

    layout: LheLayout
    data: bool = False

    def required(self, sample: SampleConfig) -> tuple[str, ...]:
        """Return the columns without which the sample cannot be processed."""
        return (*self.generator_branches(), *(self.layout.benchmark_weights if sample.benchmarks else ()), *PARTICLES)

    def jet_branches(self) -> tuple[str, ...]:
        """Return the columns that jet observables need."""
        return PARTICLES

    def optional(self) -> tuple[str, ...]:
        """Return the columns that are read where they exist."""
        return ()

    def field_branches(self, kind: Kind, field: str) -> tuple[tuple[str, ...], ...]:
        """Return nothing: generated particles have momenta only."""
        del kind, field
        return ()

    def counts_jets(self) -> bool:
        """Return False: partons are counted."""
        return False

    def generator_branches(self) -> tuple[str, ...]:
        """Return the nominal weight."""
        return () if self.data else (WEIGHT,)

    def gen_weights(self, events: ak.Array) -> NDArray[np.float64]:
        """Return the nominal weights, (n,)."""
        return np.ones(len(events)) if self.data else scalars(events, WEIGHT)

    def read(
        self, events: ak.Array, sample: SampleConfig, *, weight_vectors: Sequence[str] = (), fields: ObjectFields = NO_FIELDS
    ) -> EventRecord:
        """Turn events into the internal record; named weights become relative to the nominal one."""
        del fields
        counts, content = lists(events, PARTICLES)
        columns = dict(zip((name.removeprefix("particle_") for name in PARTICLES), content, strict=True))
        columns |= angular(columns["px"], columns["py"], columns["pz"])
        particles = Particles(counts, columns)
        final = (columns["status"] == FINAL) & (columns["pt"] > 0)
        kind = np.abs(columns["pdg_id"])
        nominal = self.gen_weights(events)
        ratios = np.empty((len(events), 0))
        if sample.benchmarks:
            absolute = benchmark_columns(events, self.layout.benchmark_weights, sample, option="layout.benchmark_weights")
            ratios = _relative(absolute, nominal, "benchmark weights")
        return EventRecord(
            identity=identity(events, event=None, run=None, block=None),
            gen_weight=nominal,
            benchmark_ratios=ratios,
            electrons=_leptons(particles.where(final & (kind == ELECTRON)), ELECTRON),
            muons=_leptons(particles.where(final & (kind == MUON)), MUON),
            jets=_selected(particles.where(final & ((kind <= HEAVIEST_JET_QUARK) | (kind == GLUON)))),
            weight_vectors={name: _relative(weight_vector(events, name), nominal, name) for name in weight_vectors},
        )


def _leptons(particles: Particles, flavour: int) -> Particles:
    kept = _selected(particles)
    mass = np.full(len(particles["pt"]), LEPTON_MASS[flavour])
    return Particles(kept.counts, {**kept.columns, "mass": mass, "charge": -np.sign(particles["pdg_id"])})


def _selected(particles: Particles) -> Particles:
    return Particles(particles.counts, {name: particles[name] for name in ("pt", "eta", "phi", "mass")})


def _relative(absolute: NDArray[np.float64], nominal: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    bad = np.flatnonzero((nominal == 0) & np.any(absolute != 0, axis=1))
    if len(bad):
        raise PhysicsDomainError(
            f"weights {name!r}, entry {bad[0]} of the chunk",
            got=f"nominal weight 0, others {absolute[bad[0]].tolist()[:3]}",
            expected="a nominal weight that is not 0 where another is not",
            remedy="generate with a weight that covers all hypotheses",
        )
    safe = np.where(nominal == 0, 1.0, nominal)[:, np.newaxis]
    return np.asarray(np.where(nominal[:, np.newaxis] == 0, 1.0, absolute / safe))
