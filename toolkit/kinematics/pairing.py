"""Choice of the best four leptons of an event and of their pairing into two Z bosons."""

from __future__ import annotations

from itertools import combinations
from typing import Any, Literal, get_args

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from toolkit.errors import SchemaError, ShapeError
from toolkit.kinematics.fourvectors import as_cartesian, mass_of, transverse_momentum
from toolkit.typing import FloatArray, IntArray
from toolkit.units import M_Z

ROLES = ("a1", "b1", "a2", "b2")
"""Negative and positive lepton of Z1, then of Z2."""

Z1Convention = Literal["leading", "heavier", "harder"]
"""Which pair of the best quadruplet is called Z1: the nearest to the Z mass, the one of larger mass, or of larger transverse momentum."""

_BLOCK = 8192
_UNLESS_VALID = np.array([np.inf, 0.0])
"""Added to a distance, by whether the pair is valid: choosing by masks without a pattern costs ten times as much."""


def pair_leptons(leptons: Any, *, m_z: float = M_Z, z1: Z1Convention = "leading") -> Any:
    """Choose the best quadruplet of each event.

    Z1 is the pair of same flavour and opposite charge with mass nearest to m_z among ALL such pairs of the event.
    Z2 is a second such pair that shares no lepton with Z1, so the total charge is 0. With four leptons there is at
    most one; with more, the one with the largest scalar sum of transverse momenta is taken.

    Args:
        leptons: Jagged awkward array, one list of leptons of both flavours per event, in any order. Momentum
            fields as for `as_cartesian`; `pdg_id` or `pdgId` (+11, +13 are the negative leptons), or `charge`
            with `flavour` (any integer that differs between electrons and muons).
        m_z: Mass in GeV that Z1 is compared with.
        z1: Which of the two pairs is Z1, see `Z1Convention`; the quadruplet does not depend on it.

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
    charge, flavour = _charge_and_flavour(flat)
    counts = np.asarray(ak.num(leptons), dtype=np.int64)
    chosen = best_quadruplets(counts, as_cartesian(flat), charge=charge, flavour=flavour, m_z=m_z, z1=z1)
    found = chosen[:, 0] >= 0
    records = ak.zip(dict(zip(ROLES, (chosen - (np.cumsum(counts) - counts)[:, np.newaxis]).T, strict=True)))
    return ak.mask(records, found)


def best_quadruplets(
    counts: IntArray,
    momenta: FloatArray,
    *,
    charge: NDArray[Any],
    flavour: NDArray[Any],
    m_z: float = M_Z,
    z1: Z1Convention = "leading",
) -> IntArray:
    """Choose the best quadruplet of each event from leptons in one flat list, event after event; see `pair_leptons` for the rule.

    Args:
        counts: Leptons of each event, shape (n,).
        momenta: px, py, pz, E in GeV of all leptons, shape (sum of counts, 4).
        charge: Their charges.
        flavour: Any number per flavour.
        m_z: Mass in GeV that Z1 is compared with.
        z1: Which of the two pairs is Z1, see `Z1Convention`.

    Returns:
        Positions in the flat list of a1, b1, a2, b2, shape (n, 4); all -1 where there is no candidate.

    Raises:
        SchemaError: Unknown `z1`.

    Examples:
        >>> momenta = np.array([[40.0, 0, 0, 40], [0, 40, 0, 40], [-40, 0, 9, 41], [0, -40, 0, 40]])
        >>> best_quadruplets(np.array([4]), momenta, charge=np.array([-1, 1, 1, -1]), flavour=np.full(4, 13)).tolist()
        [[0, 2, 3, 1]]
    """
    if z1 not in get_args(Z1Convention):
        raise SchemaError(what="z1", got=repr(z1), expected=f"one of {list(get_args(Z1Convention))}")
    first = np.cumsum(counts) - counts
    chosen: IntArray = np.full((4, len(counts)), -1, dtype=np.int64)
    for n_leptons in (np.flatnonzero(np.bincount(counts, minlength=4)[4:]) + 4).tolist():
        events = np.flatnonzero(counts == n_leptons)
        for start in range(0, len(events), _BLOCK):
            block = events[start : start + _BLOCK]
            index = _positions(first[block], n_leptons)
            shape = (len(block), n_leptons)
            p, q, f = momenta[index].reshape(*shape, 4), charge[index].reshape(shape), flavour[index].reshape(shape)
            best = best_quadruplet(p, q, f, m_z=m_z).T
            for role in range(4):
                chosen[role, block] = np.where(best[role] >= 0, best[role] + first[block], -1)
    if z1 != "leading":
        found = np.flatnonzero(chosen[0] >= 0)
        a1, b1, a2, b2 = (momenta[chosen[role, found]].T for role in range(4))
        size = mass_of if z1 == "heavier" else transverse_momentum
        swap = found[size(a2 + b2) > size(a1 + b1)]
        chosen[:, swap] = chosen[:, swap][[2, 3, 0, 1]]
    quadruplets: IntArray = chosen.T
    return quadruplets


def _positions(first: IntArray, n_leptons: int) -> slice | IntArray:
    """Return the positions of n leptons from each of the increasing positions `first` on; a slice where there is no gap."""
    if first[-1] - first[0] == n_leptons * (len(first) - 1):
        return slice(first[0], first[-1] + n_leptons)
    return (first[:, np.newaxis] + np.arange(n_leptons)).ravel()


def take_quadruplet(leptons: Any, quadruplets: Any) -> Any:
    """Take the leptons of the chosen quadruplets.

    Args:
        leptons: Jagged awkward array of leptons.
        quadruplets: Result of `pair_leptons` for the same events.

    Returns:
        Awkward array of records {a1, b1, a2, b2} of leptons with all their fields; each is None where there is none.

    Raises:
        ShapeError: The number of events differs.

    Examples:
        >>> leptons = ak.Array([[{"pt": 40.0}, {"pt": 30.0}, {"pt": 20.0}, {"pt": 10.0}], [{"pt": 50.0}]])
        >>> quadruplets = ak.Array([{"a1": 0, "b1": 2, "a2": 3, "b2": 1}, None])
        >>> take_quadruplet(leptons, quadruplets)["b1", "pt"].tolist()
        [20.0, None]
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

    Examples:
        Of two e+e- pairs with masses of 80 and 20 GeV, the heavier is nearer to the Z:

        >>> momenta = np.array([[[0.0, 10, 0, 10], [40.0, 0, 0, 40], [-40, 0, 0, 40], [0, -10, 0, 10]]])
        >>> best_quadruplet(momenta, np.array([[-1, -1, 1, 1]]), np.full((1, 4), 11)).tolist()
        [[1, 2, 0, 3]]
    """
    p = np.ascontiguousarray(momenta.transpose(2, 1, 0))
    charge, flavour = np.ascontiguousarray(charge.T), np.ascontiguousarray(flavour.T)
    charged, negative = charge != 0, charge < 0
    pairs = np.array(list(combinations(range(len(charge)), 2)))
    valid = np.empty((len(pairs), len(momenta)), dtype=bool)
    nearest, z1 = np.full(len(momenta), np.inf), np.zeros(len(momenta), dtype=np.int64)
    for k, (i, j) in enumerate(pairs):
        mass = mass_of(p[:, i] + p[:, j])
        valid[k] = charged[i] & (charge[i] == -charge[j]) & (flavour[i] == flavour[j]) & np.isfinite(mass)
        distance = np.abs(mass - m_z) + _UNLESS_VALID.take(valid[k])
        np.maximum(z1, k * (distance < nearest), out=z1)
        np.fmin(nearest, distance, out=nearest)
    z2 = _hardest_partner(pairs, valid, z1, p=p)
    negative_first = np.stack([pairs[:, ::-1], pairs], axis=1).reshape(-1, 2)  # row 2 k + 1: pair k, if its first lepton is negative
    chosen: IntArray = np.empty((4, len(momenta)), dtype=np.int64)
    for role, z in ((0, z1), (2, z2)):
        row = 2 * z + negative.take(pairs[:, 0].take(z) * len(z) + np.arange(len(z)))
        chosen[role], chosen[role + 1] = negative_first[:, 0].take(row), negative_first[:, 1].take(row)
    chosen[:, np.flatnonzero(z2 < 0)] = -1
    quadruplets: IntArray = chosen.T
    return quadruplets


def _hardest_partner(pairs: IntArray, valid: NDArray[np.bool_], z1: IntArray, *, p: FloatArray) -> IntArray:
    """Return the valid pair with the largest scalar sum of pt among those that share no lepton with Z1, (n,); -1 without any.

    Args:
        pairs: Leptons of each pair, (n_pairs, 2), in lexicographic order.
        valid: Which pairs are candidates, (n_pairs, n).
        z1: The pair that is Z1, (n,).
        p: Components of the momenta, (4, n_leptons, n).
    """
    if len(pairs) == 6:  # of four leptons: what pair k leaves is pair 5 - k
        rest = 5 - z1
        return np.where(valid.take(rest * len(rest) + np.arange(len(rest))), rest, -1)
    pt = transverse_momentum(p)
    disjoint = np.all(pairs[:, np.newaxis, :, np.newaxis] != pairs[np.newaxis, :, np.newaxis, :], axis=(2, 3))
    hardest, z2 = np.full(len(z1), -np.inf), np.full(len(z1), -1)
    for k, (i, j) in enumerate(pairs):
        scalar_sum = pt[i] + pt[j]
        better = valid[k] & disjoint[k][z1] & (scalar_sum > hardest)
        np.copyto(hardest, scalar_sum, where=better)
        np.copyto(z2, k, where=better)
    return z2


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
