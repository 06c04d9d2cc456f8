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


@observable("f_1", unit="", label=r"$f_1$", range=(0.0, 1.0), group="angular", beam_swap="even")
def _f_1(event: FourLeptonEvent) -> FloatArray:
    """Angular function f1 = sin^2 Theta sin^2 theta, with Theta = theta_star of Z1, theta = theta_1 and phi = phi_1."""
    return event.angular_functions[0]


@observable("f_2", unit="", label=r"$f_2$", range=(-1.0, 1.0), group="angular", beam_swap="odd")
def _f_2(event: FourLeptonEvent) -> FloatArray:
    """Angular function f2 = cos Theta cos theta."""
    return event.angular_functions[1]


@observable("f_3", unit="", label=r"$f_3$", range=(1.0, 4.0), group="angular", beam_swap="even")
def _f_3(event: FourLeptonEvent) -> FloatArray:
    """Angular function f3 = (1 + cos^2 Theta)(1 + cos^2 theta)."""
    return event.angular_functions[2]


@observable("f_4", unit="", label=r"$f_4$", range=(-1.0, 1.0), group="angular", beam_swap="odd")
def _f_4(event: FourLeptonEvent) -> FloatArray:
    """Angular function f4 = cos phi sin Theta sin theta."""
    return event.angular_functions[3]


@observable("f_5", unit="", label=r"$f_5$", range=(-0.25, 0.25), group="angular", beam_swap="even")
def _f_5(event: FourLeptonEvent) -> FloatArray:
    """Angular function f5 = f4 cos Theta cos theta."""
    return event.angular_functions[4]


@observable("f_6", unit="", label=r"$f_6$", range=(-1.0, 1.0), group="angular", beam_swap="odd")
def _f_6(event: FourLeptonEvent) -> FloatArray:
    """Angular function f6 = sin phi sin Theta sin theta."""
    return event.angular_functions[5]


@observable("f_7", unit="", label=r"$f_7$", range=(-0.25, 0.25), group="angular", beam_swap="even")
def _f_7(event: FourLeptonEvent) -> FloatArray:
    """Angular function f7 = f6 cos Theta cos theta."""
    return event.angular_functions[6]


@observable("f_8", unit="", label=r"$f_8$", range=(-1.0, 1.0), group="angular", beam_swap="even")
def _f_8(event: FourLeptonEvent) -> FloatArray:
    """Angular function f8 = cos(2 phi) sin^2 Theta sin^2 theta."""
    return event.angular_functions[7]


@observable("f_9", unit="", label=r"$f_9$", range=(-1.0, 1.0), group="angular", beam_swap="even")
def _f_9(event: FourLeptonEvent) -> FloatArray:
    """Angular function f9 = sin(2 phi) sin^2 Theta sin^2 theta."""
    return event.angular_functions[8]


@observable("met", unit="GeV", label=r"$E_\mathrm{T}^\mathrm{miss}$", range=(0.0, 300.0), needs="column", group="columns", beam_swap="even")
def _met(event: FourLeptonEvent) -> FloatArray:
    """Missing transverse momentum, a column of the ntuple."""
    return event.absent
