"""Event weights: morphing, combination of interfering samples, splits, effective sizes."""

from toolkit.weights.bases import basis
from toolkit.weights.effective_size import n_eff
from toolkit.weights.monomials import Monomial
from toolkit.weights.morphing import Morphing
from toolkit.weights.simulation import SampleTable, SimulatedEvents, combine_samples
from toolkit.weights.splits import assign_fold, hash_uniform, hold_out

__all__ = [
    "Monomial",
    "Morphing",
    "SampleTable",
    "SimulatedEvents",
    "assign_fold",
    "basis",
    "combine_samples",
    "hash_uniform",
    "hold_out",
    "n_eff",
]
