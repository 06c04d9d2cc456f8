"""Event weights: morphing, combination of interfering samples, splits, effective sizes."""

from toolkit.model.monomials import Monomial
from toolkit.weights.bases import basis
from toolkit.weights.choice import BenchmarkChoice, choose_benchmarks, choose_generation_points, expected_variances
from toolkit.weights.combination import combine_samples, inverse_variance_weights, sample_variances, separate_samples
from toolkit.weights.effective_size import EffectiveSizeCurve, effective_size_curve, generation_curves, n_eff
from toolkit.weights.hypotheses import Hypotheses, mixture_reference
from toolkit.weights.joint import joint_ratio, joint_score
from toolkit.weights.members import combine_members
from toolkit.weights.morphing import Morphing
from toolkit.weights.negative import NegativeProfile, NegativeWeights, negative_profile, negative_weights
from toolkit.weights.parameterisations import product, smeft, substituted
from toolkit.weights.safeguards import BatchSizes, effective_size_of_batches, require_enough_events, require_positive_classes
from toolkit.weights.simulation import SampleTable, SimulatedEvents
from toolkit.weights.splits import assign_fold, hash_uniform, hold_out
from toolkit.weights.support import SupportGap, require_support, support_gaps

__all__ = [
    "BatchSizes",
    "BenchmarkChoice",
    "EffectiveSizeCurve",
    "Hypotheses",
    "Monomial",
    "Morphing",
    "NegativeProfile",
    "NegativeWeights",
    "SampleTable",
    "SimulatedEvents",
    "SupportGap",
    "assign_fold",
    "basis",
    "choose_benchmarks",
    "choose_generation_points",
    "combine_members",
    "combine_samples",
    "effective_size_curve",
    "effective_size_of_batches",
    "expected_variances",
    "generation_curves",
    "hash_uniform",
    "hold_out",
    "inverse_variance_weights",
    "joint_ratio",
    "joint_score",
    "mixture_reference",
    "n_eff",
    "negative_profile",
    "negative_weights",
    "product",
    "require_enough_events",
    "require_positive_classes",
    "require_support",
    "sample_variances",
    "separate_samples",
    "smeft",
    "substituted",
    "support_gaps",
]
