"""Add the log ratios of a network to an ntuple: every event and every other branch stays, in chunks of bounded memory.

The columns of the network come from branches of the same tree, or from a computation (`observables_of`) that follows a config;
events without a value get NaN. Nothing here needs the training framework.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from processors.dialects import numbered
from processors.reading import read_record
from processors.rootfile import decoding, open_root
from processors.selection import condition_names, select
from toolkit.artifacts.atomic import atomic_path
from toolkit.config import Config
from toolkit.errors import ArtifactMismatchError, SchemaError
from toolkit.likelihood.onnx_ratio import OnnxRatio
from toolkit.typing import FloatArray, Progress, silent_progress
from toolkit.weights.missing import fill_missing, source_of

CHUNK = 100_000
PREFIX = "log_ratio"
Compute = Callable[[ak.Array, int], Mapping[str, FloatArray]]
"""From the branches of a chunk and its first entry to observables by name, (n,) each, NaN where an event has none."""


@dataclass(frozen=True)
class Prediction:
    """Say what `add_log_ratios` wrote.

    Args:
        path: The new file.
        tree: Name of the tree.
        entries: Events, as many as in the source.
        evaluated: Events with log ratios; the others hold NaN.
        extrapolated: Evaluated events outside the range of the training.
        branches: The new branches.
    """

    path: Path
    tree: str
    entries: int
    evaluated: int
    extrapolated: int
    branches: tuple[str, ...]


def add_log_ratios(
    ratio: OnnxRatio,
    source: Path,
    target: Path,
    *,
    tree: str | None = None,
    columns: Mapping[str, str] | None = None,
    compute: Compute | None = None,
    fixed: Mapping[str, float] | None = None,
    drop: Sequence[str] = (),
    prefix: str = PREFIX,
    chunk: int = CHUNK,
    progress: Progress = silent_progress,
) -> Prediction:
    """Copy a tree and add one branch per log ratio, and per spread of an ensemble.

    Args:
        ratio: The network.
        source: ROOT file.
        target: New ROOT file; it appears complete or not at all.
        tree: Name of the tree; None if the file holds just one.
        columns: Branch of each column of the network, where it has another name.
        compute: Computes the observables in place of reading branches.
        fixed: Columns that are the same for all events: parameters of a parameterised network.
        drop: Branches that are not copied.
        prefix: Branches are called PREFIX_NUMERATOR and PREFIX_spread_NUMERATOR.
        chunk: Entries per step.
        progress: Called after every step.

    Returns:
        What was written.

    Raises:
        InputFileError: The file cannot be read or written.
        SchemaError: No such tree or branch, a branch that cannot be copied, or a name that is taken.
    """
    if target.resolve() == source.resolve():
        msg = f"output {target}"
        raise SchemaError(msg, got="the input file", expected="another file", remedy="name a new file with --out")
    new = [f"{prefix}_{n}" for n in ratio.numerators] + ([f"{prefix}_spread_{n}" for n in ratio.numerators] if ratio.has_spread else [])
    with open_root(source) as directory:
        name = _choose_tree(directory, tree, source)
        with decoding(source, f"tree {name!r}"):
            events = directory[name]
            layout = _layout(events, drop, new, source)
        reader = compute or _from_branches(ratio, events, columns or {}, fixed or {}, source)
        evaluated = extrapolated = 0
        with atomic_path(target) as temporary, uproot.recreate(temporary) as out:
            written: Any = None
            for start in range(0, max(events.num_entries, 1), chunk):
                stop = min(start + chunk, events.num_entries)
                with decoding(source, f"a branch of entries {start} to {stop}"):
                    arrays = events.arrays(layout.read, entry_start=start, entry_stop=stop) if layout.read else ak.Array([])
                results, good, outside = _evaluate(ratio, {**reader(arrays, start), **(fixed or {})}, stop - start)
                evaluated, extrapolated = evaluated + good, extrapolated + outside
                content = {**layout.pack(arrays), **dict(zip(new, results.T, strict=True))}
                if written is None:
                    written = out.mktree(name, {key: _type_of(value) for key, value in content.items()}, counter_name=layout.counter)
                written.extend(content)
                progress("events", float(stop), float(max(events.num_entries, 1)))
        return Prediction(target, name, int(events.num_entries), evaluated, extrapolated, tuple(new))


def observables_of(config: Config, sample: str, ratio: OnnxRatio) -> Compute:
    """Compute the observables as a config does: its dialect, selection, columns and fills.

    Args:
        config: The analysis.
        sample: The sample whose dialect and weights the file has.
        ratio: The network, which says what to compute.

    Returns:
        The computation for `add_log_ratios`; events that the selection refuses have NaN.
    """
    section = config.sample(sample)
    wanted = tuple(dict.fromkeys(source_of(name, config.fills) for name in ratio.features))

    def compute(events: ak.Array, start: int) -> Mapping[str, FloatArray]:
        needed = {*wanted, *condition_names(config.selection)}
        kept = {name: column for name, column in config.columns.items() if name in needed}
        record = numbered(read_record(events, config, section, columns=kept), 0, start)
        selected = select(record, record.gen_weight, config.selection, observables=wanted)
        filled = fill_missing(selected.observables, {name: fill for name, fill in config.fills.items() if name in wanted})
        out = {name: np.full(len(record), np.nan) for name in ratio.features}
        for name, values in out.items():
            values[selected.index] = filled[name]
        return out

    return compute


def _evaluate(ratio: OnnxRatio, observables: Mapping[str, Any], n: int) -> tuple[FloatArray, int, int]:
    """Evaluate the events that have all columns; (n, n_branches), number of them, and of those outside the training range."""
    width = len(ratio.numerators) * (2 if ratio.has_spread else 1)
    results = np.full((n, width), np.nan)
    if not n:
        return results, 0, 0
    x = ratio.columns(observables)
    with np.errstate(over="ignore"):
        good = np.isfinite(x.astype(np.float32)).all(axis=1)
    if not good.any():
        return results, 0, 0
    parts = [ratio(x[good]), *([ratio.spread(x[good])] if ratio.has_spread else [])]
    results[good] = np.concatenate(parts, axis=1)
    return results, int(good.sum()), int(ratio.outside_training_range(x[good]).any(axis=1).sum())


def _choose_tree(directory: Any, tree: str | None, source: Path) -> str:
    with decoding(source, "the list of objects"):
        trees: list[str] = sorted({str(key).partition(";")[0] for key, kind in directory.classnames().items() if kind == "TTree"})
    if tree is None and len(trees) == 1:
        return trees[0]
    if tree not in trees:
        msg = f"tree of {source}"
        raise SchemaError(msg, got=tree or "several trees", expected=f"one of {trees}", remedy="name one with --tree")
    return str(tree)


def _from_branches(ratio: OnnxRatio, events: Any, columns: Mapping[str, str], fixed: Mapping[str, float], source: Path) -> Compute:
    inputs = ratio.metadata.columns
    unknown = sorted({*columns, *fixed} - set(inputs))
    missing = [columns.get(name, name) for name in inputs if name not in fixed and columns.get(name, name) not in events]
    if unknown or missing:
        msg = f"branches of {source}"
        got = f"no column {unknown} in the network" if unknown else f"no branch {missing}"
        remedy = "map names with --column NAME=BRANCH, or compute the observables with --config CONFIG --sample SAMPLE"
        raise SchemaError(msg, got=got, expected=f"a branch or a number for each of {list(inputs)}", remedy=remedy)
    used = {name: columns.get(name, name) for name in inputs if name not in fixed}

    def read(arrays: ak.Array, start: int) -> Mapping[str, FloatArray]:
        stop = start + len(arrays)
        out = {}
        for name, branch in used.items():
            with decoding(source, f"branch {branch!r}"):
                values = np.asarray(events[branch].array(entry_start=start, entry_stop=stop, library="np"))
            if values.dtype.kind not in "iufb" or values.ndim != 1:
                msg = f"branch {branch} of {source}"
                raise SchemaError(
                    msg, got=f"{values.dtype}, {values.ndim} axes", expected="one number per event", remedy="map another branch"
                )
            out[name] = values.astype(np.float64)
        return out

    return read


@dataclass(frozen=True)
class _Layout:
    """How the branches of the source are written again.

    Args:
        read: Branches to read.
        groups: Lists of the same length per event by their counter nGROUP: GROUP to {field: branch}.
        alone: Other branches.
    """

    read: tuple[str, ...]
    groups: Mapping[str, Mapping[str, str]]
    alone: tuple[str, ...]

    @staticmethod
    def counter(group: str) -> str:
        """Name of the branch that holds the lengths of the lists of a group."""
        return f"n{group}"

    def pack(self, arrays: ak.Array) -> dict[str, Any]:
        """Return what a chunk holds in the form that uproot writes."""
        out: dict[str, Any] = {name: _plain(arrays[name]) for name in self.alone}
        for group, fields in self.groups.items():
            out[group] = ak.zip({field: arrays[branch] for field, branch in fields.items()})
        return out


def _layout(events: Any, drop: Sequence[str], new: Sequence[str], source: Path) -> _Layout:
    names = [name for name in events.keys(recursive=False) if name not in drop]
    taken, strange = sorted(set(names) & set(new)), [name for name in names if not _can_copy(events[name])]
    if taken or strange:
        msg = f"branches of {source}"
        got = f"{taken} exist already" if taken else f"{strange} of type {[str(events[name].typename) for name in strange]}"
        remedy = "choose another --prefix" if taken else f"leave them out with {' '.join(f'--drop {name}' for name in strange)}"
        raise SchemaError(msg, got=got, expected="free names, and numbers or lists of numbers", remedy=remedy)
    lists = [name for name in names if isinstance(events[name].interpretation, uproot.AsJagged)]
    groups: dict[str, dict[str, str]] = {}
    for name in lists:
        group, _, field = name.partition("_")
        if field and f"n{group}" in names:
            groups.setdefault(group, {})[field] = name
    counters = {f"n{group}" for group in groups}
    grouped = {branch for fields in groups.values() for branch in fields.values()}
    alone = tuple(name for name in names if name not in grouped | counters)
    return _Layout(tuple(name for name in names if name not in counters), groups, alone)


def _can_copy(branch: Any) -> bool:
    interpretation = branch.interpretation
    inner = interpretation.content if isinstance(interpretation, uproot.AsJagged) else interpretation
    return isinstance(inner, uproot.AsDtype) and inner.to_dtype.names is None and inner.to_dtype.base.kind in "iufb"


def _plain(values: ak.Array) -> Any:
    """Return numbers, or vectors of fixed length, as NumPy; lists as they are."""
    return values if "var" in str(values.type) else ak.to_numpy(values)


def _type_of(values: Any) -> Any:
    if isinstance(values, np.ndarray):
        return np.dtype((values.dtype, values.shape[1:])) if values.ndim > 1 else values.dtype
    return values.type.content if hasattr(values.type, "content") else values.type


def check_copy(prediction: Prediction) -> None:
    """Read the number of entries back.

    Raises:
        ArtifactMismatchError: The new tree has another length, or values are missing.
    """
    with open_root(prediction.path) as directory, decoding(prediction.path, f"tree {prediction.tree!r}"):
        found = int(directory[prediction.tree].num_entries)
        absent = [name for name in prediction.branches if name not in directory[prediction.tree]]
    if found != prediction.entries or absent:
        msg = f"tree {prediction.tree} of {prediction.path}"
        got = f"{found} entries, without {absent}"
        raise ArtifactMismatchError(msg, got=got, expected=f"{prediction.entries} entries", remedy="report this as a defect")
