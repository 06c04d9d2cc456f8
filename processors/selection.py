"""The four-lepton selection: acceptance, quadruplet, thresholds, mass windows, jets, and the cut flow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from processors.acceptance import FOUR, IDENTIFIED, accept_jets, conditions_of, four_leptons, lepton_conditions
from processors.formats import ELECTRON, EventRecord
from processors.particles import Particles
from toolkit.artifacts.events import CHANNELS
from toolkit.config import SelectionConfig
from toolkit.expressions import Condition
from toolkit.kinematics import (
    OBSERVABLES,
    best_quadruplets,
    cartesian_from_ptetaphim,
    compute_observables,
    descending_four,
    leading_of_list,
)
from toolkit.kinematics.pairing import Z1Convention

BLOCK = 16384
"""Events that are selected at once: their leptons and jets fit the second-level cache, several times faster than a whole chunk."""

WINDOWS = ("m_z1", "m_z2", "m4l")
CUTS = ("all", FOUR, "two pairs", "leading pt", *WINDOWS)
"""Cuts in the order in which they are applied; `cuts_of` adds those that a config asks for."""

ROLES = ("a1", "b1", "a2", "b2")

Cutflow = dict[str, dict[str, float]]
"""``events``, ``sumw`` and ``sumw2`` (sum of squared weights) that pass each cut and all cuts before it."""


@dataclass(frozen=True)
class Selected:
    """Events that pass the selection.

    Args:
        index: Positions in the chunk, increasing, (n,).
        observables: GeV and radians, each (n,) float64, NaN where missing.
        channel: 0 for 4e, 1 for 4mu, 2 for 2e2mu, (n,) int8.
        cutflow: Counts after each cut.
        leptons: Properties of the four leptons a1, b1, a2, b2 that the caller asked for, and their `flavour`, (n, 4) each.
        jets: Counted jets of the events, with the properties that the caller asked for; None where none were.
    """

    index: NDArray[np.int64]
    observables: dict[str, NDArray[np.float64]]
    channel: NDArray[np.int8]
    cutflow: Cutflow
    leptons: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    jets: Particles | None = None

    def take(self, kept: NDArray[np.bool_]) -> Selected:
        """Return the events of a mask, with the same cut flow."""
        return Selected(
            index=self.index[kept],
            observables={name: values[kept] for name, values in self.observables.items()},
            channel=self.channel[kept],
            cutflow=self.cutflow,
            leptons={name: values[kept] for name, values in self.leptons.items()},
            jets=None if self.jets is None else self.jets.take(np.flatnonzero(kept)),
        )


def cuts_of(selection: SelectionConfig) -> tuple[str, ...]:
    """Return the cuts of a selection in the order in which they are applied.

    Examples:
        >>> cuts_of(SelectionConfig(channels=("2e2mu",), total_charge=0))[:5]
        ('all', 'four leptons', 'total charge', 'two pairs', 'channel')
    """
    names = list(CUTS)
    identification = [name for _, name, _ in lepton_conditions(selection)]
    if identification:
        names[names.index(FOUR) + 1 : names.index(FOUR) + 1] = [*identification, IDENTIFIED]
    if selection.total_charge is not None:
        names.insert(names.index("two pairs"), "total charge")
    if len(selection.channels) < len(CHANNELS):
        names.insert(names.index("leading pt"), "channel")
    names += [str(part) for part in conditions_of(selection.where)]
    return tuple(names)


def condition_names(selection: SelectionConfig) -> tuple[str, ...]:
    """Return the observables and branches that the condition of a selection needs.

    Examples:
        >>> condition_names(SelectionConfig(where="n_jets >= 2 and m_jj > 120"))
        ('m_jj', 'n_jets')
    """
    return Condition.parse(selection.where).names if selection.where else ()


def select(
    record: EventRecord,
    weight: NDArray[np.float64],
    selection: SelectionConfig,
    *,
    observables: tuple[str, ...],
    leptons: tuple[str, ...] = (),
    jets: tuple[str, ...] = (),
) -> Selected:
    """Apply the selection to the events of one chunk.

    Args:
        record: All events of the chunk.
        weight: Expected events at the luminosity, (n,); for the cut flow.
        selection: Thresholds and windows.
        observables: Names of the observables to return.
        leptons: Names of the properties of the four leptons to return.
        jets: Names of the properties of counted jets to return.

    Returns:
        The events that pass, with their observables.

    Notes:
        With `n_leptons_exact` an event with a fifth accepted lepton is rejected; otherwise the best quadruplet is
        taken and the thresholds on the leading leptons apply to its members. Windows include their lower edge only.
        A required total charge is that of all accepted leptons, the fifth included. An event that lacks a value which decides the
        condition `where`, such as m_jj without two jets, does not fulfil it.
    """
    cuts = _Cuts(cuts_of(selection), len(record))
    select_block = partial(_select_block, selection=selection, observables=observables, leptons=leptons, of_jets=jets)
    starts = range(0, max(len(record), 1), BLOCK)
    blocks = [select_block(record.between(start, start + BLOCK), cuts=cuts.from_event(start)) for start in starts]
    return Selected(
        index=np.flatnonzero(cuts.passed == len(cuts.names) - 1),
        observables={name: np.concatenate([computed[name] for computed, *_ in blocks]) for name in observables},
        channel=np.concatenate([paired.channel for _, paired, _ in blocks]),
        cutflow=cuts.flow(weight),
        leptons={name: np.concatenate([paired.columns[name] for _, paired, _ in blocks]) for name in blocks[0][1].columns},
        jets=_joined([counted for *_, counted in blocks], jets) if jets else None,
    )


def _joined(blocks: Sequence[Particles | None], names: tuple[str, ...]) -> Particles | None:
    """Return the jets of all blocks with some of their properties; None without jets."""
    found = [jets for jets in blocks if jets is not None]
    if not found:
        return None
    columns = {name: np.concatenate([jets[name] for jets in found]) for name in names}
    return Particles(np.concatenate([jets.counts for jets in found]), columns)


def _select_block(
    record: EventRecord,
    *,
    selection: SelectionConfig,
    observables: tuple[str, ...],
    leptons: tuple[str, ...],
    of_jets: tuple[str, ...],
    cuts: _Cuts,
) -> tuple[dict[str, NDArray[np.float64]], _Paired, Particles | None]:
    """Select the events of a block, mark the cuts that they pass, and return observables, quadruplets and jets of those that pass all."""
    index, particles, jets = four_leptons(record, selection, cuts.mark, more=leptons, of_jets=of_jets)
    if selection.total_charge is not None:
        charge = np.bincount(particles.event, weights=particles["charge"], minlength=len(index))
        kept = np.flatnonzero(charge == selection.total_charge)
        index, particles = index[kept], particles.take(kept)
        cuts.mark("total charge", index)
    row, paired = _pair(particles, selection.z1, columns=leptons)
    index = index[row]
    cuts.mark("two pairs", index)
    if len(selection.channels) < len(CHANNELS):
        kept = np.flatnonzero(np.isin(paired.channel, [CHANNELS.index(name) for name in selection.channels]))
        index, row, paired = index[kept], row[kept], paired.take(kept)
        cuts.mark("channel", index)
    passed = np.ones(len(index), dtype=bool)
    for pt, threshold in zip(descending_four(*paired.pt.T), selection.leading_pt_min, strict=False):
        passed &= pt > threshold
    cuts.mark("leading pt", index[passed])
    masses = compute_observables(*paired.roles, names=WINDOWS)
    for name in WINDOWS:
        low, high = getattr(selection, name)
        passed &= (masses[name] >= low) & (masses[name] < high)
        cuts.mark(name, index[passed])
    kept = np.flatnonzero(passed)
    index, paired = index[kept], paired.take(kept)
    if jets is not None:
        jets = jets.take(index)
    elif record.jets is not None:
        rows = np.full(len(record), -1)
        rows[index] = row[kept]
        jets = accept_jets(record.jets, particles, selection.jet, rows=rows, more=of_jets)
    columns = {name: values[index] for name, values in record.columns.items()}
    if not selection.where:
        return _observables(paired.roles, jets, observables, columns=columns), paired, jets
    computed = _observables(paired.roles, jets, tuple(dict.fromkeys((*observables, *condition_names(selection)))), columns=columns)
    inside = np.ones(len(index), dtype=bool)
    for part in conditions_of(selection.where):
        inside &= part.evaluate({name: computed[name] for name in (part.names or WINDOWS)})
        cuts.mark(str(part), index[inside])
    kept = np.flatnonzero(inside)
    counted = jets.take(kept) if jets is not None and of_jets else None
    return {name: computed[name][inside] for name in observables}, paired.take(kept), counted


@dataclass(frozen=True)
class _Paired:
    """Best quadruplets: momenta (n, 4 roles, 4), pt (n, 4), the channel (n,) and further properties (n, 4)."""

    momenta: NDArray[np.float64]
    pt: NDArray[np.float64]
    channel: NDArray[np.int8]
    columns: dict[str, NDArray[np.float64]]

    def take(self, kept: NDArray[np.int64]) -> _Paired:
        """Keep some of the events."""
        columns = {name: values.take(kept, axis=0) for name, values in self.columns.items()}
        return _Paired(self.momenta.take(kept, axis=0), self.pt.take(kept, axis=0), self.channel[kept], columns)

    @property
    def roles(self) -> tuple[NDArray[np.float64], ...]:
        """Momenta of a1, b1, a2, b2, each (n, 4)."""
        return tuple(self.momenta[:, i] for i in range(4))


def _pair(leptons: Particles, z1: Z1Convention, *, columns: tuple[str, ...]) -> tuple[NDArray[np.int64], _Paired]:
    """Return which events have a quadruplet, and the best quadruplets of those."""
    momenta = _cartesian(leptons)
    chosen = best_quadruplets(leptons.counts, momenta, charge=leptons["charge"], flavour=leptons["flavour"], z1=z1)
    row = np.flatnonzero(chosen[:, 0] >= 0)
    chosen = chosen.take(row, axis=0)
    one, two = (leptons["flavour"].take(chosen[:, role]) for role in (0, 2))
    channel = np.maximum(np.int8(2) * (one != two), one != ELECTRON)  # 4e, 4mu, 2e2mu as in CHANNELS
    further = {name: leptons[name].take(chosen) for name in (*columns, *(("flavour",) if columns else ()))}
    return row, _Paired(momenta.take(chosen, axis=0), leptons["pt"].take(chosen), channel, further)


def _cartesian(particles: Particles) -> NDArray[np.float64]:
    return cartesian_from_ptetaphim(*(particles[name] for name in ("pt", "eta", "phi", "mass")))


def _observables(
    roles: tuple[NDArray[np.float64], ...],
    jets: Particles | None,
    names: tuple[str, ...],
    *,
    columns: dict[str, NDArray[np.float64]],
) -> dict[str, NDArray[np.float64]]:
    leading = None if jets is None else leading_of_list(jets.counts, _cartesian(jets))
    given = {"leptons"} if jets is None else {"leptons", "jets"}
    possible = [name for name in names if name in columns or OBSERVABLES[name].needs in given]
    computed = compute_observables(*roles, jets=leading, columns=columns, names=possible)
    return {name: computed[name] if name in computed else np.full(len(roles[0]), np.nan) for name in names}


def sum_weights(weight: NDArray[np.float64]) -> dict[str, float]:
    """Count events, and sum their weights and squared weights.

    Examples:
        >>> sum_weights(np.array([2.0, -1.0]))
        {'events': 2, 'sumw': 1.0, 'sumw2': 5.0}
    """
    return {"events": len(weight), "sumw": float(weight.sum()), "sumw2": float((weight**2).sum())}


class _Cuts:
    """How far each event of a chunk gets; the cut flow follows from that.

    Args:
        names: Cuts in their order; all events pass the first.
        n_events: Events of the chunk.
    """

    def __init__(self, names: tuple[str, ...], n_events: int) -> None:
        self.names = names
        self.passed = np.zeros(n_events, dtype=np.int16)

    def from_event(self, start: int) -> _Cuts:
        """Return the same cuts of the events from `start` on; marks go into both."""
        part = _Cuts(self.names, 0)
        part.passed = self.passed[start:]
        return part

    def mark(self, cut: str, index: NDArray[np.int64]) -> None:
        """Note that the events at these positions pass a cut and all before it."""
        self.passed[index] = self.names.index(cut)

    def flow(self, weight: NDArray[np.float64]) -> Cutflow:
        """Sum the weights, (n_events,), of the events that pass each cut."""
        flow, passed = {}, self.passed
        for cut, name in enumerate(self.names):
            inside = passed >= cut
            passed, weight = passed[inside], weight[inside]
            flow[name] = sum_weights(weight)
        return flow
