"""Events as the stages after processing read them: a training sample, test events that nothing has seen, and the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from toolkit.analysis.layout import EVENTS
from toolkit.analysis.scores import add_scores
from toolkit.analysis.session import Session
from toolkit.artifacts.events import NOMINAL, EventTable, read_events, variations_of
from toolkit.errors import ArtifactMismatchError, SchemaError
from toolkit.typing import FloatArray, IntArray
from toolkit.weights import SimulatedEvents, hash_uniform, hold_out
from toolkit.weights.missing import fill_missing
from toolkit.weights.pairs import EventPairs, pair_events
from toolkit.weights.processes import combine_processes

OTHER_FILES = 1 << 55
"""Added to what identifies an event of a variation that is another set of files."""


class Events(Protocol):
    """What a method looks at, of simulated and of data alike."""

    @property
    def event_id(self) -> NDArray[np.uint64]:
        """Event numbers, (n,)."""
        ...

    @property
    def observables(self) -> Mapping[str, FloatArray]:
        """Observables, each (n,), NaN where missing."""
        ...

    def __len__(self) -> int:
        """Return the number of events."""
        ...


@dataclass(frozen=True, eq=False)
class DataEvents:
    """Data events that passed the selection; each counts 1.

    Attributes:
        event_id: Event numbers, (n,) uint64.
        observables: Each (n,), NaN where missing.
        counts: Number of events by sample.
    """

    event_id: NDArray[np.uint64]
    observables: Mapping[str, FloatArray]
    counts: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.event_id)


def read_data(session: Session) -> DataEvents:
    """Read the event tables of all samples of data, one after the other, with the filled columns of the config.

    Raises:
        SchemaError: The config has no sample of data.
        ArtifactMismatchError: An event is in two samples.
    """
    config = session.config
    if not config.data_samples:
        what = "samples"
        raise SchemaError(what, got="simulation only", expected="a sample of `kind: data`", remedy="add one to the config")
    tables = [add_scores(session, read_events(session.out / EVENTS, sample.name)) for sample in config.data_samples]
    _check_distinct(tables)
    common = [name for name in tables[0].observables if all(name in t.observables for t in tables)]
    observables = {name: np.concatenate([t.observables[name] for t in tables]) for name in common}
    return DataEvents(
        event_id=np.concatenate([t.event_id for t in tables]),
        observables=fill_missing(observables, config.fills),
        counts={t.sample: len(t) for t in tables},
    )


def _check_distinct(tables: Sequence[EventTable]) -> None:
    """Refuse an event that two samples hold, such as those of two triggers; processing looks inside each sample."""
    columns = [np.concatenate([getattr(t, name) for t in tables]) for name in ("run", "luminosity_block", "event_id")]
    order = np.lexsort(columns[::-1])
    repeated = np.flatnonzero(np.logical_and.reduce([c[order][1:] == c[order][:-1] for c in columns]))
    if not len(repeated):
        return
    owner = np.repeat(np.arange(len(tables)), [len(t) for t in tables])
    pair = order[repeated[0] : repeated[0] + 2]
    run, block, event = (int(c[pair[0]]) for c in columns)
    raise ArtifactMismatchError(
        f"data event {event} of run {run}, luminosity block {block}",
        got=f"in the samples {[tables[k].sample for k in sorted(owner[pair])]} ({len(repeated)} repetitions in all)",
        expected="every (run, luminosityBlock, event) once",
        remedy="remove the repeated events, or keep one of the samples",
    )


def read_simulation(session: Session, *, variation: str = NOMINAL, scored: bool = True) -> tuple[SimulatedEvents, SimulatedEvents]:
    """Read the event tables of all simulated samples and split them.

    Args:
        session: Where results are read; `out/events/` holds the tables.
        variation: A systematic variation; samples that do not have it are nominal.
        scored: Whether the scores of the config's classifiers are among the observables; they must be trained.

    Returns:
        (training, test): events to learn from and test events, with the filled columns and presence flags of the config, the
        weights of each scaled to the full luminosity. The split depends on the event numbers and the salt of the config only. In a
        cross-fit both are all events: `toolkit.analysis.cross_fit` keeps what is made of an event from it.

    Raises:
        InputFileError, ArtifactMismatchError: Event tables or scores are missing, damaged or not of each other.
    """
    config = session.config
    events, _ = _read_all(session, variation, scored=scored)
    if config.ratios.splits.cross_fit:
        return events, events
    return hold_out(events, fraction=config.ratios.splits.test, salt=config.ratios.splits.salt)


def read_every(session: Session, *, scores: Path | None = None) -> SimulatedEvents:
    """Read all simulated events, those that learn and the test events, with the scores of the classifiers.

    Args:
        session: Where results are read.
        scores: Folder of a run that holds the scores; by default that of the events.

    Returns:
        The events, at the full luminosity; a score is that of a training that did not see the event.

    Raises:
        InputFileError, ArtifactMismatchError: Event tables or scores are missing, damaged or not of each other.
    """
    return _read_all(session, NOMINAL, scores=scores)[0]


def read_pairs(session: Session, *, variation: str) -> tuple[EventPairs, EventPairs]:
    """Read nominal and varied events side by side.

    Args:
        session: Where results are read; `out/events/` holds the tables.
        variation: A systematic variation; samples that do not have it are nominal on both sides.

    Returns:
        (training, test): the pairs of the training sample and of the test events of `read_simulation`, with the same weights.
    """
    splits = session.config.ratios.splits
    sides = [_read_all(session, v) for v in (NOMINAL, variation)]
    pairs = pair_events(sides[0][0], sides[1][0], (sides[0][1], sides[1][1]))
    if splits.cross_fit:
        return pairs, pairs
    test = hash_uniform(pairs.event_id, salt=splits.salt) < splits.test
    return pairs.select(~test).scaled(1.0 / (1.0 - splits.test)), pairs.select(test).scaled(1.0 / splits.test)


def _read_all(session: Session, variation: str, *, scored: bool = True, scores: Path | None = None) -> tuple[SimulatedEvents, IntArray]:
    """Read all simulated events, and what identifies each in its sample: file and entry as one number, (n,).

    Events of other files than those of the sample have numbers that no nominal event has: they are no partners of each other.
    """
    config = session.config
    config.require_interference()
    folder, names = session.out / EVENTS, [sample.name for sample in config.simulated]
    chosen = [variation if variation != NOMINAL and variation in variations_of(folder, name) else NOMINAL for name in names]
    tables = [read_events(folder, name, variation=v) for name, v in zip(names, chosen, strict=True)]
    if scored:
        tables = [add_scores(session, table, scores=scores) for table in tables]
    events = combine_processes(tables, config.model)
    events = replace(events, observables=fill_missing(events.observables, config.fills if scored else config.observable_fills))
    others = [(t.variation.rpartition("_")[0] in config.systematics.samples) * OTHER_FILES for t in tables]
    return events, np.concatenate(
        [(t.file_index.astype(np.int64) << 40) + t.entry + other for t, other in zip(tables, others, strict=True)]
    )
