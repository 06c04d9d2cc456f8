"""Open every input file before any work starts: existence, completeness, trees, branches, weight vectors, normalisation."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from processors.dialects import branch_names, reader_for, wrong_vector_length
from processors.observables import wanted_observables, written_observables
from processors.rootfile import nearest, open_root, tree_names
from toolkit import units
from toolkit.config import Config, FlatLayout, NanoLayout, SampleConfig
from toolkit.errors import ArtifactMismatchError, InputFileError, PhysicsDomainError, SchemaError
from toolkit.kinematics import OBSERVABLES
from toolkit.typing import FloatArray


@dataclass(frozen=True)
class FileInput:
    """One ntuple, as found on disk.

    Args:
        path: The file.
        tree: Name of the event tree.
        entries: Entries of the event tree.
        uuid: Identity that ROOT gave the file when it was written, 16 bytes.
        size: Bytes.
        modified_ns: Time of the last change.
        branches: Branches of the event tree.
        sumw: Sum of generator weights that the file stands for; None where the config gives the sum of the sample.
        xsec_pb: Cross-section of the sample as the file states it; None where the config gives it.
    """

    path: str
    tree: str
    entries: int
    uuid: bytes
    size: int
    modified_ns: int
    branches: frozenset[str]
    sumw: float | None
    xsec_pb: float | None


@dataclass(frozen=True)
class SampleInputs:
    """All files of a sample and their common normalisation.

    Args:
        config: The sample's section of the config.
        files: In the order of their names.
        xsec_pb: Cross-section in pb, before the k-factor.
        sumw: Sum of generator weights over all files, before any skim.
    """

    config: SampleConfig
    files: tuple[FileInput, ...]
    xsec_pb: float
    sumw: float

    @property
    def entries(self) -> int:
        """Entries of all files."""
        return sum(f.entries for f in self.files)

    def scale(self, luminosity_ifb: float) -> float:
        """Return the factor from a generator weight to expected events, xsec x k x luminosity / sum of generator weights."""
        return self.xsec_pb * units.PB_IFB * self.config.k_factor * luminosity_ifb / self.sumw


def inspect_inputs(config: Config) -> tuple[SampleInputs, ...]:
    """Open every file of every sample, check it and read the normalisation.

    Args:
        config: The analysis.

    Returns:
        One entry per sample, in the order of the config.

    Raises:
        InputFileError: No file matches, a file is not ROOT, or it is truncated.
        SchemaError: A tree or a branch is missing (the nearest name is given).
        ShapeError: The benchmark weight vector does not have one entry per benchmark.
        ArtifactMismatchError: The files of a sample state different cross-sections.
        PhysicsDomainError: A cross-section or a sum of weights is not positive and finite, or a summed generator weight is not finite.
    """
    written_observables(config)
    wanted = wanted_observables(config)
    inputs = tuple(_inspect_sample(sample, wanted) for sample in config.samples)
    for sample in inputs:
        for file in sample.files:
            _check_columns(config, sample.config, file)
    return inputs


def expand_files(sample: SampleConfig) -> list[Path]:
    """Return the files that the sample's patterns match, sorted by name within each pattern, each file once.

    Raises:
        InputFileError: A pattern matches nothing.
    """
    found: dict[Path, None] = {}
    for pattern in sample.files:
        matches = _matches(pattern)
        if not matches:
            folder = Path(pattern).parent
            names = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
            raise InputFileError(
                f"files of sample {sample.name}",
                got=f"nothing at {pattern}" + ("" if folder.is_dir() else f" (no folder {folder})"),
                expected="at least one ROOT file",
                remedy=nearest(Path(pattern).name, names) or "check the path under `files`, or the folder given with --data",
            )
        found.update(dict.fromkeys(m.resolve() for m in matches))
    return list(found)


def _matches(pattern: str) -> list[Path]:
    path = Path(pattern)
    if path.is_file():
        return [path]
    anchor = Path(path.anchor)
    return sorted(m for m in anchor.glob(str(path.relative_to(anchor))) if m.is_file())


def _inspect_sample(sample: SampleConfig, wanted: tuple[str, ...]) -> SampleInputs:
    files = tuple(_inspect_file(path, sample, wanted) for path in expand_files(sample))
    stated = {f.xsec_pb for f in files if f.xsec_pb is not None}
    if stated and not np.allclose(list(stated), max(stated), rtol=1e-6, atol=0.0):
        raise ArtifactMismatchError(
            f"cross-section of sample {sample.name}",
            got=", ".join(f"{Path(f.path).name}: {f.xsec_pb} pb" for f in files),
            expected="one cross-section for all files of a sample (it is that of the sample, not of the file)",
            remedy="list files of different processes as different samples, or give xsec_pb as a number",
        )
    xsec_pb = sample.xsec_pb if isinstance(sample.xsec_pb, float | int) else stated.pop()
    sumw = sample.gen_sumw if isinstance(sample.gen_sumw, float | int) else math.fsum(f.sumw or 0.0 for f in files)
    for what, value in (("cross-section (pb)", xsec_pb), ("sum of generator weights", sumw)):
        if not (math.isfinite(value) and value > 0):
            raise PhysicsDomainError(
                f"{what} of sample {sample.name}",
                got=value,
                expected="a positive, finite number",
                remedy="check the Runs tree of the files, or give the number in the config",
            )
    return SampleInputs(config=sample, files=files, xsec_pb=float(xsec_pb), sumw=float(sumw))


def _inspect_file(path: Path, sample: SampleConfig, wanted: tuple[str, ...]) -> FileInput:
    with open_root(path) as directory:
        tree = _get_tree(directory, sample.tree, path, option="tree")
        branches = frozenset(branch_names(tree.keys()))
        _check_branches(path, sample, branches, wanted)
        _check_vector(tree, path, sample)
        xsec_pb, sumw = _normalisation(directory, tree, path, sample)
        stat = path.stat()
        return FileInput(
            path=str(path),
            tree=sample.tree,
            entries=int(tree.num_entries),
            uuid=bytes(directory.file.uuid.bytes),
            size=stat.st_size,
            modified_ns=stat.st_mtime_ns,
            branches=branches,
            sumw=sumw,
            xsec_pb=xsec_pb,
        )


def _get_tree(directory: Any, name: str, path: Path, *, option: str) -> Any:
    trees = tree_names(directory)
    if name not in trees:
        raise SchemaError(
            f"tree {name!r} in {path}",
            got=f"trees {sorted(trees)}",
            expected=f"a TTree or RNTuple called {name!r}",
            remedy=nearest(name, trees) or f"set `{option}` of the sample to the name of its tree",
        )
    return directory[name]


def _check_branches(path: Path, sample: SampleConfig, branches: Collection[str], wanted: tuple[str, ...]) -> None:
    reader = reader_for(sample)
    for name in reader.required(sample):
        if name not in branches:
            raise _missing_branch(name, path, sample, branches, "")
    if any(name in branches for name in reader.jet_branches()) or not reader.jet_branches():
        needed = [name for name in reader.jet_branches() if name not in branches]
        reason = "; the other jet branches are there"
    else:
        needed = list(reader.jet_branches())
        reason = ""
    jets = [name for name in wanted if name in OBSERVABLES and OBSERVABLES[name].needs == "jets"]
    if reader.jet_branches() == () and jets:
        raise SchemaError(
            f"jet observables {jets} of sample {sample.name}",
            got="a layout without jets",
            expected="jet columns",
            remedy="name the columns under `layout.jet`, or take the jet observables out of the config",
        )
    if needed and (jets or reason):
        raise _missing_branch(needed[0], path, sample, branches, f" (for {jets})" if jets else reason)


def _check_columns(config: Config, sample: SampleConfig, file: FileInput) -> None:
    for name, column in config.columns.items():
        if column.branch not in file.branches:
            raise _missing_branch(column.branch, Path(file.path), sample, file.branches, f" (for column {name!r})")


def _missing_branch(name: str, path: Path, sample: SampleConfig, branches: Collection[str], why: str) -> SchemaError:
    return SchemaError(
        f"branch {name!r}{why} of tree {sample.tree!r} in {path}",
        got="no such branch",
        expected=f"the branches of the {sample.layout.kind} layout",
        remedy=nearest(name, branches) or f"name the branch under `layout` of sample {sample.name}; `h4l inspect` lists what the file has",
    )


def _check_vector(tree: Any, path: Path, sample: SampleConfig) -> None:
    if isinstance(sample.layout, FlatLayout):
        if sample.benchmarks and len(sample.layout.benchmark_weights) != len(sample.benchmarks):
            raise wrong_vector_length("layout.benchmark_weights", sample, len(sample.layout.benchmark_weights), where="the config")
        return
    if not sample.benchmarks or tree.num_entries == 0:
        return
    lengths = np.asarray(ak.num(tree[sample.layout.benchmark_weights].array(entry_stop=100), axis=1))
    wrong = lengths[lengths != len(sample.benchmarks)]
    if len(wrong):
        raise wrong_vector_length(sample.layout.benchmark_weights, sample, int(wrong[0]), where=str(path))


def _normalisation(directory: Any, tree: Any, path: Path, sample: SampleConfig) -> tuple[float | None, float | None]:
    xsec_pb = sumw = None
    if isinstance(sample.layout, NanoLayout):
        if sample.xsec_pb == "file":
            values = _runs_column(directory, path, sample, sample.layout.xsec_fb, option="xsec_pb")
            if len(values) == 0 or not np.allclose(values, values[0], rtol=1e-6, atol=0.0):
                raise _bad_runs(path, sample.layout.xsec_fb, values, "one cross-section (fb)")
            xsec_pb = float(values[0]) * units.FB
        if sample.gen_sumw == "file":
            sumw = float(_runs_column(directory, path, sample, sample.layout.gen_sumw, option="gen_sumw").sum())
    if sample.gen_sumw == "sum":
        sumw = _sum_of_weights(tree, path, sample)
    return xsec_pb, sumw


def _runs_column(directory: Any, path: Path, sample: SampleConfig, column: str, *, option: str) -> FloatArray:
    runs_name = sample.layout.runs_tree if isinstance(sample.layout, NanoLayout) else "Runs"
    runs = _get_tree(directory, runs_name, path, option="layout.runs_tree")
    if column not in runs.keys():  # noqa: SIM118
        raise SchemaError(
            f"branch {column!r} of tree {runs_name!r} in {path}",
            got=f"branches {sorted(runs.keys())}",
            expected=column,
            remedy=f"give `{option}` of sample {sample.name} as a number in the config",
        )
    return np.asarray(runs[column].array(library="np"), dtype=np.float64)


def _bad_runs(path: Path, column: str, values: Any, expected: str) -> ArtifactMismatchError:
    return ArtifactMismatchError(
        f"{column} in the Runs tree of {path}", got=list(values), expected=expected, remedy="give `xsec_pb` of the sample as a number"
    )


def _sum_of_weights(tree: Any, path: Path, sample: SampleConfig) -> float:
    reader = reader_for(sample)
    total = []
    if isinstance(sample.layout, FlatLayout) and sample.layout.gen_weight is None:
        return float(tree.num_entries)
    for events in tree.iterate([sample.layout.gen_weight], step_size="50 MB"):
        weights = reader.gen_weights(events)
        total.append(float(weights.sum()))
    value = math.fsum(total)
    if not math.isfinite(value):
        raise PhysicsDomainError(
            f"generator weights {sample.layout.gen_weight!r} in {path}",
            got="a NaN or infinite weight",
            expected="finite weights",
            remedy="repair the ntuple, or ask who made it; events are never dropped silently",
        )
    return value
