"""Neural estimation of density ratios (the only layer that needs torch)."""

from toolkit.ratios.calibration import TargetedCalibration, fit_calibration
from toolkit.ratios.directions import Direction, direction_at, score_directions
from toolkit.ratios.ensemble import MixtureEnsemble, member_folds
from toolkit.ratios.features import FeatureMap, feature_matrix
from toolkit.ratios.members import train_ensemble
from toolkit.ratios.mixture import train_mixture
from toolkit.ratios.persistence import load_mixture, mixture_key
from toolkit.ratios.structure import EventClass, Mixture
from toolkit.ratios.trained_mixture import TrainedMixture
from toolkit.ratios.trainer import InMemoryBatches, TrainingSettings, train_network
from toolkit.ratios.training_history import TrainingHistory

__all__ = [
    "Direction",
    "EventClass",
    "FeatureMap",
    "InMemoryBatches",
    "Mixture",
    "MixtureEnsemble",
    "TargetedCalibration",
    "TrainedMixture",
    "TrainingHistory",
    "TrainingSettings",
    "direction_at",
    "feature_matrix",
    "fit_calibration",
    "load_mixture",
    "member_folds",
    "mixture_key",
    "score_directions",
    "train_ensemble",
    "train_mixture",
    "train_network",
]
