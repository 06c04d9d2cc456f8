"""Flat ntuples and CSV files: one column per lepton and component, a sentinel where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from processors.formats.columns import benchmark_columns, column_name, has, identity, scalars, weight_vector
from processors.formats.fields import NO_FIELDS, Fields, Kind, ObjectFields
from processors.formats.momenta import ANGLE_UNITS, MOMENTUM_UNITS, angular, mass_from_energy
from processors.formats.named_weights import NamedWeights
from processors.formats.record import ELECTRON, MUON, EventRecord, with_mass_and_charge
from processors.particles import Particles
from toolkit.config import FlatLayout, SampleConfig

PDG = {"electron": ELECTRON, "muon": MUON}


@dataclass(frozen=True)
class FlatReader(NamedWeights):
    """Reads flat columns; a sentinel or NaN in the pt (or px) column, or a pt that is not positive, means: no particle.

    The ntuple holds at most `n_jets` jets per event, so the observable n_jets counts no further than that, unless
    the layout names a column for it.

    Args:
        layout: Patterns, names and units of the columns.
        data: Whether these are data: every weight is 1.
    """

    layout: FlatLayout
    data: bool = False

    def required(self, sample: SampleConfig) -> tuple[str, ...]:
        """Return the columns without which the sample cannot be processed."""
        layout = self.layout
        fields = (*self._identity_fields, *(f for f in ("mass", "charge") if f in layout.fields))
        leptons = [self._lepton(i, field) for i in self._slots for field in fields]
        named = [name for name in (layout.event, layout.n_jets_column) if name is not None]
        benchmarks = layout.benchmark_weights if sample.benchmarks else ()
        factors = [column_name(name, i, "") for name in self._factors for i in (self._slots if "{i}" in name else (1,))]
        return (*named, *self.generator_branches(), *factors, *benchmarks, *leptons)

    def jet_branches(self) -> tuple[str, ...]:
        """Return the columns that jet observables need."""
        if self.layout.jet is None:
            return ()
        return tuple(self._jet(i, field) for i in self._jet_slots for field in self._jet_fields)

    def optional(self) -> tuple[str, ...]:
        """Return the columns that are read where they exist."""
        masses = [self._lepton(i, "mass") for i in self._slots]
        return (self.layout.run, self.layout.luminosity_block, *masses, *self.jet_branches())

    def field_branches(self, kind: Kind, field: str) -> tuple[tuple[str, ...], ...]:
        """Return the columns of all slots."""
        if kind == "jet":
            return () if self.layout.jet is None else (tuple(self._jet(i, field) for i in self._jet_slots),)
        return (tuple(self._lepton(i, field) for i in self._slots),)

    def counts_jets(self) -> bool:
        """Return whether n_jets is a column of the ntuple."""
        return self.layout.n_jets_column is not None

    def read(
        self, events: ak.Array, sample: SampleConfig, *, weight_vectors: Sequence[str] = (), fields: ObjectFields = NO_FIELDS
    ) -> EventRecord:
        """Turn events into the internal record."""
        layout = self.layout
        names = layout.benchmark_weights
        none = np.empty((len(events), 0))
        has_jets = bool(self.jet_branches()) and all(has(events, name) for name in self.jet_branches())
        return EventRecord(
            identity=identity(events, event=layout.event, run=layout.run, block=layout.luminosity_block),
            gen_weight=self.gen_weights(events),
            benchmark_ratios=benchmark_columns(events, names, sample, option="layout.benchmark_weights") if sample.benchmarks else none,
            electrons=self._leptons(events, ELECTRON, fields.get("electron", {})),
            muons=self._leptons(events, MUON, fields.get("muon", {})),
            jets=self._jets(events, fields.get("jet", {})) if has_jets else None,
            weight_vectors={name: weight_vector(events, name) for name in weight_vectors},
            columns={} if layout.n_jets_column is None else {"n_jets": self._missing_as_nan(scalars(events, layout.n_jets_column))},
        )

    @property
    def _slots(self) -> range:
        return range(self.layout.first, self.layout.first + self.layout.n_leptons)

    @property
    def _jet_slots(self) -> range:
        return range(self.layout.first, self.layout.first + self.layout.n_jets)

    @property
    def _identity_fields(self) -> tuple[str, ...]:
        """What every lepton must have: momentum and, in files of both flavours, the PDG number."""
        return (*self.layout.momentum_fields, *(("pdg_id",) if self.layout.flavour is None else ()))

    @property
    def _jet_fields(self) -> tuple[str, ...]:
        return (*self.layout.momentum_fields, "energy" if "energy" in self.layout.fields else "mass")

    def _lepton(self, i: int, field: str) -> str:
        return column_name(self.layout.lepton, i, self.layout.fields.get(field, field))

    def _jet(self, i: int, field: str) -> str:
        return column_name(self.layout.jet or "", i, self.layout.fields.get(field, field))

    def _leptons(self, events: ak.Array, flavour: int, more: Fields) -> Particles:
        stacked = {field: self._stack(events, [self._lepton(i, field) for i in self._slots]) for field in self._identity_fields}
        for field in ("mass", "charge"):
            names = [self._lepton(i, field) for i in self._slots]
            if field in self.layout.fields or (field == "mass" and all(has(events, name) for name in names)):
                stacked[field] = self._stack(events, names)
        own = np.full(len(events), PDG[self.layout.flavour]) if self.layout.flavour else np.abs(stacked["pdg_id"])
        columns, present = self._in_internal_units(stacked)
        present &= (own if own.ndim == 2 else own[:, np.newaxis]) == flavour
        columns = with_mass_and_charge(columns, flavour)
        further = {name: self._stack(events, list(branches)) for name, branches in more.items()}
        return _compressed({name: columns[name] for name in ("pt", "eta", "phi", "mass", "charge")} | further, present)

    def _jets(self, events: ak.Array, more: Fields) -> Particles:
        stacked = {field: self._stack(events, [self._jet(i, field) for i in self._jet_slots]) for field in self._jet_fields}
        columns, present = self._in_internal_units(stacked)
        if "energy" in columns:
            columns["mass"] = mass_from_energy(columns)
        further = {name: self._stack(events, list(branches)) for name, branches in more.items()}
        return _compressed({name: columns[name] for name in ("pt", "eta", "phi", "mass")} | further, present)

    def _in_internal_units(self, columns: dict[str, NDArray[np.float64]]) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.bool_]]:
        """Return the columns in GeV and radians, with pt, eta, phi among them, and which slots hold a particle, (n, n_slots)."""
        momentum, angle = MOMENTUM_UNITS[self.layout.momentum_unit], ANGLE_UNITS[self.layout.angle_unit]
        factors = {**dict.fromkeys(("pt", "px", "py", "pz", "mass", "energy"), momentum), "phi": angle}
        present = columns[self.layout.momentum_fields[0]] != self.layout.sentinel
        scaled = {name: values * factors.get(name, 1.0) for name, values in columns.items()}
        if "px" in scaled:
            scaled |= angular(scaled["px"], scaled["py"], scaled["pz"])
        return scaled, np.asarray(present & (scaled["pt"] > 0))

    def _missing_as_nan(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(values == self.layout.sentinel, np.nan, values)

    @staticmethod
    def _stack(events: ak.Array, names: list[str]) -> NDArray[np.float64]:
        return np.stack([scalars(events, name) for name in names], axis=1)


def _compressed(columns: dict[str, NDArray[Any]], present: NDArray[np.bool_]) -> Particles:
    """Drop the empty slots of columns (n, n_slots)."""
    return Particles(present.sum(axis=1), {name: values[present] for name, values in columns.items()})
