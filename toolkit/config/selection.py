"""Event selection. Defaults are the ATLAS off-shell selection (four leptons, m4l > 220 GeV)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from toolkit.config.base import Section
from toolkit.config.conditions import OptionalCondition

Window = tuple[float, float]
LARGEST_GEV = 14_000.0
"""Largest mass at which a window may begin: the energy of the collisions."""
LARGEST_PT_GEV = 2_000.0
"""Largest threshold of a transverse momentum; 5 GeV in MeV are more."""
Channel = Literal["4e", "4mu", "2e2mu"]


class LeptonSelection(Section):
    """Kinematic acceptance of one lepton flavour (GeV)."""

    pt_min: float = Field(ge=0)
    """Transverse momentum at least this (GeV)."""
    abs_eta_max: float = Field(gt=0)
    """Pseudorapidity at most this, either side."""
    abs_eta_gap: Window | None = None
    """Leptons with |eta| inside are left out (low included, high excluded), for example [1.37, 1.52]; `null` leaves none out."""
    jet_delta_r: float = Field(default=0.0, ge=0)
    """Leptons nearer than this to a jet that is left after `jet.lepton_delta_r` are removed; 0 keeps them. See docs/systematics.md."""
    where: OptionalCondition = ""
    """Identification and isolation: a condition on branches of the collection, `cutBased >= 3 and pfRelIso03_all < 0.15`. `pt`, `eta`,
    `phi`, `mass` and `charge` are those of the selection (GeV, rad). Each part is a line of the cut flow (docs/ntuples.md)."""


class JetSelection(Section):
    """Jets counted in n_jets; those within `lepton_delta_r` of a selected lepton are removed."""

    pt_min: float = Field(default=30.0, ge=0)
    """Transverse momentum at least this (GeV)."""
    abs_eta_max: float = Field(default=4.5, gt=0)
    """Pseudorapidity at most this, either side."""
    lepton_delta_r: float = Field(default=0.4, ge=0)
    """Jets nearer than this to a selected lepton are removed."""
    where: OptionalCondition = ""
    """A condition on branches of the collection that counted jets must fulfil, `jetId >= 2`; see that of leptons."""


class SelectionConfig(Section):
    """Four-lepton selection; windows are (low, high) in GeV, low included, high excluded."""

    electron: LeptonSelection = LeptonSelection(pt_min=7.0, abs_eta_max=2.47)
    """Keys that are left out keep these values."""
    muon: LeptonSelection = LeptonSelection(pt_min=5.0, abs_eta_max=2.7)
    """Keys that are left out keep these values."""
    jet: JetSelection = JetSelection()
    leading_pt_min: tuple[float, ...] = (20.0, 15.0, 10.0)
    """Thresholds of the hardest leptons (GeV), hardest first."""
    n_leptons_exact: bool = True
    """True: exactly four selected leptons; False: at least four, the best quadruplet is taken: Z1 is the pair nearest to the Z mass,
    Z2 the pair of the others with the largest sum of transverse momenta."""
    total_charge: int | None = None
    """Sum of the charges of all selected leptons; `null` demands nothing beyond the two neutral pairs."""
    channels: tuple[Channel, ...] = Field(default=("4e", "4mu", "2e2mu"), min_length=1)
    """Flavours that are kept."""
    z1: Literal["leading", "heavier", "harder"] = "leading"
    """Which pair is Z1: nearest to the Z mass (`leading`), of the larger mass, or of the larger transverse momentum."""
    m_z1: Window = (50.0, 106.0)
    """Mass of Z1 (GeV)."""
    m_z2: Window = (50.0, 115.0)
    """Mass of Z2, the other pair (GeV)."""
    m4l: Window = (220.0, 2000.0)
    """Four-lepton mass (GeV)."""
    where: OptionalCondition = ""
    """A further condition that selected events must fulfil, on observables and on branches of the event (triggers, flags):
    `HLT_IsoMu24 == 1 and m_jj > 120`. The last cuts, one line of the cut flow for each part."""

    @model_validator(mode="before")
    @classmethod
    def _keep_acceptance(cls, document: Any) -> Any:
        """Let a section that names a condition only keep the acceptance of its flavour."""
        if not isinstance(document, Mapping):
            return document
        filled = dict(document)
        for name in ("electron", "muon"):
            if isinstance(filled.get(name), Mapping):
                filled[name] = {**cls.model_fields[name].default.model_dump(include={"pt_min", "abs_eta_max"}), **filled[name]}
        return filled

    @model_validator(mode="after")
    def _ordered(self) -> SelectionConfig:
        for name in ("m_z1", "m_z2", "m4l"):
            low, high = getattr(self, name)
            if not low < high:
                msg = f"{name}: [{low}, {high}] is empty; give (low, high) with low < high"
                raise ValueError(msg)
            if low > LARGEST_GEV:
                msg = f"{name}: [{low:g}, {high:g}] lies above {LARGEST_GEV:g} GeV; masses are in GeV, not in MeV"
                raise ValueError(msg)
        thresholds = {f"{name}.pt_min": getattr(self, name).pt_min for name in ("electron", "muon", "jet")}
        for name, threshold in {**thresholds, "leading_pt_min": max(self.leading_pt_min, default=0.0)}.items():
            if threshold > LARGEST_PT_GEV:
                msg = f"{name}: {threshold:g} is above {LARGEST_PT_GEV:g} GeV; momenta are in GeV, not in MeV"
                raise ValueError(msg)
        for flavour in (self.electron, self.muon):
            if flavour.abs_eta_gap is not None and not flavour.abs_eta_gap[0] < flavour.abs_eta_gap[1]:
                msg = f"abs_eta_gap: {list(flavour.abs_eta_gap)} is empty; give (low, high) with low < high"
                raise ValueError(msg)
        return self
