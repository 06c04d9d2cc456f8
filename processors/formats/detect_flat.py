"""Recognise flat ntuples: columns of four leptons and of jets that follow one pattern, whatever it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from processors.formats.aliases import (
    ANGULAR,
    CARTESIAN,
    EVENTS,
    FIELDS,
    JET_COUNTS,
    RUNS,
    WEIGHTS,
    Types,
    collection_kind,
    first_of,
    is_list,
)
from processors.formats.columns import column_name
from toolkit.config import FlatLayout

Flavour = Literal["electron", "muon"]
_FLAVOURS: dict[str, Flavour] = {"electrons": "electron", "muons": "muon"}


@dataclass(frozen=True)
class FlatColumns:
    """Columns of numbered particles.

    Args:
        pattern: Their names, with ``{i}`` and ``{field}``.
        first: Number of the first.
        count: How many there are.
        fields: What the file calls the properties that it has.
    """

    pattern: str
    first: int
    count: int
    fields: dict[str, str]

    @property
    def flavour(self) -> Flavour | None:
        """The flavour that the names say, of a file that holds one flavour only."""
        found = collection_kind(self.pattern.replace("{i}", "").replace("{field}", ""))
        return None if found is None else _FLAVOURS.get(found[0])


def detect_flat(types: Types) -> FlatLayout | None:
    """Return the layout of a flat ntuple, None for others and for those that do not say the flavour or the charge of leptons."""
    leptons = find_leptons(types)
    if leptons is None or not ({"pdg_id"} & set(leptons.fields) or (leptons.flavour and "charge" in leptons.fields)):
        return None
    jets = next(_columns(types, "jet", leptons), None)
    changes: dict[str, Any] = {"event": first_of(EVENTS, types), "gen_weight": first_of(WEIGHTS, types)}
    if (run := first_of(RUNS, types)) is not None:
        changes["run"] = run
    if "pdg_id" not in leptons.fields:
        changes["flavour"] = leptons.flavour
    fields = {**({} if jets is None else jets.fields), **leptons.fields}
    explicit = {name: own for name, own in fields.items() if own != name or name not in {*ANGULAR, "mass", "pdg_id"}}
    return FlatLayout(
        kind="flat",
        lepton=leptons.pattern,
        first=0 if leptons.first == 0 else 1,
        n_leptons=leptons.count,
        jet=None if jets is None else jets.pattern,
        n_jets=0 if jets is None else jets.count,
        n_jets_column=first_of(JET_COUNTS, types),
        fields=explicit,
        **changes,
    )


def find_leptons(types: Types) -> FlatColumns | None:
    """Return the columns of four leptons, those that tell the flavour before others; None if there are none."""
    found = list(_columns(types, "lepton", None))
    return next((one for one in found if "pdg_id" in one.fields), found[0] if found else None)


def _columns(types: Types, kind: Literal["lepton", "jet"], like: FlatColumns | None) -> Iterator[FlatColumns]:
    """Go through the patterns of numbered columns; jets are named and numbered as the leptons are."""
    seen = set()
    for branch, branch_type in types.items():
        if ("j" in branch.lower()) != (kind == "jet") or is_list(branch_type):
            continue
        for pattern, number in _patterns(branch):
            first = 0 if any(column_name(pattern, 0, name) in types for name in (*FIELDS["pt"], *FIELDS["px"])) else number
            if pattern in seen or (like is not None and first != like.first):
                continue
            seen.add(pattern)
            needed = 4 if kind == "lepton" else 1
            fields = _fields(types, pattern, range(first, first + needed))
            complete = any(set(momenta) <= set(fields) for momenta in (ANGULAR, CARTESIAN))
            if kind == "jet":
                complete &= bool({"mass", "energy"} & set(fields)) and like is not None and _agree(fields, like.fields)
            if complete:
                yield FlatColumns(pattern, first, _count(types, pattern, fields, first), _chosen(fields, kind))


def _patterns(branch: str) -> Iterator[tuple[str, int]]:
    """Go through the ways to read a name as that of a momentum of the first particle."""
    for position in re.finditer("[01]", branch):
        numbered = branch[: position.start()] + "{i}" + branch[position.end() :]
        for momentum in (*FIELDS["pt"], *FIELDS["px"]):
            for token in re.finditer(re.escape(momentum), numbered):
                yield numbered[: token.start()] + "{field}" + numbered[token.end() :], int(position[0])


def _fields(types: Types, pattern: str, numbers: range) -> dict[str, str]:
    found = {}
    for field, names in FIELDS.items():
        own = next((name for name in names if all(column_name(pattern, i, name) in types for i in numbers)), None)
        if own is not None:
            found[field] = own
    return found


def _chosen(fields: dict[str, str], kind: str) -> dict[str, str]:
    """Leave out what is not read: the other form of momenta, the energy of leptons, and jets have no charge."""
    angular = set(ANGULAR) <= set(fields)
    unread = {*(CARTESIAN if angular else ANGULAR), *(("energy",) if kind == "lepton" or "mass" in fields else ())}
    unread |= {"charge", "pdg_id"} if kind == "jet" else set()
    return {name: own for name, own in fields.items() if name not in unread}


def _agree(jets: dict[str, str], leptons: dict[str, str]) -> bool:
    """Return whether jets and leptons have the same form of momenta and call their properties the same."""
    momenta = ANGULAR if set(ANGULAR) <= set(leptons) else CARTESIAN
    names = (*momenta, "mass")
    return set(momenta) <= set(jets) and all(jets[name] == leptons[name] for name in names if name in jets and name in leptons)


def _count(types: Types, pattern: str, fields: dict[str, str], first: int) -> int:
    momentum, number = fields.get("pt") or fields["px"], 0
    while column_name(pattern, first + number, momentum) in types:
        number += 1
    return number
