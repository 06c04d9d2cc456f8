"""The four-lepton selection: acceptance, quadruplet, thresholds, mass windows, jets, and the cut flow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from processors.dialects import ELECTRON, MUON, EventRecord
from processors.particles import Particles
from toolkit.artifacts.events import CHANNELS
from toolkit.config import JetSelection, LeptonSelection, SelectionConfig
from toolkit.errors import SchemaError
from toolkit.kinematics import OBSERVABLES, best_quadruplets, cartesian_from_ptetaphim, compute_observables, leading_of_list
from toolkit.kinematics.pairing import Z1Convention

WINDOWS = ("m_z1", "m_z2", "m4l")
CUTS = ("all", "four leptons", "two pairs", "leading pt", *WINDOWS)
"""Cuts in the order in which they are applied; `cuts_of` adds those that a config asks for."""

ROLES = ("a1", "b1", "a2", "b2")
COMPONENTS = ("px", "py", "pz", "E")

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
    """

    index: NDArray[np.int64]
    observables: dict[str, NDArray[np.float64]]
    channel: NDArray[np.int8]
    cutflow: Cutflow


def cuts_of(selection: SelectionConfig) -> tuple[str, ...]:
    """Return the cuts of a selection in the order in which they are applied.

    Examples:
        >>> cuts_of(SelectionConfig(channels=("2e2mu",), total_charge=0))[:5]
        ('all', 'four leptons', 'total charge', 'two pairs', 'channel')
    """
    names = list(CUTS)
    if selection.total_charge is not None:
        names.insert(names.index("two pairs"), "total charge")
    if len(selection.channels) < len(CHANNELS):
        names.insert(names.index("leading pt"), "channel")
    return tuple(names)


def accept_leptons(particles: Particles, selection: LeptonSelection) -> Particles:
    """Keep the leptons of one flavour inside their acceptance: pt > pt_min, |eta| < abs_eta_max, |eta| not in the gap."""
    abs_eta = np.abs(particles["eta"])
    accepted = (particles["pt"] > selection.pt_min) & (abs_eta < selection.abs_eta_max)
    if selection.abs_eta_gap is not None:
        low, high = selection.abs_eta_gap
        accepted &= (abs_eta < low) | (abs_eta >= high)
    return particles.where(accepted)


def accept_jets(jets: Particles, leptons: Particles, selection: JetSelection) -> Particles:
    """Keep the jets inside the acceptance and away from the selected leptons.

    Args:
        jets: pt, eta, phi of n events.
        leptons: eta, phi of the selected leptons of the same events.
        selection: Thresholds; a jet nearer than `lepton_delta_r` to a selected lepton is the lepton, and removed.

    Returns:
        The jets that are left, in their order.
    """
    jets = jets.where((jets["pt"] > selection.pt_min) & (np.abs(jets["eta"]) < selection.abs_eta_max))
    return jets.where(~_near(jets, leptons, selection.lepton_delta_r))


def _near(particles: Particles, others: Particles, delta_r: float) -> NDArray[np.bool_]:
    """Say which particles have one of `others` of the same event nearer than `delta_r` in eta and phi, (n_particles,)."""
    near = np.zeros(len(particles.event), dtype=bool)
    first, counts = others.first[particles.event], others.counts[particles.event]
    for nth in range(int(counts.max(initial=0))):
        one = np.flatnonzero(counts > nth)
        other = first[one] + nth
        delta_eta = particles["eta"][one] - others["eta"][other]
        delta_phi = np.abs(particles["phi"][one] - others["phi"][other])
        delta_phi = np.abs(delta_phi - 2 * np.pi * np.round(delta_phi / (2 * np.pi)))
        near[one] |= delta_eta**2 + delta_phi**2 < delta_r**2
    return near


def select(
    record: EventRecord,
    weight: NDArray[np.float64],
    selection: SelectionConfig,
    *,
    observables: tuple[str, ...],
) -> Selected:
    """Apply the selection to the events of one chunk.

    Args:
        record: All events of the chunk.
        weight: Expected events at the luminosity, (n,); for the cut flow.
        selection: Thresholds and windows.
        observables: Names of the observables to return.

    Returns:
        The events that pass, with their observables.

    Notes:
        With `n_leptons_exact` an event with a fifth accepted lepton is rejected; otherwise the best quadruplet is
        taken and the thresholds on the leading leptons apply to its members. Windows include their lower edge only.
        A required total charge is that of all accepted leptons, the fifth included.
    """
    flow = _Flow(weight)
    flow.add("all", np.arange(len(record)))
    index, leptons, jets = _four_leptons(record, selection)
    flow.add("four leptons", index)
    if selection.total_charge is not None:
        charge = np.bincount(leptons.event, weights=leptons["charge"], minlength=len(index))
        kept = np.flatnonzero(charge == selection.total_charge)
        index, leptons = index[kept], leptons.take(kept)
        flow.add("total charge", index)
    paired = _pair(leptons, selection.z1)
    row = np.flatnonzero(paired.has)
    index = index[row]
    flow.add("two pairs", index)
    if len(selection.channels) < len(CHANNELS):
        kept = np.flatnonzero(np.isin(paired.channel, [CHANNELS.index(name) for name in selection.channels]))
        index, row, paired = index[kept], row[kept], paired.take(kept)
        flow.add("channel", index)
    pt = -np.sort(-paired.pt, axis=1)
    passed = np.all(pt[:, : len(selection.leading_pt_min)] > np.asarray(selection.leading_pt_min[:4]), axis=1)
    flow.add("leading pt", index[passed])
    masses = compute_observables(*paired.roles, names=WINDOWS)
    for name in WINDOWS:
        low, high = getattr(selection, name)
        passed &= (masses[name] >= low) & (masses[name] < high)
        flow.add(name, index[passed])
    index, leptons = index[passed], leptons.only("eta", "phi").take(row[passed])
    if jets is not None:
        jets = jets.take(index)
    elif record.jets is not None:
        jets = accept_jets(record.jets.take(index), leptons, selection.jet)
    columns = {name: values[index] for name, values in record.columns.items()}
    return Selected(
        index=index,
        observables=_observables(tuple(role[passed] for role in paired.roles), jets, observables, columns=columns),
        channel=paired.channel[passed],
        cutflow=flow.cuts,
    )


def _four_leptons(record: EventRecord, selection: SelectionConfig) -> tuple[NDArray[np.int64], Particles, Particles | None]:
    """Return the positions of events with enough accepted leptons, those leptons (both flavours in one list), and the accepted jets.

    The jets are those of the whole chunk, and None unless leptons near a jet are removed: then jets near any accepted
    lepton are taken away first, and leptons near a jet that is left after that.
    """
    electrons = _with_flavour(accept_leptons(record.electrons, selection.electron), ELECTRON)
    muons = _with_flavour(accept_leptons(record.muons, selection.muon), MUON)
    jets = None
    if max(selection.electron.jet_delta_r, selection.muon.jet_delta_r) > 0:
        if record.jets is None:
            raise SchemaError(
                "jet_delta_r of the lepton selection",
                got="ntuples without jets",
                expected="jets",
                remedy="leave jet_delta_r out: without jets no lepton can be near one",
            )
        jets = accept_jets(record.jets, electrons.joined(muons), selection.jet)
        electrons = electrons.where(~_near(electrons, jets, selection.electron.jet_delta_r))
        muons = muons.where(~_near(muons, jets, selection.muon.jet_delta_r))
    count = electrons.counts + muons.counts
    index = np.flatnonzero(count == 4 if selection.n_leptons_exact else count >= 4)
    return index, electrons.take(index).joined(muons.take(index)), jets


def _with_flavour(particles: Particles, flavour: int) -> Particles:
    return Particles(particles.counts, particles.columns | {"flavour": np.full(len(particles["pt"]), flavour)})


@dataclass(frozen=True)
class _Paired:
    """Best quadruplets: which events have one, and of those the momenta (n, 4 roles, 4), pt (n, 4) and the channel (n,)."""

    has: NDArray[np.bool_]
    momenta: NDArray[np.float64]
    pt: NDArray[np.float64]
    channel: NDArray[np.int8]

    def take(self, kept: NDArray[np.int64]) -> _Paired:
        """Keep some of the events that have a quadruplet."""
        return _Paired(self.has, self.momenta[kept], self.pt[kept], self.channel[kept])

    @property
    def roles(self) -> tuple[NDArray[np.float64], ...]:
        """Momenta of a1, b1, a2, b2, each (n, 4)."""
        return tuple(self.momenta[:, i] for i in range(4))


def _pair(leptons: Particles, z1: Z1Convention) -> _Paired:
    momenta = _cartesian(leptons)
    chosen = best_quadruplets(leptons.counts, momenta, charge=leptons["charge"], flavour=leptons["flavour"], z1=z1)
    has = chosen[:, 0] >= 0
    chosen = chosen[has]
    flavour = leptons["flavour"][chosen]
    channel = np.where(flavour[:, 0] != flavour[:, 2], 2, np.where(flavour[:, 0] == ELECTRON, 0, 1))
    return _Paired(has, momenta[chosen], leptons["pt"][chosen], channel.astype(np.int8))


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


class _Flow:
    """Collects the cut flow."""

    def __init__(self, weight: NDArray[np.float64]) -> None:
        self.weight = weight
        self.cuts: Cutflow = {}

    def add(self, cut: str, index: NDArray[np.int64]) -> None:
        self.cuts[cut] = sum_weights(self.weight[index])
