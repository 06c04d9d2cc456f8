"""Estimators of density ratios and scores from joint weights, one method per file; docs/estimators.md says which when."""

from toolkit.ratios.estimators.alice import Alice
from toolkit.ratios.estimators.alices import Alices
from toolkit.ratios.estimators.carl import Carl, CarlParameterised
from toolkit.ratios.estimators.cascal import Cascal
from toolkit.ratios.estimators.classifier import RatioClassifier
from toolkit.ratios.estimators.models import PairModel, ParameterisedModel, ProcessModel, RatioModel, ScoreModel
from toolkit.ratios.estimators.parameterised import ParameterisedEstimator
from toolkit.ratios.estimators.preparation import NetworkEstimator
from toolkit.ratios.estimators.quasi_parametric import QuasiParametric, QuasiParametricModel
from toolkit.ratios.estimators.rascal import Rascal
from toolkit.ratios.estimators.rolr import Rolr
from toolkit.ratios.estimators.sally import Sally
from toolkit.ratios.estimators.theta import BalancedTheta, ListedTheta, UniformTheta

__all__ = [
    "Alice",
    "Alices",
    "BalancedTheta",
    "Carl",
    "CarlParameterised",
    "Cascal",
    "ListedTheta",
    "NetworkEstimator",
    "PairModel",
    "ParameterisedEstimator",
    "ParameterisedModel",
    "ProcessModel",
    "QuasiParametric",
    "QuasiParametricModel",
    "Rascal",
    "RatioClassifier",
    "RatioModel",
    "Rolr",
    "Sally",
    "ScoreModel",
    "UniformTheta",
]
