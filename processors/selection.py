"""The four-lepton selection: acceptance, quadruplet, thresholds, mass windows, jets, and the cut flow."""

from __future__ import annotations

from dataclasses import dataclass

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from processors.dialects import ELECTRON, MUON, EventRecord
from processors.particles import Particles
from toolkit.config import JetSelection, LeptonSelection, SelectionConfig
from toolkit.kinematics import OBSERVABLES, cartesian_from_ptetaphim, compute_observables, pair_leptons

WINDOWS = ("m_z1", "m_z2", "m4l")
CUTS = ("all", "four leptons", "two pairs", "leading pt", *WINDOWS)
"""Cuts in the order in which they are applied."""

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


def accept_leptons(particles: Particles, selection: LeptonSelection) -> Particles:
    """Keep the leptons of one flavour inside their acceptance: pt > pt_min, |eta| < abs_eta_max."""
    return particles.where((particles["pt"] > selection.pt_min) & (np.abs(particles["eta"]) < selection.abs_eta_max))


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
    n_leptons = leptons.counts[jets.event]
    jet = np.repeat(np.arange(len(jets.event)), n_leptons)
    nth = np.arange(len(jet)) - np.repeat(np.cumsum(n_leptons) - n_leptons, n_leptons)
    lepton = leptons.first[jets.event[jet]] + nth
    delta_eta = jets["eta"][jet] - leptons["eta"][lepton]
    delta_phi = np.mod(jets["phi"][jet] - leptons["phi"][lepton] + np.pi, 2 * np.pi) - np.pi
    near = delta_eta**2 + delta_phi**2 < selection.lepton_delta_r**2
    return jets.where(np.bincount(jet[near], minlength=len(jets.event)) == 0)


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
    """
    flow = _Flow(weight)
    flow.add("all", np.arange(len(record)))
    index, leptons = _four_leptons(record, selection)
    flow.add("four leptons", index)
    paired = _pair(leptons)
    index, leptons = index[paired.has], leptons.take(np.flatnonzero(paired.has))
    flow.add("two pairs", index)
    pt = -np.sort(-np.hypot(paired.momenta[..., 0], paired.momenta[..., 1]), axis=1)
    passed = np.all(pt[:, : len(selection.leading_pt_min)] > np.asarray(selection.leading_pt_min[:4]), axis=1)
    flow.add("leading pt", index[passed])
    masses = compute_observables(*paired.roles, names=WINDOWS)
    for name in WINDOWS:
        low, high = getattr(selection, name)
        passed &= (masses[name] >= low) & (masses[name] < high)
        flow.add(name, index[passed])
    index, leptons = index[passed], leptons.take(np.flatnonzero(passed))
    jets = None if record.jets is None else accept_jets(record.jets.take(index), leptons, selection.jet)
    columns = {name: values[index] for name, values in record.columns.items()}
    return Selected(
        index=index,
        observables=_observables(tuple(role[passed] for role in paired.roles), jets, observables, columns=columns),
        channel=paired.channel[passed],
        cutflow=flow.cuts,
    )


def _four_leptons(record: EventRecord, selection: SelectionConfig) -> tuple[NDArray[np.int64], Particles]:
    """Return the positions of events with enough accepted leptons, and those leptons, both flavours in one list."""
    electrons = accept_leptons(record.electrons, selection.electron)
    muons = accept_leptons(record.muons, selection.muon)
    count = electrons.counts + muons.counts
    index = np.flatnonzero(count == 4 if selection.n_leptons_exact else count >= 4)
    one, two = (_with_flavour(p.take(index), flavour) for p, flavour in ((electrons, ELECTRON), (muons, MUON)))
    return index, one.joined(two)


def _with_flavour(particles: Particles, flavour: int) -> Particles:
    return Particles(particles.counts, particles.columns | {"flavour": np.full(len(particles["pt"]), flavour)})


@dataclass(frozen=True)
class _Paired:
    """Best quadruplets: which events have one, and of those the momenta (n, 4 roles, 4), and the channel (n,)."""

    has: NDArray[np.bool_]
    momenta: NDArray[np.float64]
    channel: NDArray[np.int8]

    @property
    def roles(self) -> tuple[NDArray[np.float64], ...]:
        """Momenta of a1, b1, a2, b2, each (n, 4)."""
        return tuple(self.momenta[:, i] for i in range(4))


def _pair(leptons: Particles) -> _Paired:
    momenta = _cartesian(leptons)
    components = {name: momenta[:, i] for i, name in enumerate(COMPONENTS)}
    quadruplets = pair_leptons(leptons.to_awkward(components | {name: leptons[name] for name in ("charge", "flavour")}))
    has = ~np.asarray(ak.is_none(quadruplets))
    chosen = np.stack([np.asarray(quadruplets[role][has], dtype=np.int64) for role in ROLES], axis=1)
    chosen += leptons.first[has, np.newaxis]
    flavour = leptons["flavour"][chosen]
    channel = np.where(flavour[:, 0] != flavour[:, 2], 2, np.where(flavour[:, 0] == ELECTRON, 0, 1))
    return _Paired(has, momenta[chosen], channel.astype(np.int8))


def _cartesian(particles: Particles) -> NDArray[np.float64]:
    return cartesian_from_ptetaphim(*(particles[name] for name in ("pt", "eta", "phi", "mass")))


def _observables(
    roles: tuple[NDArray[np.float64], ...],
    jets: Particles | None,
    names: tuple[str, ...],
    *,
    columns: dict[str, NDArray[np.float64]],
) -> dict[str, NDArray[np.float64]]:
    momenta = None
    if jets is not None:
        cartesian = _cartesian(jets)
        momenta = jets.to_awkward({name: cartesian[:, i] for i, name in enumerate(COMPONENTS)})
    given = {"leptons"} if jets is None else {"leptons", "jets"}
    possible = [name for name in names if name in columns or OBSERVABLES[name].needs in given]
    computed = compute_observables(*roles, jets=momenta, columns=columns, names=possible)
    return {name: computed[name] if name in computed else np.full(len(roles[0]), np.nan) for name in names}


class _Flow:
    """Collects the cut flow."""

    def __init__(self, weight: NDArray[np.float64]) -> None:
        self.weight = weight
        self.cuts: Cutflow = {}

    def add(self, cut: str, index: NDArray[np.int64]) -> None:
        w = self.weight[index]
        self.cuts[cut] = {"events": len(w), "sumw": float(w.sum()), "sumw2": float((w**2).sum())}
