"""Classifiers out of fold: scores and probabilities of classes, from networks and boosted trees."""

from toolkit.ratios.classification.modules import REFERENCE, MeanOfFolds, SoftmaxRatios, TrainedClassifier, out_of_fold
from toolkit.ratios.classification.task import NetworkTask
from toolkit.ratios.classification.training import train_classifier

__all__ = ["REFERENCE", "MeanOfFolds", "NetworkTask", "SoftmaxRatios", "TrainedClassifier", "out_of_fold", "train_classifier"]
