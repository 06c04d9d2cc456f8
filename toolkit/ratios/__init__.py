"""Neural estimation of density ratios (the only layer that needs torch)."""

from toolkit.ratios.calibration import TargetedCalibration, fit_calibration
from toolkit.ratios.ensemble import MixtureEnsemble, member_folds
from toolkit.ratios.features import FeatureMap, feature_matrix
from toolkit.ratios.mixture import TrainedMixture, train_mixture
from toolkit.ratios.structure import Mixture
from toolkit.ratios.training_history import TrainingHistory

__all__ = [
    "FeatureMap",
    "Mixture",
    "MixtureEnsemble",
    "TargetedCalibration",
    "TrainedMixture",
    "TrainingHistory",
    "feature_matrix",
    "fit_calibration",
    "member_folds",
    "train_mixture",
]
