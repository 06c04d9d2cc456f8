"""Networks that every estimator can use: perceptron, deep set over leptons and jets, recurrent."""

from toolkit.ratios.architectures.deep_set import DeepSet
from toolkit.ratios.architectures.interface import Activation, Architecture, count_parameters
from toolkit.ratios.architectures.mlp import MLP
from toolkit.ratios.architectures.objects import ObjectGroup, jet_group, lepton_group
from toolkit.ratios.architectures.recurrent import Recurrent

__all__ = [
    "MLP",
    "Activation",
    "Architecture",
    "DeepSet",
    "ObjectGroup",
    "Recurrent",
    "count_parameters",
    "jet_group",
    "lepton_group",
]
