"""Recognise ntuples with lists of particles by the names of their branches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from processors.formats.aliases import (
    ANGULAR,
    BLOCKS,
    CARTESIAN,
    EVENTS,
    FIELDS,
    RUNS,
    WEIGHTS,
    Types,
    collection_kind,
    first_of,
    is_plain_list,
)
from toolkit.config import MappingLayout

CJLST_WEIGHT, CJLST_XSEC = "overallEventWeight", "xsec"
"""Weight of an event (generator, pile-up, scale factors) and cross-section (pb) of trees of the CJLST framework."""
CJLST_COUNTERS, CJLST_SUMW = "Counters", 40
"""Histogram beside such a tree, and its bin (from 1) with the sum of generator weights of the file."""


def detect_lists(types: Types) -> MappingLayout | None:
    """Return the mapping that reads the lists of leptons and jets, None if there are none with telling names."""
    found = find_collections(types)
    chosen: dict[str, Any] = {kind: found[kind] for kind in ("electrons", "muons") if kind in found}
    if any(not {"charge", "pdg_id"} & set(columns) for columns in chosen.values()):
        return None
    both = found.get("leptons", {})
    if not chosen and "pdg_id" in both:
        chosen = {"leptons": both}
    if not chosen:
        return None
    if {"mass", "energy"} & set(found.get("jets", {})):
        chosen["jets"] = {name: own for name, own in found["jets"].items() if name not in {"charge", "pdg_id"}}
    numbers = {"event": EVENTS, "run": RUNS, "luminosity_block": BLOCKS, "gen_weight": WEIGHTS}
    chosen |= {option: first_of(known, types) for option, known in numbers.items()}
    if chosen["gen_weight"] == CJLST_WEIGHT and CJLST_XSEC in types:
        chosen["xsec_pb"] = CJLST_XSEC
    return MappingLayout.model_validate({"kind": "mapping", **chosen})


def find_collections(types: Types) -> dict[str, dict[str, str]]:
    """Return the branches of the first complete collection of each kind: electrons, muons, leptons, jets; by property.

    Examples:
        >>> find_collections(dict.fromkeys(("Muon_PT", "Muon_Eta", "Muon_Phi", "Muon_Charge"), "float[]"))
        {'muons': {'pt': 'Muon_PT', 'eta': 'Muon_Eta', 'phi': 'Muon_Phi', 'charge': 'Muon_Charge'}}
    """
    collections: dict[tuple[str, str], dict[str, str]] = {}
    for name in (name for name, kind in types.items() if is_plain_list(kind)):
        for prefix, field in _readings(name):
            kind = collection_kind(prefix)
            if kind is not None:
                collections.setdefault(kind, {}).setdefault(field, name)
    found: dict[str, dict[str, str]] = {}
    for (kind_name, _), columns in collections.items():
        momenta = next((form for form in (ANGULAR, CARTESIAN) if set(form) <= set(columns)), None)
        if momenta is not None and kind_name not in found:
            unread = {*ANGULAR, *CARTESIAN} - set(momenta)
            found[kind_name] = {name: columns[name] for name in FIELDS if name in columns and name not in unread}
    return found


def _readings(name: str) -> Iterator[tuple[str, str]]:
    """Go through the ways to read a name as that of a collection followed by a property."""
    for field, endings in FIELDS.items():
        for ending in endings:
            if name.endswith(ending) and len(name) > len(ending):
                yield name[: -len(ending)], field
