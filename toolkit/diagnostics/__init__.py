"""Checks that a ratio estimate can be believed, as frozen results that plots and the report read."""

from toolkit.diagnostics.angular_moments import AngularMoments, MomentDifference, angular_moments, compare_moments, observed_moments
from toolkit.diagnostics.calibration import CalibrationCurve, calibration_curve, calibration_from_weights, hypothesis_calibration
from toolkit.diagnostics.chi2 import ChiSquare, chi_square
from toolkit.diagnostics.closure import ClosureCheck, ClosureVerdict, closure_verdict, closure_verdicts
from toolkit.diagnostics.coverage import CoverageCurve, coverage_curve, coverage_from_toys
from toolkit.diagnostics.edges import observable_edges
from toolkit.diagnostics.importance import Importance, permutation_importance
from toolkit.diagnostics.information import information_bound, log_rate_ratio
from toolkit.diagnostics.leave_out import LeaveOutClosure, LeftOutHistogram, leave_out_closure
from toolkit.diagnostics.merit import Merit, MeritWeights, significance
from toolkit.diagnostics.normalisation import Normalisation, normalisation
from toolkit.diagnostics.observables import Spectrum, spectrum
from toolkit.diagnostics.overlay import KolmogorovSmirnov, Overlay, WeightedSample, kolmogorov_smirnov, overlay
from toolkit.diagnostics.processes import ProcessSummary, process_summaries
from toolkit.diagnostics.pulls import Pulls, pulls
from toolkit.diagnostics.reweighting import ReweightingClosure, reweighting_closure
from toolkit.diagnostics.roc import RocCurve, roc_curve
from toolkit.diagnostics.sculpting import Sculpting, sculpting
from toolkit.diagnostics.separation import PairedRatio, auc, paired_rate_ratio, rate_at_efficiency
from toolkit.diagnostics.spread import SpreadProfile, spread_profile
from toolkit.diagnostics.suite import EstimateUnderTest, Suite, diagnose
from toolkit.diagnostics.training import TrainingCurve
from toolkit.diagnostics.weight_quality import WeightQuality, weight_quality
from toolkit.diagnostics.yields import YieldCurve, yield_curve

__all__ = [
    "AngularMoments",
    "CalibrationCurve",
    "ChiSquare",
    "ClosureCheck",
    "ClosureVerdict",
    "CoverageCurve",
    "EstimateUnderTest",
    "Importance",
    "KolmogorovSmirnov",
    "LeaveOutClosure",
    "LeftOutHistogram",
    "Merit",
    "MeritWeights",
    "MomentDifference",
    "Normalisation",
    "Overlay",
    "PairedRatio",
    "ProcessSummary",
    "Pulls",
    "ReweightingClosure",
    "RocCurve",
    "Sculpting",
    "Spectrum",
    "SpreadProfile",
    "Suite",
    "TrainingCurve",
    "WeightQuality",
    "WeightedSample",
    "YieldCurve",
    "angular_moments",
    "auc",
    "calibration_curve",
    "calibration_from_weights",
    "chi_square",
    "closure_verdict",
    "closure_verdicts",
    "compare_moments",
    "coverage_curve",
    "coverage_from_toys",
    "diagnose",
    "hypothesis_calibration",
    "information_bound",
    "kolmogorov_smirnov",
    "leave_out_closure",
    "log_rate_ratio",
    "normalisation",
    "observable_edges",
    "observed_moments",
    "overlay",
    "paired_rate_ratio",
    "permutation_importance",
    "process_summaries",
    "pulls",
    "rate_at_efficiency",
    "reweighting_closure",
    "roc_curve",
    "sculpting",
    "significance",
    "spectrum",
    "spread_profile",
    "weight_quality",
    "yield_curve",
]
