"""The default kind of selection by hand, event after event: uproot and numpy only, as a user would check the toolkit in an afternoon.

Nothing here comes from the toolkit, constants included.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

M_Z = 91.1876
MASS = {11: 0.00051099895, 13: 0.1056583755}
PT_MIN = {11: 7.0, 13: 5.0}
ETA_MAX = {11: 2.47, 13: 2.7}
LEADING = (20.0, 15.0, 10.0)
OFF_SHELL = {"m_z1": (50.0, 106.0), "m_z2": (50.0, 115.0), "m4l": (220.0, 2000.0)}
OPENED = {"m_z1": (12.0, 120.0), "m_z2": (4.0, 120.0), "m4l": (70.0, 13000.0)}


class Lepton(NamedTuple):
    """pt in GeV, eta, phi, flavour 11 or 13, charge; and the mass, where the ntuple has one."""

    pt: float
    eta: float
    phi: float
    flavour: int
    charge: int
    mass: float | None = None

    @property
    def momentum(self) -> Any:
        """px, py, pz, E."""
        px, py, pz = self.pt * np.cos(self.phi), self.pt * np.sin(self.phi), self.pt * np.sinh(self.eta)
        mass = MASS[self.flavour] if self.mass is None else self.mass
        return np.array([px, py, pz, np.sqrt(px**2 + py**2 + pz**2 + mass**2)])


def from_cartesian(px: float, py: float, pz: float, flavour: int, charge: int) -> Lepton:
    """Return a lepton from its momentum."""
    pt = float(np.hypot(px, py))
    return Lepton(pt, float(np.arcsinh(pz / pt)), float(np.arctan2(py, px)), flavour, charge)


def invariant(leptons: Iterable[Lepton]) -> float:
    """Return the mass of the sum of momenta."""
    total = np.sum([one.momentum for one in leptons], axis=0)
    return float(np.sqrt(max(total[3] ** 2 - total[:3] @ total[:3], 0.0)))


def four_lepton_mass(leptons: Sequence[Lepton], windows: dict[str, tuple[float, float]] = OFF_SHELL) -> float | None:
    """Return m4l of an event that passes the selection, None for another."""
    kept = [one for one in leptons if one.pt > PT_MIN[one.flavour] and abs(one.eta) < ETA_MAX[one.flavour]]
    if len(kept) != 4:
        return None
    pairings = []
    for i, j in itertools.combinations(range(4), 2):
        one, two = (kept[i], kept[j]), [kept[k] for k in range(4) if k not in (i, j)]
        if all(a.flavour == b.flavour and a.charge == -b.charge for a, b in (one, two)):
            pairings.append((abs(invariant(one) - M_Z), one, two))
    if not pairings or any(pt <= least for pt, least in zip(sorted((one.pt for one in kept), reverse=True), LEADING, strict=False)):
        return None
    _, one, two = min(pairings, key=lambda pairing: pairing[0])
    masses = {"m_z1": invariant(one), "m_z2": invariant(two), "m4l": invariant(kept)}
    return masses["m4l"] if all(low <= masses[name] < high for name, (low, high) in windows.items()) else None
