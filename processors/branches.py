"""Check that a file has the branches that the config needs, and that the files of a sample carry the same weights."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import awkward as ak
import numpy as np

from processors.eventfile import EventFile
from processors.formats import Reader, reader_for, wrong_vector_length
from processors.observables import wanted_observables
from processors.reading import check_condition_branches, selection_branches
from processors.rootfile import nearest
from processors.slices import foreign_branches
from processors.variations import weight_branches
from toolkit.config import Config, MappingLayout, SampleConfig
from toolkit.errors import ArtifactMismatchError, SchemaError
from toolkit.kinematics import OBSERVABLES
from toolkit.locations import Location, locate

PROBE = 100
"""Entries that are read to learn the length of a vector."""


@dataclass(frozen=True)
class WeightNames:
    """What a file says about a weight vector.

    Args:
        length: Entries per event; None where the file has no events.
        names: Names of the entries, or the title of the branch; empty where the file says nothing.
    """

    length: int | None
    names: tuple[str, ...]


def check_branches(path: Location, config: Config, sample: SampleConfig, branches: Mapping[str, str]) -> None:
    """Check that a file has the branches of the layout, of wanted jet observables, of the columns and varied weights of the config.

    Raises:
        SchemaError: One is missing; the nearest name is given.
    """
    reader = reader_for(sample)
    for name in reader.required(sample):
        if name not in branches:
            raise _missing_branch(name, path, sample, branches, "")
    _check_jets(path, config, sample, branches)
    for name, column in config.columns.items():
        if column.branch not in branches:
            raise _missing_branch(column.branch, path, sample, branches, f" (for column {name!r})")
    _check_variations(path, config, sample, branches)
    check_condition_branches(path, config, sample, branches)


def branches_to_read(config: Config, sample: SampleConfig, branches: Mapping[str, str]) -> tuple[str, ...]:
    """Return the branches that processing reads of a file with these branches, once each: nothing else of the file is decoded."""
    reader = reader_for(sample)
    needed = [*reader.required(sample), *weight_branches(config, sample), *(column.branch for column in config.columns.values())]
    wanted = dict.fromkeys([*needed, *reader.optional(), *selection_branches(config, sample, branches), *foreign_branches(config, sample)])
    return tuple(name for name in wanted if name in branches)


def check_inputs(path: Location, config: Config, sample: SampleConfig, branches: Mapping[str, str], inputs: Sequence[str]) -> None:
    """Check that a file has the branches from which the inputs of a network are computed.

    Args:
        path: The file, for messages.
        config: The analysis.
        sample: The section of the config whose layout the file has.
        branches: Types of the branches of the file, by name.
        inputs: Observables that the network reads.

    Raises:
        SchemaError: Some are missing; all of these are named, with the inputs that need them.
    """
    reader = reader_for(sample)
    required, columns = reader.required(sample), {name: config.columns[name].branch for name in inputs if name in config.columns}
    jets = _jet_observables(config, reader, inputs)
    missing = [
        name for name in dict.fromkeys([*required, *columns.values(), *(reader.jet_branches() if jets else ())]) if name not in branches
    ]
    without_jets = bool(jets) and not reader.jet_branches()
    if missing or without_jets:
        no_jets = without_jets or not {*missing}.isdisjoint(reader.jet_branches())
        lacking = [name for name in inputs if (no_jets and name in jets) or columns.get(name) in missing]
        near = nearest(missing[0], branches) if len(missing) == 1 else None
        where = f"name the branches under `layout` of sample {sample.name}, or take a file that has them"
        raise SchemaError(
            f"inputs {list(inputs) if {*missing} & {*required} else lacking} of the network, from {path}",
            got=f"no branch {missing} among {sorted(branches)}" if missing else "a layout without jets",
            expected=f"the branches of the {sample.layout.kind} layout of sample {sample.name}",
            remedy=f"{near + ' If not, ' if near else ''}{where}; an input that is the same for all events: --set NAME=NUMBER",
        )
    check_condition_branches(path, config, sample, branches)


def _check_variations(path: Location, config: Config, sample: SampleConfig, branches: Collection[str]) -> None:
    for name in weight_branches(config, sample):
        if name not in branches and name not in config.columns:
            raise SchemaError(
                f"branch {name!r} (for a weight variation) of sample {sample.name} in {path}",
                got="no such branch",
                expected="the weights that `systematics.weights` names",
                remedy=" ".join(filter(None, [nearest(name, branches), "list the samples that have it under `samples` of the variation"])),
            )


def _jet_observables(config: Config, reader: Reader, names: Iterable[str]) -> list[str]:
    """Return those of some observables that need the jets of the ntuple; columns that it has are none."""
    given = {*config.columns, *(("n_jets",) if reader.counts_jets() else ())}
    return [name for name in names if name in OBSERVABLES and OBSERVABLES[name].needs == "jets" and name not in given]


def _check_jets(path: Location, config: Config, sample: SampleConfig, branches: Collection[str]) -> None:
    reader = reader_for(sample)
    jet_branches, jets = reader.jet_branches(), _jet_observables(config, reader, wanted_observables(config))
    if not jet_branches and jets:
        option = "layout.jets" if isinstance(sample.layout, MappingLayout) else "layout.jet"
        raise SchemaError(
            f"jet observables {jets} of sample {sample.name}",
            got="a layout without jets",
            expected="jet columns",
            remedy=f"name the columns under `{option}`, or take the jet observables out of the config",
        )
    some = any(name in branches for name in jet_branches)
    missing = [name for name in jet_branches if name not in branches]
    if missing and (jets or some):
        why = f" (for {jets})" if jets else "; the other jet branches are there"
        raise _missing_branch(missing[0], path, sample, branches, why)


def _missing_branch(name: str, path: Location, sample: SampleConfig, branches: Collection[str], why: str) -> SchemaError:
    of_tree = f" of tree {sample.tree!r}" if path.suffix == ".root" else ""
    return SchemaError(
        f"branch {name!r}{why}{of_tree} in {path}",
        got="no such branch",
        expected=f"the branches of the {sample.layout.kind} layout",
        remedy=nearest(name, branches) or f"name the branch under `layout` of sample {sample.name}; `h4l inspect` lists what the file has",
    )


def describe_weights(path: Location, events: EventFile, sample: SampleConfig, more: Iterable[str]) -> dict[str, WeightNames]:
    """Describe the weight vectors that the config uses.

    Args:
        path: The file, for messages.
        events: Its events.
        sample: The sample's section of the config.
        more: Branches of weight variations.

    Returns:
        Lengths and names by branch; branches that the file lacks are left out.

    Raises:
        ShapeError: The benchmark vector does not have one entry per benchmark.
    """
    names = {name: _describe(events, name) for name in more if name in events.types}
    vector = _benchmark_vector(sample)
    if vector is None:
        return names
    found = _describe(events, vector)
    if found.length is not None and found.length != len(sample.benchmarks):
        raise wrong_vector_length(vector, sample, found.length, where=str(path))
    return {vector: found, **names}


def _benchmark_vector(sample: SampleConfig) -> str | None:
    """Return the branch of the benchmark vector; None where there are no benchmarks or each has a column of its own."""
    columns = sample.layout.benchmark_weights
    if not sample.benchmarks:
        return None
    if isinstance(columns, str):
        return columns
    if len(columns) != len(sample.benchmarks):
        raise wrong_vector_length("layout.benchmark_weights", sample, len(columns), where="the config")
    return None


def _describe(events: EventFile, name: str) -> WeightNames:
    values = events.arrays([name], 0, min(PROBE, events.entries))[name]
    if values.ndim == 1:
        length: int | None = 1
    else:
        lengths = np.asarray(ak.num(values, axis=1))
        length = int(lengths.min()) if len(lengths) else None
    return WeightNames(length, events.weight_names(name))


def check_same_weights(sample: SampleConfig, files: Mapping[str, Mapping[str, WeightNames]]) -> None:
    """Check that all files of a sample carry the same weights in every vector.

    Args:
        sample: The sample's section of the config.
        files: What `describe_weights` found, by path.

    Raises:
        ArtifactMismatchError: Lengths or names differ, or a file lacks a vector that another has.
    """
    for vector in dict.fromkeys(name for found in files.values() for name in found):
        first: tuple[str, WeightNames] | None = None
        for path, found in files.items():
            own = found.get(vector)
            if own is not None and own.length is None:
                continue
            if first is None and own is not None:
                first = (path, own)
            elif first is not None and own != first[1]:
                raise _different_weights(sample, vector, first, (path, own))


def _different_weights(
    sample: SampleConfig, vector: str, one: tuple[str, WeightNames], two: tuple[str, WeightNames | None]
) -> ArtifactMismatchError:
    def describe(path: str, weights: WeightNames | None) -> str:
        if weights is None:
            return f"{locate(path).name}: no such vector"
        return f"{locate(path).name}: {weights.length} weights" + (f" {list(weights.names)}" if weights.names else "")

    return ArtifactMismatchError(
        f"weights {vector!r} of sample {sample.name}",
        got=f"{describe(*one)}; {describe(*two)}",
        expected="the same weights, in the same order, in all files of a sample",
        remedy="list files with different weights as different samples, or produce them again with the same reweighting",
    )
