"""Write a config to start from for one file: layout, kind, normalisation, selection; it runs as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from processors.eventfile import EventFile
from processors.formats import EventRecord, reader_for
from processors.formats.columns import product
from processors.formats.detect import Layout
from processors.formats.momenta import MOMENTUM_UNITS
from processors.sanity import SCALES, LeptonCensus, read_range, take_census
from processors.selection import select
from processors.weightsearch import NO_WEIGHT, weight_candidates
from processors.yamltext import block, comment
from toolkit.config import FlatLayout, LheLayout, MappingLayout, NanoLayout, RatioConfig, SampleConfig, SelectionConfig
from toolkit.errors import InputFileError, ToolkitError
from toolkit.kinematics import OBSERVABLES
from toolkit.locations import Location

PROBE = 5000
"""Entries that are read to find out units, kind and selection."""
BENCHMARKS_OF_THREE = ("ggF_S", "ggF_B", "ggF_SBI")
OPEN_SELECTION = {"m_z1": [12.0, 120.0], "m_z2": [4.0, 120.0], "m4l": [70.0, 13000.0]}
"""Windows for files whose events the default selection, off-shell production, does not want."""
FEW = 0.05
"""Share of the open selection below which the default one is not what the file is for."""
NOT_GEV = 1000.0
"""A median lepton pt above this is not in GeV."""


@dataclass(frozen=True)
class Findings:
    """What the first events say that the names of branches do not.

    Args:
        layout: The layout, with the unit of momentum found.
        data: Whether the events have no weights.
        looked_at: Number of events read.
        census: Their leptons.
        selected: Events that pass the default and the open selection.
        candidates: Columns that may be the weight where the layout knows none; empty once the user has said.
    """

    layout: Layout
    data: bool
    looked_at: int
    census: LeptonCensus
    selected: tuple[int, int]
    candidates: tuple[str, ...] = ()


def look(events: EventFile, tree: str, layout: Layout, *, weight: str | None = None) -> Findings | None:
    """Read the first events of a file.

    Args:
        events: Its events.
        tree: Name of the event tree.
        layout: The layout that fits the names of its branches.
        weight: Branch of the generator weight, where the user named one; `none` for data.

    Returns:
        What they say; None if they cannot be read with this layout.

    Raises:
        InputFileError: The file is damaged.
    """
    try:
        n = min(PROBE, events.entries)
        if weight is not None and weight in events.types and not isinstance(layout, LheLayout):
            layout = layout.model_copy(update={"gen_weight": weight})
        data = weight == NO_WEIGHT or _without_weights(events, tree, layout, n)
        candidates = weight_candidates(events, n) if data and weight != NO_WEIGHT else ()
        record = read_range(events, _sample(tree, layout, data=data), 0, n)
        unit = _momentum_unit(layout, record)
        if unit is not None:
            layout = layout.model_copy(update={"momentum_unit": unit})
            record = read_range(events, _sample(tree, layout, data=data), 0, n)
    except InputFileError:
        raise
    except ToolkitError:
        return None
    selections = (SelectionConfig(), SelectionConfig.model_validate(OPEN_SELECTION))
    passed = [len(select(record, record.gen_weight, s, observables=("m4l",)).index) for s in selections]
    return Findings(layout, data, n, take_census(record), (passed[0], passed[1]), candidates)


def _sample(tree: str, layout: Layout, *, data: bool) -> SampleConfig:
    kind = "data" if data else "simulation"
    document = {"name": "inspected", "kind": kind, "files": ["file"], "tree": tree, "xsec_pb": 1.0, "gen_sumw": "sum"}
    return SampleConfig.model_validate({**document, "layout": layout})


def _without_weights(events: EventFile, tree: str, layout: Layout, n: int) -> bool:
    """Return whether the events are data: no branch of a weight, or zeros in it or in the cross-section."""
    reader = reader_for(_sample(tree, layout, data=False))
    names = reader.generator_branches()
    if not names or any(name not in events.types for name in names):
        return True
    return n > 0 and (_no_cross_section(events, layout, n) or not np.any(product(events.arrays(names, 0, n), names)))


def _no_cross_section(events: EventFile, layout: Layout, n: int) -> bool:
    """Return whether a file repeats a cross-section of 0 in every event, as those of data do."""
    names = layout.xsec_branches if isinstance(layout, MappingLayout) else ()
    return bool(names) and not np.any(product(events.arrays(names, 0, n), names))


def _momentum_unit(layout: Layout, record: EventRecord) -> str | None:
    """Return another unit of momentum than the layout's, if the leptons ask for it."""
    if not isinstance(layout, FlatLayout | MappingLayout):
        return None
    census = take_census(record)
    best = SCALES[int(np.argmax(census.near_z))] if any(census.near_z) else 1.0
    pt = np.concatenate([record.electrons["pt"], record.muons["pt"]])
    if not any(census.near_z) and len(pt) and np.median(pt) > NOT_GEV:
        best = 1e-3
    now = MOMENTUM_UNITS[layout.momentum_unit]
    found = next((name for name, value in MOMENTUM_UNITS.items() if np.isclose(value, now * best)), layout.momentum_unit)
    return None if found == layout.momentum_unit else found


def write_snippet(
    path: Location,
    tree: str,
    found: Findings,
    *,
    weights: Mapping[str, tuple[int, ...]],
    zeros: frozenset[str],
    stated: Mapping[str, float],
) -> str:
    """Write a YAML config that processes the file.

    Args:
        path: The file.
        tree: Its event tree.
        found: What its events say.
        weights: Lengths that occur in each weight vector, by branch.
        zeros: Weight vectors that hold nothing but zeros.
        stated: Numbers that the file states about itself.

    Returns:
        The config, below comments on what to check.
    """
    layout, notes = found.layout, _Notes()
    sample: dict[str, Any] = {"name": "my_sample", "files": [str(path)]}
    if found.candidates:
        notes.add(f"which branch is the weight? Candidates: {', '.join(found.candidates)}; none for data (`h4l init --weight`)")
        layout = layout.model_copy(update={"gen_weight": "CHOOSE_ONE"})
    elif found.data:
        sample |= {"name": "data", "kind": "data"}
        notes.add("kind: the file has no weights, so its events are taken for data")
    if not isinstance(layout, LheLayout) and path.suffix == ".root":
        sample["tree"] = tree
    section = layout_section(layout)
    if section:
        sample["layout"] = section
    if not found.data or found.candidates:
        _add_weights(sample, notes, layout, weights, zeros)
        _add_normalisation(sample, notes, layout, stated)
    scaled = {} if sample.get("kind") == "data" else {"luminosity_ifb": 140.0}
    document: dict[str, Any] = {**scaled, "samples": [sample]}
    if found.selected[0] < FEW * found.selected[1]:
        document["selection"] = OPEN_SELECTION
        notes.add(f"selection: opened, because {found.selected[0]} of the first {found.looked_at} events pass the default one")
    elif found.selected[1] == 0:
        notes.add(f"selection: none of the first {found.looked_at} events has a four-lepton candidate; no event may be left")
    if not has_jets(layout):
        features = [name for name in RatioConfig().features if OBSERVABLES[name].needs != "jets"]
        document["ratios"] = {"features": features}
        notes.add("ratios: features without n_jets, because the file has no jets")
    return notes.text + block(document)


class _Notes:
    """Collects comment lines."""

    def __init__(self) -> None:
        self.text = ""

    def add(self, note: str) -> None:
        self.text += comment(note)


def layout_section(layout: Layout) -> dict[str, Any]:
    """Return what differs from the defaults of the layout; empty for plain NanoAOD."""
    changed = layout.model_dump(mode="json", exclude_defaults=True)
    explicit = {}
    if isinstance(layout, FlatLayout):
        explicit = {name: getattr(layout, name) for name in ("lepton", "n_leptons", "jet", "n_jets", "gen_weight")}
    if isinstance(layout, NanoLayout) and not changed:
        return {}
    return {"kind": layout.kind, **explicit, **{k: v for k, v in _without_nulls(changed).items() if k != "kind"}}


def _without_nulls(section: dict[str, Any]) -> dict[str, Any]:
    """Drop nulls of nested sections, which are their defaults."""
    return {k: {a: b for a, b in v.items() if b is not None} if isinstance(v, dict) else v for k, v in section.items()}


def _add_weights(
    sample: dict[str, Any], notes: _Notes, layout: Layout, weights: Mapping[str, tuple[int, ...]], zeros: frozenset[str]
) -> None:
    vector = layout.benchmark_weights if isinstance(layout, NanoLayout) else None
    for name, lengths in weights.items():
        counts = " or ".join(map(str, lengths))
        if name in zeros or not lengths:
            continue
        if name == vector and lengths == (len(BENCHMARKS_OF_THREE),):
            sample |= {"name": BENCHMARKS_OF_THREE[-1], "benchmarks": list(BENCHMARKS_OF_THREE)}
            notes.add(f"benchmarks: {name} has 3 entries; name them in their order, and the sample after its own")
        elif name == vector:
            notes.add(f"benchmarks: {name} has {counts} entries; name them in their order if the sample interferes")
        else:
            notes.add(f"systematics.weights: {name} has {counts} entries that may be variations of the weight")


def _add_normalisation(sample: dict[str, Any], notes: _Notes, layout: Layout, stated: Mapping[str, float]) -> None:
    xsec, sumw = states_normalisation(layout, stated)
    if not xsec:
        sample["xsec_pb"] = 1.0
        notes.add("xsec_pb: replace 1.0 by the cross-section in pb")
    if not sumw:
        sample["gen_sumw"] = "sum"
        notes.add("gen_sumw: `sum` is right only if no event was skimmed away; otherwise give the number")
    if xsec and isinstance(layout, MappingLayout):
        notes.add("xsec_pb, gen_sumw: read from the event tree; the layout names the branches")
    sample["k_factor"] = 1.0


def states_normalisation(layout: Layout, stated: Mapping[str, float]) -> tuple[bool, bool]:
    """Return whether a file states the cross-section and the sum of weights of its sample, so that the config need not.

    Args:
        layout: Its layout.
        stated: Numbers that the file states about itself.
    """
    if isinstance(layout, FlatLayout):
        return False, False
    if isinstance(layout, LheLayout):
        return True, True
    if isinstance(layout, MappingLayout):
        return layout.xsec_pb is not None, layout.gen_sumw is not None or bool(layout.gen_sumw_bin)
    return NanoLayout().xsec_fb in stated, NanoLayout().gen_sumw in stated


def has_jets(layout: Layout) -> bool:
    """Return whether a layout reads jets."""
    if isinstance(layout, NanoLayout | FlatLayout):
        return layout.jet is not None or (isinstance(layout, FlatLayout) and layout.n_jets_column is not None)
    return isinstance(layout, LheLayout) or layout.jets is not None
