"""Counts as workspaces: numbers that a config gives, and events of event tables in bins of an observable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.analysis.finished import FinishedRun
from toolkit.analysis.nuisances import LUMINOSITY
from toolkit.artifacts.events import EventTable
from toolkit.config import CountsPart, EventsPart, ScaledProcess
from toolkit.errors import SchemaError
from toolkit.expressions import Condition, Expression
from toolkit.likelihood import Workspace, bin_index
from toolkit.likelihood.histfactory import VERSION
from toolkit.typing import FloatArray


@dataclass(frozen=True, eq=False)
class CountedProcessEvents:
    """Expected events of one process.

    Attributes:
        expected: By bin, (n_bins,).
        error: Standard error of the finite simulation, (n_bins,); zeros for a number of the config.
        scale: Factor and uncertainties.
    """

    expected: FloatArray
    error: FloatArray
    scale: ScaledProcess


@dataclass(frozen=True, eq=False)
class CountedEvents:
    """A counting channel.

    Attributes:
        name: Name of the part, which is that of the channel.
        processes: By name.
        observed: Observed events, (n_bins,); None if there are none.
        luminosity: Relative uncertainty of the luminosity, 0 for none.
        luminosity_ifb: Luminosity of the simulation in 1/fb; None where numbers are given.
    """

    name: str
    processes: Mapping[str, CountedProcessEvents]
    observed: FloatArray | None
    luminosity: float
    luminosity_ifb: float | None = None

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return len(next(iter(self.processes.values())).expected)

    def expectation(self, truth: Mapping[str, float]) -> FloatArray:
        """Return the expected events at a truth, (n_bins,)."""
        values = [Expression.parse(p.scale.factor).value(truth) * p.expected for p in self.processes.values()]
        return np.asarray(np.sum(values, axis=0))

    def workspace(self, counts: Sequence[float]) -> Workspace:
        """Describe it as a workspace with these counts; its free parameters are not defined there."""
        errors = any(p.error.any() for p in self.processes.values())
        samples = [_sample(self, name, process, errors) for name, process in self.processes.items()]
        wide = min(10.0 * self.luminosity, 0.9)
        luminosity = {"name": LUMINOSITY, "inits": [1.0], "bounds": [[1.0 - wide, 1.0 + wide]], "fixed": False}
        luminosity |= {"auxdata": [1.0], "sigmas": [self.luminosity]}
        document = {
            "version": VERSION,
            "channels": [{"name": self.name, "samples": samples}],
            "observations": [{"name": self.name, "data": list(counts)}],
            "measurements": [{"name": "counts", "config": {"poi": "", "parameters": [luminosity] if self.luminosity else []}}],
        }
        return Workspace(document)


def _sample(channel: CountedEvents, name: str, process: CountedProcessEvents, errors: bool) -> dict[str, Any]:
    factor = Expression.parse(process.scale.factor)
    modifiers: list[dict[str, Any]] = []
    if factor.names:
        modifiers.append({"name": f"f_{channel.name}_{name}", "type": "morphing", "data": {"coefficient": factor.text}})
    constant = 1.0 if factor.names else factor.value({})
    if channel.luminosity:
        modifiers.append({"name": LUMINOSITY, "type": "lumi", "data": None})
    for nuisance, up in process.scale.uncertainties.items():
        modifiers.append({"name": nuisance, "type": "normsys", "data": {"hi": up, "lo": 1.0 / up}})
    if errors:  # pyhf's staterror: one parameter per bin for the sum of the processes
        modifiers.append({"name": f"simulation_{channel.name}", "type": "staterror", "data": (constant * process.error).tolist()})
    return {"name": f"{channel.name}_{name}", "data": (constant * process.expected).tolist(), "modifiers": modifiers}


def counted_numbers(name: str, part: CountsPart) -> CountedEvents:
    """Take the numbers of a config."""
    processes = {n: _given(np.array(p.expected, dtype=np.float64), p) for n, p in part.processes.items()}
    observed = None if part.observed is None else np.array(part.observed, dtype=np.float64)
    return CountedEvents(name, processes, observed, part.luminosity_uncertainty)


def counted_events(name: str, part: EventsPart) -> CountedEvents:
    """Count the events of event tables.

    Args:
        name: Name of the part.
        part: Folder, condition, bins, processes.

    Returns:
        The channel; data of the folder, if it has any, are its observation.

    Raises:
        InputFileError, ArtifactMismatchError: The folder has no event tables, or damaged ones.
        SchemaError: A sample or an observable is not there, or a process has no events.
    """
    run = FinishedRun.open(part.folder)
    what = f"part {name}: {Path(part.folder).name}"
    simulated = [s.name for s in run.config.samples if s.kind != "data"]
    unknown = sorted(set(part.processes) - set(simulated))
    if unknown:
        raise SchemaError(what, got=f"no samples {unknown}", expected=f"some of {simulated}", remedy="correct `processes`, or process them")
    processes = {}
    for sample, scale in part.processes.items():
        table = run.read(sample)
        index, n_bins = _bins(table, part, what)
        total, squares = (
            np.bincount(index, weights=w, minlength=n_bins + 1)[:n_bins].astype(np.float64) for w in (table.weight, table.weight**2)
        )
        if not total.any():
            expected, remedy = "events that fulfil the condition", "correct `condition`, or process with wider windows"
            raise SchemaError(f"{what}, sample {sample}", got=f"none of {len(table)} events", expected=expected, remedy=remedy)
        processes[sample] = CountedProcessEvents(total, np.sqrt(squares), scale)
    processes |= {n: _given(np.array(p.expected, dtype=np.float64), p) for n, p in part.others.items()}
    observed: FloatArray | None = None
    for sample in (s.name for s in run.config.data_samples):
        index, n_bins = _bins(run.read(sample), part, what)
        counts = np.bincount(index, minlength=n_bins + 1)[:n_bins].astype(np.float64)
        observed = counts if observed is None else observed + counts
    return CountedEvents(name, processes, observed, part.luminosity_uncertainty, run.config.luminosity_ifb)


def _given(expected: FloatArray, scale: ScaledProcess) -> CountedProcessEvents:
    return CountedProcessEvents(expected, np.zeros_like(expected), scale)


def _bins(table: EventTable, part: EventsPart, what: str) -> tuple[Any, int]:
    """Return the bin of every event, and the number of bins, which is also the index of events outside."""
    wanted = [part.histogram.observables[0]] if part.histogram is not None else []
    condition = Condition.parse(part.condition) if part.condition else None
    missing = sorted(({*wanted} | set(condition.names if condition is not None else ())) - set(table.observables))
    if missing:
        expected = f"observables among {sorted(table.observables)}"
        raise SchemaError(f"{what}, sample {table.sample}", got=f"no {missing}", expected=expected, remedy="list them under `observables`")
    inside = np.ones(len(table), dtype=bool) if condition is None else condition.evaluate(table.observables)
    if part.histogram is None:
        return np.where(inside, 0, 1), 1
    edges = part.histogram.axes[0]
    index = np.full(len(table), len(edges) - 1)
    index[inside] = bin_index(table.observables[wanted[0]][inside], edges)
    return index, len(edges) - 1
