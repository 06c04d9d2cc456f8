"""The observables of the four leptons, and the slots for numbers that the ntuple carries; those of jets are in `production`."""

from __future__ import annotations

import numpy as np

from toolkit.kinematics.fourvectors import pseudorapidity, transverse_momentum
from toolkit.kinematics.registry import FourLeptonEvent, observable
from toolkit.typing import FloatArray

PI = float(np.pi)


@observable("m4l", unit="GeV", label=r"$m_{4\ell}$", range=(200.0, 1000.0), group="standard", beam_swap="even")
def _m4l(event: FourLeptonEvent) -> FloatArray:
    """Mass of the four leptons."""
    return event.masses[0]


@observable("m_z1", unit="GeV", label=r"$m_{Z_1}$", range=(50.0, 110.0), group="standard", beam_swap="even")
def _m_z1(event: FourLeptonEvent) -> FloatArray:
    """Mass of Z1."""
    return event.masses[1]


@observable("m_z2", unit="GeV", label=r"$m_{Z_2}$", range=(50.0, 120.0), group="standard", beam_swap="even")
def _m_z2(event: FourLeptonEvent) -> FloatArray:
    """Mass of Z2."""
    return event.masses[2]


@observable("cos_theta_star", unit="", label=r"$\cos\theta^*$", range=(-1.0, 1.0), group="standard", beam_swap="odd")
def _cos_theta_star(event: FourLeptonEvent) -> FloatArray:
    """Cosine of the polar angle of Z1 in the 4l frame."""
    return event.decay_angles[0]


@observable("cos_theta_1", unit="", label=r"$\cos\theta_1$", range=(-1.0, 1.0), group="standard", beam_swap="even")
def _cos_theta_1(event: FourLeptonEvent) -> FloatArray:
    """Cosine of the decay angle of the negative lepton of Z1, in the Z1 frame."""
    return event.decay_angles[1]


@observable("cos_theta_2", unit="", label=r"$\cos\theta_2$", range=(-1.0, 1.0), group="standard", beam_swap="even")
def _cos_theta_2(event: FourLeptonEvent) -> FloatArray:
    """Cosine of the decay angle of the negative lepton of Z2, in the Z2 frame."""
    return event.decay_angles[2]


@observable("phi", unit="rad", label=r"$\phi$", range=(-PI, PI), group="standard", beam_swap="even")
def _phi(event: FourLeptonEvent) -> FloatArray:
    """Angle between the decay planes of Z1 and Z2."""
    return event.decay_angles[3]


@observable("phi_1", unit="rad", label=r"$\phi_1$", range=(-PI, PI), group="standard", beam_swap="half_turn")
def _phi_1(event: FourLeptonEvent) -> FloatArray:
    """Angle between the decay plane of Z1 and the scattering plane."""
    return event.decay_angles[4]


@observable("pt4l", unit="GeV", label=r"$p_\mathrm{T}^{4\ell}$", range=(0.0, 300.0), group="standard", beam_swap="even")
def _pt4l(event: FourLeptonEvent) -> FloatArray:
    """Transverse momentum of the four leptons."""
    return transverse_momentum(event.x)


@observable("y4l", unit="", label=r"$y_{4\ell}$", range=(-2.5, 2.5), group="standard", beam_swap="odd")
def _y4l(event: FourLeptonEvent) -> FloatArray:
    """Rapidity of the four leptons."""
    return np.asarray(np.arctanh(event.x[2] / event.x[3]))


@observable("pt_l1", unit="GeV", label=r"$p_\mathrm{T}^{\ell_1}$", range=(0.0, 400.0), group="standard", beam_swap="even")
def _pt_l1(event: FourLeptonEvent) -> FloatArray:
    """Transverse momentum of the hardest lepton."""
    return event.lepton_pts[0]


@observable("pt_l2", unit="GeV", label=r"$p_\mathrm{T}^{\ell_2}$", range=(0.0, 250.0), group="standard", beam_swap="even")
def _pt_l2(event: FourLeptonEvent) -> FloatArray:
    """Transverse momentum of the second lepton."""
    return event.lepton_pts[1]


@observable("pt_l3", unit="GeV", label=r"$p_\mathrm{T}^{\ell_3}$", range=(0.0, 150.0), group="standard", beam_swap="even")
def _pt_l3(event: FourLeptonEvent) -> FloatArray:
    """Transverse momentum of the third lepton."""
    return event.lepton_pts[2]


@observable("pt_l4", unit="GeV", label=r"$p_\mathrm{T}^{\ell_4}$", range=(0.0, 100.0), group="standard", beam_swap="even")
def _pt_l4(event: FourLeptonEvent) -> FloatArray:
    """Transverse momentum of the softest lepton."""
    return event.lepton_pts[3]


@observable("pt_z1_lep1", unit="GeV", label=r"$p_\mathrm{T}^{\ell^-_{Z_1}}$", range=(0.0, 300.0), group="leptons", beam_swap="even")
def _pt_z1_lep1(event: FourLeptonEvent) -> FloatArray:
    """Transverse momentum of the negative lepton of Z1."""
    return transverse_momentum(event.a1)


@observable("eta_z1_lep1", unit="", label=r"$\eta_{\ell^-_{Z_1}}$", range=(-3.0, 3.0), group="leptons", beam_swap="odd")
def _eta_z1_lep1(event: FourLeptonEvent) -> FloatArray:
    """Pseudorapidity of the negative lepton of Z1."""
    return pseudorapidity(event.a1)


@observable("pt_z1_lep2", unit="GeV", label=r"$p_\mathrm{T}^{\ell^+_{Z_1}}$", range=(0.0, 300.0), group="leptons", beam_swap="even")
def _pt_z1_lep2(event: FourLeptonEvent) -> FloatArray:
    """Transverse momentum of the positive lepton of Z1."""
    return transverse_momentum(event.b1)


@observable("eta_z1_lep2", unit="", label=r"$\eta_{\ell^+_{Z_1}}$", range=(-3.0, 3.0), group="leptons", beam_swap="odd")
def _eta_z1_lep2(event: FourLeptonEvent) -> FloatArray:
    """Pseudorapidity of the positive lepton of Z1."""
    return pseudorapidity(event.b1)


@observable("pt_z2_lep1", unit="GeV", label=r"$p_\mathrm{T}^{\ell^-_{Z_2}}$", range=(0.0, 300.0), group="leptons", beam_swap="even")
def _pt_z2_lep1(event: FourLeptonEvent) -> FloatArray:
    """Transverse momentum of the negative lepton of Z2."""
    return transverse_momentum(event.a2)


@observable("eta_z2_lep1", unit="", label=r"$\eta_{\ell^-_{Z_2}}$", range=(-3.0, 3.0), group="leptons", beam_swap="odd")
def _eta_z2_lep1(event: FourLeptonEvent) -> FloatArray:
    """Pseudorapidity of the negative lepton of Z2."""
    return pseudorapidity(event.a2)


@observable("pt_z2_lep2", unit="GeV", label=r"$p_\mathrm{T}^{\ell^+_{Z_2}}$", range=(0.0, 300.0), group="leptons", beam_swap="even")
def _pt_z2_lep2(event: FourLeptonEvent) -> FloatArray:
    """Transverse momentum of the positive lepton of Z2."""
    return transverse_momentum(event.b2)


@observable("eta_z2_lep2", unit="", label=r"$\eta_{\ell^+_{Z_2}}$", range=(-3.0, 3.0), group="leptons", beam_swap="odd")
def _eta_z2_lep2(event: FourLeptonEvent) -> FloatArray:
    """Pseudorapidity of the positive lepton of Z2."""
    return pseudorapidity(event.b2)


@observable("met", unit="GeV", label=r"$E_\mathrm{T}^\mathrm{miss}$", range=(0.0, 300.0), needs="column", group="columns", beam_swap="even")
def _met(event: FourLeptonEvent) -> FloatArray:
    """Missing transverse momentum, a column of the ntuple."""
    return event.absent


@observable("d_me", unit="", label=r"$D_\mathrm{ME}$", range=(-6.0, 2.0), needs="column", group="columns", beam_swap="even")
def _d_me(event: FourLeptonEvent) -> FloatArray:
    """Matrix-element discriminant, log10(P_H / (P_gg + c P_qq)) with c = 0.1, a column of the ntuple."""
    return event.absent
