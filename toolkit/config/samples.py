"""Samples: which files, in which dialect, with which cross-section and benchmark weights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from toolkit.config.base import Section


class NanoLayout(Section):
    """NanoAOD names: jagged Electron_*, Muon_* and Jet_* branches, one weight vector per event."""

    kind: Literal["nanoaod"] = "nanoaod"
    gen_weight: str = "genWeight"
    """Branch of the generator weight."""
    benchmark_weights: str = "LHEReweightingWeight"
    """Branch of the benchmark weight vector, relative to the generator weight."""
    runs_tree: str = "Runs"
    """Tree that holds the sums of weights."""
    gen_sumw: str = "genEventSumw"
    """Its branch with the sum of generator weights before any skim."""
    xsec_fb: str = "xsec_fb"
    """Its branch with the cross-section in fb."""


class FlatLayout(Section):
    """Flat ntuples: one column per lepton and component, a sentinel where there is none.

    `lepton` and `jet` are patterns with `{i}` (from 1) and `{field}`, for example `lep{i}_{field}`. Lepton
    fields are pt, eta, phi, pdg_id and optionally mass; jet fields pt, eta, phi, mass.
    """

    kind: Literal["flat"]
    lepton: str = "lep{i}_{field}"
    jet: str | None = "jet{i}_{field}"
    n_leptons: int = Field(default=4, ge=4)
    """Number of lepton columns per field."""
    n_jets: int = Field(default=2, ge=0)
    """Number of jet columns per field."""
    sentinel: float = -999.0
    """Value that stands where there is no lepton or jet."""
    momentum_unit: Literal["GeV", "MeV"] = "GeV"
    """Unit of pt and mass in the file."""
    event: str = "event"
    """Column of the event number."""
    gen_weight: str | None = "weight"
    """Column of the generator weight; `null` where all weights are 1."""
    benchmark_weights: tuple[str, ...] = ()
    """Columns with the relative benchmark weights, in the order of the sample's `benchmarks`."""


class SampleConfig(Section):
    """One physics process as it was generated."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    """Name of the process; an interfering sample is called after the benchmark that it was generated with."""
    files: tuple[str, ...] = Field(min_length=1)
    """Paths or globs, relative to the config file; `{data}` is the folder given with --data."""
    tree: str = "Events"
    """Name of the event tree."""
    layout: Annotated[NanoLayout | FlatLayout, Field(discriminator="kind")] = NanoLayout()
    """Dialect of the ntuple."""
    xsec_pb: float | Literal["file"] = "file"
    """Cross-section in pb, or `file` to read it (in fb) from the Runs tree."""
    gen_sumw: float | Literal["file", "sum"] = "file"
    """Sum of generator weights before any skim: a number, `file` (Runs tree) or `sum` (of the events in the files)."""
    k_factor: float = Field(default=1.0, gt=0)
    """Factor on the cross-section."""
    benchmarks: tuple[str, ...] = ()
    """Names of the entries of the benchmark weight vector; empty for a sample that does not interfere."""

    @model_validator(mode="after")
    def _unique_benchmarks(self) -> SampleConfig:
        if len(set(self.benchmarks)) != len(self.benchmarks):
            msg = f"benchmark names repeat: {list(self.benchmarks)}"
            raise ValueError(msg)
        if isinstance(self.layout, FlatLayout) and self.xsec_pb == "file":
            msg = "a flat ntuple has no Runs tree: give xsec_pb as a number"
            raise ValueError(msg)
        if isinstance(self.layout, FlatLayout) and self.gen_sumw == "file":
            msg = "a flat ntuple has no Runs tree: give gen_sumw as a number or as 'sum'"
            raise ValueError(msg)
        return self
