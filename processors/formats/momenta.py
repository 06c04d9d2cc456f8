"""Momenta of an ntuple in the internal form: pt, eta, phi, mass in GeV and radians."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from toolkit import units

FloatArray = NDArray[np.float64]
MOMENTUM_UNITS = {"GeV": units.GEV, "MeV": units.MEV, "TeV": units.TEV}
ANGLE_UNITS = {"rad": 1.0, "deg": np.pi / 180.0}


def angular(px: FloatArray, py: FloatArray, pz: FloatArray) -> dict[str, FloatArray]:
    """Return pt, eta, phi of momenta; eta is infinite along the beam.

    Examples:
        >>> {k: round(float(v[0]), 4) for k, v in angular(*(np.array([x]) for x in (3.0, 4.0, 12.0))).items()}
        {'pt': 5.0, 'eta': 1.6094, 'phi': 0.9273}
    """
    pt = np.hypot(px, py)
    with np.errstate(divide="ignore", invalid="ignore"):
        eta = np.arcsinh(pz / pt)
    return {"pt": pt, "eta": np.asarray(eta), "phi": np.arctan2(py, px)}


def mass_from_energy(columns: Mapping[str, FloatArray]) -> FloatArray:
    """Return the mass sqrt(E^2 - p^2), 0 where rounding makes E smaller than p.

    Examples:
        >>> one = {"pt": np.array([3.0]), "eta": np.array([0.0]), "energy": np.array([5.0])}
        >>> mass_from_energy(one).tolist()
        [4.0]
    """
    momentum = columns["pt"] * np.cosh(columns["eta"])
    return np.asarray(np.sqrt(np.maximum((columns["energy"] - momentum) * (columns["energy"] + momentum), 0.0)))
