"""Read the histogram fits of a finished run and evaluate them before and after the fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from toolkit.analysis.layout import WORKSPACE
from toolkit.diagnostics.fitted_histograms import FittedChannel, FittedHistograms, fitted_channels
from toolkit.errors import FitError, PhysicsDomainError
from toolkit.likelihood import PyhfLikelihood, Workspace, allowed_values
from toolkit.likelihood.results import MethodResult, Results

MOST_NUISANCES = 12
"""Up to so many nuisance parameters CLs is computed with the report: every value that is tested takes two fits."""


def read_fitted_histograms(out: Path, results: Results) -> FittedHistograms:
    """Read the likelihoods that the fit stage wrote, and evaluate them before and after the fit.

    Args:
        out: Output folder of the run.
        results: Its results; data are shown where they were fitted, otherwise the Asimov set.

    Raises:
        InputFileError: A workspace cannot be read.
    """
    observed = results.observed is not None
    methods: Mapping[str, MethodResult] = results.methods if results.observed is None else results.observed.methods
    channels: list[FittedChannel] = []
    allowed = {}
    for name, method in methods.items():
        path = out / WORKSPACE / f"{name}{'_observed' if observed else ''}.json"
        if method.fit is None or not path.is_file():
            continue
        workspace = Workspace.load(path)
        if workspace.unbinned_channels:
            continue
        likelihood = workspace.likelihood()
        if not isinstance(likelihood, PyhfLikelihood) or not set(method.fit.parameters) <= set(likelihood.parameter_names):
            continue
        channels += fitted_channels(likelihood, method.fit, method=name, nominal=results.asimov, observed=observed)
        known = method.twice_nll_at_0 is not None and len(results.interest) == 1
        if known and len(likelihood.constraints) <= MOST_NUISANCES:
            try:
                background = likelihood.asimov({**method.fit.parameters, results.poi: 0.0})
                pair = tuple(allowed_values(own, own.asimov, poi=results.poi) for own in (likelihood, background))
            except (FitError, PhysicsDomainError):  # the model has no background-only hypothesis: the table shows a dash
                continue
            allowed[name] = (pair[0], pair[1])
    return FittedHistograms(tuple(channels), allowed)
