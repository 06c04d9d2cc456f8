"""Neural estimation of density ratios (the only layer that needs torch)."""

from toolkit.ratios.calibration import TargetedCalibration, fit_calibration
from toolkit.ratios.directions import Direction, score_directions
from toolkit.ratios.ensemble import MixtureEnsemble
from toolkit.ratios.features import FeatureMap, feature_matrix
from toolkit.ratios.interface import Estimator, RatioModel
from toolkit.ratios.members import train_ensemble
from toolkit.ratios.registry import fit_ratios, load_ratios
from toolkit.ratios.structure import EventClass, Mixture
from toolkit.ratios.trained_mixture import TrainedMixture
from toolkit.ratios.trainer import InMemoryBatches, TrainingSettings, train_network
from toolkit.ratios.training_history import TrainingHistory

__all__ = [
    "Direction",
    "Estimator",
    "EventClass",
    "FeatureMap",
    "InMemoryBatches",
    "Mixture",
    "MixtureEnsemble",
    "RatioModel",
    "TargetedCalibration",
    "TrainedMixture",
    "TrainingHistory",
    "TrainingSettings",
    "feature_matrix",
    "fit_calibration",
    "fit_ratios",
    "load_ratios",
    "score_directions",
    "train_ensemble",
    "train_network",
]
