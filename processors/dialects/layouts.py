"""Ntuple layouts: NanoAOD-like and flat trees become one internal event record."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from processors.dialects.record import ELECTRON, LEPTON_MASS, MUON, EventRecord
from processors.particles import Particles
from toolkit import units
from toolkit.config import FlatLayout, NanoLayout, SampleConfig
from toolkit.errors import ShapeError


class Reader(Protocol):
    """What the processor and the input checks need to know about a layout."""

    def required(self, sample: SampleConfig) -> tuple[str, ...]:
        """Branches without which the sample cannot be processed."""
        ...

    def jet_branches(self) -> tuple[str, ...]:
        """Branches that jet observables need."""
        ...

    def optional(self) -> tuple[str, ...]:
        """Branches that are read where they exist."""
        ...

    def read(self, events: ak.Array, sample: SampleConfig) -> EventRecord:
        """Turn events as coffea's BaseSchema gives them into the internal record."""
        ...

    def gen_weights(self, events: ak.Array) -> NDArray[np.float64]:
        """Return the generator weights, (n,)."""
        ...


def reader_for(sample: SampleConfig) -> Reader:
    """Return the reader of the sample's layout."""
    if isinstance(sample.layout, FlatLayout):
        return FlatReader(sample.layout)
    return NanoReader(sample.layout)


def branch_names(fields: Collection[str]) -> set[str]:
    """Return branch names in TTree spelling: the RNTuple field ``Electron.pt`` is ``Electron_pt``.

    Examples:
        >>> sorted(branch_names(["Electron.pt", "genWeight"]))
        ['Electron_pt', 'genWeight']
    """
    return {name.replace(".", "_") for name in fields}


@dataclass(frozen=True)
class NanoReader:
    """Reads jagged Electron_*, Muon_*, Jet_* branches. Lepton masses are the constants of `units` where the branches are absent."""

    layout: NanoLayout

    def required(self, sample: SampleConfig) -> tuple[str, ...]:
        """Return the branches without which the sample cannot be processed."""
        leptons = [f"{kind}_{field}" for kind in ("Electron", "Muon") for field in ("pt", "eta", "phi", "charge")]
        vector = [self.layout.benchmark_weights] if sample.benchmarks else []
        return ("event", self.layout.gen_weight, *vector, *leptons)

    def jet_branches(self) -> tuple[str, ...]:
        """Return the branches that jet observables need."""
        return ("Jet_pt", "Jet_eta", "Jet_phi", "Jet_mass")

    def optional(self) -> tuple[str, ...]:
        """Return the branches that are read where they exist."""
        return ("run", "luminosityBlock", "Electron_mass", "Muon_mass", *self.jet_branches())

    def gen_weights(self, events: ak.Array) -> NDArray[np.float64]:
        """Return the generator weights, (n,)."""
        return _floats(events[self.layout.gen_weight])

    def read(self, events: ak.Array, sample: SampleConfig) -> EventRecord:
        """Turn events as coffea's BaseSchema gives them into the internal record."""
        return EventRecord(
            identity=_identity(events, "event"),
            gen_weight=self.gen_weights(events),
            benchmark_ratios=self._ratios(events, sample),
            electrons=self._particles(events, "Electron", LEPTON_MASS[ELECTRON]),
            muons=self._particles(events, "Muon", LEPTON_MASS[MUON]),
            jets=self._particles(events, "Jet", None) if _has(events, "Jet_pt") else None,
        )

    def _ratios(self, events: ak.Array, sample: SampleConfig) -> NDArray[np.float64]:
        n_benchmarks = len(sample.benchmarks)
        if not n_benchmarks:
            return np.empty((len(events), 0))
        vector = events[self.layout.benchmark_weights]
        lengths = np.asarray(ak.num(vector, axis=1))
        if np.any(lengths != n_benchmarks):
            bad = int(np.flatnonzero(lengths != n_benchmarks)[0])
            raise wrong_vector_length(self.layout.benchmark_weights, sample, int(lengths[bad]), where=f"entry {bad} of the chunk")
        return np.asarray(ak.flatten(vector, axis=1), dtype=np.float64).reshape(-1, n_benchmarks)

    @staticmethod
    def _particles(events: ak.Array, kind: str, mass: float | None) -> Particles:
        pt = _column(events, kind, "pt")
        columns = {"pt": _floats(ak.flatten(pt))}
        for field in ("eta", "phi"):
            columns[field] = _floats(ak.flatten(_column(events, kind, field)))
        if mass is not None and not _has(events, f"{kind}_mass"):
            columns["mass"] = np.full_like(columns["pt"], mass)
        else:
            columns["mass"] = _floats(ak.flatten(_column(events, kind, "mass")))
        if mass is not None:
            columns["charge"] = _floats(ak.flatten(_column(events, kind, "charge")))
        return Particles(np.asarray(ak.num(pt), dtype=np.int64), columns)


@dataclass(frozen=True)
class FlatReader:
    """Reads one column per lepton and component; a sentinel in the pt column (or a pt that is not positive) means: no particle.

    The ntuple holds at most `n_jets` jets per event, so the observable n_jets counts no further than that.
    """

    layout: FlatLayout

    def required(self, sample: SampleConfig) -> tuple[str, ...]:
        """Return the branches without which the sample cannot be processed."""
        leptons = [self._lepton(i, field) for i in range(1, self.layout.n_leptons + 1) for field in ("pt", "eta", "phi", "pdg_id")]
        weight = [self.layout.gen_weight] if self.layout.gen_weight else []
        return (self.layout.event, *weight, *self.layout.benchmark_weights, *leptons)

    def jet_branches(self) -> tuple[str, ...]:
        """Return the branches that jet observables need."""
        if self.layout.jet is None:
            return ()
        return tuple(self._jet(i, field) for i in range(1, self.layout.n_jets + 1) for field in ("pt", "eta", "phi", "mass"))

    def optional(self) -> tuple[str, ...]:
        """Return the branches that are read where they exist."""
        masses = [self._lepton(i, "mass") for i in range(1, self.layout.n_leptons + 1)]
        return ("run", "luminosityBlock", *masses, *self.jet_branches())

    def gen_weights(self, events: ak.Array) -> NDArray[np.float64]:
        """Return the generator weights, (n,); ones where the layout names no column."""
        if self.layout.gen_weight is None:
            return np.ones(len(events))
        return _floats(events[self.layout.gen_weight])

    def read(self, events: ak.Array, sample: SampleConfig) -> EventRecord:
        """Turn events as coffea's BaseSchema gives them into the internal record."""
        ratios = [_floats(events[name]) for name in self.layout.benchmark_weights] if sample.benchmarks else []
        if len(ratios) != len(sample.benchmarks):
            raise wrong_vector_length("layout.benchmark_weights", sample, len(ratios), where="the config")
        has_jets = bool(self.jet_branches()) and all(_has(events, name) for name in self.jet_branches())
        return EventRecord(
            identity=_identity(events, self.layout.event),
            gen_weight=self.gen_weights(events),
            benchmark_ratios=np.stack(ratios, axis=1) if ratios else np.empty((len(events), 0)),
            electrons=self._leptons(events, ELECTRON),
            muons=self._leptons(events, MUON),
            jets=self._jets(events) if has_jets else None,
        )

    def _lepton(self, i: int, field: str) -> str:
        return self.layout.lepton.format(i=i, field=field)

    def _jet(self, i: int, field: str) -> str:
        return (self.layout.jet or "").format(i=i, field=field)

    @property
    def _scale(self) -> float:
        return units.MEV if self.layout.momentum_unit == "MeV" else units.GEV

    def _leptons(self, events: ak.Array, flavour: int) -> Particles:
        slots = range(1, self.layout.n_leptons + 1)
        stacked: dict[str, NDArray[Any]] = {f: _stack(events, [self._lepton(i, f) for i in slots]) for f in ("pt", "eta", "phi", "pdg_id")}
        if all(_has(events, self._lepton(i, "mass")) for i in slots):
            stacked["mass"] = self._scale * _stack(events, [self._lepton(i, "mass") for i in slots])
        else:
            stacked["mass"] = np.full_like(stacked["pt"], LEPTON_MASS[flavour])
        pdg_id = stacked.pop("pdg_id")
        present = self._present(stacked["pt"]) & (np.abs(pdg_id) == flavour)
        stacked["pt"] = self._scale * stacked["pt"]
        stacked["charge"] = -np.sign(pdg_id)
        return _compressed(stacked, present)

    def _jets(self, events: ak.Array) -> Particles:
        slots = range(1, self.layout.n_jets + 1)
        stacked = {field: _stack(events, [self._jet(i, field) for i in slots]) for field in ("pt", "eta", "phi", "mass")}
        present = self._present(stacked["pt"])
        return _compressed({**stacked, "pt": self._scale * stacked["pt"], "mass": self._scale * stacked["mass"]}, present)

    def _present(self, pt: NDArray[np.float64]) -> NDArray[np.bool_]:
        return np.asarray((pt != self.layout.sentinel) & (pt > 0))


def wrong_vector_length(branch: str, sample: SampleConfig, length: int, *, where: str) -> ShapeError:
    """Return the error for a benchmark weight vector that does not match the config."""
    return ShapeError(
        f"benchmark weights {branch!r} of sample {sample.name}, {where}",
        got=f"a vector of length {length}",
        expected=f"length {len(sample.benchmarks)}, one weight per benchmark {list(sample.benchmarks)}",
        remedy="list the benchmarks of the weight vector in its order under `benchmarks` of the sample",
    )


def _has(events: ak.Array, name: str) -> bool:
    kind, _, field = name.partition("_")
    return name in events.fields or (kind in events.fields and field in events[kind].fields)


def _column(events: ak.Array, kind: str, field: str) -> ak.Array:
    name = f"{kind}_{field}"
    return events[name] if name in events.fields else events[kind][field]


def _floats(column: ak.Array) -> NDArray[np.float64]:
    return np.asarray(column, dtype=np.float64)


def _stack(events: ak.Array, names: list[str]) -> NDArray[np.float64]:
    return np.stack([_floats(events[name]) for name in names], axis=1)


def _identity(events: ak.Array, event: str) -> dict[str, NDArray[Any]]:
    zeros = np.zeros(len(events), dtype=np.uint32)
    identity: dict[str, NDArray[Any]] = {"event": np.asarray(events[event]).astype(np.uint64)}
    for name in ("run", "luminosityBlock"):
        identity[name] = np.asarray(events[name]).astype(np.uint32) if name in events.fields else zeros
    return identity


def _compressed(columns: dict[str, NDArray[Any]], present: NDArray[np.bool_]) -> Particles:
    """Drop the empty slots of columns (n, n_slots)."""
    return Particles(present.sum(axis=1), {name: values[present] for name, values in columns.items()})
