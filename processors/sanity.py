"""Tell from the leptons themselves when a file is not what the config says: units, charges, too few leptons, copied numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from processors.eventfile import EventFile, open_events
from processors.formats import ELECTRON, MUON, EventRecord, reader_for
from processors.formats.fields import OWN
from processors.formats.momenta import MOMENTUM_UNITS
from processors.particles import Particles
from toolkit import units
from toolkit.config import FlatLayout, MappingLayout, SampleConfig
from toolkit.errors import PhysicsDomainError
from toolkit.kinematics import cartesian_from_ptetaphim
from toolkit.locations import Location, locate

PROBE = 2000
"""Entries that are looked at before a run."""
STEP = 100_000
"""Entries that are looked at at once after a run that selected nothing."""
SCALES = (1e-6, 1e-3, 1.0, 1e3, 1e6)
"""Factors that a wrong unit of momentum can cost."""
Z_WINDOW = 15.0
"""A pair this near to the Z mass (GeV) is taken for a Z."""
_PAIRS = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))


@dataclass(frozen=True)
class LeptonCensus:
    """What the leptons of some events look like, before any selection. Censuses add up.

    Args:
        events: Number of events.
        most_leptons: Largest number of leptons in an event.
        all_single: Whether every list of leptons that is not empty holds exactly one.
        four: Events with at least four leptons.
        neutral: Those of them in which a total charge of 0 can be chosen: two leptons of either charge.
        flavours: Those of them that hold two same-flavour pairs of opposite charge.
        near_z: Events with a same-flavour pair near the Z mass if momenta are multiplied by each of `SCALES`.
    """

    events: int
    most_leptons: int
    all_single: bool
    four: int
    neutral: int
    flavours: int
    near_z: tuple[int, ...]

    def __add__(self, other: LeptonCensus) -> LeptonCensus:
        """Return the census of both sets of events."""
        return LeptonCensus(
            self.events + other.events,
            max(self.most_leptons, other.most_leptons),
            self.all_single and other.all_single,
            self.four + other.four,
            self.neutral + other.neutral,
            self.flavours + other.flavours,
            tuple(a + b for a, b in zip(self.near_z, other.near_z, strict=True)),
        )


NOBODY = LeptonCensus(0, 0, True, 0, 0, 0, (0,) * len(SCALES))


def take_census(record: EventRecord) -> LeptonCensus:
    """Count what the leptons of the events look like.

    Args:
        record: The events; momenta as read, in whatever unit they really are.

    Returns:
        The census.
    """
    counts = record.electrons.counts + record.muons.counts
    four = counts >= 4
    positive = [_count(p, p["charge"] > 0) for p in (record.electrons, record.muons)]
    negative = [_count(p, p["charge"] < 0) for p in (record.electrons, record.muons)]
    pairs = sum(np.minimum(plus, minus) for plus, minus in zip(positive, negative, strict=True))
    neutral = np.minimum(sum(positive), sum(negative)) >= 2
    return LeptonCensus(
        events=len(record),
        most_leptons=int(counts.max(initial=0)),
        all_single=bool(np.all(record.electrons.counts <= 1) and np.all(record.muons.counts <= 1)),
        four=int(four.sum()),
        neutral=int(np.sum(four & neutral)),
        flavours=int(np.sum(four & (pairs >= 2))),
        near_z=_near_z(record, np.flatnonzero(four)),
    )


def check_probe(path: Location, events: EventFile, sample: SampleConfig) -> EventRecord:
    """Look at the first entries of a file, refuse what cannot be right, and return them.

    Args:
        path: The file, for messages.
        events: Its events.
        sample: The sample's section of the config.

    Raises:
        PhysicsDomainError: The momenta are in another unit than the config says, or all leptons are the same.
        ShapeError: A branch does not hold what its layout says.
    """
    record = read_range(events, sample, 0, min(PROBE, events.entries))
    _check_unit(str(path), sample, take_census(record))
    _check_distinct(path, record)
    return record


def check_momenta(record: EventRecord, path: str, start: int) -> None:
    """Check that every momentum is a number.

    Args:
        record: The events of a chunk, numbered.
        path: The file, for the message.
        start: First entry of the chunk.

    Raises:
        PhysicsDomainError: A component is NaN or infinite; the event is named.
    """
    for kind, particles in (("electron", record.electrons), ("muon", record.muons), ("jet", record.jets)):
        columns = {} if particles is None else particles.columns
        for name, values in ((name, columns[name]) for name in OWN if name in columns):
            bad = np.flatnonzero(~np.isfinite(values))
            if particles is not None and len(bad):
                event = int(particles.event[bad[0]])
                raise PhysicsDomainError(
                    f"{name} of a {kind} of event {record.identity['event'][event]} (entry {start + event}) in {path}",
                    got=f"{values[bad[0]]} ({len(bad)} such {kind}s in this chunk)",
                    expected="a finite number",
                    remedy="repair the ntuple; a missing particle is an empty slot with the sentinel in its pt, or no element at all",
                )


def explain_empty(sample: SampleConfig, paths: tuple[str, ...]) -> None:
    """Look at all events of a sample of which none was selected, and raise if the reason lies in the files.

    Args:
        sample: The sample's section of the config.
        paths: Its files.

    Raises:
        PhysicsDomainError: No event has four leptons, or none a total charge of 0, or two same-flavour pairs, or the unit is wrong.
    """
    census = NOBODY
    for path in paths:
        for record in _records(locate(path), sample):
            census += take_census(record)
    _check_unit(f"sample {sample.name}", sample, census)
    if not census.four:
        raise PhysicsDomainError(
            f"leptons of sample {sample.name}",
            got=f"at most {census.most_leptons} leptons (e, mu) in each of {census.events} events",
            expected="events with at least four leptons",
            remedy="every list holds at most one element: a conversion kept only the first; write whole lists"
            if census.all_single and census.most_leptons and census.events > 1
            else "check the lepton branches under `layout`; `h4l inspect` lists what the file has",
        )
    if not census.neutral:
        raise PhysicsDomainError(
            f"total charge of the leptons of sample {sample.name}",
            got=f"not 0 in any of {census.four} events with four leptons",
            expected="two negative and two positive leptons",
            remedy="check the sign of the charge branch; a `pdg_id` without sign needs a `charge` beside it",
        )
    if not census.flavours:
        raise PhysicsDomainError(
            f"flavours of the leptons of sample {sample.name}",
            got=f"no two pairs of one flavour and opposite charge in {census.four} events with four leptons",
            expected="4e, 4mu or 2e2mu",
            remedy="check which branch tells electrons (11) from muons (13)",
        )


def read_range(events: EventFile, sample: SampleConfig, start: int, stop: int) -> EventRecord:
    """Read entries of a file into an event record.

    Args:
        events: The open file.
        sample: The sample's section of the config.
        start: First entry.
        stop: One past the last entry.
    """
    reader = reader_for(sample)
    names = [*reader.required(sample), *(name for name in reader.optional() if name in events.types)]
    return reader.read(events.arrays(list(dict.fromkeys(names)), start, stop), sample)


def _records(path: Location, sample: SampleConfig) -> Iterator[EventRecord]:
    with open_events(path, sample.tree) as events:
        for start in range(0, events.entries, STEP):
            yield read_range(events, sample, start, min(start + STEP, events.entries))


def _check_unit(what: str, sample: SampleConfig, census: LeptonCensus) -> None:
    """Refuse momenta whose pairs lie at the Z mass only after a change of unit."""
    as_read = census.near_z[SCALES.index(1.0)]
    best = int(np.argmax(census.near_z))
    if census.near_z[best] <= 0.3 * census.four or as_read > 0.1 * census.near_z[best]:
        return
    layout = sample.layout
    assumed = layout.momentum_unit if isinstance(layout, FlatLayout | MappingLayout) else "GeV"
    true = next((name for name, unit in MOMENTUM_UNITS.items() if np.isclose(unit, MOMENTUM_UNITS[assumed] * SCALES[best])), None)
    option = f"set `momentum_unit: {true}` under `layout`" if true else "convert the momenta to GeV"
    if not isinstance(layout, FlatLayout | MappingLayout):
        option = f"describe the file with `kind: mapping` and `momentum_unit: {true}`" if true else option
    raise PhysicsDomainError(
        f"momentum unit of {what}",
        got=f"read as {assumed}, {as_read} of {census.four} events have a lepton pair at the Z mass; {census.near_z[best]} have one if all "
        f"momenta are multiplied by {SCALES[best]:g}",
        expected=f"pairs near {units.M_Z:.1f} GeV",
        remedy=option,
    )


def _check_distinct(path: Location, record: EventRecord) -> None:
    leptons = [p for p in (record.electrons, record.muons) if len(p["pt"])]
    values = {name: np.concatenate([p[name] for p in leptons]) if leptons else np.empty(0) for name in ("pt", "eta", "phi")}
    if len(record) < 2 or len(values["pt"]) < 8:
        return
    if all(np.all(column == column[0]) for column in values.values()):
        raise PhysicsDomainError(
            f"leptons of {path}",
            got=f"pt {values['pt'][0]:g}, eta {values['eta'][0]:g}, phi {values['phi'][0]:g} for all {len(values['pt'])} leptons looked at",
            expected="different momenta",
            remedy="the file was filled with one element over and over; write the ntuple again",
        )


def _count(particles: Particles, mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.bincount(particles.event[mask], minlength=len(particles.counts))


def _near_z(record: EventRecord, events: NDArray[np.int64]) -> tuple[int, ...]:
    """Count the events with a same-flavour pair among the four hardest leptons at the Z mass, for each of `SCALES`."""
    one, two = record.electrons.take(events), record.muons.take(events)
    event = np.concatenate([one.event, two.event])
    pt = np.concatenate([one["pt"], two["pt"]])
    flavour = np.repeat([ELECTRON, MUON], [len(one["pt"]), len(two["pt"])])
    parts = [cartesian_from_ptetaphim(*(p[name] for name in ("pt", "eta", "phi", "mass"))) for p in (one, two)]
    order = np.lexsort((-pt, event))
    first = np.cumsum(one.counts + two.counts) - (one.counts + two.counts)
    hardest = order[first[:, np.newaxis] + np.arange(4)]
    momenta, flavour = np.concatenate(parts)[hardest], flavour[hardest]
    found = np.zeros((len(events), len(SCALES)), dtype=bool)
    for i, j in _PAIRS:
        total = momenta[:, i] + momenta[:, j]
        with np.errstate(all="ignore"):
            mass = np.sqrt(np.maximum(total[:, 3] ** 2 - np.sum(total[:, :3] ** 2, axis=1), 0.0))
            near = np.abs(mass[:, np.newaxis] * np.array(SCALES) - units.M_Z) < Z_WINDOW
        found |= near & (flavour[:, i] == flavour[:, j])[:, np.newaxis]
    return tuple(int(n) for n in found.sum(axis=0))
