"""Say what a ROOT file holds: its layout, trees, branches, weight vectors, and a config to start from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import awkward as ak
import numpy as np
import yaml

from processors.dialects import NanoReader, branch_names
from processors.rootfile import open_root, tree_names
from toolkit.config import NanoLayout, SampleConfig
from toolkit.errors import SchemaError

LayoutName = Literal["nanoaod", "flat", "unknown"]
PROBE = 1000
"""Entries that are read to learn vector lengths."""

FLAT_FIELDS = ("pt", "eta", "phi", "pdg_id")
FLAT_JET_FIELDS = ("pt", "eta", "phi", "mass")
WEIGHT_NAMES = ("genWeight", "weight", "gen_weight", "mcWeight", "event_weight")
BENCHMARKS_OF_THREE = ("ggF_S", "ggF_B", "ggF_SBI")


@dataclass(frozen=True)
class TreeReport:
    """One TTree or RNTuple.

    Args:
        name: Name in the file.
        entries: Number of entries.
        branches: Type of each branch, by name.
        weight_lengths: Lengths that occur in each weight vector, by branch.
        zero_weights: Weight vectors that hold nothing but zeros: the sample does not interfere.
    """

    name: str
    entries: int
    branches: dict[str, str]
    weight_lengths: dict[str, tuple[int, ...]]
    zero_weights: frozenset[str]


@dataclass(frozen=True)
class FileReport:
    """What `inspect_file` found.

    Args:
        path: The file.
        size: Bytes.
        layout: The layout that fits, or ``unknown``.
        tree: The event tree, empty if there is none.
        trees: All trees.
        missing: Branches that the nearest layout needs and the tree lacks.
        normalisation: Summed columns of the Runs tree (sum of weights, event count) and the cross-section in fb.
        snippet: YAML config to start from.
    """

    path: str
    size: int
    layout: LayoutName
    tree: str
    trees: tuple[TreeReport, ...]
    missing: tuple[str, ...]
    normalisation: dict[str, float]
    snippet: str


def inspect_file(path: str | Path) -> FileReport:
    """Open a ROOT file and say what the toolkit can do with it.

    Args:
        path: The file.

    Returns:
        The report.

    Raises:
        InputFileError: The file is missing, not ROOT, or truncated.
        SchemaError: It holds no tree.
    """
    path = Path(path)
    with open_root(path) as directory:
        trees = tuple(_tree_report(directory[name], name) for name in sorted(tree_names(directory)))
        if not trees:
            raise SchemaError(
                f"input file {path}",
                got=f"objects {sorted(directory.keys(cycle=False))}",
                expected="a TTree or RNTuple with events",
                remedy="give the ntuple, not a file of histograms",
            )
        normalisation = _normalisation(directory, trees)
    best = min(trees, key=_rank)
    flat = _flat_pattern(best.branches, "lepton")
    missing = _missing_nano(best)
    layout: LayoutName = "nanoaod" if not missing else "flat" if flat else "unknown"
    return FileReport(
        path=str(path),
        size=path.stat().st_size,
        layout=layout,
        tree=best.name,
        trees=trees,
        missing=() if layout == "flat" else missing,
        normalisation=normalisation,
        snippet=_snippet(path, best, layout, flat, normalisation),
    )


def _tree_report(tree: Any, name: str) -> TreeReport:
    types = {key.replace(".", "_"): str(tree[key].typename) for key in tree.keys()}  # noqa: SIM118
    lengths, zero = {}, set()
    for branch, kind in types.items():
        if "weight" in branch.lower() and ("[]" in kind or "vector" in kind):
            values = tree[branch].array(entry_stop=PROBE)
            lengths[branch] = tuple(int(n) for n in np.unique(np.asarray(ak.num(values, axis=1))))
            if not ak.any(values):
                zero.add(branch)
    return TreeReport(name, int(tree.num_entries), types, lengths, frozenset(zero))


def _rank(tree: TreeReport) -> tuple[bool, int, int]:
    """Sort key: trees that fit a layout first, then the nearest to NanoAOD, then the largest."""
    missing = len(_missing_nano(tree))
    return bool(missing) and _flat_pattern(tree.branches, "lepton") is None, missing, -tree.entries


def _missing_nano(tree: TreeReport) -> tuple[str, ...]:
    sample = SampleConfig(name="inspected", files=("file",))
    names = branch_names(tree.branches)
    return tuple(branch for branch in NanoReader(NanoLayout()).required(sample) if branch not in names)


def _flat_pattern(branches: Mapping[str, str], kind: Literal["lepton", "jet"]) -> str | None:
    """Find a pattern with {i} and {field} that names the columns of four leptons (or one jet)."""
    fields, needed = (FLAT_FIELDS, 4) if kind == "lepton" else (FLAT_JET_FIELDS, 1)
    for branch in branches:
        if ("j" in branch.lower()) != (kind == "jet"):
            continue
        for position in re.finditer("1", branch):
            numbered = branch[: position.start()] + "{i}" + branch[position.end() :]
            for token in re.finditer("pt", numbered):
                pattern = numbered[: token.start()] + "{field}" + numbered[token.end() :]
                if all(pattern.format(i=i, field=f) in branches for i in range(1, needed + 1) for f in fields):
                    return pattern
    return None


def _count(branches: Mapping[str, str], pattern: str) -> int:
    number = 0
    while pattern.format(i=number + 1, field="pt") in branches:
        number += 1
    return number


def _normalisation(directory: Any, trees: tuple[TreeReport, ...]) -> dict[str, float]:
    layout = NanoLayout()
    runs = next((t for t in trees if t.name == layout.runs_tree), None)
    if runs is None:
        return {}
    found = {}
    for name in ("genEventCount", layout.gen_sumw):
        if name in runs.branches:
            found[name] = float(np.sum(directory[runs.name][name].array(library="np")))
    if layout.xsec_fb in runs.branches and runs.entries:
        found[layout.xsec_fb] = float(directory[runs.name][layout.xsec_fb].array(library="np")[0])
    return found


def _snippet(path: Path, tree: TreeReport, layout: LayoutName, flat: str | None, normalisation: Mapping[str, float]) -> str:
    if layout == "unknown":
        return (
            "# No layout fits this file. nanoaod needs the branches listed as missing; flat needs columns for four leptons\n"
            "# such as lep1_pt, lep1_eta, lep1_phi, lep1_pdg_id, ..., named by one pattern with {i} and {field}.\n"
        )
    sample: dict[str, Any] = {"name": "my_sample", "files": [str(path)], "tree": tree.name}
    notes = []
    if layout == "flat":
        sample["layout"] = _flat_section(tree, flat or "")
    vector = NanoLayout().benchmark_weights
    lengths = tree.weight_lengths.get(vector, ())
    if lengths == (len(BENCHMARKS_OF_THREE),) and vector not in tree.zero_weights:
        sample["name"] = BENCHMARKS_OF_THREE[-1]
        sample["benchmarks"] = list(BENCHMARKS_OF_THREE)
        notes.append(f"benchmarks: {vector} has 3 entries; name them in their order, and the sample after its own")
    elif lengths and vector not in tree.zero_weights:
        counts = " or ".join(map(str, lengths))
        notes.append(f"benchmarks: {vector} has {counts} entries; name them in their order if the sample interferes")
    if layout == "flat" or NanoLayout().xsec_fb not in normalisation:
        sample["xsec_pb"] = 1.0
        notes.append("xsec_pb: replace 1.0 by the cross-section in pb")
    if layout == "flat" or NanoLayout().gen_sumw not in normalisation:
        sample["gen_sumw"] = "sum"
        notes.append("gen_sumw: `sum` is right only if no event was skimmed away; otherwise give the number")
    sample["k_factor"] = 1.0
    document = yaml.safe_dump({"luminosity_ifb": 140.0, "samples": [sample]}, sort_keys=False, default_flow_style=None, width=120)
    return "".join(f"# {note}\n" for note in notes) + str(document)


def _flat_section(tree: TreeReport, pattern: str) -> dict[str, Any]:
    section: dict[str, Any] = {"kind": "flat", "lepton": pattern, "n_leptons": _count(tree.branches, pattern)}
    jet = _flat_pattern(tree.branches, "jet")
    section["jet"] = jet
    section["n_jets"] = _count(tree.branches, jet) if jet else 0
    section["gen_weight"] = next((name for name in WEIGHT_NAMES if name in tree.branches), None)
    if "event" not in tree.branches:
        section["event"] = next((name for name in ("eventNumber", "evt", "event_number") if name in tree.branches), "event")
    return section
