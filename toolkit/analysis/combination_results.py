"""Measures a combination: every method of the runs by itself, each beside the same other parts, in every parameterisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial

from scipy.stats import chi2

from toolkit.analysis.combination import Combination, CombinedFit
from toolkit.analysis.measurements import describe_uncertainties, with_sources
from toolkit.analysis.nuisances import Systematics
from toolkit.artifacts.tasks import FinishedTasks
from toolkit.likelihood import (
    Likelihood,
    MethodResult,
    ObservedResults,
    OtherParameters,
    Parameter,
    ParameterInfo,
    Results,
    Workspace,
    measure_parameters,
)
from toolkit.likelihood.fixed import FixedLikelihood
from toolkit.likelihood.linear import linear_document
from toolkit.likelihood.reparameterised import ReparameterisedLikelihood
from toolkit.model.parameters import ParameterKind
from toolkit.typing import JsonObject, Progress, silent_progress


@dataclass(frozen=True)
class Agreement:
    """How well data agree with the truth of all parameters of interest of a fit, which is the Standard Model.

    Attributes:
        fit: Name of the fit.
        method: Name of the method.
        observed: Whether the data are the observed events; otherwise the Asimov set, whose best fit is off by the finite simulation alone.
        twice_delta_nll: -2 ln lambda(truth) / lambda(best fit), all other parameters profiled.
        degrees: Number of parameters of interest.

    Examples:
        >>> round(Agreement("c", "nsbi", True, 5.991, 2).p_value, 3)
        0.05
    """

    fit: str
    method: str
    observed: bool
    twice_delta_nll: float
    degrees: int

    @property
    def p_value(self) -> float:
        """Probability of a larger value under the truth, asymptotically: chi-square with one degree per parameter."""
        return float(chi2.sf(max(self.twice_delta_nll, 0.0), self.degrees))

    def to_json(self) -> JsonObject:
        """Return the entry of results.json."""
        return {**asdict(self), "p_value": self.p_value}


Workspaces = Mapping[tuple[str, bool], Workspace]
"""Joint workspaces by method, and whether the data are the observed events."""


def measure_combination(
    combination: Combination, workspaces: Workspaces, *, tasks: FinishedTasks, progress: Progress = silent_progress
) -> tuple[Results, tuple[Agreement, ...]]:
    """Measure the parameters of interest of every fit by every method, and compare the data with the truth.

    Args:
        combination: The parts.
        workspaces: The joint workspaces.
        tasks: Records of finished fits.
        progress: Told after every fit.

    Returns:
        The results of the first fit, with the others under `fits`; and how well the data agree with the truth.
    """
    config, fits = combination.config, combination.fits
    data = (False, True) if config.observed else (False,)
    found: dict[tuple[bool, str], dict[str, MethodResult]] = {(seen, fit.name): {} for seen in data for fit in fits}
    agreements = []
    steps, done = len(data) * len(fits) * len(combination.methods), 0
    for method in combination.methods:
        for seen in data:
            full = workspaces[method, seen].likelihood()
            for fit in fits:
                task = f"{method}, {'observed' if seen else 'expected'}, {fit.name}"
                likelihood = linear_likelihood(workspaces[method, seen], combination.truth) if fit.linear else full
                measure = partial(_measured, combination, fit, likelihood, method)
                document = tasks.result(task, measure)
                found[seen, fit.name][method] = MethodResult.from_json(document["result"], method=method)
                agreements.append(Agreement(fit.name, method, seen, document["at_truth"], len(fit.interest)))
                progress("fits", done := done + 1, steps)
    return _results(combination, found), tuple(agreements)


def _results(combination: Combination, found: Mapping[tuple[bool, str], dict[str, MethodResult]]) -> Results:
    first, *others = combination.fits
    observed: ObservedResults | None = None
    if combination.config.observed:
        counts, expected = combination.expectation()
        own = {fit.name: found[True, fit.name] for fit in others}
        observed = ObservedResults(counts, expected, found[True, first.name], fits=own)
    described = {fit.name: _describe(combination, fit) for fit in combination.fits}
    return Results(
        poi=first.interest[0],
        asimov={name: info.truth for name, info in described[first.name].items()},
        luminosity_ifb=combination.luminosity_ifb,
        yields={},
        methods=found[False, first.name],
        observed=observed,
        fits={fit.name: found[False, fit.name] for fit in others},
        fit_parameters={fit.name: OtherParameters(described[fit.name], fit.express) for fit in others},
        parameters=described[first.name],
    )


def _measured(combination: Combination, fit: CombinedFit, likelihood: Likelihood, method: str) -> JsonObject:
    """Measure by one method in one parameterisation, without and with systematic uncertainties."""
    full = in_parameters_of(fit, likelihood)
    free = [p.name for p in full.parameters if p.name not in {c.parameter for c in full.constraints}]
    held = {c.parameter: full.parameters[full.parameter_names.index(c.parameter)].init for c in full.constraints}
    plain = FixedLikelihood(full, held) if held and free else full
    truth = {**combination.truth, **{p.name: p.truth for p in fit.parameters}}
    points = combination.config.scan_points

    def measure(one: Likelihood, *, contours: bool = True) -> MethodResult:
        return measure_parameters(one, method=method, interest=fit.interest, truth=truth, points=points, contours=contours)

    def compared(one: Likelihood, result: MethodResult) -> JsonObject:
        best = one.fit() if result.fit is None else result.fit
        held_at_truth = one.fit(fixed={name: truth[name] for name in fit.interest})
        return {"result": result.to_json(), "at_truth": held_at_truth.twice_nll - best.twice_nll}

    if not held or not combination.config.systematics:
        return compared(plain, measure(plain))
    statistical, result = measure(plain, contours=False), measure(full)
    best = result.fit if result.fit is not None else full.fit()
    systematics = Systematics(groups=combination.groups)
    sources = {name: describe_uncertainties(full, best, systematics, poi=name) for name in result.parameters}
    return compared(full, with_sources(result, sources, plain=statistical))


def linear_likelihood(workspace: Workspace, truth: Mapping[str, float]) -> Likelihood:
    """Build the likelihood with all coefficients expanded to first order around the truth."""
    return Workspace(linear_document(workspace.document, truth), workspace.folder).likelihood()


def in_parameters_of(fit: CombinedFit, likelihood: Likelihood) -> Likelihood:
    """Write a likelihood of the strengths as a function of the parameters of a fit."""
    if not fit.express:
        return likelihood
    return ReparameterisedLikelihood(likelihood, fit.express, [Parameter(p.name, p.start, *p.range) for p in fit.parameters])


def _describe(combination: Combination, fit: CombinedFit) -> dict[str, ParameterInfo]:
    """Return the parameters of a fit, those of interest first, as results.json holds them."""
    found = {p.name: ParameterInfo(p.kind, p.range, p.truth) for p in fit.parameters}
    for name in (n for n in combination.truth if n not in fit.express):
        kind: ParameterKind = "interest" if name in fit.interest else "normalisation"
        p = combination.parameters[name]
        found[name] = ParameterInfo(kind, (p.low, p.high), combination.truth[name])
    return {name: found[name] for name in (*fit.interest, *(n for n in found if n not in fit.interest))}
