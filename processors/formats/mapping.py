"""Ntuples with a list of particles per event, described by a mapping in the config; ATLAS open data are one such mapping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from processors.formats.columns import benchmark_columns, benchmark_vector, has, identity, lists, weight_vector
from processors.formats.fields import NO_FIELDS, Fields, Kind, ObjectFields, spellings
from processors.formats.momenta import ANGLE_UNITS, MOMENTUM_UNITS, angular, mass_from_energy
from processors.formats.named_weights import NamedWeights
from processors.formats.record import ELECTRON, MUON, EventRecord, no_particles, with_mass_and_charge
from processors.particles import Particles
from toolkit.config import MappingLayout, ParticleColumns, SampleConfig


@dataclass(frozen=True)
class MappingReader(NamedWeights):
    """Reads what the mapping names. Particles without transverse momentum are left out: they have no direction.

    Args:
        layout: Branches and units.
        data: Whether these are data: every weight is 1.
    """

    layout: MappingLayout
    data: bool = False

    def required(self, sample: SampleConfig) -> tuple[str, ...]:
        """Return the branches without which the sample cannot be processed."""
        layout = self.layout
        named = [name for name in (layout.event, layout.run, layout.luminosity_block) if name is not None]
        stated = (layout.benchmark_weights,) if isinstance(layout.benchmark_weights, str) else layout.benchmark_weights
        leptons = [name for part in (layout.leptons, layout.electrons, layout.muons) for name in _branches(part)]
        return tuple(dict.fromkeys([*named, *self.generator_branches(), *self._factors, *(stated if sample.benchmarks else ()), *leptons]))

    def jet_branches(self) -> tuple[str, ...]:
        """Return the branches that jet observables need."""
        return _branches(self.layout.jets)

    def optional(self) -> tuple[str, ...]:
        """Return the branches that are read where they exist."""
        return self.jet_branches()

    def field_branches(self, kind: Kind, field: str) -> tuple[tuple[str, ...], ...]:
        """Return the spellings of a branch beside those of the momenta."""
        layout = self.layout
        source = {"electron": layout.electrons or layout.leptons, "muon": layout.muons or layout.leptons, "jet": layout.jets}[kind]
        return () if source is None else spellings(source, field)

    def counts_jets(self) -> bool:
        """Return False: jets are always counted."""
        return False

    def read(
        self, events: ak.Array, sample: SampleConfig, *, weight_vectors: Sequence[str] = (), fields: ObjectFields = NO_FIELDS
    ) -> EventRecord:
        """Turn events into the internal record."""
        layout = self.layout
        jets = layout.jets if all(has(events, name) for name in self.jet_branches()) else None
        return EventRecord(
            identity=identity(events, event=layout.event, run=layout.run, block=layout.luminosity_block),
            gen_weight=self.gen_weights(events),
            benchmark_ratios=self._ratios(events, sample),
            electrons=self._leptons(events, layout.electrons, ELECTRON, fields.get("electron", {})),
            muons=self._leptons(events, layout.muons, MUON, fields.get("muon", {})),
            jets=None if jets is None else self._jets(events, jets, fields.get("jet", {})),
            weight_vectors={name: weight_vector(events, name) for name in weight_vectors},
        )

    def _ratios(self, events: ak.Array, sample: SampleConfig) -> NDArray[np.float64]:
        names = self.layout.benchmark_weights
        if not sample.benchmarks:
            return np.empty((len(events), 0))
        if isinstance(names, str):
            return benchmark_vector(events, names, sample)
        return benchmark_columns(events, names, sample, option="layout.benchmark_weights")

    def _leptons(self, events: ak.Array, own: ParticleColumns | None, flavour: int, more: Fields) -> Particles:
        source = own or self.layout.leptons
        if source is None:
            return no_particles(len(events), charge=True, more=more)
        counts, columns, further = self._momenta(events, source, more)
        keep = columns["pt"] != 0
        if own is None:
            keep &= np.abs(columns["pdg_id"]) == flavour
        columns = with_mass_and_charge(columns, flavour)
        particles = Particles(counts, {name: columns[name] for name in ("pt", "eta", "phi", "mass", "charge")} | further)
        return particles.where(keep)

    def _jets(self, events: ak.Array, source: ParticleColumns, more: Fields) -> Particles:
        counts, columns, further = self._momenta(events, source, more)
        if "mass" not in columns:
            columns["mass"] = np.where(columns["pt"] == 0, 0.0, mass_from_energy(columns))
        return Particles(counts, {name: columns[name] for name in ("pt", "eta", "phi", "mass")} | further).where(columns["pt"] != 0)

    def _momenta(
        self, events: ak.Array, source: ParticleColumns, more: Fields
    ) -> tuple[NDArray[np.int64], dict[str, NDArray[np.float64]], dict[str, NDArray[np.float64]]]:
        """Read what the section names, in GeV and radians (pt, eta, phi are always among it), and further properties as they are."""
        named = {field: name for field, name in source.model_dump().items() if name is not None}
        counts, content = lists(events, [*named.values(), *(name for (name,) in more.values())])
        columns = dict(zip(named, content[: len(named)], strict=True))
        further = dict(zip(more, content[len(named) :], strict=True))
        scale = MOMENTUM_UNITS[self.layout.momentum_unit]
        for field in ("pt", "px", "py", "pz", "mass", "energy"):
            if field in columns:
                columns[field] = scale * columns[field]
        if "px" in columns:
            columns |= angular(columns["px"], columns["py"], columns["pz"])
        else:
            columns["phi"] = columns["phi"] * ANGLE_UNITS[self.layout.angle_unit]
        return counts, columns, further


def _branches(source: ParticleColumns | None) -> tuple[str, ...]:
    return () if source is None else tuple(name for name in source.model_dump().values() if name is not None)
