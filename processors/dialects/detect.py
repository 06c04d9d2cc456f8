"""Recognise the dialect of an ntuple by the names and types of its branches."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from processors.dialects.columns import column_name
from processors.dialects.lhe import PARTICLES
from processors.dialects.nanoaod import LEPTON_FIELDS
from toolkit.config import AtlasLayout, FlatLayout, LheLayout, MappingLayout, NanoLayout

Layout = NanoLayout | FlatLayout | MappingLayout | LheLayout
Types = Mapping[str, str]

WEIGHTS = ("genWeight", "weight", "gen_weight", "mcWeight", "event_weight", "eventWeight", "EventWeight", "mc_weight")
EVENTS = ("event", "eventNumber", "EventNumber", "event_number", "Event", "evt")
RUNS = ("run", "runNumber", "RunNumber", "run_number", "Run")
FLAT_FIELDS = ("pt", "eta", "phi")
FLAT_JET_FIELDS = ("pt", "eta", "phi", "mass")
JET_COUNTS = ("n_jets", "nJets", "njets", "nJet", "jet_n", "n_jet")
COLLECTIONS = {
    "electrons": ("Electron", "electron", "Electrons", "electrons", "ele", "el"),
    "muons": ("Muon", "muon", "Muons", "muons", "mu"),
    "leptons": ("lep", "Lepton", "lepton", "Leptons", "leptons"),
    "jets": ("Jet", "jet", "Jets", "jets"),
}
FIELDS = {
    "pt": ("pt", "Pt", "PT"),
    "eta": ("eta", "Eta"),
    "phi": ("phi", "Phi"),
    "px": ("px", "Px", "PX"),
    "py": ("py", "Py", "PY"),
    "pz": ("pz", "Pz", "PZ"),
    "mass": ("mass", "Mass", "m", "M"),
    "energy": ("energy", "Energy", "E", "e"),
    "charge": ("charge", "Charge", "q", "Q"),
    "pdg_id": ("pdg_id", "pdgId", "pdgid", "PID", "pid", "type", "id", "flavour", "flavor"),
}


def detect_layout(types: Types) -> Layout | None:
    """Return the layout that fits branches of these names and types, None if none does.

    Args:
        types: Type of each branch by its name in TTree spelling.
    """
    if all(name in types for name in PARTICLES):
        return LheLayout(kind="lhe")
    return _nanoaod(types) or _atlas(types) or _flat(types) or _mapping(types)


def missing_nanoaod(types: Types) -> tuple[str, ...]:
    """Return the branches of leptons that NanoAOD has and the tree lacks.

    Examples:
        >>> missing_nanoaod(dict.fromkeys(("Electron_pt", "Electron_eta", "Electron_phi", "Electron_mass"), "AsJagged(float)"))[:2]
        ('Electron_charge', 'Muon_pt')
    """
    return tuple(name for kind in ("Electron", "Muon") for name in (f"{kind}_{field}" for field in LEPTON_FIELDS) if name not in types)


def is_list(kind: str) -> bool:
    """Return whether a branch of this type holds a list per event.

    Examples:
        >>> is_list("vector<float>"), is_list("float[]"), is_list("double")
        (True, True, False)
    """
    return "[" in kind or "vector" in kind.lower() or kind.startswith("AsJagged")


def _nanoaod(types: Types) -> NanoLayout | None:
    have = {kind: [f"{kind}_{field}" in types for field in LEPTON_FIELDS] for kind in ("Electron", "Muon")}
    whole = [kind for kind, found in have.items() if all(found)]
    if not whole or any(any(found) and kind not in whole for kind, found in have.items()):
        return None
    jets = all(f"Jet_{field}" in types for field in FLAT_JET_FIELDS)
    return NanoLayout(
        electron="Electron" if "Electron" in whole else None,
        muon="Muon" if "Muon" in whole else None,
        jet="Jet" if jets else None,
        event="event" if "event" in types else None,
    )


def _atlas(types: Types) -> AtlasLayout | None:
    preset = AtlasLayout(kind="atlas")
    leptons = [] if preset.leptons is None else [name for name in preset.leptons.model_dump().values() if name is not None]
    if not all(name in types for name in (*leptons, "eventNumber", "mcWeight")):
        return None
    changes: dict[str, Any] = {}
    if preset.jets is not None and any(name not in types for name in preset.jets.model_dump().values() if name is not None):
        changes["jets"] = None
    for option in ("run", "xsec_pb", "gen_sumw"):
        if getattr(preset, option) not in types:
            changes[option] = None
    factors = tuple(name for name in preset.weight_factors if name in types)
    if factors != preset.weight_factors:
        changes["weight_factors"] = factors
    return AtlasLayout(kind="atlas", **changes)


def _flat(types: Types) -> FlatLayout | None:
    found = next(((p, name) for name in FIELDS["pdg_id"] if (p := _pattern(types, "lepton", (*FLAT_FIELDS, name), 4))), None)
    if found is None:
        return None
    lepton, pdg_id = found
    jet = _pattern(types, "jet", FLAT_JET_FIELDS, 1)
    changes: dict[str, Any] = {"event": _first(EVENTS, types), "gen_weight": _first(WEIGHTS, types)}
    if pdg_id != "pdg_id":
        changes["fields"] = {"pdg_id": pdg_id}
    if (run := _first(RUNS, types)) is not None:
        changes["run"] = run
    return FlatLayout(
        kind="flat",
        lepton=lepton,
        n_leptons=_count(types, lepton),
        jet=jet,
        n_jets=_count(types, jet) if jet else 0,
        n_jets_column=_first(JET_COUNTS, types),
        **changes,
    )


def _pattern(types: Types, kind: Literal["lepton", "jet"], fields: tuple[str, ...], needed: int) -> str | None:
    """Find a pattern with {i} and {field} that names the columns of four leptons (or one jet)."""
    for branch in types:
        if ("j" in branch.lower()) != (kind == "jet"):
            continue
        for position in re.finditer("1", branch):
            numbered = branch[: position.start()] + "{i}" + branch[position.end() :]
            for token in re.finditer("pt", numbered):
                pattern = numbered[: token.start()] + "{field}" + numbered[token.end() :]
                if all(column_name(pattern, i, f) in types for i in range(1, needed + 1) for f in fields):
                    return pattern
    return None


def _count(types: Types, pattern: str) -> int:
    number = 0
    while column_name(pattern, number + 1, "pt") in types:
        number += 1
    return number


def _mapping(types: Types) -> MappingLayout | None:
    found: dict[str, dict[str, str]] = {kind: columns for kind in COLLECTIONS if (columns := _collection(types, kind)) is not None}
    own: dict[str, dict[str, str]] = {kind: found[kind] for kind in ("electrons", "muons") if kind in found}
    both = found.get("leptons", {})
    if any(not {"charge", "pdg_id"} & set(columns) for columns in own.values()):
        return None
    if own:
        chosen = own
    elif "pdg_id" in both:
        chosen = {"leptons": both}
    else:
        return None
    if "jets" in found and {"mass", "energy"} & set(found["jets"]):
        chosen["jets"] = found["jets"]
    names = {"event": EVENTS, "run": RUNS, "gen_weight": WEIGHTS}
    return MappingLayout.model_validate({"kind": "mapping", **chosen, **{option: _first(known, types) for option, known in names.items()}})


def _collection(types: Types, kind: str) -> dict[str, str] | None:
    wanted = [*FIELDS] if kind != "jets" else [field for field in FIELDS if field not in {"charge", "pdg_id"}]
    for prefix in COLLECTIONS[kind]:
        for separator in ("_", ""):
            lists = {f: next((n for s in FIELDS[f] if is_list(types.get(n := f"{prefix}{separator}{s}", ""))), None) for f in wanted}
            named = {field: name for field, name in lists.items() if name is not None}
            if {"pt", "eta", "phi"} <= set(named):
                return {field: name for field, name in named.items() if field not in {"px", "py", "pz"}}
            if {"px", "py", "pz"} <= set(named):
                return {field: name for field, name in named.items() if field not in {"pt", "eta", "phi"}}
    return None


def _first(known: tuple[str, ...], types: Types) -> str | None:
    return next((name for name in known if name in types), None)
