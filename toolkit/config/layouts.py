"""Formats of ntuples: which branch means what, and in which unit."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from toolkit.config.base import Section

MomentumUnit = Literal["GeV", "MeV", "TeV"]
AngleUnit = Literal["rad", "deg"]


class NanoLayout(Section):
    """NanoAOD names: jagged Electron_*, Muon_* and Jet_* branches, weight vectors per event; TTree or RNTuple."""

    kind: Literal["nanoaod"] = "nanoaod"
    electron: str | None = "Electron"
    """Collection of electrons; `null` where the file has none."""
    muon: str | None = "Muon"
    """Collection of muons; `null` where the file has none."""
    jet: str | None = "Jet"
    """Collection of jets; `null` to read none."""
    event: str | None = "event"
    """Branch of the event number; `null` numbers the events by file and entry."""
    gen_weight: str = "genWeight"
    """Branch of the generator weight; not read for data."""
    weight_factors: tuple[str, ...] = ()
    """Branches that the weight of simulated events is multiplied with: one number per event, or one per lepton (`Electron_sf`), whose
    product over the leptons of the quadruplet counts."""
    benchmark_weights: str = "LHEReweightingWeight"
    """Branch of the benchmark weight vector, relative to the generator weight."""
    runs_tree: str = "Runs"
    """Tree that holds the sums of weights."""
    gen_sumw: str = "genEventSumw"
    """Its branch with the sum of generator weights before any skim."""
    xsec_fb: str = "xsec_fb"
    """Its branch with the cross-section in fb."""

    @model_validator(mode="after")
    def _leptons(self) -> NanoLayout:
        if self.electron is None and self.muon is None:
            msg = "electron and muon are both null: name at least one collection of leptons"
            raise ValueError(msg)
        return self


class FlatLayout(Section):
    """Flat ntuples and CSV files: one column per lepton and component, a sentinel where there is none.

    `lepton` and `jet` are patterns with `{i}` and `{field}`, for example `lep{i}_{field}`. Lepton fields are
    pt, eta, phi, pdg_id and optionally mass and charge; jet fields pt, eta, phi, mass. With px, py and pz under
    `fields` momenta are read from those, with energy the masses of jets.
    """

    kind: Literal["flat"]
    lepton: str = "lep{i}_{field}"
    jet: str | None = "jet{i}_{field}"
    fields: dict[str, str] = Field(default={})
    """Names that the file gives to the fields, where they differ: pt, eta, phi or px, py, pz, mass, energy, pdg_id, charge. A named
    charge goes before the sign of the PDG number."""
    first: Literal[0, 1] = 1
    """Number of the first lepton, and jet."""
    flavour: Literal["electron", "muon"] | None = None
    """Flavour of all leptons of a file that has one flavour only; `null` tells electrons from muons by `pdg_id`."""
    n_leptons: int = Field(default=4, ge=4)
    """Number of lepton columns per field."""
    n_jets: int = Field(default=2, ge=0)
    """Number of jet columns per field."""
    n_jets_column: str | None = None
    """Column with the number of jets; `null` counts the jets that the columns hold, which are at most `n_jets`."""
    sentinel: float = -999.0
    """Value that stands where there is no lepton or jet; NaN always does."""
    momentum_unit: MomentumUnit = "GeV"
    """Unit of pt and mass in the file."""
    angle_unit: AngleUnit = "rad"
    """Unit of phi in the file."""
    event: str | None = "event"
    """Column of the event number; `null` numbers the events by file and entry."""
    run: str = "run"
    """Column of the run number; 0 where the file has none."""
    luminosity_block: str = "luminosityBlock"
    """Column of the luminosity block; 0 where the file has none."""
    gen_weight: str | None = "weight"
    """Column of the generator weight; `null` where all weights are 1; not read for data."""
    weight_factors: tuple[str, ...] = ()
    """Columns that the weight of simulated events is multiplied with (scale factors); `lep{i}_sf` are those of the leptons, whose product
    over the quadruplet counts."""
    benchmark_weights: tuple[str, ...] = ()
    """Columns with the relative benchmark weights, in the order of the sample's `benchmarks`."""

    @model_validator(mode="after")
    def _known_fields(self) -> FlatLayout:
        known = ("pt", "eta", "phi", "px", "py", "pz", "mass", "energy", "pdg_id", "charge")
        wrong = sorted(set(self.fields) - set(known))
        if wrong:
            msg = f"fields {wrong} are unknown; the keys are {list(known)}, the values the names in the file"
            raise ValueError(msg)
        cartesian = [name for name in ("px", "py", "pz") if name in self.fields]
        if 0 < len(cartesian) < len(("px", "py", "pz")):
            msg = f"fields name {cartesian}; give px, py and pz, or none of them"
            raise ValueError(msg)
        if self.flavour is not None and "charge" not in self.fields:
            msg = f"leptons of flavour {self.flavour} need a charge: name its field, for example `fields: {{charge: charge}}`"
            raise ValueError(msg)
        return self

    @property
    def momentum_fields(self) -> tuple[str, str, str]:
        """The three components of momentum that are read."""
        return ("px", "py", "pz") if "px" in self.fields else ("pt", "eta", "phi")


class ParticleColumns(Section):
    """Branches of one kind of particle, each a list per event: either pt, eta, phi or px, py, pz."""

    pt: str | None = None
    eta: str | None = None
    phi: str | None = None
    px: str | None = None
    py: str | None = None
    pz: str | None = None
    mass: str | None = None
    """Mass; leptons have their known mass where it is `null`."""
    energy: str | None = None
    """Energy, from which the mass of jets follows where `mass` is `null`."""
    charge: str | None = None
    """Electric charge; `null` takes the sign of `pdg_id`."""
    pdg_id: str | None = None
    """PDG number, or its absolute value if `charge` is given; tells electrons (11) from muons (13) in one collection."""

    @model_validator(mode="after")
    def _complete(self) -> ParticleColumns:
        angular = [name for name in ("pt", "eta", "phi") if getattr(self, name) is not None]
        cartesian = [name for name in ("px", "py", "pz") if getattr(self, name) is not None]
        if sorted((len(angular), len(cartesian))) != [0, 3]:
            msg = f"give pt, eta, phi or px, py, pz, got {angular + cartesian}"
            raise ValueError(msg)
        return self


class MappingLayout(Section):
    """Any ntuple with a list of particles per event, described by its branches: no code is needed."""

    kind: Literal["mapping"]
    leptons: ParticleColumns | None = None
    """Electrons and muons in one collection, told apart by `pdg_id`."""
    electrons: ParticleColumns | None = None
    """Electrons in a collection of their own."""
    muons: ParticleColumns | None = None
    """Muons in a collection of their own."""
    jets: ParticleColumns | None = None
    """Jets; `null` reads none."""
    momentum_unit: MomentumUnit = "GeV"
    """Unit of momenta, masses and energies in the file."""
    angle_unit: AngleUnit = "rad"
    """Unit of phi in the file."""
    event: str | None = None
    """Branch of the event number; `null` numbers the events by file and entry."""
    run: str | None = None
    """Branch of the run number; 0 where it is `null`."""
    luminosity_block: str | None = None
    """Branch of the luminosity block; 0 where it is `null`."""
    gen_weight: str | None = None
    """Branch of the generator weight; `null` where all weights are 1; not read for data."""
    weight_factors: tuple[str, ...] = ()
    """Branches that the weight of simulated events is multiplied with (scale factors): one number per event, or one per lepton, whose
    product over the leptons of the quadruplet counts."""
    benchmark_weights: str | tuple[str, ...] = ()
    """Branch of the vector of relative benchmark weights, or one branch per benchmark."""
    xsec_pb: str | tuple[str, ...] | None = None
    """Branch of the event tree that repeats the cross-section of the sample (pb), or several whose product it is."""
    gen_sumw: str | None = None
    """Branch of the event tree that repeats the sum of generator weights of the whole sample."""
    gen_sumw_bin: str = Field(default="", pattern=r"^([^\[\]]+\[[1-9]\d*\])?$")
    """Bin of a histogram of every file that holds the sum of generator weights of this file, bins counted from 1:
    `ZZTree/Counters[40]`."""

    @property
    def xsec_branches(self) -> tuple[str, ...]:
        """Branches whose product is the cross-section; none where the layout names none."""
        return () if self.xsec_pb is None else (self.xsec_pb,) if isinstance(self.xsec_pb, str) else self.xsec_pb

    @model_validator(mode="after")
    def _identified(self) -> MappingLayout:
        own = [section for section in (self.electrons, self.muons) if section is not None]
        if (self.leptons is None) == (not own):
            msg = "give `leptons`, or `electrons` and `muons`"
            raise ValueError(msg)
        if self.gen_sumw is not None and self.gen_sumw_bin:
            msg = "gen_sumw and gen_sumw_bin: one of them holds the sum of weights"
            raise ValueError(msg)
        if self.leptons is not None and self.leptons.pdg_id is None:
            msg = "leptons: pdg_id is needed to tell electrons from muons"
            raise ValueError(msg)
        if any(section.charge is None and section.pdg_id is None for section in own):
            msg = "electrons and muons need charge or pdg_id"
            raise ValueError(msg)
        if self.jets is not None and self.jets.mass is None and self.jets.energy is None:
            msg = "jets need mass or energy"
            raise ValueError(msg)
        return self


class AtlasLayout(MappingLayout):
    """ATLAS open-data trees: lep_* and jet_* vectors, scale factors, cross-section and sum of weights in every event.

    The defaults are those of the trees `mini` (MeV, XSection, SumWeights); those of the trees `analysis` of 2025
    are written by `h4l init`.
    """

    kind: Literal["atlas"]  # type: ignore[assignment]
    leptons: ParticleColumns | None = ParticleColumns(pt="lep_pt", eta="lep_eta", phi="lep_phi", charge="lep_charge", pdg_id="lep_type")
    jets: ParticleColumns | None = ParticleColumns(pt="jet_pt", eta="jet_eta", phi="jet_phi", energy="jet_E")
    momentum_unit: MomentumUnit = "MeV"
    event: str | None = "eventNumber"
    run: str | None = "runNumber"
    gen_weight: str | None = "mcWeight"
    weight_factors: tuple[str, ...] = ("scaleFactor_PILEUP", "scaleFactor_ELE", "scaleFactor_MUON", "scaleFactor_LepTRIGGER")
    xsec_pb: str | tuple[str, ...] | None = "XSection"
    gen_sumw: str | None = "SumWeights"


class LheLayout(Section):
    """Les Houches event files: final-state electrons and muons are the leptons, quarks and gluons the jets.

    Needs the extra `lhe`. The weights of the file are absolute and have names; events are numbered by file and entry.
    """

    kind: Literal["lhe"]
    benchmark_weights: tuple[str, ...] = ()
    """Names (ids) of the weights under the sample's `benchmarks`, in their order."""


Layout = NanoLayout | FlatLayout | MappingLayout | AtlasLayout | LheLayout
