"""Which leptons and jets are accepted: thresholds, overlaps, and the events that hold enough leptons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from processors.formats import ELECTRON, MUON, EventRecord
from processors.formats.fields import OWN
from processors.particles import Particles
from toolkit.config import JetSelection, LeptonSelection, SelectionConfig
from toolkit.errors import SchemaError
from toolkit.expressions import Condition

FOUR = "four leptons"
IDENTIFIED = "four identified leptons"
"""Lines of the cut flow: enough leptons in the acceptance, and, where leptons must fulfil conditions, enough that fulfil them all."""


def lepton_mask(particles: Particles, selection: LeptonSelection) -> NDArray[np.bool_]:
    """Say which leptons of one flavour are inside their acceptance: pt > pt_min, |eta| < abs_eta_max, |eta| not in the gap.

    Args:
        particles: pt in GeV and eta.
        selection: Thresholds.

    Returns:
        One truth value per lepton, (n_particles,).
    """
    abs_eta = np.abs(particles["eta"])
    accepted: NDArray[np.bool_] = (particles["pt"] > selection.pt_min) & (abs_eta < selection.abs_eta_max)
    if selection.abs_eta_gap is not None:
        low, high = selection.abs_eta_gap
        accepted &= (abs_eta < low) | (abs_eta >= high)
    return accepted


def accept_jets(
    jets: Particles, leptons: Particles, selection: JetSelection, *, rows: NDArray[np.int64] | None = None, more: tuple[str, ...] = ()
) -> Particles:
    """Keep the jets inside the acceptance and away from the selected leptons.

    Args:
        jets: pt, eta, phi of n events.
        leptons: eta, phi of the selected leptons of the same events.
        selection: Thresholds; a jet nearer than `lepton_delta_r` to a selected lepton is the lepton, and removed.
        rows: Which of the events of `leptons` each event is, (n,), negative to leave the event out; None if they are the same.
        more: Properties to return beside the momenta.

    Returns:
        The jets that are left, in their order.
    """
    accepted = (jets["pt"] > selection.pt_min) & (np.abs(jets["eta"]) < selection.abs_eta_max)
    if selection.where:
        for condition in conditions_of(selection.where):
            _demand(jets, accepted, condition)
        jets = jets.only(*dict.fromkeys(("pt", "eta", "phi", "mass", *more)))
    if rows is None:
        jets = jets.where(accepted)
    else:
        jets, rows = jets.where(accepted, events=rows >= 0), rows[rows >= 0]
    return jets.where(~_near(jets, leptons, selection.lepton_delta_r, rows=rows))


@lru_cache(maxsize=64)
def conditions_of(text: str) -> tuple[Condition, ...]:
    """Return the parts of a condition that must all be true; none for an empty text.

    Examples:
        >>> [str(part) for part in conditions_of("cutBased >= 3 and abs(dxy) < 0.5")]
        ['cutBased >= 3', 'abs(dxy) < 0.5']
    """
    return Condition.parse(text).conjuncts if text else ()


def lepton_conditions(selection: SelectionConfig) -> tuple[tuple[int, str, Condition], ...]:
    """Return the conditions on leptons: position of the flavour (0 electrons, 1 muons), line of the cut flow, condition."""
    kinds = (("electron", selection.electron), ("muon", selection.muon))
    return tuple((i, f"{kind} {part}", part) for i, (kind, section) in enumerate(kinds) for part in conditions_of(section.where))


def four_leptons(
    record: EventRecord,
    selection: SelectionConfig,
    mark: Callable[[str, NDArray[np.int64]], None],
    *,
    more: tuple[str, ...] = (),
    of_jets: tuple[str, ...] = (),
) -> tuple[NDArray[np.int64], Particles, Particles | None]:
    """Find the events with enough accepted leptons.

    Args:
        record: The events.
        selection: Thresholds and conditions.
        mark: Called with the name of each line of the cut flow and the positions of the events that pass it. Conditions on leptons have a
            line each, of the events with at least four leptons that fulfil it and all before it.
        more: Further properties of leptons to return; NaN for the flavour that has none.
        of_jets: Further properties of jets to return.

    Returns:
        Positions of the events with enough leptons; their accepted leptons, electrons first, with their ``flavour``; and
        the accepted jets of ALL events, None unless leptons near a jet are removed: then jets near any accepted lepton
        are taken away first, and leptons near a jet that is left after that.

    Raises:
        SchemaError: Leptons near a jet are to be removed, and the ntuple has no jets.
    """
    electrons, muons, jets = record.electrons, record.muons, None
    masks = [lepton_mask(electrons, selection.electron), lepton_mask(muons, selection.muon)]
    conditions = lepton_conditions(selection)
    if conditions:
        _identify((electrons, muons), masks, conditions, mark)
    if max(selection.electron.jet_delta_r, selection.muon.jet_delta_r) > 0:
        if record.jets is None:
            raise SchemaError(
                "jet_delta_r of the lepton selection",
                got="ntuples without jets",
                expected="jets",
                remedy="leave jet_delta_r out: without jets no lepton can be near one",
            )
        jets = accept_jets(record.jets, electrons.where(masks[0]).joined(muons.where(masks[1])), selection.jet, more=of_jets)
        masks[0] &= ~_near(electrons, jets, selection.electron.jet_delta_r)
        masks[1] &= ~_near(muons, jets, selection.muon.jet_delta_r)
    position = np.flatnonzero(np.concatenate(masks))  # in the electrons, followed by the muons
    event = np.concatenate([electrons.event, muons.event]).take(position)
    count = np.bincount(event, minlength=len(record))
    enough = count == 4 if selection.n_leptons_exact else count >= 4
    kept = np.flatnonzero(enough.take(event))
    position = position.take(kept).take(np.argsort(event.take(kept), kind="stable"))
    columns = {name: _of_both(electrons, muons, name).take(position) for name in dict.fromkeys((*OWN, *more))}
    columns["flavour"] = np.array([MUON, ELECTRON]).take(position < len(electrons.event))
    index = np.flatnonzero(enough)
    mark(IDENTIFIED if conditions else FOUR, index)
    return index, Particles(count.take(index), columns), jets


def _of_both(electrons: Particles, muons: Particles, name: str) -> NDArray[np.float64]:
    both = [p.columns[name] if name in p.columns else np.full(len(p["pt"]), np.nan) for p in (electrons, muons)]
    return np.concatenate(both)


def _identify(
    leptons: tuple[Particles, Particles],
    masks: Sequence[NDArray[np.bool_]],
    conditions: Sequence[tuple[int, str, Condition]],
    mark: Callable[[str, NDArray[np.int64]], None],
) -> None:
    """Take leptons that do not fulfil the conditions out of the masks, and mark the events that keep four after each."""
    n_events = len(leptons[0])
    count = sum(np.bincount(own.event[mask], minlength=n_events) for own, mask in zip(leptons, masks, strict=True))
    mark(FOUR, np.flatnonzero(count >= 4))
    for flavour, name, condition in conditions:
        lost = _demand(leptons[flavour], masks[flavour], condition)
        count -= np.bincount(leptons[flavour].event.take(lost), minlength=n_events)
        mark(name, np.flatnonzero(count >= 4))


def _demand(particles: Particles, mask: NDArray[np.bool_], condition: Condition) -> NDArray[np.int64]:
    """Take the particles that do not fulfil a condition out of a mask, and return their positions."""
    kept = np.flatnonzero(mask)
    lost = kept[~condition.evaluate({name: particles[name].take(kept) for name in (condition.names or ("pt",))})]
    mask[lost] = False
    return lost


def _near(particles: Particles, others: Particles, delta_r: float, *, rows: NDArray[np.int64] | None = None) -> NDArray[np.bool_]:
    """Say which particles have one of `others` of the same event nearer than `delta_r` in eta and phi, (n_particles,)."""
    near = np.zeros(len(particles.event), dtype=bool)
    first, counts = (others.first, others.counts) if rows is None else (others.first.take(rows), others.counts.take(rows))
    some = np.flatnonzero(counts.take(particles.event))
    event, eta = particles.event.take(some), particles["eta"].take(some)
    other, last = first.take(event), (first + counts - 1).take(event)
    for _ in range(int(counts.max(initial=0))):
        delta_eta_2 = (eta - others["eta"].take(other)) ** 2
        close = np.flatnonzero(delta_eta_2 < delta_r**2)  # few: only these need the difference in phi
        delta_phi = np.abs(particles["phi"].take(some[close]) - others["phi"].take(other[close]))
        delta_phi = np.abs(delta_phi - 2 * np.pi * np.round(delta_phi / (2 * np.pi)))
        near[some[close]] |= delta_eta_2[close] + delta_phi**2 < delta_r**2
        other = np.minimum(other + 1, last)
    return near
