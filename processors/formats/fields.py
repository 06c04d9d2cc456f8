"""Further properties of objects: which branches hold a property that a condition or a weight of the config names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from toolkit.config import ParticleColumns

Kind = Literal["electron", "muon", "jet"]
KINDS: tuple[Kind, ...] = ("electron", "muon", "jet")
OWN = ("pt", "eta", "phi", "mass", "charge")
"""Properties that every reader gives, in GeV and radians (jets have no charge)."""

Fields = Mapping[str, tuple[str, ...]]
"""Branches that hold a property together, by its name: one list per event, or a column for each slot of a flat ntuple."""
ObjectFields = Mapping[str, Fields]
"""Further properties by kind of object: electron, muon, jet."""

NO_FIELDS: ObjectFields = {}


def spellings(source: ParticleColumns, field: str) -> tuple[tuple[str, ...], ...]:
    """Return how a branch of the same collection may be called, nearest to the names of its momenta first; at last the field itself.

    Examples:
        >>> spellings(ParticleColumns(pt="lep_pt", eta="lep_eta", phi="lep_phi"), "isTightID")
        (('lep_isTightID',), ('lep_IsTightID',), ('isTightID',))
        >>> spellings(ParticleColumns(pt="LepPt", eta="LepEta", phi="LepPhi"), "SIP")[0]
        ('LepSIP',)
    """
    known = source.pt or source.px or ""
    own = "pt" if source.pt else "px"
    lower, names = known.lower(), []
    capital = field[:1].upper() + field[1:]
    if lower.endswith(own):
        stem = known[: len(known) - len(own)]
        names = [stem + field, stem + capital]
    elif lower.startswith(own):
        names = [field + known[len(own) :]]
    return tuple((name,) for name in dict.fromkeys((*names, field)))
