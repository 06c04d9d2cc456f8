"""Event weights: morphing, combination of interfering samples, splits, effective sizes."""

from toolkit.weights.bases import basis
from toolkit.weights.effective_size import n_eff
from toolkit.weights.monomials import Monomial
from toolkit.weights.morphing import Morphing
from toolkit.weights.simulation import SampleTable, SimulatedEvents, combine_samples
from toolkit.weights.splits import CALIBRATION, TEST, TRAIN, assign_split, hash_uniform, split_events

__all__ = [
    "CALIBRATION",
    "TEST",
    "TRAIN",
    "Monomial",
    "Morphing",
    "SampleTable",
    "SimulatedEvents",
    "assign_split",
    "basis",
    "combine_samples",
    "hash_uniform",
    "n_eff",
    "split_events",
]
