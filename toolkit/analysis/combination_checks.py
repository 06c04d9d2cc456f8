"""Checks of a combination: parts of different events, names that mean one thing, fits whose parameters the data can tell apart."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from toolkit.analysis.combination_parts import Part
from toolkit.analysis.finished import FinishedRun, shared_events
from toolkit.analysis.layout import EVENTS
from toolkit.analysis.nuisances import LUMINOSITY
from toolkit.artifacts.events import EventTable
from toolkit.artifacts.hashing import file_sha256
from toolkit.config import CombinationPart, CombineConfig
from toolkit.errors import SchemaError
from toolkit.expressions import Condition
from toolkit.expressions.substitution import substitute
from toolkit.likelihood import Parameter, Workspace
from toolkit.likelihood.combination import DocumentNames
from toolkit.model import ModelParameter
from toolkit.model.domain import require_defined
from toolkit.model.identifiability import require_told_apart

Names = Mapping[str, Mapping[str, DocumentNames]]
"""What the documents name, by method and part."""
Renames = Mapping[str, Mapping[str, Mapping[str, str]]]
_USUAL_PULLS = (-5.0, 5.0)


def require_one_kind(names: Names, rename: Renames) -> None:
    """Check that no parameter is free in one part and constrained in another.

    Raises:
        SchemaError: One is; constraints would be lost, or a strength would get one.
    """
    for method, of_parts in names.items():
        free, known = (
            {rename[method][part].get(n, n): part for part, own in of_parts.items() for n in getattr(own, which)}
            for which in ("free", "constrained")
        )
        if LUMINOSITY in free:
            expected = "a constraint of its own: `luminosity_uncertainty`, or the modifier lumi"
            raise SchemaError(f"part {free[LUMINOSITY]}", got=f"{LUMINOSITY} as a free parameter", expected=expected, remedy="rename it")
        for name in sorted(set(free) & set(known)):
            raise SchemaError(
                f"parameter {name!r}",
                got=f"a free parameter in part {free[name]}, a nuisance parameter with a constraint in part {known[name]}",
                expected="one of the two",
                remedy="rename one of the two; what is known goes under `uncertainties`, not into `factor`",
            )


def require_fit(
    name: str,
    express: Mapping[str, str],
    parameters: Sequence[ModelParameter],
    *,
    free: Mapping[str, Parameter],
    truth: Mapping[str, float],
    names: Names,
    rename: Renames,
) -> None:
    """Check that a fit has different names, tells its parameters apart, and has finite coefficients over their ranges.

    Args:
        name: Of the fit.
        express: Expressions in the place of free parameters of the parts.
        parameters: New parameters.
        free: Free parameters of the parts.
        truth: Their values in the Asimov set.
        names: What the parts name.
        rename: New names, by method and part.

    Raises:
        SchemaError: A new parameter has the name of one that stays, or a direction is flat.
        PhysicsDomainError: A coefficient has no finite value somewhere in the ranges.
    """
    what = f"fit {name!r}"
    stay = [
        ModelParameter(n, "normalisation", p.init, (p.low, p.high), truth[n]) for n, p in free.items() if n not in express and not p.fixed
    ]
    new = {n: new for n, new in _constrained(names, rename).items() if n not in free}
    twice = sorted({p.name for p in parameters} & ({p.name for p in stay} | set(new)))
    if twice:
        remedy = "give the new parameters other names, or express these, too"
        raise SchemaError(f"{what}: parameters", got=f"{twice}, which the parts have", expected="new names", remedy=remedy)
    own = [*parameters, *stay]
    held = {n: repr(truth[n]) for n, p in free.items() if p.fixed}
    require_told_apart([express.get(n, n) for n in free if n not in held], parameters=own, what=what)
    coefficients = {}
    for method, of_parts in names.items():
        for part, document in of_parts.items():
            for text in document.coefficients:
                written = substitute(substitute(substitute(text, rename[method][part]), express), held)
                coefficients[f"{what}, part {part}, coefficient {text}"] = written
    require_defined(coefficients, parameters=[*own, *new.values()])


def _constrained(names: Names, rename: Renames) -> dict[str, ModelParameter]:
    """Return the nuisance parameters, under their new names."""
    found = {}
    for method, of_parts in names.items():
        for part, own in of_parts.items():
            for old in own.constrained:
                name, p = rename[method][part].get(old, old), own.described.get(old)
                start, allowed = (0.0, _USUAL_PULLS) if p is None else (p.init, (p.low, p.high))
                found[name] = ModelParameter(name, "nuisance", start, allowed, start)
    return found


def require_apart(parts: Sequence[Part], config: CombineConfig) -> None:
    """Check that no two parts have the same events, which would count twice.

    Raises:
        SchemaError: Two parts have a channel of one name, expectation and data, or event tables with the same events of the same ntuples.
    """
    channels = {part.name: _channels(part) for part in parts}
    for first, second in combinations(parts, 2):
        both = channels[first.name].keys() & channels[second.name].keys()
        if both:
            named = channels[first.name][min(both)]
            raise _same(first.name, second.name, f"channel {named} in both, with the same expectation and data")
        sections = config.parts[first.name], config.parts[second.name]
        for sample, n in _common_events(*sections):
            raise _same(first.name, second.name, f"{n} events of sample {sample} in both")


def _same(first: str, second: str, got: str) -> SchemaError:
    remedy = "leave one out, or separate them by `condition` or by the selections of their runs"
    return SchemaError(f"parts {first} and {second}", got=got, expected="different events", remedy=remedy)


def _channels(part: Part) -> dict[str, str]:
    """Return the names of the channels of a part, all methods of a run included, by what they hold."""
    if not part.files:
        return {}  # numbers of a config: two channels may well have the same
    found = {}
    for method in part.methods or ("",):
        workspace = part.model(method)
        observed = {entry["name"]: entry["data"] for entry in workspace.document.get("observations", [])}
        for channel in workspace.document.get("channels", []):
            content = [channel["name"], observed[channel["name"]], *(sample["data"] for sample in channel["samples"])]
            found[json.dumps(content)] = channel["name"]
        found |= {digest: name for name, digest in _event_files(workspace)}
    return found


def _event_files(workspace: Workspace) -> Iterator[tuple[str, str]]:
    for channel in workspace.unbinned_channels:
        yield channel.name, file_sha256(workspace.folder / channel.observation.file)


def _common_events(first: CombinationPart, second: CombinationPart) -> Iterator[tuple[str, int]]:
    """Count the events that two parts share, by sample of the first; ntuples are the same where their hashes are."""
    if not (_has_tables(first) and _has_tables(second)):
        return
    a, b = FinishedRun.open(_folder(first)), FinishedRun.open(_folder(second))
    for sample, other in ((s, o) for s in _samples(a, first) for o in _samples(b, second)):
        if a.inputs(sample) & b.inputs(other):
            n = shared_events(_entering(a, first, sample), _entering(b, second, other))
            if n:
                yield sample, n


def _folder(section: CombinationPart) -> Path:
    """Return the folder of the event tables; several runs of a part are of the same events."""
    return Path(section.events.folder if section.events is not None else section.run or next(iter(section.runs.values())))


def _has_tables(section: CombinationPart) -> bool:
    return bool(section.run or section.runs or section.events) and (_folder(section) / EVENTS / "index.json").is_file()


def _samples(run: FinishedRun, section: CombinationPart) -> list[str]:
    """Return the samples that enter a part: for counts those of its processes, and data."""
    if section.events is None:
        return list(run.samples)
    return [s.name for s in run.config.samples if s.kind == "data" or s.name in section.events.processes]


def _entering(run: FinishedRun, section: CombinationPart, sample: str) -> EventTable:
    """Read the events of a sample that enter a part: those of the condition, or of the regions of a run."""
    table = run.read(sample)
    inside = np.ones(len(table), dtype=bool)
    if section.events is not None and section.events.condition:
        inside = Condition.parse(section.events.condition).evaluate(table.observables)
    elif section.events is None and table.regions:
        inside = np.any(list(table.regions.values()), axis=0)
    return replace(
        table,
        event_id=table.event_id[inside],
        run=table.run[inside],
        luminosity_block=table.luminosity_block[inside],
        channel=table.channel[inside],
        weight=table.weight[inside],
        observables={name: values[inside] for name, values in table.observables.items()},
    )
