"""Conditions on the quality of leptons, on triggers and on flags that the branches of a file allow, as proposals for a config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from processors.formats import reader_for
from processors.formats.aliases import is_list
from processors.formats.detect import Layout
from processors.formats.fields import KINDS, Kind
from processors.formats.momenta import MOMENTUM_UNITS
from processors.reading import find_field
from processors.yamltext import comment, flow
from toolkit.config import MappingLayout, SampleConfig

IDENTIFICATION: dict[Kind, tuple[tuple[str, ...], ...]] = {
    "electron": (
        ("cutBased >= 3", "mvaIso_WP90 == 1", "mvaFall17V2Iso_WP90 == 1", "isMediumID == 1", "isLooseID == 1", "isTightID == 1"),
        ("pfRelIso03_all < 0.15", "isLooseIso == 1", "isTightIso == 1", "ptcone30 < {0.15} * pt"),
        ("abs(dxy) < 0.5", "abs(tracksigd0pvunbiased) < 5", "abs(d0sig) < 5"),
        ("sip3d < 4", "SIP < 4"),
    ),
    "muon": (
        ("mediumId == 1", "tightId == 1", "looseId == 1", "isMediumID == 1", "isLooseID == 1", "isTightID == 1"),
        ("pfRelIso04_all < 0.35", "pfRelIso03_all < 0.35", "isLooseIso == 1", "isTightIso == 1", "ptcone30 < {0.15} * pt"),
        ("abs(dxy) < 0.5", "abs(tracksigd0pvunbiased) < 3", "abs(d0sig) < 3"),
        ("sip3d < 4", "SIP < 4"),
    ),
    "jet": (("jetId >= 2", "jvt > 0.59 or pt > 60 or abs(eta) > 2.4"),),
}
"""For each kind of object groups of conditions; the first whose branch exists is proposed of each group. `{x}` is x times the number of the
file's units of momentum in a GeV."""
TRIGGERS = ("HLT_", "trigE", "trigM")
FLAGS = ("Flag_METFilters", "Flag_goodVertices", "passGRL")
MOST_TRIGGERS = 4


def proposals(layout: Layout, types: Mapping[str, str]) -> dict[str, Any]:
    """Return the part of a selection that demands quality, as far as the branches of a file allow.

    Args:
        layout: Layout of the file.
        types: Type of each branch by its name.

    Returns:
        `electron`, `muon`, `jet` with `where`, and `where` of the event; only what the file allows.
    """
    sample = SampleConfig.model_validate(
        {"name": "inspected", "files": ["file"], "tree": "tree", "xsec_pb": 1.0, "gen_sumw": "sum", "layout": layout}
    )
    reader = reader_for(sample)
    found: dict[str, Any] = {}
    for kind in KINDS:
        parts = []
        for group in IDENTIFICATION[kind]:
            chosen = next((text for text in group if find_field(reader, kind, _field(text), types.__contains__)), None)
            parts += [] if chosen is None else [_in_units(chosen, layout)]
        if parts:
            found[kind] = {"where": " and ".join(parts)}
    flags = [f"{name} == 1" for name in FLAGS if name in types and not is_list(types[name])]
    fired = [name for name in types if name.startswith(TRIGGERS) and not is_list(types[name])]
    triggers = [f"{name} == 1" for name in _preferred(fired)]
    event = [*flags, *([f"({' or '.join(triggers)})" if len(triggers) > 1 and flags else " or ".join(triggers)] if triggers else [])]
    return {**found, **({"where": " and ".join(event)} if event else {})}


def commented(found: Mapping[str, Any]) -> str:
    """Write proposals as comment lines of a config; empty where there are none."""
    if not found:
        return ""
    text = comment("No identification or isolation is required of leptons; the files allow, for example, under `selection`:")
    return text + "".join(comment(f"  {key}: {flow(value)}") for key, value in found.items())


def _field(condition: str) -> str:
    """Return the property that a proposed condition is about, its first name."""
    return condition.removeprefix("abs(").replace(")", " ").split()[0]


def _in_units(condition: str, layout: Layout) -> str:
    unit = MOMENTUM_UNITS[layout.momentum_unit] if isinstance(layout, MappingLayout) else 1.0
    return condition.replace("{0.15}", f"{0.15 / unit:g}")


def _preferred(triggers: list[str]) -> list[str]:
    """Choose triggers of leptons, the shortest names first."""
    words = ("Ele", "Mu", "trigE", "trigM")
    return sorted((t for t in triggers if any(word in t for word in words)), key=lambda name: (len(name), name))[:MOST_TRIGGERS]
