"""NanoAOD: jagged Electron_*, Muon_*, Jet_* branches of a TTree, or the same collections of an RNTuple."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from processors.formats.columns import benchmark_vector, has, identity, lists, product, weight_vector
from processors.formats.fields import NO_FIELDS, Fields, Kind, ObjectFields
from processors.formats.record import ELECTRON, LEPTON_MASS, MUON, EventRecord, no_particles
from processors.particles import Particles
from toolkit.config import NanoLayout, SampleConfig

LEPTON_FIELDS = ("pt", "eta", "phi", "charge")
JET_FIELDS = ("pt", "eta", "phi", "mass")


@dataclass(frozen=True)
class NanoReader:
    """Reads NanoAOD. Lepton masses are the constants of `units` where the branches are absent.

    Args:
        layout: Names of branches and trees.
        data: Whether these are data: every weight is 1.
    """

    layout: NanoLayout
    data: bool = False

    def required(self, sample: SampleConfig) -> tuple[str, ...]:
        """Return the branches without which the sample cannot be processed."""
        kinds = [kind for kind in (self.layout.electron, self.layout.muon) if kind is not None]
        leptons = [f"{kind}_{field}" for kind in kinds for field in LEPTON_FIELDS]
        vector = [self.layout.benchmark_weights] if sample.benchmarks else []
        event = [self.layout.event] if self.layout.event is not None else []
        return (*event, *self.generator_branches(), *(() if self.data else self.layout.weight_factors), *vector, *leptons)

    def jet_branches(self) -> tuple[str, ...]:
        """Return the branches that jet observables need."""
        return () if self.layout.jet is None else tuple(f"{self.layout.jet}_{field}" for field in JET_FIELDS)

    def optional(self) -> tuple[str, ...]:
        """Return the branches that are read where they exist."""
        masses = [f"{kind}_mass" for kind in (self.layout.electron, self.layout.muon) if kind is not None]
        return ("run", "luminosityBlock", *masses, *self.jet_branches())

    def field_branches(self, kind: Kind, field: str) -> tuple[tuple[str, ...], ...]:
        """Return the branch COLLECTION_field; nothing where the layout has no such collection."""
        collection = {"electron": self.layout.electron, "muon": self.layout.muon, "jet": self.layout.jet}[kind]
        return () if collection is None else ((f"{collection}_{field}",),)

    def counts_jets(self) -> bool:
        """Return False: jets are always counted."""
        return False

    def generator_branches(self) -> tuple[str, ...]:
        """Return the branch of the generator weight, none for data."""
        return () if self.data else (self.layout.gen_weight,)

    def gen_weights(self, events: ak.Array) -> NDArray[np.float64]:
        """Return generator weight times the weight factors of events, (n,); ones for data."""
        return product(events, self.generator_branches(), () if self.data else self.layout.weight_factors)

    def read(
        self, events: ak.Array, sample: SampleConfig, *, weight_vectors: Sequence[str] = (), fields: ObjectFields = NO_FIELDS
    ) -> EventRecord:
        """Turn events into the internal record."""
        jets = self.layout.jet if self.layout.jet is not None and has(events, f"{self.layout.jet}_pt") else None
        vector = self.layout.benchmark_weights
        return EventRecord(
            identity=identity(events, event=self.layout.event, run="run", block="luminosityBlock"),
            gen_weight=self.gen_weights(events),
            benchmark_ratios=benchmark_vector(events, vector, sample) if sample.benchmarks else np.empty((len(events), 0)),
            electrons=_leptons(events, self.layout.electron, LEPTON_MASS[ELECTRON], fields.get("electron", {})),
            muons=_leptons(events, self.layout.muon, LEPTON_MASS[MUON], fields.get("muon", {})),
            jets=None if jets is None else _jets(events, jets, fields.get("jet", {})),
            weight_vectors={name: weight_vector(events, name) for name in weight_vectors},
        )

    def missing(self, branches: Collection[str], sample: SampleConfig) -> tuple[str, ...]:
        """Return the required branches that a tree with these branches lacks."""
        return tuple(name for name in self.required(sample) if name not in branches)


def _leptons(events: ak.Array, kind: str | None, mass: float, more: Fields) -> Particles:
    if kind is None:
        return no_particles(len(events), charge=True, more=more)
    own_mass = has(events, f"{kind}_mass")
    fields = ("pt", "eta", "phi", *(("mass",) if own_mass else ()), "charge")
    counts, content = lists(events, [*(f"{kind}_{field}" for field in fields), *(name for (name,) in more.values())])
    columns = dict(zip((*fields, *more), content, strict=True))
    if not own_mass:
        columns["mass"] = np.full_like(columns["pt"], mass)
    return Particles(counts, {name: columns[name] for name in ("pt", "eta", "phi", "mass", "charge", *more)})


def _jets(events: ak.Array, kind: str, more: Fields) -> Particles:
    counts, content = lists(events, [*(f"{kind}_{field}" for field in JET_FIELDS), *(name for (name,) in more.values())])
    return Particles(counts, dict(zip((*JET_FIELDS, *more), content, strict=True)))
