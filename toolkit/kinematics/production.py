"""The observables of the jets, of jets and leptons together, and of production by vector boson fusion."""

from __future__ import annotations

import numpy as np

from toolkit.kinematics.fourvectors import azimuth, mass_of, pseudorapidity, transverse_momentum, wrap_angle
from toolkit.kinematics.registry import FourLeptonEvent, observable
from toolkit.typing import FloatArray

PI = float(np.pi)


@observable("n_jets", unit="", label=r"$n_\mathrm{jets}$", range=(0.0, 6.0), needs="jets", group="standard", beam_swap="even")
def _n_jets(event: FourLeptonEvent) -> FloatArray:
    """Number of selected jets."""
    return event.n_jets


@observable("m_jj", unit="GeV", label=r"$m_{jj}$", range=(0.0, 1000.0), needs="jets", group="standard", beam_swap="even")
def _m_jj(event: FourLeptonEvent) -> FloatArray:
    """Mass of the two leading jets."""
    return mass_of(event.j1 + event.j2)


@observable("delta_eta_jj", unit="", label=r"$|\Delta\eta_{jj}|$", range=(0.0, 8.0), needs="jets", group="standard", beam_swap="even")
def _delta_eta_jj(event: FourLeptonEvent) -> FloatArray:
    """Distance of the two leading jets in pseudorapidity, |eta_j1 - eta_j2|."""
    return np.abs(event.jet_etas[0] - event.jet_etas[1])


@observable("delta_phi_jj", unit="rad", label=r"$\Delta\phi_{jj}$", range=(-PI, PI), needs="jets", group="standard", beam_swap="odd")
def _delta_phi_jj(event: FourLeptonEvent) -> FloatArray:
    """phi_j1 - phi_j2, wrapped to (-pi, pi]; j1 is the harder."""
    return wrap_angle(azimuth(event.j1) - azimuth(event.j2))


@observable("zeppenfeld_zz", unit="", label=r"$\eta^*_{ZZ}$", range=(0.0, 6.0), needs="jets", group="standard", beam_swap="even")
def _zeppenfeld_zz(event: FourLeptonEvent) -> FloatArray:
    """Zeppenfeld variable |eta_4l - (eta_j1 + eta_j2) / 2|."""
    return np.abs(pseudorapidity(event.x) - 0.5 * (event.jet_etas[0] + event.jet_etas[1]))


@observable("pt_j1", unit="GeV", label=r"$p_\mathrm{T}^{j_1}$", range=(0.0, 500.0), needs="jets", group="standard", beam_swap="even")
def _pt_j1(event: FourLeptonEvent) -> FloatArray:
    """Transverse momentum of the leading jet."""
    return transverse_momentum(event.j1)


@observable("pt_j2", unit="GeV", label=r"$p_\mathrm{T}^{j_2}$", range=(0.0, 300.0), needs="jets", group="standard", beam_swap="even")
def _pt_j2(event: FourLeptonEvent) -> FloatArray:
    """Transverse momentum of the second jet."""
    return transverse_momentum(event.j2)


@observable("eta_j1", unit="", label=r"$\eta_{j_1}$", range=(-4.5, 4.5), needs="jets", group="jets", beam_swap="odd")
def _eta_j1(event: FourLeptonEvent) -> FloatArray:
    """Pseudorapidity of the leading jet."""
    return event.jet_etas[0]


@observable("eta_j2", unit="", label=r"$\eta_{j_2}$", range=(-4.5, 4.5), needs="jets", group="jets", beam_swap="odd")
def _eta_j2(event: FourLeptonEvent) -> FloatArray:
    """Pseudorapidity of the second jet."""
    return event.jet_etas[1]


@observable("pt4ljj", unit="GeV", label=r"$p_\mathrm{T}^{4\ell jj}$", range=(0.0, 300.0), needs="jets", group="jets", beam_swap="even")
def _pt4ljj(event: FourLeptonEvent) -> FloatArray:
    """Transverse momentum of the four leptons and the two leading jets."""
    return transverse_momentum(event.x + event.j1 + event.j2)


@observable("m4lj", unit="GeV", label=r"$m_{4\ell j}$", range=(200.0, 1500.0), needs="jets", group="jets", beam_swap="even")
def _m4lj(event: FourLeptonEvent) -> FloatArray:
    """Mass of the four leptons and the leading jet."""
    return mass_of(event.x + event.j1)


@observable("delta_r_4l_j", unit="", label=r"$\Delta R(4\ell, j)$", range=(0.0, 8.0), needs="jets", group="jets", beam_swap="even")
def _delta_r_4l_j(event: FourLeptonEvent) -> FloatArray:
    """Distance of the four leptons and the leading jet in pseudorapidity and azimuth."""
    delta_eta, delta_phi = pseudorapidity(event.x) - event.jet_etas[0], wrap_angle(azimuth(event.x) - azimuth(event.j1))
    return np.sqrt(delta_eta**2 + delta_phi**2)


@observable(
    "vbf_cos_theta_star", unit="", label=r"$\cos\theta^*_\mathrm{VBF}$", range=(-1.0, 1.0), needs="jets", group="vbf", beam_swap="odd"
)
def _vbf_cos_theta_star(event: FourLeptonEvent) -> FloatArray:
    """Cosine of the angle of Z2 to V1 in the 4l frame."""
    return event.vbf[0]


@observable(
    "vbf_cos_theta_1",
    unit="",
    label=r"$\cos\theta_1^\mathrm{VBF}$",
    range=(-1.0, 1.0),
    needs="jets",
    group="vbf",
    beam_swap={"vbf_cos_theta_2": 1},
)
def _vbf_cos_theta_1(event: FourLeptonEvent) -> FloatArray:
    """Cosine of the angle of the forward jet to V1 in the 4l frame."""
    return event.vbf[1]


@observable(
    "vbf_cos_theta_2",
    unit="",
    label=r"$\cos\theta_2^\mathrm{VBF}$",
    range=(-1.0, 1.0),
    needs="jets",
    group="vbf",
    beam_swap={"vbf_cos_theta_1": 1},
)
def _vbf_cos_theta_2(event: FourLeptonEvent) -> FloatArray:
    """Cosine of the angle of the backward jet to V2 in the 4l frame."""
    return event.vbf[2]


@observable("vbf_phi", unit="rad", label=r"$\phi^\mathrm{VBF}$", range=(-PI, PI), needs="jets", group="vbf", beam_swap="even")
def _vbf_phi(event: FourLeptonEvent) -> FloatArray:
    """Angle between the two production planes."""
    return event.vbf[3]


@observable(
    "vbf_phi_1",
    unit="rad",
    label=r"$\phi_1^\mathrm{VBF}$",
    range=(-PI, PI),
    needs="jets",
    group="vbf",
    beam_swap={"vbf_phi": -1, "vbf_phi_1": -1},
)
def _vbf_phi_1(event: FourLeptonEvent) -> FloatArray:
    """Angle between the production plane of the forward jet and the plane of the Z bosons."""
    return event.vbf[4]


@observable("q2_v1", unit="GeV^2", label=r"$Q^2_{V_1}$", range=(0.0, 1.0e5), needs="jets", group="vbf", beam_swap={"q2_v2": 1})
def _q2_v1(event: FourLeptonEvent) -> FloatArray:
    """Virtuality -p^2 of V1, the boson that recoils against the forward jet."""
    return event.vbf[5]


@observable("q2_v2", unit="GeV^2", label=r"$Q^2_{V_2}$", range=(0.0, 1.0e5), needs="jets", group="vbf", beam_swap={"q2_v1": 1})
def _q2_v2(event: FourLeptonEvent) -> FloatArray:
    """Virtuality -p^2 of V2, the boson that recoils against the backward jet."""
    return event.vbf[6]
