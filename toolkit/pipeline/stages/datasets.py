"""The simulated events as the stages after processing read them: a pool to learn from, and test events that nothing has seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolkit.artifacts.events import NOMINAL, read_events, variations_of
from toolkit.pipeline.stage import StageContext
from toolkit.pipeline.stages.layout import EVENTS
from toolkit.typing import IntArray
from toolkit.weights import SimulatedEvents, combine_samples, hash_uniform, hold_out
from toolkit.weights.configured import to_densities
from toolkit.weights.missing import fill_missing
from toolkit.weights.pairs import EventPairs, pair_events


def read_simulation(context: StageContext, *, variation: str = NOMINAL) -> tuple[SimulatedEvents, SimulatedEvents]:
    """Read the event tables of all simulated samples and split them.

    Args:
        context: The stage; `out/events/` holds the tables.
        variation: A systematic variation; samples that do not have it are nominal.

    Returns:
        (pool, test): events to learn from and test events, with the filled columns and presence flags of the config, the
        weights of each scaled to the full luminosity. The split depends on the event numbers and the salt of the config only.
    """
    config = context.config
    events, _ = _read_all(context, variation)
    return hold_out(events, fraction=config.ratios.splits.test, salt=config.ratios.splits.salt)


def read_pairs(context: StageContext, *, variation: str) -> tuple[EventPairs, EventPairs]:
    """Read nominal and varied events side by side.

    Args:
        context: The stage; `out/events/` holds the tables.
        variation: A systematic variation; samples that do not have it are nominal on both sides.

    Returns:
        (pool, test): the pairs of the pool and of the test events of `read_simulation`, with the same weights.
    """
    splits = context.config.ratios.splits
    sides = [_read_all(context, v) for v in (NOMINAL, variation)]
    pairs = pair_events(sides[0][0], sides[1][0], (sides[0][1], sides[1][1]))
    test = hash_uniform(pairs.event_id, salt=splits.salt) < splits.test
    return pairs.select(~test).scaled(1.0 / (1.0 - splits.test)), pairs.select(test).scaled(1.0 / splits.test)


def _read_all(context: StageContext, variation: str) -> tuple[SimulatedEvents, IntArray]:
    """Read all simulated events, and what identifies each in its sample: file and entry as one number, (n,)."""
    config = context.config
    config.require_interference()
    folder, names = context.out / EVENTS, [sample.name for sample in config.simulated]
    chosen = [variation if variation != NOMINAL and variation in variations_of(folder, name) else NOMINAL for name in names]
    tables = [read_events(folder, name, variation=v) for name, v in zip(names, chosen, strict=True)]
    carried = config.morphing.carried
    events = combine_samples(tables, processes=(*carried, *config.backgrounds), benchmarks=carried)
    events = to_densities(events, config.morphing, parameter=config.parameter.name)
    events = replace(events, observables=fill_missing(events.observables, config.fills))
    return events, np.concatenate([(t.file_index.astype(np.int64) << 40) + t.entry for t in tables])
