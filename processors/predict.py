"""Add the log ratios of a network to an ntuple: every event and every other branch stays, in chunks of bounded memory.

The columns of the network come from branches of the same tree, or from a computation (`observables_of`) that follows a config;
events without a value get NaN. Nothing here needs the training framework.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uproot
from numpy.typing import NDArray

from processors.branches import branches_to_read, check_inputs
from processors.eventfile import EventFile, format_of, open_events
from processors.formats import numbered
from processors.formats.columns import scalars
from processors.reading import read_record
from processors.rootfile import decoding, open_root, tree_names
from processors.selection import condition_names, select
from processors.treecopy import plan_copy, written_type
from toolkit.artifacts.atomic import atomic_path
from toolkit.config import Config
from toolkit.errors import ArtifactMismatchError, SchemaError
from toolkit.likelihood.onnx_ratio import OnnxRatio
from toolkit.locations import Location
from toolkit.typing import FloatArray, Progress, silent_progress
from toolkit.weights.missing import fill_missing, source_of

CHUNK = 100_000
PREFIX = "log_ratio"
WITHOUT_NAME = "Events"
"""Tree of the copy of a file whose format has no trees: CSV and LHE."""
Compute = Callable[[EventFile, int, int], Mapping[str, FloatArray]]
"""From a file, the first entry of a chunk and that after it to observables by name, (n,) each, NaN where an event has none."""


@dataclass(frozen=True)
class Prediction:
    """Say what `add_log_ratios` wrote.

    Args:
        path: The new file.
        tree: Name of the tree.
        entries: Events, as many as in the source.
        evaluated: Events with log ratios; the others hold NaN.
        extrapolated: Evaluated events outside the range of the training.
        missing: Events without an input that other events or inputs have, by its name; events that the selection refuses do not count.
        branches: The new branches.
    """

    path: Location
    tree: str
    entries: int
    evaluated: int
    extrapolated: int
    missing: dict[str, int]
    branches: tuple[str, ...]


def add_log_ratios(
    ratio: OnnxRatio,
    source: Location,
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
        source: ROOT (TTree or RNTuple), CSV or LHE file.
        target: New ROOT file with a TTree; it appears complete or not at all.
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
    if unused := sorted({*(fixed or {})} - {*ratio.metadata.columns}):
        remedy = "name an input of the network"
        raise SchemaError("numbers for all events", got=f"{unused}", expected=f"some of {list(ratio.metadata.columns)}", remedy=remedy)
    new = [f"{prefix}_{n}" for n in ratio.numerators] + ([f"{prefix}_spread_{n}" for n in ratio.numerators] if ratio.has_spread else [])
    name = tree if tree is not None or format_of(source) != "root" else _only_tree(source)
    with open_events(source, name or "") as events:
        plan = plan_copy(events, drop, new, source)
        reader = compute or _from_branches(ratio, events, columns or {}, fixed or {}, source)
        counts, absent = np.zeros(2, dtype=int), np.zeros(len(ratio.metadata.columns), dtype=int)
        with atomic_path(target) as temporary, uproot.recreate(temporary) as out:
            written: Any = None
            for start in range(0, max(events.entries, 1), chunk):
                stop = min(start + chunk, events.entries)
                arrays = events.arrays(plan.read, start, stop)
                results, *added, without = _evaluate(ratio, {**reader(events, start, stop), **(fixed or {})}, stop - start)
                counts, absent = counts + added, absent + without
                content = {**plan.pack(arrays), **dict(zip(new, results.T, strict=True))}
                if written is None:
                    types = {key: written_type(value) for key, value in content.items()}
                    written = out.mktree(name or WITHOUT_NAME, types, counter_name=plan.counter)
                written.extend(content)
                progress("events", float(stop), float(max(events.entries, 1)))
        missing = {column: int(n) for column, n in zip(ratio.metadata.columns, absent, strict=True) if n}
        return Prediction(target, name or WITHOUT_NAME, int(events.entries), int(counts[0]), int(counts[1]), missing, tuple(new))


def observables_of(config: Config, sample: str, ratio: OnnxRatio, source: Location, *, fixed: Collection[str] = ()) -> Compute:
    """Compute the observables as a config does: its format, selection, columns and fills.

    Args:
        config: The analysis.
        sample: The sample whose format and weights the file has.
        ratio: The network, which says what to compute.
        source: The file, for messages.
        fixed: Inputs that need no computation.

    Returns:
        The computation for `add_log_ratios`; events that the selection refuses have NaN. It refuses a file without the branches.
    """
    section = config.sample(sample)
    computed = tuple(name for name in ratio.features if name not in fixed)
    wanted = tuple(dict.fromkeys(source_of(name, config.fills) for name in computed))
    inputs = tuple(dict.fromkeys((*wanted, *condition_names(config.selection))))

    def compute(file: EventFile, start: int, stop: int) -> Mapping[str, FloatArray]:
        check_inputs(source, config, section, file.types, inputs)
        events = file.arrays(branches_to_read(config, section, file.types), start, stop)
        kept = {name: column for name, column in config.columns.items() if name in inputs}
        record = numbered(read_record(events, config, section, columns=kept), 0, start)
        selected = select(record, record.gen_weight, config.selection, observables=wanted)
        filled = fill_missing(selected.observables, {name: fill for name, fill in config.fills.items() if name in wanted})
        out = {name: np.full(len(record), np.nan) for name in computed}
        for name, values in out.items():
            values[selected.index] = filled[name]
        return out

    return compute


def _evaluate(ratio: OnnxRatio, observables: Mapping[str, Any], n: int) -> tuple[FloatArray, int, int, NDArray[np.int64]]:
    """Evaluate the events that have all columns: (n, n_branches), number of them, of those outside the range, of those without a column."""
    width = len(ratio.numerators) * (2 if ratio.has_spread else 1)
    results, without = np.full((n, width), np.nan), np.zeros(len(ratio.metadata.columns), dtype=np.int64)
    if not n:
        return results, 0, 0, without
    x = ratio.columns(observables)
    with np.errstate(over="ignore"):
        finite = np.isfinite(x.astype(np.float32))
    varying = [i for i, name in enumerate(ratio.metadata.columns) if np.ndim(observables[name])]
    without = (~finite[finite[:, varying].any(axis=1)]).sum(axis=0)
    good = finite.all(axis=1)
    if not good.any():
        return results, 0, 0, without
    results[good] = np.concatenate(ratio.with_spread(x[good]), axis=1) if ratio.has_spread else ratio(x[good])
    return results, int(good.sum()), int(ratio.outside_training_range(x[good]).any(axis=1).sum()), without


def _only_tree(source: Location) -> str:
    with open_root(source) as directory:
        trees = sorted(tree_names(directory, source))
    if len(trees) != 1:
        msg = f"tree of {source}"
        got = "several trees" if trees else "no tree"
        raise SchemaError(msg, got=got, expected=f"one of {trees}" if trees else "a TTree or RNTuple", remedy="name one with --tree")
    return trees[0]


def _from_branches(
    ratio: OnnxRatio, events: EventFile, columns: Mapping[str, str], fixed: Mapping[str, float], source: Location
) -> Compute:
    inputs = ratio.metadata.columns
    unknown = sorted({*columns} - set(inputs))
    missing = [columns.get(name, name) for name in inputs if name not in fixed and columns.get(name, name) not in events.types]
    if unknown or missing:
        msg = f"branches of {source}"
        got = f"no column {unknown} in the network" if unknown else f"no branch {missing} among {sorted(events.types)}"
        remedy = "map names with --column NAME=BRANCH, or compute the observables with --config CONFIG --sample SAMPLE"
        raise SchemaError(msg, got=got, expected=f"a branch or a number for each of {list(inputs)}", remedy=remedy)
    used = {name: columns.get(name, name) for name in inputs if name not in fixed}

    def read(file: EventFile, start: int, stop: int) -> Mapping[str, FloatArray]:
        arrays = file.arrays(list(dict.fromkeys(used.values())), start, stop)
        return {name: scalars(arrays, branch) for name, branch in used.items()}

    return read


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
