"""Kinematics of the four-lepton final state: pairing, decay and production angles, observables."""

from toolkit.kinematics.angles import DecayAngles, decay_angles
from toolkit.kinematics.angular import angular_functions, angular_overlaps
from toolkit.kinematics.compute import compute_observables
from toolkit.kinematics.element_ratios import MatrixElementRatios, matrix_element_ratios
from toolkit.kinematics.fourvectors import as_cartesian, cartesian_from_ptetaphim, descending_four
from toolkit.kinematics.jets import LeadingJets, leading_jets, leading_of_list
from toolkit.kinematics.pairing import best_quadruplets, pair_leptons, take_quadruplet
from toolkit.kinematics.registry import OBSERVABLES, FourLeptonEvent, Observable, observable
from toolkit.kinematics.vbf import VbfAngles, vbf_angles

__all__ = [
    "OBSERVABLES",
    "DecayAngles",
    "FourLeptonEvent",
    "LeadingJets",
    "MatrixElementRatios",
    "Observable",
    "VbfAngles",
    "angular_functions",
    "angular_overlaps",
    "as_cartesian",
    "best_quadruplets",
    "cartesian_from_ptetaphim",
    "compute_observables",
    "decay_angles",
    "descending_four",
    "leading_jets",
    "leading_of_list",
    "matrix_element_ratios",
    "observable",
    "pair_leptons",
    "take_quadruplet",
    "vbf_angles",
]
