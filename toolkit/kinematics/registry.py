r"""The registry of observables: a name, a unit, a label and a function of one event each.

To add an observable, write three lines in `observables.py` (or in a module of your own):

    @observable("pt_z1", unit="GeV", label=r"$p_\mathrm{T}^{Z_1}$", range=(0.0, 500.0), beam_swap="even")
    def _pt_z1(event: FourLeptonEvent) -> FloatArray:
        return transverse_momentum(event.z1)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Literal

import numpy as np

from toolkit.errors import SchemaError
from toolkit.kinematics.angles import Recoil, decay_angle_kernel
from toolkit.kinematics.angular import angular_functions
from toolkit.kinematics.beam_swap import BeamSwap
from toolkit.kinematics.element_ratios import MatrixElementRatios, matrix_element_ratios
from toolkit.kinematics.fourvectors import descending_four, mass_of, pseudorapidity, transverse_momentum
from toolkit.kinematics.vbf import massless_jets, vbf_kernel
from toolkit.typing import FloatArray

Needs = Literal["leptons", "jets", "column"]
Group = Literal["standard", "leptons", "jets", "vbf", "matrix_element", "angular", "columns", "user"]


@dataclass(frozen=True, eq=False)
class FourLeptonEvent:
    """Momenta of a chunk of events, and the quantities that several observables share, each computed once.

    Attributes:
        a1: Negative lepton of Z1, components px, py, pz, E in GeV, shape (4, n).
        b1: Positive lepton of Z1.
        a2: Negative lepton of Z2.
        b2: Positive lepton of Z2.
        n_jets: Number of jets, shape (n,), NaN when no jets were given.
        j1: Leading jet, components (4, n), NaN where missing.
        j2: Second jet.
        recoil: Convention of the decay angles, see `decay_angles`.

    Examples:
        >>> a1, b1 = np.array([[5.0], [3.0], [0.0], [34**0.5]]), np.array([[-5.0], [3.0], [0.0], [34**0.5]])
        >>> a2, b2 = a1 * [[1.0], [-1.0], [1.0], [1.0]], b1 * [[1.0], [-1.0], [1.0], [1.0]]
        >>> none = np.full((4, 1), np.nan)
        >>> event = FourLeptonEvent(a1, b1, a2, b2, n_jets=np.zeros(1), j1=none, j2=none)
        >>> [round(float(mass[0]), 3) for mass in event.masses]
        [23.324, 10.0, 10.0]
    """

    a1: FloatArray
    b1: FloatArray
    a2: FloatArray
    b2: FloatArray
    n_jets: FloatArray
    j1: FloatArray
    j2: FloatArray
    recoil: Recoil = "none"

    @cached_property
    def z1(self) -> FloatArray:
        """First Z, components (4, n)."""
        return self.a1 + self.b1

    @cached_property
    def z2(self) -> FloatArray:
        """Second Z, components (4, n)."""
        return self.a2 + self.b2

    @cached_property
    def x(self) -> FloatArray:
        """Sum of the four leptons, components (4, n)."""
        return self.z1 + self.z2

    @cached_property
    def masses(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Masses of X, Z1 and Z2 in GeV."""
        return mass_of(self.x), mass_of(self.z1), mass_of(self.z2)

    @cached_property
    def decay_angles(self) -> tuple[FloatArray, ...]:
        """cos_theta_star, cos_theta_1, cos_theta_2, phi, phi_1."""
        return decay_angle_kernel(self.a1, self.a2, self.z1, self.x, masses=self.masses, recoil=self.recoil)

    @cached_property
    def angular_functions(self) -> tuple[FloatArray, ...]:
        """f1 ... f9 of the production and decay of Z1, see `angular_functions`."""
        cos_theta_star, cos_theta_1, _, _, phi_1 = self.decay_angles
        return tuple(angular_functions(cos_theta_star, cos_theta_1, phi_1))

    @cached_property
    def matrix_elements(self) -> MatrixElementRatios:
        """Ratios of matrix elements at the momenta."""
        return matrix_element_ratios(self.a1, self.b1, self.a2, self.b2, recoil=self.recoil)

    @cached_property
    def lepton_pts(self) -> tuple[FloatArray, ...]:
        """Transverse momenta of the four leptons, hardest first."""
        return descending_four(*(transverse_momentum(p) for p in (self.a1, self.b1, self.a2, self.b2)))

    @cached_property
    def jet_etas(self) -> tuple[FloatArray, FloatArray]:
        """Pseudorapidities of the two leading jets."""
        return pseudorapidity(self.j1), pseudorapidity(self.j2)

    @cached_property
    def vbf(self) -> tuple[FloatArray, ...]:
        """The fields of `VbfAngles` for the two leading jets, NaN with fewer."""
        return vbf_kernel(self.x, self.z2, *massless_jets(self.j1, self.j2))

    @property
    def absent(self) -> FloatArray:
        """NaN for every event."""
        return np.full_like(self.a1[0], np.nan)


Function = Callable[[FourLeptonEvent], FloatArray]


@dataclass(frozen=True)
class Observable:
    """One observable.

    Attributes:
        name: Name in event tables, configs and ONNX metadata.
        unit: Unit, empty for a pure number.
        label: Axis label in TeX, without the unit.
        function: Computes it from a `FourLeptonEvent`, shape (n,), NaN where it does not exist.
        needs: `leptons`, `jets` when it cannot be computed without jets, or `column` when only the ntuple can give it.
        range: Sensible plot range: a hint, not a cut.
        group: `standard` for what the event tables hold by default; a config can name a group instead of its members.
        beam_swap: What it becomes when the beams are exchanged, see `toolkit.kinematics.beam_swap`; None does not say, and then it is no
            feature of networks that use this symmetry.

    Examples:
        >>> Observable("pt_l1", "GeV", "leading lepton pT", lambda event: event.lepton_pts[0], "leptons", (0.0, 500.0)).axis_label
        'leading lepton pT [GeV]'
    """

    name: str
    unit: str
    label: str
    function: Function
    needs: Needs
    range: tuple[float, float]
    group: Group = "user"
    beam_swap: BeamSwap | None = None

    @property
    def axis_label(self) -> str:
        """Label with the unit in brackets."""
        return f"{self.label} [{self.unit}]" if self.unit else self.label


_REGISTERED: dict[str, Observable] = {}
OBSERVABLES: Mapping[str, Observable] = MappingProxyType(_REGISTERED)
"""All registered observables by name, in the order of registration (read-only view)."""


def observable(
    name: str,
    *,
    unit: str,
    label: str,
    range: tuple[float, float],
    needs: Needs = "leptons",
    group: Group = "user",
    beam_swap: BeamSwap | None = None,
) -> Callable[[Function], Function]:
    """Register the decorated function as an observable; the arguments are those of `Observable`.

    Raises:
        SchemaError: The name is taken.

    Examples:
        >>> @observable("ht4l_of_example", unit="GeV", label="HT", range=(0.0, 500.0), beam_swap="even")
        ... def _ht4l(event: FourLeptonEvent) -> FloatArray:
        ...     return sum(event.lepton_pts)
        >>> OBSERVABLES["ht4l_of_example"].unit, OBSERVABLES["ht4l_of_example"].group
        ('GeV', 'user')
        >>> forget(["ht4l_of_example"])
    """

    def register(function: Function) -> Function:
        if name in _REGISTERED:
            raise SchemaError(what=f"observable {name!r}", got="a second registration", expected="a new name")
        _REGISTERED[name] = Observable(name, unit, label, function, needs, range, group, beam_swap)
        return function

    return register


def forget(names: Iterable[str]) -> None:
    """Take observables out of the registry, for a module that is run again after a change; unknown names are left alone."""
    for name in names:
        _REGISTERED.pop(name, None)
