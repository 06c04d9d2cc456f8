"""Say what a file holds: its layout, trees, branches, weight vectors, and a config to start from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import awkward as ak
import numpy as np

from processors.eventfile import EventFile, format_of, open_events
from processors.formats.aliases import is_list
from processors.formats.detect import Layout, detect_layout, how_to_describe, missing_nanoaod, what_is_missing
from processors.formats.detect_lists import CJLST_COUNTERS, CJLST_SUMW, CJLST_WEIGHT
from processors.lhefile import CROSS_SECTION, HEAD
from processors.normalisation import histogram_contents
from processors.rootfile import RootEvents, open_root, tree_names
from processors.snippets import Findings, look, write_snippet
from processors.weightsearch import friend_candidates
from processors.yamltext import comment
from toolkit.artifacts.checksums import check_file
from toolkit.config import MappingLayout, NanoLayout
from toolkit.errors import SchemaError
from toolkit.locations import Location, file_state, locate

LayoutName = Literal["nanoaod", "atlas", "mapping", "flat", "lhe", "unknown"]
PROBE = 1000
"""Entries that are read to learn vector lengths."""


@dataclass(frozen=True)
class TreeReport:
    """One TTree or RNTuple, or all of a CSV or LHE file.

    Args:
        name: Name in the file; empty for formats without trees.
        entries: Number of entries.
        branches: Type of each branch, by name.
        weight_lengths: Lengths that occur in each weight vector, by branch.
        zero_weights: Weight vectors that hold nothing but zeros: the sample does not interfere.
        weight_names: Names of the entries of weight vectors, by branch, where the file gives them.
    """

    name: str
    entries: int
    branches: dict[str, str]
    weight_lengths: dict[str, tuple[int, ...]]
    zero_weights: frozenset[str]
    weight_names: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class FileReport:
    """What `inspect_file` found.

    Args:
        path: The file.
        size: Bytes.
        layout: The layout that fits, or ``unknown``.
        tree: The event tree, empty if there is none.
        trees: All trees.
        missing: Branches of leptons that nanoaod needs and the tree lacks; empty where a layout fits.
        normalisation: Summed columns of the Runs tree (sum of weights, event count) and the cross-section.
        findings: What the first events say; None where no layout fits.
        snippet: YAML config to start from.
    """

    path: str
    size: int
    layout: LayoutName
    tree: str
    trees: tuple[TreeReport, ...]
    missing: tuple[str, ...]
    normalisation: dict[str, float]
    findings: Findings | None
    snippet: str


def inspect_file(path: str | Location, *, weight: str | None = None) -> FileReport:
    """Open a file and say what the toolkit can do with it.

    Args:
        path: A ROOT, CSV or LHE file.
        weight: Branch of the generator weight, where its name does not tell; `none` says that the events are data.

    Returns:
        The report.

    Raises:
        InputFileError: The file is missing, not what its name says, or truncated.
        ArtifactMismatchError: It differs from a checksum beside it (`<name>.sha256`).
        SchemaError: It holds no tree.
        MissingExtraError: The format needs an optional dependency.
    """
    path = locate(path)
    check_file(path)
    trees, normalisation = _root_trees(path) if format_of(path) == "root" else _text_columns(path)
    best = min(trees, key=_rank)
    layout = _with_counters(path, best.name, detect_layout(best.branches))
    found = None
    if layout is not None:
        with open_events(path, best.name) as events:
            found = look(events, best.name, layout, weight=weight)
        if found is not None and found.data and weight is None:
            friends = friend_candidates(best.name, best.entries, {t.name: (t.entries, t.branches) for t in trees})
            found = replace(found, candidates=(*found.candidates, *friends))
    if found is None:
        snippet = _no_layout(best)
    else:
        snippet = write_snippet(path, best.name, found, weights=best.weight_lengths, zeros=best.zero_weights, stated=normalisation)
    return FileReport(
        path=str(path),
        size=file_state(path).size,
        layout="unknown" if found is None else found.layout.kind,
        tree=best.name,
        trees=trees,
        missing=missing_nanoaod(best.branches) if found is None else (),
        normalisation=normalisation,
        findings=found,
        snippet=snippet,
    )


def _with_counters(path: Location, tree: str, layout: Layout | None) -> Layout | None:
    """Add the histogram of counters that stands beside a tree of the CJLST framework to its layout."""
    if not isinstance(layout, MappingLayout) or layout.gen_weight != CJLST_WEIGHT:
        return layout
    folder, slash, _ = tree.rpartition("/")
    name = f"{folder}{slash}{CJLST_COUNTERS}"
    contents = histogram_contents(path, name)
    if contents is None or len(contents) < CJLST_SUMW or not contents[CJLST_SUMW - 1] > 0.0:
        return layout
    return layout.model_copy(update={"gen_sumw_bin": f"{name}[{CJLST_SUMW}]"})


def _no_layout(tree: TreeReport) -> str:
    """Write, as comments, what keeps a file from being read and how the config describes it."""
    described = how_to_describe(tree.branches)
    lines = [f"No known format fits this file: {what_is_missing(tree.branches)}."]
    if described:
        lines += ["If all leptons are of one flavour, say so:", f"  layout: {described}"]
    else:
        lines += ["`layout: {kind: mapping}` describes lists of leptons, `layout: {kind: flat}` numbered columns: docs/ntuples.md."]
    return "".join(comment(line) for line in lines)


def _root_trees(path: Location) -> tuple[tuple[TreeReport, ...], dict[str, float]]:
    with open_root(path) as directory:
        trees = tuple(_tree_report(RootEvents(path, directory, name), name) for name in sorted(tree_names(directory, path)))
        if not trees:
            raise SchemaError(
                f"input file {path}",
                got="objects of other kinds",
                expected="a TTree or RNTuple with events",
                remedy="give the ntuple, not a file of histograms",
            )
        return trees, _normalisation(path, directory, trees)


def _text_columns(path: Location) -> tuple[tuple[TreeReport, ...], dict[str, float]]:
    with open_events(path, "") as events:
        stated = events.constants(HEAD, CROSS_SECTION)
        return (_tree_report(events, ""),), {} if stated is None else {f"{CROSS_SECTION} (pb)": float(stated[0])}


def _tree_report(events: EventFile, name: str) -> TreeReport:
    types = dict(events.types)
    lengths, zero, names = {}, set(), {}
    for branch, kind in types.items():
        own = events.weight_names(branch) if is_list(kind) and not branch.startswith("particle_") else ()
        if not is_list(kind) or not _speaks_of_weights(branch, own):
            continue
        try:
            values = events.arrays([branch], 0, min(PROBE, events.entries))[branch]
        except SchemaError:
            continue  # a C++ type that nobody takes for a weight
        if values.ndim != 2 or not holds_numbers(values):
            continue
        lengths[branch] = tuple(int(n) for n in np.unique(np.asarray(ak.num(values, axis=1))))
        names[branch] = own
        if not ak.any(values):
            zero.add(branch)
    return TreeReport(name, events.entries, types, lengths, frozenset(zero), {k: v for k, v in names.items() if v})


def _speaks_of_weights(branch: str, names: tuple[str, ...]) -> bool:
    """Return whether a list may hold weights: its name or title says so, or its entries have names; any other title only documents it.

    Examples:
        >>> _speaks_of_weights("Muon_pt", ("transverse momentum",)), _speaks_of_weights("PDF", ("101 weights of NNPDF",))
        (False, True)
    """
    return len(names) > 1 or any("weight" in text.lower() for text in (branch, *names))


def holds_numbers(values: ak.Array) -> bool:
    """Return whether an array holds numbers, or lists of numbers, and no texts or records.

    Examples:
        >>> holds_numbers(ak.Array([[1.0, 2.0], []])), holds_numbers(ak.Array([["muR"], []]))
        (True, False)
    """
    kind = values.type.content
    while hasattr(kind, "content"):
        if kind.parameters.get("__array__") in {"string", "bytestring"}:
            return False
        kind = kind.content
    return isinstance(kind, ak.types.NumpyType)


def _rank(tree: TreeReport) -> tuple[bool, bool, int, int]:
    """Sort key: trees that fit a layout first, then the nearest to NanoAOD, then the largest."""
    missing = missing_nanoaod(tree.branches)
    return detect_layout(tree.branches) is None, not missing, len(missing), -tree.entries


def _normalisation(path: Location, directory: Any, trees: tuple[TreeReport, ...]) -> dict[str, float]:
    layout = NanoLayout()
    runs = next((t for t in trees if t.name == layout.runs_tree), None)
    if runs is None:
        return {}
    events = RootEvents(path, directory, runs.name)
    columns = {name: events.constants(runs.name, name) for name in ("genEventCount", layout.gen_sumw, layout.xsec_fb)}
    found = {name: float(np.sum(values)) for name, values in columns.items() if values is not None and name != layout.xsec_fb}
    xsec = columns[layout.xsec_fb]
    if xsec is not None and len(xsec):
        found[layout.xsec_fb] = float(xsec[0])
    return found
