"""Choice of the best four leptons of an event and of their pairing into two Z bosons."""

from __future__ import annotations

from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from toolkit.errors import SchemaError, ShapeError
from toolkit.kinematics.fourvectors import as_cartesian
from toolkit.typing import FloatArray, IntArray
from toolkit.units import M_Z

ROLES = ("a1", "b1", "a2", "b2")
"""Negative and positive lepton of Z1, then of Z2."""

_BLOCK = 32768


def pair_leptons(leptons: Any, *, m_z: float = M_Z) -> Any:
    """Choose the best quadruplet of each event.

    Z1 is the pair of same flavour and opposite charge with mass nearest to m_z among ALL such pairs of the event.
    Z2 is a second such pair that shares no lepton with Z1, so the total charge is 0. With four leptons there is at
    most one; with more, the one with the largest scalar sum of transverse momenta is taken.

    Args:
        leptons: Jagged awkward array, one list of leptons of both flavours per event, in any order. Momentum
            fields as for `as_cartesian`; `pdg_id` or `pdgId` (+11, +13 are the negative leptons), or `charge`
            with `flavour` (any integer that differs between electrons and muons).
        m_z: Mass in GeV that Z1 is compared with.

    Returns:
        Awkward array of records {a1, b1, a2, b2}: positions in the event's list of the negative and positive
        lepton of Z1 and of Z2; None where the event has no candidate.

    Raises:
        ShapeError: The array is not jagged.
        SchemaError: Momentum, charge or flavour fields are missing.

    Notes:
        Taking the nearest pair first never costs a quadruplet: where any two disjoint pairs exist, every pair has
        a disjoint partner (a pair that overlaps both of them leaves their other two leptons).
        Equal masses, which only exact copies have, are resolved by the order of the list.

    Examples:
        >>> import awkward as ak
        >>> fields = {"px": [40, 0, -40, 0], "py": [0, 40, 0, -40], "pz": [0, 0, 9, 0], "E": [40, 40, 41, 40]}
        >>> leptons = ak.zip({k: [v] for k, v in (fields | {"pdg_id": [13, -11, -13, 11]}).items()})
        >>> pair_leptons(leptons).tolist()
        [{'a1': 0, 'b1': 2, 'a2': 3, 'b2': 1}]
    """
    if not isinstance(leptons, ak.Array) or leptons.ndim != 2:
        got = str(leptons.type) if isinstance(leptons, ak.Array) else type(leptons).__name__
        raise ShapeError(what="leptons", got=got, expected="a jagged awkward array, one list of leptons per event")
    flat = ak.flatten(leptons)
    momenta, (charge, flavour) = as_cartesian(flat), _charge_and_flavour(flat)
    counts = np.asarray(ak.num(leptons), dtype=np.int64)
    first = np.cumsum(counts) - counts
    chosen = np.full((len(counts), 4), -1, dtype=np.int64)
    for n_leptons in np.unique(counts[counts >= 4]):
        events = np.flatnonzero(counts == n_leptons)
        for start in range(0, len(events), _BLOCK):
            block = events[start : start + _BLOCK]
            index = first[block, np.newaxis] + np.arange(n_leptons)
            chosen[block] = best_quadruplet(momenta[index], charge[index], flavour[index], m_z=m_z)
    records = ak.zip(dict(zip(ROLES, chosen.T, strict=True)))
    return ak.mask(records, chosen[:, 0] >= 0)


def take_quadruplet(leptons: Any, quadruplets: Any) -> Any:
    """Take the leptons of the chosen quadruplets.

    Args:
        leptons: Jagged awkward array of leptons.
        quadruplets: Result of `pair_leptons` for the same events.

    Returns:
        Awkward array of records {a1, b1, a2, b2} of leptons with all their fields; each is None where there is none.

    Raises:
        ShapeError: The number of events differs.
    """
    if len(leptons) != len(quadruplets):
        raise ShapeError(what="quadruplets", got=f"{len(quadruplets)} events", expected=f"{len(leptons)} events, as many as leptons")
    return ak.zip({role: ak.firsts(leptons[ak.singletons(quadruplets[role])]) for role in ROLES}, depth_limit=1)


def best_quadruplet(
    momenta: FloatArray, charge: NDArray[np.integer[Any]], flavour: NDArray[np.integer[Any]], *, m_z: float = M_Z
) -> IntArray:
    """Choose the best quadruplet among a fixed number of leptons; see `pair_leptons` for the rule.

    Args:
        momenta: px, py, pz, E in GeV, shape (n, n_leptons, 4).
        charge: Charges, shape (n, n_leptons).
        flavour: Any integer per flavour, shape (n, n_leptons).
        m_z: Mass in GeV that Z1 is compared with.

    Returns:
        Positions of a1, b1, a2, b2, shape (n, 4); all -1 where there is no candidate.
    """
    i, j = np.triu_indices(momenta.shape[1], k=1)
    pair = momenta[:, i] + momenta[:, j]
    mass = np.sqrt(np.maximum(pair[..., 3] ** 2 - np.sum(pair[..., :3] ** 2, axis=-1), 0.0))
    pt = np.sqrt(momenta[..., 0] ** 2 + momenta[..., 1] ** 2)
    valid = (charge[:, i] == -charge[:, j]) & (charge[:, i] != 0) & (flavour[:, i] == flavour[:, j]) & np.isfinite(mass)
    disjoint = (i[:, None] != i) & (i[:, None] != j) & (j[:, None] != i) & (j[:, None] != j)
    rows = np.arange(len(momenta))
    z1 = np.argmin(np.where(valid, np.abs(mass - m_z), np.inf), axis=1)
    partner = valid & disjoint[z1]
    z2 = np.argmax(np.where(partner, pt[:, i] + pt[:, j], -np.inf), axis=1)
    chosen = np.empty((len(momenta), 4), dtype=np.int64)
    for column, z in ((0, z1), (2, z2)):
        negative_first = charge[rows, i[z]] < 0
        chosen[:, column] = np.where(negative_first, i[z], j[z])
        chosen[:, column + 1] = np.where(negative_first, j[z], i[z])
    chosen[~(valid[rows, z1] & partner[rows, z2])] = -1
    return chosen


def _charge_and_flavour(leptons: Any) -> tuple[IntArray, IntArray]:
    """Read charges and flavours of a flat array of leptons."""
    fields = set(leptons.fields)
    for name in ("pdg_id", "pdgId"):
        if name in fields:
            pdg_id = np.asarray(leptons[name], dtype=np.int64)
            return -np.sign(pdg_id), np.abs(pdg_id)
    if {"charge", "flavour"} <= fields:
        return np.asarray(leptons["charge"], dtype=np.int64), np.asarray(leptons["flavour"], dtype=np.int64)
    expected = "pdg_id (or pdgId), or charge and flavour"
    raise SchemaError(what="leptons", got=f"fields {sorted(fields)}", expected=expected, remedy="add the field that is missing")
