"""Group ntuples into samples: by name, by what they hold, and by the process that their weights say."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from processors.benchmarks import LONGEST, Benchmarks, name_benchmarks, own_entry, read_vector
from processors.formats.detect import how_to_describe, what_is_missing
from processors.inspect import FileReport, inspect_file
from processors.snippets import Findings
from processors.weightsearch import which_weight
from toolkit.config import LheLayout, NanoLayout
from toolkit.errors import SchemaError
from toolkit.locations import Location, RemoteFile
from toolkit.typing import FloatArray, Progress, silent_progress

SUFFIXES = (".root", ".csv", ".lhe.gz", ".lhe")
_NUMBERED = re.compile(r"([._-](part|chunk|file|job)?\d+)+$", re.IGNORECASE)


@dataclass(frozen=True)
class Ntuple:
    """One file.

    Args:
        path: The file.
        report: What it holds.
        findings: What its first events say.
        vector: Relative weights of the first events, (n_events, n_entries), if it has a vector that may hold benchmarks.
        dataset: Its dataset, if it was listed in one.
    """

    path: Location
    report: FileReport
    findings: Findings
    vector: FloatArray | None
    dataset: str = ""


@dataclass(frozen=True)
class Group:
    """The files of one sample.

    Args:
        name: Name of the sample.
        files: In the order of their names.
        benchmarks: Meaning of its weight vector; None if it has none or the events do not tell.
        undecided: Its meaning where samples of several processes interfere: one config measures one of them.
    """

    name: str
    files: tuple[Ntuple, ...]
    benchmarks: Benchmarks | None = None
    undecided: Benchmarks | None = None

    @property
    def first(self) -> Ntuple:
        """The file that stands for all: layout, tree and weights are the same in each."""
        return self.files[0]

    @property
    def data(self) -> bool:
        """Whether the events are data."""
        return self.first.findings.data

    @property
    def entries(self) -> int:
        """Events of all files."""
        return sum(t.entries for file in self.files for t in file.report.trees if t.name == file.report.tree)


def read_ntuples(
    paths: Sequence[Location],
    progress: Progress = silent_progress,
    *,
    weight: str | None = None,
    datasets: Mapping[Location, str] | None = None,
) -> tuple[Ntuple, ...]:
    """Look into every file.

    Args:
        paths: The files; one that is named twice is read once.
        progress: Called after every file.
        weight: Branch of the generator weight, where the user named one; `none` for data.
        datasets: The dataset of each file that was listed in one.

    Returns:
        The files, in the order of their names.

    Raises:
        InputFileError: A file is missing, damaged, or no ntuple.
        SchemaError: No layout fits a file, or which of its branches is the weight must be said.
    """
    found, unique = [], sorted({path.resolve(): path for path in paths}.values(), key=lambda path: (isinstance(path, RemoteFile), path))
    for done, path in enumerate(unique, start=1):
        report = inspect_file(path, weight=weight)
        if report.findings is None:
            tree = next(t for t in report.trees if t.name == report.tree)
            described = how_to_describe(tree.branches)
            raise SchemaError(
                f"input file {path}",
                got=f"no known format: {what_is_missing(tree.branches)}",
                expected="leptons in the nanoaod, atlas, flat or lhe layout, or lists of leptons with telling names",
                remedy=f"if all leptons are of one flavour, write a config with `layout: {described}`; docs/ntuples.md has an example"
                if described
                else "leave it out, or describe its branches by `layout: {kind: mapping}` (docs/ntuples.md); `h4l inspect` lists them",
            )
        if report.findings.candidates:
            raise which_weight(str(path), report.findings.candidates)
        found.append(Ntuple(path, report, report.findings, _vector(path, report, report.findings), (datasets or {}).get(path, "")))
        progress("ntuples", done, len(unique))
    return tuple(found)


def _vector(path: Location, report: FileReport, findings: Findings) -> FloatArray | None:
    if findings.data or not isinstance(findings.layout, NanoLayout):
        return None
    tree = next(t for t in report.trees if t.name == report.tree)
    lengths = tree.weight_lengths.get(findings.layout.benchmark_weights, ())
    if len(lengths) != 1 or not 2 < lengths[0] <= LONGEST:
        return None
    return read_vector(path, report.tree, findings.layout.benchmark_weights)


def group_samples(ntuples: Sequence[Ntuple]) -> tuple[Group, ...]:
    """Group files into samples.

    Files belong together if they are of one dataset, or else their names differ by trailing numbers only, and they hold the same:
    layout, tree, cross-section and generated process. Data of one layout are one sample.

    Args:
        ntuples: The files.

    Returns:
        The samples: simulation that interferes in the order of its benchmarks, other simulation, then data.
    """
    groups = [*_by_key([n for n in ntuples if not n.findings.data], stem), *_by_key([n for n in ntuples if n.findings.data], _data)]
    lengths = {g.first.vector.shape[1] for g in groups if g.first.vector is not None}
    meaning: dict[str, Benchmarks | None] = {}
    for length in lengths:
        vectors = {g.name: g.first.vector for g in groups if g.first.vector is not None and g.first.vector.shape[1] == length}
        meaning |= dict.fromkeys(vectors, name_benchmarks(vectors))
    several = len({m for m in meaning.values() if m is not None}) > 1
    known = [_with_meaning(group, meaning.get(group.name), undecided=several) for group in groups]
    return tuple(sorted(known, key=_position))


def _with_meaning(group: Group, meaning: Benchmarks | None, *, undecided: bool) -> Group:
    return replace(group, undecided=meaning) if undecided else replace(group, benchmarks=meaning)


def _position(group: Group) -> tuple[bool, int, str]:
    meaning = group.benchmarks or group.undecided
    return group.data, meaning.names.index(group.name) if meaning else LONGEST, group.name


def _by_key(ntuples: Sequence[Ntuple], namer: Callable[[Location], str]) -> Iterator[Group]:
    found: dict[tuple[str, str], list[Ntuple]] = {}
    for ntuple in ntuples:
        found.setdefault((identifier(ntuple.dataset) if ntuple.dataset else namer(ntuple.path), _content(ntuple)), []).append(ntuple)
    names = [name for name, _ in found]
    used: set[str] = set()
    for (name, _), files in found.items():
        wanted = name if names.count(name) == 1 else identifier(bare_name(files[0].path))
        unique = next(n for k in range(len(ntuples) + 1) if (n := f"{wanted}_{k + 1}" if k else wanted) not in used)
        used.add(unique)
        yield Group(unique, tuple(files))


def _content(ntuple: Ntuple) -> str:
    """Describe what the files of one sample have in common."""
    layout, report = ntuple.findings.layout, ntuple.report
    xsec = None if isinstance(layout, LheLayout) else report.normalisation.get(NanoLayout().xsec_fb)
    entry = None if ntuple.vector is None else own_entry(ntuple.vector)
    shape = None if ntuple.vector is None else ntuple.vector.shape[1]
    return f"{layout.model_dump_json()} {report.tree} {xsec and f'{xsec:.5g}'} {shape} {entry}"


def bare_name(path: Location) -> str:
    """Return the name of a file without its format.

    Examples:
        >>> from pathlib import Path
        >>> bare_name(Path("ntuples/data_A.4lep.root"))
        'data_A.4lep'
    """
    return next((path.name[: -len(suffix)] for suffix in SUFFIXES if path.name.endswith(suffix)), path.name.removesuffix(path.suffix))


def stem(path: Location) -> str:
    """Return the name of a sample from that of one of its files: without format and trailing numbers.

    Examples:
        >>> from pathlib import Path
        >>> [stem(Path(name)) for name in ("ggF_S_0.root", "EW_SBI10.root", "mc_345060.ggH125_ZZ4lep.4lep.root", "4e_2012.csv")]
        ['ggF_S', 'EW_SBI10', 'mc_345060_ggH125_ZZ4lep_4lep', 's_4e']
    """
    name = bare_name(path)
    return identifier(_NUMBERED.sub("", name) or name)


def _data(path: Location) -> str:
    del path
    return "data"


def identifier(text: str) -> str:
    """Return a text as the name of a sample: letters, digits and underscores, a letter first.

    Examples:
        >>> identifier("4mu-2012 (new)")
        's_4mu_2012_new'
    """
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")
    return name if name[:1].isalpha() else f"s_{name}"
