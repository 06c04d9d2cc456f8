"""Recognise the format of an ntuple by the names and types of its branches."""

from __future__ import annotations

from typing import Any

from processors.formats.aliases import Types, is_plain_list
from processors.formats.detect_flat import detect_flat, find_leptons
from processors.formats.detect_lists import detect_lists, find_collections
from processors.formats.lhe import PARTICLES
from processors.formats.nanoaod import JET_FIELDS, LEPTON_FIELDS
from toolkit.config import AtlasLayout, FlatLayout, LheLayout, MappingLayout, NanoLayout

Layout = NanoLayout | FlatLayout | MappingLayout | LheLayout

ATLAS_2025 = {
    "jets": {"pt": "jet_pt", "eta": "jet_eta", "phi": "jet_phi", "energy": "jet_e"},
    "momentum_unit": "GeV",
    "weight_factors": ("ScaleFactor_PILEUP", "ScaleFactor_ELE", "ScaleFactor_MUON", "ScaleFactor_LepTRIGGER"),
    "xsec_pb": ("xsec", "kfac", "filteff"),
    "gen_sumw": "sum_of_weights",
}
"""What the ATLAS open data of 2025 (tree `analysis`) call otherwise than those of 2020 (tree `mini`)."""


def detect_layout(types: Types) -> Layout | None:
    """Return the layout that fits branches of these names and types, None if none does.

    Args:
        types: Type of each branch by its name in TTree spelling.
    """
    if all(name in types for name in PARTICLES):
        return LheLayout(kind="lhe")
    return _nanoaod(types) or _atlas(types) or detect_flat(types) or detect_lists(types)


def missing_nanoaod(types: Types) -> tuple[str, ...]:
    """Return the branches of leptons that NanoAOD has and the tree lacks; none where it has none of them: it is another format.

    Examples:
        >>> missing_nanoaod(dict.fromkeys(("Electron_pt", "Electron_eta", "Electron_phi", "Electron_mass"), "AsJagged(float)"))[:2]
        ('Electron_charge', 'Muon_pt')
        >>> missing_nanoaod({"lep1_pt": "float"})
        ()
    """
    names = [f"{kind}_{field}" for kind in ("Electron", "Muon") for field in LEPTON_FIELDS]
    missing = tuple(name for name in names if name not in types)
    return () if len(missing) == len(names) else missing


def what_is_missing(types: Types) -> str:
    """Say what keeps branches from a known format, and how the config describes them.

    Examples:
        >>> columns = dict.fromkeys([f"l{i}_{name}" for i in (1, 2, 3, 4) for name in ("pt", "eta", "phi")], "float")
        >>> print(what_is_missing(columns))
        columns l{i}_{field} of four leptons without a PDG number that tells electrons from muons, and without charge
    """
    flat = find_leptons(types)
    if flat is not None:
        lacks = "a PDG number that tells electrons from muons" if flat.flavour is None else ""
        charge = "" if "charge" in flat.fields else "charge"
        return f"columns {flat.pattern} of four leptons without {', and without '.join(filter(None, (lacks, charge)))}"
    found = find_collections(types)
    lists = {kind: columns for kind, columns in found.items() if kind != "jets"}
    if lists:
        named = ", ".join(next(iter(columns.values())) for columns in lists.values())
        return f"lists of leptons ({named}, ...) without charge and PDG number"
    if missing := missing_nanoaod(types):
        return f"branches of nanoaod without {', '.join(missing)}"
    return "no columns of four leptons and no lists of leptons with telling names"


def how_to_describe(types: Types) -> str:
    """Return the `layout` that reads branches which say too little, where only the flavour is missing; empty otherwise.

    Examples:
        >>> names = ("pt", "eta", "phi", "charge")
        >>> how_to_describe({f"lep{i}_{name}": "float" for i in (0, 1, 2, 3) for name in names})
        '{kind: flat, lepton: "lep{i}_{field}", first: 0, fields: {charge: charge}, flavour: muon}'
    """
    flat = find_leptons(types)
    if flat is None or "charge" not in flat.fields:
        return ""
    fields = ", ".join(f"{name}: {own}" for name, own in flat.fields.items() if name == "charge" or own != name)
    first = "" if flat.first == 1 else f" first: {flat.first},"
    return f'{{kind: flat, lepton: "{flat.pattern}",{first} fields: {{{fields}}}, flavour: muon}}'


def _nanoaod(types: Types) -> NanoLayout | None:
    have = {kind: [f"{kind}_{field}" in types for field in LEPTON_FIELDS] for kind in ("Electron", "Muon")}
    whole = [kind for kind, found in have.items() if all(found)]
    if not whole or any(any(found) and kind not in whole for kind, found in have.items()):
        return None
    if not all(is_plain_list(types[f"{kind}_{field}"]) for kind in whole for field in LEPTON_FIELDS):
        return None
    jets = all(f"Jet_{field}" in types for field in JET_FIELDS)
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
    if ATLAS_2025["gen_sumw"] in types:
        preset = AtlasLayout.model_validate({"kind": "atlas", **ATLAS_2025})
    changes: dict[str, Any] = {}
    if preset.jets is not None and any(name not in types for name in preset.jets.model_dump().values() if name is not None):
        changes["jets"] = None
    for option in ("run", "gen_sumw"):
        if getattr(preset, option) not in types:
            changes[option] = None
    if any(name not in types for name in preset.xsec_branches):
        changes["xsec_pb"] = None
    factors = tuple(name for name in preset.weight_factors if name in types)
    if factors != preset.weight_factors:
        changes["weight_factors"] = factors
    return preset.model_copy(update=changes)
