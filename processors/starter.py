"""Write a complete config, with comments, for ntuples that were grouped into samples."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from processors.benchmarks import Benchmarks, own_entry, separate_benchmarks
from processors.grouping import Group, identifier
from processors.quality import commented, proposals
from processors.snippets import FEW, OPEN_SELECTION, has_jets, layout_section, states_normalisation
from processors.yamltext import comment, flow
from toolkit.config import LheLayout, NanoLayout, RatioConfig, SelectionConfig
from toolkit.config.likelihood import LikelihoodConfig, ParameterConfig
from toolkit.config.names import is_file_name
from toolkit.config.ratios import for_labels
from toolkit.kinematics import OBSERVABLES
from toolkit.locations import Location, RemoteFile
from toolkit.text import visible

GENERATED = "p_Gen_"
"""Beginning of the names of such columns."""
WIDTH = 110
LUMINOSITY_IFB = 140.0
ONSHELL_EDGES = [70, 85, 95, 105, 115, 120, 125, 130, 140, 160, 180, 200, 250, 300, 400, 600, 1000]
"""Edges of m4l (GeV) for events that the default selection, off-shell production, does not want."""
VARIATIONS = ("scale", "pdf", "ps", "variation", "syst")
"""What the names of weight vectors contain that hold variations."""


SEPARATE = (
    "# No sample lists `benchmarks`: S, SBI and B were generated separately, as their names say, and the networks\n"
    "# learn from which sample an event is (docs/training.md). Where events carry the weights of the others too, list them: that\n"
    "# keeps more information.\n"
)
NOTHING_TO_MEASURE = (
    "# No sample lists benchmark weights, and no three are called after signal, signal + background + interference, and background",
    "# alone, so that only `h4l process` runs. To measure, generate the three, or name them (gg_S, gg_SBI, gg_B), and add:",
    "#   morphing: {basis: ggF, signal: gg_S, interfering: gg_SBI, background: gg_B}",
)


@dataclass(frozen=True)
class Blank:
    """A value that no file states: only the user can know it.

    Args:
        key: The key of the config.
        now: What stands there.
        unit: Its unit, empty if it has none.
        meaning: What belongs there.
    """

    key: str
    now: str
    unit: str
    meaning: str


@dataclass(frozen=True)
class Starter:
    """A config to start from.

    Args:
        text: The YAML file.
        blanks: What the user must look at.
        measures: Whether the samples allow a measurement; otherwise they can only be processed.
    """

    text: str
    blanks: tuple[Blank, ...]
    measures: bool


def write_starter(groups: Sequence[Group], *, target: Path) -> Starter:
    """Write the config.

    Args:
        groups: The samples.
        target: Where the config will lie: files below its folder are named relative to it.

    Returns:
        The config and what it leaves to the user.
    """
    joint = next((g.benchmarks for g in groups if g.benchmarks is not None), None)
    separate = None if joint is not None else separate_benchmarks([g.name for g in groups if not g.data and g.undecided is None])
    roles, measures = joint or separate, joint is not None or separate is not None
    blanks = tuple(_blanks(groups, separate=() if separate is None else separate.names))
    sections = [
        _head(target, blanks, measures=measures),
        _general(target, simulated=any(not g.data for g in groups)),
        ("" if separate is None else SEPARATE) + "samples:\n" + "".join(_sample(group, target.resolve().parent) for group in groups),
        _selection(groups),
        _measurement(groups, roles, labels=separate is not None),
        _systematics(groups),
        _report(),
    ]
    return Starter("\n".join(section for section in sections if section), blanks, measures)


def _blanks(groups: Sequence[Group], *, separate: Sequence[str]) -> Iterator[Blank]:
    if any(not g.data for g in groups):
        yield Blank("luminosity_ifb", f"{LUMINOSITY_IFB:g}", "1/fb", "integrated luminosity that simulation is normalised to")
    for group in (g for g in groups if not g.data):
        key = f"samples.{group.name}"
        xsec, sumw = states_normalisation(group.first.findings.layout, group.first.report.normalisation)
        if not xsec:
            yield Blank(f"{key}.xsec_pb", "1.0", "pb", "cross-section times branching ratio times generator filter, as generated")
        if not sumw:
            yield Blank(
                f"{key}.gen_sumw", "sum", "unit of the weights", "sum of generator weights before any skim; `sum` adds those in the files"
            )
        if group.undecided is not None:
            yield Blank(f"{key}.benchmarks", "none", "", "see the comment there: one config measures one of the interfering processes")
        elif group.first.vector is not None and group.benchmarks is None and group.name not in separate:
            yield Blank(f"{key}.benchmarks", "none", "", "names of the entries of the benchmark weights, if the sample interferes")
    if any(not g.data for g in groups):
        yield Blank("samples.*.k_factor", "1.0", "", "best known over generated cross-section; one value for all samples that interfere")


def _head(target: Path, blanks: Sequence[Blank], *, measures: bool) -> str:
    validate = f"h4l validate {target.name}"
    command = f"h4l run {target.name}" if measures else f"h4l process {target.name}"
    does = "runs all stages" if measures else "makes event tables, histograms and the cut flow"
    lines = [
        "# Config of a four-lepton analysis, written by `h4l init` from what the files say.",
        *(f"#   {words:<{len(validate)}}   {meaning}" for words, meaning in ((validate, "checks it and its input files"), (command, does))),
        "# Units: GeV, radians, pb for cross-sections, 1/fb for luminosity. docs/config.md lists every key.",
    ]
    if not measures:
        lines += NOTHING_TO_MEASURE
    if blanks:
        lines += ["#", "# No file states the following; check them:"]
        lines += [f"#   {b.key} = {b.now}{f' [{b.unit}]' if b.unit else ''}: {b.meaning}" for b in blanks]
    return "".join(f"{visible(line)}\n" for line in lines)


def _general(target: Path, *, simulated: bool) -> str:
    luminosity = "# Integrated luminosity in 1/fb. Data are never scaled.\n" + _yaml({"luminosity_ifb": LUMINOSITY_IFB})
    return (
        "# Name of the analysis; results go to out/NAME unless --out says otherwise.\n"
        + _yaml({"name": target.stem if is_file_name(target.stem) and target.stem != "config" else "analysis"})
        + luminosity * simulated
    )


def _sample(group: Group, folder: Path) -> str:
    layout, report = group.first.findings.layout, group.first.report
    comments = [_found(group), *_benchmark_comments(group)]
    sample: dict[str, Any] = {"name": group.name, "files": file_patterns([n.path for n in group.files], folder)}
    if group.data:
        sample["kind"] = "data"
    if not isinstance(layout, LheLayout) and group.first.path.suffix == ".root":
        sample["tree"] = report.tree
    section = layout_section(layout)
    if section:
        sample["layout"] = section
    if group.benchmarks is not None:
        sample["benchmarks"] = list(group.benchmarks.names)
    lines = "".join(comment(text, "  ") for text in comments) + _item(sample)
    return lines if group.data else lines + _normalisation(group)


def _found(group: Group) -> str:
    found = group.first.findings
    kind = "data" if group.data else "simulation"
    four, read = sum(n.findings.census.four for n in group.files), sum(n.findings.looked_at for n in group.files)
    passed = sum(n.findings.selected[0] for n in group.files)
    files = f"{len(group.files)} file{'s' if len(group.files) > 1 else ''}"
    leptons = f"of {read} looked at, {four} have four leptons and {passed} pass the default selection"
    return f"{kind}, layout {found.layout.kind}: {files}, {group.entries} events; {leptons}."


def _benchmark_comments(group: Group) -> Iterator[str]:
    vector = group.first.vector
    if vector is None:
        yield from _generated_weights(group)
        return
    layout = group.first.findings.layout
    name = layout.benchmark_weights if isinstance(layout, NanoLayout) else ""
    entry = own_entry(vector)
    if group.benchmarks is not None:
        yield f"benchmarks: the {vector.shape[1]} entries of {name}, in their order ({group.benchmarks.how})."
        return
    if group.undecided is not None:
        found = group.undecided
        roles = {"signal": found.signal, "interfering": found.interfering, "background": found.background}
        yield f"The entries of {name} are known, but samples of another process interfere as well. To measure this one, add"
        yield f"  benchmarks: {flow(list(found.names))}"
        yield f"to each of its samples, and `morphing: {flow({'basis': 'ggF', **roles})}` at the top; the others count as backgrounds."
        yield "To describe both processes, each with its own strength, write `parameters` and `processes` (docs/model.md)."
        return
    own = f" Entry {entry} is 1 in every event: the process that was generated." if entry is not None else ""
    yield f"{name} has {vector.shape[1]} entries whose meaning the events do not tell.{own}"
    yield "If the sample interferes, call it after the process that was generated and name all entries in their order:"
    yield "  benchmarks: [ggF_S, ggF_B, ggF_SBI]"


def _generated_weights(group: Group) -> Iterator[str]:
    """Name columns that matrix elements were written to beside events of another hypothesis."""
    report = group.first.report
    branches = next(tree.branches for tree in report.trees if tree.name == report.tree)
    names = sorted(name for name in branches if name.startswith(GENERATED))
    if not names or group.data:
        return
    yield f"{', '.join(names)} may be weights under benchmarks, relative to that of the event. Then name those of S, B and SBI:"
    yield "  layout: benchmark_weights: [...], benchmarks: [ggF_S, ggF_B, ggF_SBI], and a name of the sample that is none of these"


def _normalisation(group: Group) -> str:
    xsec, sumw = states_normalisation(group.first.findings.layout, group.first.report.normalisation)
    text = ""
    if xsec:
        text += "    # The files state the cross-section"
        stated = group.first.report.normalisation.get(NanoLayout().xsec_fb)
        text += f" ({stated:.6g} fb)" if stated is not None else ""
        text += " and the sum of weights" * sumw + "; `xsec_pb: NUMBER` would come before it.\n"
    else:
        text += "    # Cross-section of the process as generated, in pb. 1.0 only holds the place.\n    xsec_pb: 1.0\n"
    if not sumw:
        text += (
            "    # Sum of generator weights of all generated events: a number, or `sum` of the weights in the files, which is right\n"
            "    # only if no event was skimmed away.\n    gen_sumw: sum\n"
        )
    return text + "    # Best known cross-section over the generated one.\n    k_factor: 1.0\n"


def file_patterns(files: Sequence[Location], folder: Path) -> list[str]:
    """Name files as short as possible: a pattern with one `*` if it matches these files and no other, else each of them.

    Remote files are named one by one: not every server lists its folders.

    Args:
        files: Existing files.
        folder: The folder of the config; files below it are named relative to it.

    Returns:
        Paths or one pattern.
    """
    remote = [str(file) for file in files if isinstance(file, RemoteFile)]
    resolved = [file.resolve() for file in files if isinstance(file, Path)]
    names = [path.name for path in resolved]
    shown = [str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path) for path in resolved]
    shown = [glob.escape(name).replace("{data}", "[{]data}") if "{data}" in name else name for name in shown]
    if remote or len(names) < 2 or len({path.parent for path in resolved}) > 1:
        return shown + remote
    head = _shared_head(names)
    tail = _shared_head([name[len(head) :][::-1] for name in names])[::-1]
    beside = {path.name for path in resolved[0].parent.iterdir() if path.name.startswith(head) and path.name.endswith(tail)}
    if not head or beside != set(names) or set(str(resolved[0].parent) + head + tail) & set("*?[{"):
        return shown
    return [shown[0][: len(shown[0]) - len(names[0])] + f"{head}*{tail}"]


def _shared_head(texts: Sequence[str]) -> str:
    """Return the longest text that all texts begin with."""
    first, last = min(texts), max(texts)
    return first[: next((k for k, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), min(len(first), len(last)))]


def _selection(groups: Sequence[Group]) -> str:
    default, wide = (sum(n.findings.selected[k] for g in groups for n in g.files) for k in (0, 1))
    selection = SelectionConfig().model_dump(mode="json")
    opened = default < FEW * wide
    windows = OPEN_SELECTION if opened else {name: selection[name] for name in OPEN_SELECTION}
    note = "Opened, because few events pass the default windows of off-shell production" if opened else "Off-shell production"
    text = f"# {note} (GeV, low included, high excluded).\n"
    text += _yaml({"selection": {**windows, "leading_pt_min": selection["leading_pt_min"]}})
    found = [proposals(g.first.findings.layout, _types(g)) for g in groups]
    text += commented({key: value for key, value in found[0].items() if all(other.get(key) == value for other in found[1:])})
    text += "\n# What the event tables hold; docs/observables.md lists all, `standard`, `jets` and `vbf` are groups of them.\n"
    text += _yaml({"observables": ["standard"]})
    if opened:
        text += "\n# Histograms that are filled, and fitted beside the unbinned likelihood.\n"
        text += _yaml({"histograms": {"m4l": {"observable": "m4l", "edges": ONSHELL_EDGES}}})
    return text


def _types(group: Group) -> Mapping[str, str]:
    """Return the types of the branches of the event tree of a sample."""
    return next(tree.branches for tree in group.first.report.trees if tree.name == group.first.report.tree)


def _measurement(groups: Sequence[Group], meaning: Benchmarks | None, *, labels: bool) -> str:
    ratios, parameter, likelihood = RatioConfig(), ParameterConfig(), LikelihoodConfig()
    with_jets = all(has_jets(g.first.findings.layout) for g in groups)
    chosen = for_labels(ratios).features if labels else ratios.features
    features = [name for name in chosen if with_jets or OBSERVABLES[name].needs != "jets"]
    text = "# What the networks read; every selected event must have it.\n"
    if not with_jets:
        text = "# What the networks read: no n_jets, because not every file has jets.\n"
    composition = {} if labels else {"composition_epochs": ratios.composition_epochs}
    text += _yaml({"ratios": {"features": features, "epochs": ratios.epochs, **composition, "seed": ratios.seed}})
    if meaning is None:
        return text
    roles = {"signal": meaning.signal, "interfering": meaning.interfering, "background": meaning.background}
    text += "\n# Density of the events: mu S + sqrt(mu) (SBI - S - B) + B. Which benchmarks S, SBI and B are:\n"
    text += _yaml({"morphing": {"basis": "ggF", **roles}})
    text += "\n# Parameter of interest: truth of the Asimov set, and the range in which scans and fits stay.\n"
    text += _yaml({"parameter": {"name": parameter.name, "asimov": parameter.asimov, "range": list(parameter.range)}})
    text += "\n# Truths of the closure tests on independent events; relative uncertainty of the luminosity (0 leaves it out).\n"
    closure = {"closure_mu": list(likelihood.closure_mu), "luminosity_uncertainty": likelihood.luminosity_uncertainty}
    return text + _yaml({"likelihood": closure})


def _systematics(groups: Sequence[Group]) -> str:
    vectors: dict[str, tuple[int, list[str]]] = {}
    unused: dict[str, int] = {}
    for group in (g for g in groups if not g.data):
        for tree in group.first.report.trees:
            for name, lengths in tree.weight_lengths.items():
                if len(lengths) == 1 and lengths[0] > 1 and any(word in name.lower() for word in VARIATIONS):
                    vectors.setdefault(name, (lengths[0], []))[1].append(group.name)
                elif lengths and max(lengths) > 1 and name not in tree.zero_weights and not (group.benchmarks and _is_vector(group, name)):
                    unused[name] = max(lengths)
    rest = "".join(comment(f"The config does not use the weight vector {name} ({n} entries).") for name, n in unused.items())
    if not vectors:
        return rest + (
            "# Systematic variations (docs/systematics.md), for example:\n"
            "# systematics:\n#   objects:\n#     electron_scale: {object: electron, kind: scale, size: 0.005}\n"
        )
    text = rest + "# The files have weight vectors that look like variations; say which entries are up and down (docs/systematics.md):\n"
    text += "# systematics:\n#   weights:\n"
    for name, (n, samples) in vectors.items():
        section = {"kind": "pair", "vector": name, "up": 0, "down": n - 1, "samples": samples}
        text += comment(f"    {identifier(name).lower()}: {flow(section)}  # {n} entries")
    return text


def _is_vector(group: Group, name: str) -> bool:
    """Return whether a branch is the vector of benchmark weights of a sample."""
    return getattr(group.first.findings.layout, "benchmark_weights", None) == name


def _report() -> str:
    return "# Look of the plots: plain, ATLAS or CMS.\n" + _yaml({"report": {"style": "plain"}})


def _yaml(section: Mapping[str, Any], indent: str = "") -> str:
    """Write a section: one line per key where it fits, sections at the top always in a block."""
    text = ""
    for key, value in section.items():
        line = f"{indent}{key}: {flow(value)}\n"
        if isinstance(value, Mapping) and (not indent or len(line) > WIDTH):
            text += f"{indent}{key}:\n" + _yaml(value, indent + "  ")
        elif isinstance(value, list) and len(line) > WIDTH:
            text += f"{indent}{key}:\n" + "".join(f"{indent}  - {flow(item)}\n" for item in value)
        else:
            text += line
    return text


def _item(sample: Mapping[str, Any]) -> str:
    """Write a section as an item of a list."""
    return "  - " + _yaml(sample, "    ").removeprefix("    ")
