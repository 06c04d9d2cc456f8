"""Observables of the matrix elements at the momenta of four leptons: a discriminant, and the ratios that networks read."""

from __future__ import annotations

import numpy as np

from toolkit.kinematics.registry import FourLeptonEvent, observable
from toolkit.typing import FloatArray

ANNIHILATION_WEIGHT = 0.1
"""c of D_ME = log10(P_H / (P_gg + c P_qq))."""


@observable("d_me", unit="", label=r"$D_\mathrm{ME}$", range=(-6.0, 2.0), group="matrix_element", beam_swap="even")
def _d_me(event: FourLeptonEvent) -> FloatArray:
    """Matrix-element discriminant log10(P_H / (P_gg + 0.1 P_qq)) of leading order, P_gg with Higgs boson, box and interference."""
    ratios = event.matrix_elements
    value: FloatArray = -np.log10(ratios.gluons + ANNIHILATION_WEIGHT * ratios.annihilation)
    return value


@observable("me_gg", unit="", label=r"$\ln(P_{gg}/P_H)$", range=(-3.0, 10.0), group="matrix_element", beam_swap="even")
def _me_gg(event: FourLeptonEvent) -> FloatArray:
    """ln(P_gg / P_H) of leading order, P_gg with Higgs boson, box and interference."""
    value: FloatArray = np.log(event.matrix_elements.gluons)
    return value


@observable("me_box", unit="", label=r"$\ln(P_\mathrm{box}/P_H)$", range=(-3.0, 10.0), group="matrix_element", beam_swap="even")
def _me_box(event: FourLeptonEvent) -> FloatArray:
    """ln(P_box / P_H) of leading order, P_box without Higgs boson."""
    value: FloatArray = np.log(event.matrix_elements.box)
    return value


@observable("me_qq", unit="", label=r"$\ln(P_{q\bar q}/P_H)$", range=(-3.0, 12.0), group="matrix_element", beam_swap="even")
def _me_qq(event: FourLeptonEvent) -> FloatArray:
    """ln(P_qq / P_H) of leading order, with parton luminosities."""
    value: FloatArray = np.log(event.matrix_elements.annihilation)
    return value
