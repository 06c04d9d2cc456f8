"""Regions of the fit: which events belong to each, and the densities of a process that is split into parts.

Networks learn the densities of whole processes on the events of all unbinned regions. A part that a condition selects has the density of
its process where the condition holds, and none elsewhere: nothing is learned for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from toolkit.config import Config
from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.expressions import Condition
from toolkit.model import Component, Model, Region, learned_densities
from toolkit.model.regions import partition
from toolkit.typing import BoolArray, FloatArray
from toolkit.weights import SimulatedEvents
from toolkit.weights.pairs import EventPairs


@dataclass(frozen=True, eq=False)
class Selection:
    """The events of one region.

    Attributes:
        region: The region.
        training: Which training events belong to it, (n_training,).
        test: Which test events do, (n_test,).
    """

    region: Region
    training: BoolArray
    test: BoolArray


@dataclass(frozen=True)
class NetworkOutput:
    """Where the density of a process, or of a part of one, in a region comes from.

    Attributes:
        output: Output of the networks.
        scale: Expected events that the output is normalised to, over the yield in the region.
        condition: Events at which the density does not vanish; empty for all.
    """

    output: str
    scale: float
    condition: str = ""


def in_region(region: Region, observables: Mapping[str, FloatArray]) -> BoolArray:
    """Say which events a region selects, (n_events,).

    Raises:
        SchemaError: The condition names a column that the event tables do not hold.
    """
    n = len(next(iter(observables.values())))
    if not region.condition:
        return np.ones(n, dtype=np.bool_)
    condition = Condition.parse(region.condition)
    missing = sorted(set(condition.names) - set(observables))
    if missing:
        raise SchemaError(
            f"regions.{region.name}",
            got=f"columns {missing}",
            expected=f"some of {sorted(observables)}",
            remedy="list them under `observables`",
        )
    return condition.evaluate(observables)


def select_regions(config: Config, *, training: SimulatedEvents, test: SimulatedEvents) -> tuple[Selection, ...]:
    """Find the events of every region that simulated events fill; without regions one unbinned region holds all.

    Raises:
        SchemaError: Regions overlap: events would be counted twice.
        PhysicsDomainError: A region has no simulated events.
    """
    regions = [r for r in config.model.regions if r.kind != "workspace"] or [Region("all")]
    found = tuple(Selection(r, in_region(r, training.observables), in_region(r, test.observables)) for r in regions)
    partition({s.region.name: s.test for s in found})
    for selection in found:
        empty = [what for what, mask in (("training", selection.training), ("test", selection.test)) if not mask.any()]
        if empty:
            raise PhysicsDomainError(
                f"region {selection.region.name!r}",
                got=f"no simulated {' and no '.join(empty)} events fulfil {selection.region.condition!r}",
                expected="simulated events in every region of the fit",
                remedy="widen the condition, simulate more events there, or remove the region",
            )
    return found


def learned_events(config: Config, events: SimulatedEvents) -> SimulatedEvents:
    """Return the events that networks learn from and are judged on: those of all unbinned regions.

    Returns:
        Processes: the densities of `config.model.learned`, those of the processes that an unbinned region holds.

    Raises:
        SchemaError: No region is unbinned.
        PhysicsDomainError: A density has no weight in the unbinned regions.
    """
    regions = _unbinned(config)
    if not regions:
        return events
    chosen = events.select(_in_any(regions, events.observables))
    chosen = _of_processes(only_declared(chosen, config.model), whole_densities(config.model.learned))
    empty = [name for name, total in zip(chosen.processes, chosen.yields, strict=True) if not total > 0.0]
    if empty:
        raise PhysicsDomainError(
            f"unbinned regions {[r.name for r in regions]}",
            got=f"no expected events of {empty} among {len(chosen)} simulated events",
            expected="events of every density",
            remedy="widen the conditions, or simulate more events there",
        )
    return chosen


def learned_pairs(config: Config, pairs: EventPairs) -> EventPairs:
    """Return the pairs that networks of variations learn from: those that are in an unbinned region on either side.

    A side outside has no weight there and the observables of the other, as where the selection refuses it.

    Raises:
        SchemaError: No region is unbinned.
    """
    regions = _unbinned(config)
    if not regions:
        return pairs
    nominal, varied = (_in_any(regions, side) for side in (pairs.nominal, pairs.varied))
    names = whole_densities(config.model.learned)
    own = [pairs.processes.index(name) for name in names]
    declared = [_declared(config.model, side, pairs.processes)[:, own] for side in (pairs.nominal, pairs.varied)]
    inside = EventPairs(
        names,
        pairs.event_id,
        {name: np.where(nominal, values, pairs.varied[name]) for name, values in pairs.nominal.items()},
        {name: np.where(varied, values, pairs.nominal[name]) for name, values in pairs.varied.items()},
        pairs.nominal_weights[:, own] * (nominal[:, np.newaxis] & declared[0]),
        pairs.varied_weights[:, own] * (varied[:, np.newaxis] & declared[1]),
    )
    return inside.select(nominal | varied)


def _unbinned(config: Config) -> list[Region]:
    """Return the unbinned regions; none where the config has no regions at all."""
    every = config.model.regions
    regions = [r for r in every if r.kind == "unbinned"]
    if every and not regions:
        raise SchemaError("regions", got="none of kind `unbinned`", expected="at least one", remedy="say which region the networks serve")
    return regions


def _in_any(regions: Sequence[Region], observables: Mapping[str, FloatArray]) -> BoolArray:
    return np.asarray(np.any([in_region(r, observables) for r in regions], axis=0))


def only_declared(events: SimulatedEvents, model: Model) -> SimulatedEvents:
    """Take the weights of processes with `regions` from their events outside these; the same events where no process has any.

    Args:
        events: Processes: `whole_densities(model)`.
        model: The physics model.
    """
    if not any(process.regions for process in model.processes):
        return events
    return replace(events, weights=events.weights * _declared(model, events.observables, events.processes))


def _declared(model: Model, observables: Mapping[str, FloatArray], densities: Sequence[str]) -> BoolArray:
    """Say at which events each whole density counts, (n_events, n_whole): in the regions of its process."""
    n_events = len(next(iter(observables.values())))
    found = np.ones((n_events, len(densities)), dtype=np.bool_)
    for process in model.processes:
        if process.regions:
            inside = _in_any([r for r in model.regions if r.name in process.regions], observables)
            own = [densities.index(d.name) for d in learned_densities(process)]
            found[:, own] = inside[:, np.newaxis]
    return found


def _of_processes(events: SimulatedEvents, names: Sequence[str]) -> SimulatedEvents:
    """Return the columns of some densities."""
    own = [events.processes.index(name) for name in names]
    return events if len(own) == len(events.processes) else replace(events, processes=tuple(names), weights=events.weights[:, own])


def whole_densities(model: Model) -> tuple[str, ...]:
    """Name the densities of all processes, before any is split; those of `model.learned` are the outputs of the networks."""
    return tuple(d.name for process in model.processes for d in learned_densities(process))


def split_events(events: SimulatedEvents, model: Model) -> SimulatedEvents:
    """Replace the columns of split processes by those of their parts.

    Args:
        events: Processes: `whole_densities(model)`.
        model: The physics model.

    Returns:
        Processes: `model.densities`; without weight where a process has no events by its `regions`. The same events where nothing is
        split and every process is everywhere.

    Raises:
        PhysicsDomainError: An event belongs to several parts of a process, or to none.
    """
    events = only_declared(events, model)
    if not any(process.splits for process in model.processes):
        return events
    columns, holds = _parts(model, events.observables, len(events))
    for process in model.processes:
        if process.splits:
            own = [events.processes.index(d.name) for d in learned_densities(process)]
            inside = [hold for hold, c in zip(holds, _components(model), strict=True) if c.process.name == process.name]
            per_part = inside[:: len(own)]
            _check_cover(process.name, np.any(events.weights[:, own] != 0.0, axis=1), np.sum(per_part, axis=0))
    weights = np.stack([events.weights[:, j] * hold for j, hold in zip(columns, holds, strict=True)], axis=1)
    return replace(events, processes=model.densities, weights=weights)


def split_ratios(
    log_ratios: FloatArray, observables: Mapping[str, FloatArray], model: Model, *, yields: FloatArray, whole: FloatArray
) -> FloatArray:
    """Return ln p_j / p_ref of all parts inside a region.

    Args:
        log_ratios: Of the densities of `model.learned`, normalised on all events that were learned from, (n_events, n_learned).
        observables: Observables of the same events, each (n_events,).
        model: The physics model.
        yields: Expected events of each part in the region, (n_densities,).
        whole: Expected events of these densities among the events that were learned from, (n_learned,).

    Returns:
        (n_events, n_densities): yields times e^ratio is the expected density whatever the region is; -inf where a part has no events.
    """
    names = whole_densities(model)
    learned = [names.index(name) for name in whole_densities(model.learned)]
    ratios, totals = np.full((len(log_ratios), len(names)), -np.inf), np.ones(len(names))
    ratios[:, learned], totals[learned] = log_ratios, whole
    columns, holds = _parts(model, observables, len(log_ratios))
    expected = yields > 0.0
    moved = ratios[:, columns] + np.log(totals[columns]) - np.log(np.where(expected, yields, 1.0))
    return np.where(np.stack(holds, axis=1) & expected, moved, -np.inf)


def network_outputs(model: Model, *, yields: FloatArray, whole: FloatArray) -> tuple[NetworkOutput | None, ...]:
    """Say where each density of a region comes from; arguments as in `split_ratios`.

    Returns:
        One per density of the model: e^ratio of `output`, times `scale` where `condition` holds, is what `split_ratios` gives; None where
        a density has no events.
    """
    learned = dict(zip(whole_densities(model.learned), whole, strict=True))
    found: list[NetworkOutput | None] = []
    for component in model.components:
        for density in learned_densities(component.process):
            own = float(yields[len(found)])
            found.append(NetworkOutput(density.name, float(learned[density.name]) / own, component.condition) if own > 0.0 else None)
    return tuple(found)


def _components(model: Model) -> list[Component]:
    """Return the component of every density of the model."""
    return [c for c in model.components for _ in c.densities]


def _parts(model: Model, observables: Mapping[str, FloatArray], n_events: int) -> tuple[list[int], list[BoolArray]]:
    """Return, for every density of the model, its whole density and at which events it does not vanish."""
    names = whole_densities(model)
    everywhere = np.ones(n_events, dtype=np.bool_)
    columns: list[int] = []
    holds: list[BoolArray] = []
    for component in model.components:
        hold = Condition.parse(component.condition).evaluate(observables) if component.condition else everywhere
        for density in learned_densities(component.process):
            columns.append(names.index(density.name))
            holds.append(hold)
    return columns, holds


def _check_cover(process: str, own: BoolArray, count: FloatArray) -> None:
    wrong = own & (count != 1)
    if np.any(wrong):
        raise PhysicsDomainError(
            f"parts of process {process!r}",
            got=f"{int(np.sum(wrong & (count == 0)))} events in none of them, {int(np.sum(wrong & (count > 1)))} in several",
            expected="every event of the process in exactly one",
            remedy="write conditions that cover everything once",
        )
