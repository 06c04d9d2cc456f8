"""Likelihoods of the signal strength, unbinned and binned, and the ratios they read."""

from toolkit.expressions.arithmetic import Expression
from toolkit.likelihood.asimov import asimov_weights
from toolkit.likelihood.asymptotics import CLs, allowed_values, cls, upper_limit
from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.binned import BinnedLikelihood
from toolkit.likelihood.bootstrap import Bootstrap, bootstrap_binned, bootstrap_crossed, bootstrap_parameterised, bootstrap_unbinned
from toolkit.likelihood.coefficients import morphing_expressions
from toolkit.likelihood.combined import CombinedLikelihood
from toolkit.likelihood.components import Component, auxiliary_impacts, uncertainty_components
from toolkit.likelihood.constraint_term import ConstraintTerm
from toolkit.likelihood.constraints import Constraint
from toolkit.likelihood.expected_information import Gain, Information
from toolkit.likelihood.fit_result import FitResult, GoodnessOfFit, Limit, Minimum
from toolkit.likelihood.intervals import THRESHOLD_68, THRESHOLD_95, find_intervals
from toolkit.likelihood.measure import measure
from toolkit.likelihood.measure_parameters import measure_parameters
from toolkit.likelihood.minimise import minimise
from toolkit.likelihood.observation import read_observation, write_observation
from toolkit.likelihood.onnx_ratio import OnnxRatio
from toolkit.likelihood.p_values import Significance, ToyPValue, one_sided, toy_p_value
from toolkit.likelihood.parameter_results import Contour, OtherParameters, ParameterInfo, ParameterResult
from toolkit.likelihood.parameterised import ParameterisedLikelihood
from toolkit.likelihood.parameters import Parameter
from toolkit.likelihood.pyhf_model import PyhfLikelihood
from toolkit.likelihood.rates import NormSys
from toolkit.likelihood.ratio_mean import RatioMean
from toolkit.likelihood.resampling import resampled
from toolkit.likelihood.results import ClosurePoint, MethodResult, ObservedResults, Results
from toolkit.likelihood.scans import Interval, Scan
from toolkit.likelihood.shaped import ShapeReference
from toolkit.likelihood.shapes import Shapes
from toolkit.likelihood.significance import significance
from toolkit.likelihood.statistical import statistical_modifiers
from toolkit.likelihood.templates import Templates, bin_index, fill_templates, quantile_edges
from toolkit.likelihood.theta_series import ThetaAxis, ThetaSeries
from toolkit.likelihood.unbinned import UnbinnedLikelihood
from toolkit.likelihood.uncertainties import AsymmetricError, Contribution, Impact, Pull, breakdown, impacts, minos, pulls
from toolkit.likelihood.wilson import wilson_expressions
from toolkit.likelihood.workspace import Workspace
from toolkit.likelihood.workspace_schema import MorphingModifier, NormFactor, Observation, UnbinnedChannel, UnbinnedSample
from toolkit.likelihood.workspace_writer import make_document
from toolkit.model.coefficients import Coefficients

__all__ = [
    "THRESHOLD_68",
    "THRESHOLD_95",
    "AsymmetricError",
    "BinnedLikelihood",
    "Bootstrap",
    "CLs",
    "ClosurePoint",
    "Coefficients",
    "CombinedLikelihood",
    "Component",
    "Constraint",
    "ConstraintTerm",
    "Contour",
    "Contribution",
    "Expression",
    "FitResult",
    "Gain",
    "GoodnessOfFit",
    "Impact",
    "Information",
    "Interval",
    "Likelihood",
    "Limit",
    "MethodResult",
    "Minimum",
    "MorphingModifier",
    "NormFactor",
    "NormSys",
    "Observation",
    "ObservedResults",
    "OnnxRatio",
    "OtherParameters",
    "Parameter",
    "ParameterInfo",
    "ParameterResult",
    "ParameterisedLikelihood",
    "Pull",
    "PyhfLikelihood",
    "RatioMean",
    "Results",
    "Scan",
    "ShapeReference",
    "Shapes",
    "Significance",
    "Templates",
    "ThetaAxis",
    "ThetaSeries",
    "ToyPValue",
    "UnbinnedChannel",
    "UnbinnedLikelihood",
    "UnbinnedSample",
    "Workspace",
    "allowed_values",
    "asimov_weights",
    "auxiliary_impacts",
    "bin_index",
    "bootstrap_binned",
    "bootstrap_crossed",
    "bootstrap_parameterised",
    "bootstrap_unbinned",
    "breakdown",
    "cls",
    "fill_templates",
    "find_intervals",
    "impacts",
    "make_document",
    "measure",
    "measure_parameters",
    "minimise",
    "minos",
    "morphing_expressions",
    "one_sided",
    "pulls",
    "quantile_edges",
    "read_observation",
    "resampled",
    "significance",
    "statistical_modifiers",
    "toy_p_value",
    "uncertainty_components",
    "upper_limit",
    "wilson_expressions",
    "write_observation",
]
