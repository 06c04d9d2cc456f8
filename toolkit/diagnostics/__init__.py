"""Checks that a ratio estimate can be believed, as frozen results that plots and the report read."""

from toolkit.diagnostics.binning import bin_index, quantile_edges
from toolkit.diagnostics.calibration import CalibrationCurve, calibration_curve, calibration_from_weights, hypothesis_calibration
from toolkit.diagnostics.chi2 import ChiSquare, chi_square
from toolkit.diagnostics.closure import ClosureCheck, ClosureVerdict, closure_verdict, closure_verdicts
from toolkit.diagnostics.edges import observable_edges
from toolkit.diagnostics.normalisation import Normalisation, normalisation
from toolkit.diagnostics.observables import Spectrum, spectrum
from toolkit.diagnostics.processes import ProcessSummary, process_summaries
from toolkit.diagnostics.reweighting import ReweightingClosure, reweighting_closure
from toolkit.diagnostics.suite import EstimateUnderTest, Suite, diagnose
from toolkit.diagnostics.training import TrainingCurve
from toolkit.diagnostics.yields import YieldCurve, yield_curve

__all__ = [
    "CalibrationCurve",
    "ChiSquare",
    "ClosureCheck",
    "ClosureVerdict",
    "EstimateUnderTest",
    "Normalisation",
    "ProcessSummary",
    "ReweightingClosure",
    "Spectrum",
    "Suite",
    "TrainingCurve",
    "YieldCurve",
    "bin_index",
    "calibration_curve",
    "calibration_from_weights",
    "chi_square",
    "closure_verdict",
    "closure_verdicts",
    "diagnose",
    "hypothesis_calibration",
    "normalisation",
    "observable_edges",
    "process_summaries",
    "quantile_edges",
    "reweighting_closure",
    "spectrum",
    "yield_curve",
]
