"""Ratios of leading-order matrix elements at the momenta of four leptons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolkit.kinematics.angles import Recoil
from toolkit.kinematics.gg_network import box_squared, gg_squared
from toolkit.kinematics.matrix_elements import ANNIHILATION_TO_HIGGS, PartonicEvent, annihilation_squared, higgs_squared
from toolkit.kinematics.parton_densities import annihilation_luminosity, coupling_squared
from toolkit.typing import FloatArray

BEAM_ENERGY = 6500.0
"""Energy of a beam in GeV, for the fractions x of its momentum."""


@dataclass(frozen=True, eq=False)
class MatrixElementRatios:
    """Leading-order differential cross-sections at the momenta of an event over that of gg -> H* -> ZZ -> 4l, each (n,).

    Attributes:
        gluons: Of gg -> (H* ->) ZZ -> 4l: Higgs boson, box and their interference. NaN outside the range of the network.
        box: Of gg -> ZZ -> 4l without Higgs boson. NaN like `gluons`.
        annihilation: Of q qbar -> ZZ -> 4l, with the parton luminosities of CTEQ6L1 at the scale m4l / 2.
    """

    gluons: FloatArray
    box: FloatArray
    annihilation: FloatArray


def matrix_element_ratios(
    a1: FloatArray, b1: FloatArray, a2: FloatArray, b2: FloatArray, *, recoil: Recoil = "none"
) -> MatrixElementRatios:
    """Compute the ratios of differential cross-sections at the same momenta.

    Args:
        a1: Negative lepton of one pair, laboratory frame, components px, py, pz, E (4, n) in GeV.
        b1: Positive lepton of that pair.
        a2: Negative lepton of the other pair.
        b2: Positive lepton of the other pair.
        recoil: Beam axis of events with pT(4l) > 0, see `decay_angles`.

    Returns:
        The ratios. NaN where the leptons span no event, and `annihilation` where a parton would carry more than the proton.

    Notes:
        Parton densities and phase space cancel in `gluons` and `box`. In `annihilation` densities at x = m4l exp(+-y4l) / (2 E_beam) and
        alpha_s at m4l / 2 remain; both are those of CTEQ6L1, for 13 TeV.

    Examples:
        >>> a1, b1 = np.array([[60.0], [40.0], [0.0], [5200**0.5]]), np.array([[-50.0], [40.0], [0.0], [4100**0.5]])
        >>> ratios = matrix_element_ratios(a1, b1, a1 * [[1.0], [-1.0], [1.0], [1.0]], b1 * [[1.0], [-1.0], [1.0], [1.0]])
        >>> bool(ratios.annihilation[0] > 1.0)
        True
    """
    with np.errstate(all="ignore"):  # what is undefined is NaN
        return _ratios(PartonicEvent.of(a1, b1, a2, b2, recoil=recoil))


def _ratios(event: PartonicEvent) -> MatrixElementRatios:
    both = annihilation_squared(event, from_positive=True), annihilation_squared(event, from_positive=False)
    higgs, scale = higgs_squared(event), 0.5 * event.m4l
    x = event.m4l / (2.0 * BEAM_ENERGY) * np.exp(event.y4l), event.m4l / (2.0 * BEAM_ENERGY) * np.exp(-event.y4l)
    summed = np.zeros_like(higgs)
    for fractions, squared in zip((x, x[::-1]), both, strict=True):
        for up, of_charge in zip((True, False), squared, strict=True):
            summed += annihilation_luminosity(*fractions, scale, up=up) * of_charge
    annihilation = ANNIHILATION_TO_HIGGS * summed / (coupling_squared(scale) * higgs)
    return MatrixElementRatios(gg_squared(event) / higgs, box_squared(event) / higgs, annihilation)
