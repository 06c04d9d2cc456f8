"""The explanations on the page, in one place to be read and corrected."""

from __future__ import annotations

from toolkit.diagnostics.closure import DEFINITION

RESULT = (
    "Every method fits the same Asimov set: simulated events that count as many events as are expected, without fluctuations, each under "
    "networks, templates and yields that come from other events. "
    "The larger t(0), the better a method excludes zero; the number means something only if the closure does not find the method "
    "biased: it must fit the value that the events were simulated with."
)
RESULT_SEVERAL = (
    "Every method fits the same Asimov set: simulated events that count as many events as are expected, without fluctuations, each under "
    "networks, templates and yields that come from other events. "
    "Intervals of a parameter have the other parameters profiled; beside them stand those with the other parameters of interest at their "
    "truth, which is less than an analysis can know. A result means something only if the closure does not find the method biased: it "
    "must fit the values that the events were simulated with."
)
SEVERAL_LEFT_OUT = (
    "Left out, because they are defined for one signal that interferes with one background: figures of merit of S, SBI and B, and "
    "effective sizes of their sum."
)
FITTED = (
    "Best fits to the Asimov set with errors from the curvature of the likelihood, and correlations of all parameters that are free and "
    "inside their ranges."
)
SPECTRA = "Events of the unbinned regions, which the networks serve. The other parameters have their values of the Asimov set."
OTHER_FITS = (
    "The unbinned method beside the best histogram, with the same regions and parameters. Fits in other parameters are the same "
    "likelihoods with expressions of these in the place of parameters of the analysis, such as one strength that several modes have in "
    "common."
)
REGIONS = (
    "Expected events of every process in the regions of the fit, at coefficients of 1: the densities of a process that interferes are not "
    "to be added up. An event that no region selects takes no part in the fit."
)
CLOSURE = (
    "Each method is fitted to Asimov sets at several true values. Networks, templates and yields of an event come from other events. The "
    "verdict is one of three: " + DEFINITION
)
CLOSURE_ERRORS = (
    "The standard errors are those of the finite simulation: of the events that are fitted, and of those behind networks, templates and "
    "yields."
)
CLOSURE_STATISTICAL = "These fits are without systematic uncertainties: where the truth is the same they may differ from the results above."
CLOSURE_MISSING = "There are no closure points: any of the numbers above may be biased."
CALIBRATION = (
    "In bins of the predicted fraction s, the weighted true fraction. The p-value tests the whole curve against the "
    "diagonal; events that carry the weights of both hypotheses are counted once."
)
CHANGE = (
    "The targeted calibration moves the ratios only as far as the measurement needs it, so before and after are often close. Each "
    "process is compared with the reference; interfering processes share their events with it."
)
TRAINING = "Losses of every member of the ensemble. The epoch with the smallest validation loss is kept."
OVERLAY = (
    "Train against test: a network that has learned its training events by heart gives them another score than other events. "
    "Out-of-bag values come from networks that did not train on the event; they must agree with those of test events. Both tests use the "
    "signed weights: chi-square with the full covariance, Kolmogorov-Smirnov (KS) with simulated fluctuations of these very weights."
)
LEARNING = (
    "Learning curve: ensembles that learn from a share of the training events, with the same settings, calibrated and normalised on these "
    "alone. A curve that still climbs at the end says that more simulation is worth its price."
)
SPREAD = (
    "The spread of the ensemble is that of one member, before the calibration. The mean of all members is steadier, and calibration "
    "removes what they share."
)
MERITS = (
    "What each score could reach in a counting experiment or in bins. With interference S alone is no yield that could be counted: "
    "iZ and iZ' use what can be."
)
IMPORTANCE = (
    "Each feature of the test events is replaced by that of other events, drawn by their weight; the networks stay as they are. "
    "Errors hold the spread of the shuffles and the finite simulation."
)
REWEIGHTING = (
    "The reference, reweighted by the estimated ratio, against the true target. Both are weights of the same events: errors "
    "of their difference are summed event by event. The p-values of different observables and targets are correlated for "
    "the same reason, and of many p-values the smallest is small by chance. Errors are those of the test events; the "
    "networks are taken as they are."
)
CUTFLOW = (
    "Every sample by itself, with all of its events. Interfering processes take their expected events from all interfering samples, so "
    "that the last row differs from the expected events of the fit by the error of the simulation."
)
YIELDS = (
    "Fit: what the likelihood expects; test: the events that it is fitted to. Errors are those of the simulation. Interfering processes "
    "share their events."
)
DATA = "Points: data with their Poisson intervals, beside the expectation before any fit."
BEYOND = "First and last bins include what lies beyond."
