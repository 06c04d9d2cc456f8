"""What ntuples call things: names of collections, of their properties, of weights and of the numbers of an event."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from processors.formats.names import find_name

Types = Mapping[str, str]

WEIGHTS = (
    *("genWeight", "weight", "gen_weight", "mcWeight", "event_weight", "eventWeight", "EventWeight", "mc_weight"),
    *("overallEventWeight", "Event_Weight", "EventInfoAuxDyn_mcEventWeights[0]", "EventInfoAux_mcEventWeights[0]"),
)
EVENTS = (
    *("event", "eventNumber", "EventNumber", "event_number", "Event", "evt"),
    *("Event_Number", "EventInfoAuxDyn_eventNumber", "EventInfoAux_eventNumber"),
)
RUNS = ("run", "runNumber", "RunNumber", "run_number", "Run", "EventInfoAuxDyn_runNumber", "EventInfoAux_runNumber")
BLOCKS = ("luminosityBlock", "LumiNumber", "lumiBlock", "lumi", "EventInfoAuxDyn_lumiBlock", "EventInfoAux_lumiBlock")
JET_COUNTS = ("n_jets", "nJets", "njets", "nJet", "jet_n", "n_jet")

KINDS = {
    "electrons": ("electron", "electrons", "ele", "eles", "el", "elec"),
    "muons": ("muon", "muons", "mu", "mus"),
    "leptons": ("lepton", "leptons", "lep", "leps"),
    "jets": ("jet", "jets"),
}
"""Collections in small letters, without what `collection_kind` takes off."""

FIELDS = {
    "pt": ("pt", "Pt", "PT", "fCoordinates_fPt"),
    "eta": ("eta", "Eta", "fCoordinates_fEta"),
    "phi": ("phi", "Phi", "fCoordinates_fPhi"),
    "px": ("px", "Px", "PX", "fP_fX", "fCoordinates_fX"),
    "py": ("py", "Py", "PY", "fP_fY", "fCoordinates_fY"),
    "pz": ("pz", "Pz", "PZ", "fP_fZ", "fCoordinates_fZ"),
    "mass": ("mass", "Mass", "m", "M", "fCoordinates_fM"),
    "energy": ("energy", "Energy", "E", "e", "fE", "fCoordinates_fT", "fCoordinates_fE"),
    "charge": ("charge", "Charge", "q", "Q"),
    "pdg_id": ("pdg_id", "pdgId", "pdgid", "pdgID", "PID", "pid", "type", "id", "LepId", "flavour", "flavor"),
}
"""Properties, and what files call them: the members of TLorentzVector and of ROOT's LorentzVector are among it."""
ANGULAR = ("pt", "eta", "phi")
CARTESIAN = ("px", "py", "pz")

_LIST = re.compile(r"(?:vector|RVec|Vector)<([^<>]+)>|([^\[\]]+)\[\w*\]")
_NUMBER = re.compile(
    r"(u|unsigned)?(u?int(8|16|32|64)?(_t)?|bool|char|short|long|longlong|U?Long64_t|size_t|float(16|32|64)?|double|Float16_t|Double32_t)"
)

_BEFORE, _AFTER = ("analysis",), ("auxdyn", "aux", "_p4", "p4", "_lv", "_tlv", "_")


def collection_kind(prefix: str) -> tuple[str, str] | None:
    """Return the kind of particle of a collection, and its bare name; None for other collections.

    Args:
        prefix: What stands before the names of its properties.

    Examples:
        >>> [collection_kind(name) for name in ("Electron_", "AnalysisMuonsAuxDyn_", "Lep", "muonp4_", "GenMuon_")]
        [('electrons', 'electron'), ('muons', 'analysismuons'), ('leptons', 'lep'), ('muons', 'muon'), None]
    """
    bare = prefix.lower().rstrip("_")
    for ending in _AFTER:
        bare = bare.removesuffix(ending)
    short = bare
    for beginning in _BEFORE:
        short = short.removeprefix(beginning)
    return next(((kind, bare) for kind, names in KINDS.items() if short in names), None)


def is_list(kind: str) -> bool:
    """Return whether a branch of this type holds a list per event.

    Examples:
        >>> is_list("vector<float>"), is_list("float[]"), is_list("double")
        (True, True, False)
    """
    return "[" in kind or "vector" in kind.lower() or "rvec" in kind.lower() or kind.startswith("AsJagged")


def is_plain_list(kind: str) -> bool:
    """Return whether a branch of this type holds one list of numbers per event: no lists of lists, texts or records.

    Examples:
        >>> [is_plain_list(kind) for kind in ("vector<float>", "vector<vector<float>>", "std::vector<std::string>", "vector<DLep>")]
        [True, False, False, False]
        >>> [is_plain_list(kind) for kind in ("int32_t[]", "double[4]", "std::vector<unsigned int>", "float")]
        [True, True, True, False]
    """
    return kind.startswith("AsJagged") or (is_list(kind) and holds_numbers(kind))


def holds_numbers(kind: str) -> bool:
    """Return whether a branch of this type holds a number or one list of numbers per event.

    Examples:
        >>> [holds_numbers(kind) for kind in ("uint64_t", "float[]", "vector<DEvent>", "string", "int64", "double[3][2]")]
        [True, True, False, False, True, False]
    """
    inner = kind.replace("std::", "").replace("ROOT::VecOps::", "").replace("ROOT::", "").replace(" ", "")
    inner = inner.removeprefix("RNTupleCardinality<").removesuffix(">") if inner.startswith("RNTupleCardinality<") else inner
    listed = _LIST.fullmatch(inner)
    return _NUMBER.fullmatch(listed[1] or listed[2] if listed else inner) is not None


def first_of(known: Sequence[str], types: Types) -> str | None:
    """Return the first of these names under which a file has numbers.

    Examples:
        >>> first_of(("weight", "mcWeight"), {"mcWeight": "float", "weight": "vector<Weight>"})
        'mcWeight'
    """
    return next((name for name in known if holds_numbers(types.get(find_name(types, name) or "", ""))), None)
