"""The observables of the four-lepton system and its jets, and the function that computes them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np

from toolkit.errors import SchemaError, ShapeError
from toolkit.kinematics.angles import Recoil
from toolkit.kinematics.fourvectors import chunked, mass_of, pseudorapidity, same_length, transverse_momentum, wrap_angle
from toolkit.kinematics.jets import LeadingJets, leading_jets
from toolkit.kinematics.registry import OBSERVABLES, FourLeptonEvent, observable
from toolkit.typing import FloatArray

PI = float(np.pi)


def compute_observables(
    a1: Any, b1: Any, a2: Any, b2: Any, *, jets: Any = None, names: Sequence[str] | None = None, recoil: Recoil = "none"
) -> dict[str, FloatArray]:
    """Compute observables of paired leptons and jets.

    Args:
        a1: Negative lepton of Z1, laboratory frame, px, py, pz, E in GeV, shape (n, 4); any form of `as_cartesian`.
        b1: Positive lepton of Z1.
        a2: Negative lepton of Z2.
        b2: Positive lepton of Z2.
        jets: Selected jets: a jagged awkward array, or `LeadingJets`.
        names: Names from `OBSERVABLES`; by default all of them, without jets all that need none.
        recoil: Convention of cos_theta_star and phi_1, see `decay_angles`.

    Returns:
        Observables by name, in the order of `names`, each (n,) float64; NaN where missing or undefined.

    Raises:
        SchemaError: An observable is unknown, or needs jets and there are none.
        ShapeError: The numbers of events differ.

    Examples:
        >>> a1, b1 = [[5.0, 3.0, 0.0, 34**0.5]], [[-5.0, 3.0, 0.0, 34**0.5]]
        >>> a2, b2 = [[5.0, -3.0, 0.0, 34**0.5]], [[-5.0, -3.0, 0.0, 34**0.5]]
        >>> values = compute_observables(a1, b1, a2, b2, names=["m4l", "m_z1", "pt4l"])
        >>> {name: round(float(v[0]), 3) for name, v in values.items()}
        {'m4l': 23.324, 'm_z1': 10.0, 'pt4l': 0.0}
    """
    chosen = _select(names, with_jets=jets is not None)
    momenta = same_length(a1=a1, b1=b1, a2=a2, b2=b2)
    n_events = len(momenta[0])
    leading = jets if isinstance(jets, LeadingJets) else leading_jets(jets) if jets is not None else None
    if leading is not None and len(leading) != n_events:
        raise ShapeError(what="jets", got=f"{len(leading)} events", expected=f"{n_events} events, as many as leptons")
    out = {name: np.empty(n_events) for name in chosen}
    needs_jets = any(OBSERVABLES[name].needs == "jets" for name in chosen)
    absent = np.broadcast_to(np.nan, (n_events, 4))
    jet_momenta = (leading.j1, leading.j2) if leading is not None and needs_jets else (absent, absent)
    n_jets = leading.n_jets if leading is not None else absent[:, 0]
    with np.errstate(all="ignore"):
        for part, (p1, q1, p2, q2, j1, j2) in chunked(*momenta, *jet_momenta):
            event = FourLeptonEvent(p1, q1, p2, q2, n_jets[part], j1, j2, recoil)
            for name in chosen:
                out[name][part] = OBSERVABLES[name].function(event)
    return out


def _select(names: Sequence[str] | None, *, with_jets: bool) -> tuple[str, ...]:
    """Check the requested names."""
    if names is None:
        return tuple(name for name, entry in OBSERVABLES.items() if with_jets or entry.needs == "leptons")
    for name in names:
        if name not in OBSERVABLES:
            near = difflib.get_close_matches(name, OBSERVABLES, n=1)
            remedy = f"did you mean {near[0]!r}?" if near else "see toolkit.kinematics.OBSERVABLES"
            raise SchemaError(what="observable", got=name, expected=f"one of {list(OBSERVABLES)}", remedy=remedy)
        if OBSERVABLES[name].needs == "jets" and not with_jets:
            raise SchemaError(what=f"observable {name}", got="no jets", expected="jets", remedy="pass jets=, or leave the observable out")
    return tuple(dict.fromkeys(names))


@observable("m4l", unit="GeV", label=r"$m_{4\ell}$", range=(200.0, 1000.0))
def _m4l(event: FourLeptonEvent) -> FloatArray:
    return event.masses[0]


@observable("m_z1", unit="GeV", label=r"$m_{Z_1}$", range=(50.0, 110.0))
def _m_z1(event: FourLeptonEvent) -> FloatArray:
    return event.masses[1]


@observable("m_z2", unit="GeV", label=r"$m_{Z_2}$", range=(50.0, 120.0))
def _m_z2(event: FourLeptonEvent) -> FloatArray:
    return event.masses[2]


@observable("cos_theta_star", unit="", label=r"$\cos\theta^*$", range=(-1.0, 1.0))
def _cos_theta_star(event: FourLeptonEvent) -> FloatArray:
    return event.decay_angles[0]


@observable("cos_theta_1", unit="", label=r"$\cos\theta_1$", range=(-1.0, 1.0))
def _cos_theta_1(event: FourLeptonEvent) -> FloatArray:
    return event.decay_angles[1]


@observable("cos_theta_2", unit="", label=r"$\cos\theta_2$", range=(-1.0, 1.0))
def _cos_theta_2(event: FourLeptonEvent) -> FloatArray:
    return event.decay_angles[2]


@observable("phi", unit="rad", label=r"$\phi$", range=(-PI, PI))
def _phi(event: FourLeptonEvent) -> FloatArray:
    return event.decay_angles[3]


@observable("phi_1", unit="rad", label=r"$\phi_1$", range=(-PI, PI))
def _phi_1(event: FourLeptonEvent) -> FloatArray:
    return event.decay_angles[4]


@observable("pt4l", unit="GeV", label=r"$p_\mathrm{T}^{4\ell}$", range=(0.0, 300.0))
def _pt4l(event: FourLeptonEvent) -> FloatArray:
    return transverse_momentum(event.x)


@observable("y4l", unit="", label=r"$y_{4\ell}$", range=(-2.5, 2.5))
def _y4l(event: FourLeptonEvent) -> FloatArray:
    return np.asarray(np.arctanh(event.x[2] / event.x[3]))


@observable("n_jets", unit="", label=r"$n_\mathrm{jets}$", range=(0.0, 6.0), needs="jets")
def _n_jets(event: FourLeptonEvent) -> FloatArray:
    return event.n_jets


@observable("m_jj", unit="GeV", label=r"$m_{jj}$", range=(0.0, 1000.0), needs="jets")
def _m_jj(event: FourLeptonEvent) -> FloatArray:
    return mass_of(event.j1 + event.j2)


@observable("delta_eta_jj", unit="", label=r"$|\Delta\eta_{jj}|$", range=(0.0, 8.0), needs="jets")
def _delta_eta_jj(event: FourLeptonEvent) -> FloatArray:
    return np.abs(event.jet_etas[0] - event.jet_etas[1])


@observable("delta_phi_jj", unit="rad", label=r"$\Delta\phi_{jj}$", range=(-PI, PI), needs="jets")
def _delta_phi_jj(event: FourLeptonEvent) -> FloatArray:
    return wrap_angle(np.arctan2(event.j1[1], event.j1[0]) - np.arctan2(event.j2[1], event.j2[0]))


@observable("zeppenfeld_zz", unit="", label=r"$\eta^*_{ZZ}$", range=(0.0, 6.0), needs="jets")
def _zeppenfeld_zz(event: FourLeptonEvent) -> FloatArray:
    return np.abs(pseudorapidity(event.x) - 0.5 * (event.jet_etas[0] + event.jet_etas[1]))


@observable("pt_j1", unit="GeV", label=r"$p_\mathrm{T}^{j_1}$", range=(0.0, 500.0), needs="jets")
def _pt_j1(event: FourLeptonEvent) -> FloatArray:
    return transverse_momentum(event.j1)


@observable("pt_j2", unit="GeV", label=r"$p_\mathrm{T}^{j_2}$", range=(0.0, 300.0), needs="jets")
def _pt_j2(event: FourLeptonEvent) -> FloatArray:
    return transverse_momentum(event.j2)


@observable("pt_l1", unit="GeV", label=r"$p_\mathrm{T}^{\ell_1}$", range=(0.0, 400.0))
def _pt_l1(event: FourLeptonEvent) -> FloatArray:
    return event.lepton_pts[0]


@observable("pt_l2", unit="GeV", label=r"$p_\mathrm{T}^{\ell_2}$", range=(0.0, 250.0))
def _pt_l2(event: FourLeptonEvent) -> FloatArray:
    return event.lepton_pts[1]


@observable("pt_l3", unit="GeV", label=r"$p_\mathrm{T}^{\ell_3}$", range=(0.0, 150.0))
def _pt_l3(event: FourLeptonEvent) -> FloatArray:
    return event.lepton_pts[2]


@observable("pt_l4", unit="GeV", label=r"$p_\mathrm{T}^{\ell_4}$", range=(0.0, 100.0))
def _pt_l4(event: FourLeptonEvent) -> FloatArray:
    return event.lepton_pts[3]
