"""Measures the parameter of interest by every method, and tests the closure of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from toolkit.analysis.data import FitData
from toolkit.analysis.datasets import DataEvents
from toolkit.analysis.information import information_document, pairs, restored, with_information
from toolkit.analysis.methods import BinnedMethod, Method, UnbinnedMethod
from toolkit.analysis.model import FitModel, describe_parameters
from toolkit.analysis.nuisances import SIMULATION, Systematics
from toolkit.analysis.theta import ParameterisedMethod
from toolkit.artifacts.tasks import FinishedTasks
from toolkit.config import Config
from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.likelihood import (
    ClosurePoint,
    FitResult,
    Impact,
    Likelihood,
    MethodResult,
    ObservedResults,
    Results,
    asimov_weights,
    auxiliary_impacts,
    breakdown,
    impacts,
    measure,
    pulls,
    uncertainty_components,
)
from toolkit.likelihood.multiplicities import Draws, KeptDraws, poisson_draws
from toolkit.likelihood.uncertainties import piece_around
from toolkit.typing import FloatArray, JsonObject, Progress
from toolkit.weights import SimulatedEvents


def measure_all(
    config: Config,
    datasets: Sequence[FitData],
    *,
    training: SimulatedEvents,
    test: SimulatedEvents,
    progress: Progress,
    tasks: FinishedTasks,
) -> Results:
    """Measure the parameter of interest by every method on all data, the Asimov set first, and test the closure at every truth.

    The standard error of a closure point is that of the finite simulation, test events and training events in quadrature. Closure
    tests are without systematic uncertainties. Every method and every closure point is a task of its own, kept in `tasks`.
    """
    model, settings, methods = FitModel.of(config), config.likelihood, datasets[0].methods
    resampling = Resampling(settings.bootstrap_replicas, settings.seed)
    values = np.linspace(*model.range, settings.scan_points)
    measured: list[dict[str, MethodResult]] = [{} for _ in datasets]
    closure, done, draws = [], 0, KeptDraws()
    steps = len(methods) * (len(datasets) + len(settings.closure_mu))
    for k, method in enumerate(methods):
        for data, found in zip(datasets, measured, strict=True):
            found[method.name] = measure_method(data, data.methods[k], values=values, tasks=tasks, resampling=resampling)
            progress("fits", done := done + 1, steps)
        for mu in settings.closure_mu:
            point = partial(close, method, training, test, model, mu=mu, resampling=resampling, draws=draws)
            closure.append(ClosurePoint.from_json(tasks.result(f"{method.name}: closure at {mu!r}", lambda p=point: p().to_json())))  # type: ignore[misc]
            progress("fits", done := done + 1, steps)
    measured[0] = with_told(measured[0], datasets[0], training=training, chosen=pairs(config, model), tasks=tasks)
    return Results(
        poi=model.parameter,
        asimov=model.truth,
        luminosity_ifb=config.luminosity_ifb,
        yields=dict(zip(training.processes, training.yields.tolist(), strict=True)),
        methods=measured[0],
        closure=tuple(closure),
        observed=observed_results(datasets, measured, yields=training.yields),
        parameters=describe_parameters(config.model),
    )


def observed_results(
    datasets: Sequence[FitData], measured: Sequence[dict[str, MethodResult]], *, yields: FloatArray
) -> ObservedResults | None:
    """Return the observed results, if the data are fitted."""
    for data, found in zip(datasets, measured, strict=True):
        if isinstance(data.events, DataEvents):
            expected = float(data.model.at(data.model.truth) @ yields)
            return ObservedResults(data.events.counts, expected, found)
    return None


@dataclass(frozen=True)
class Resampling:
    """How often data are drawn again for the statistical part of an uncertainty, and from which seed."""

    replicas: int = 200
    seed: int = 7


USUAL = Resampling()


def with_told(
    results: Mapping[str, MethodResult],
    data: FitData,
    *,
    training: SimulatedEvents,
    chosen: Sequence[tuple[Mapping[str, float], Mapping[str, float]]],
    tasks: FinishedTasks,
) -> dict[str, MethodResult]:
    """Add what every method can tell of pairs of hypotheses, with the errors of t(0): one task, because the methods share their events."""

    def told() -> JsonObject:
        return information_document(with_information(results, data, chosen=chosen, training=training))

    return restored(results, tasks.result("information", told))


def measure_method(data: FitData, method: Method, *, values: FloatArray, tasks: FinishedTasks, resampling: Resampling) -> MethodResult:
    """Measure by one method of the data, without and with systematic uncertainties: two tasks."""
    truth, name = data.model.truth[data.model.parameter], data.named(method.name)

    def without() -> JsonObject:
        return measure(method.likelihood(data.weights), method=method.name, values=values, truth=truth).to_json()

    plain = MethodResult.from_json(tasks.result(f"{name}: statistical", without), method=method.name)
    if not data.systematics:
        return plain

    def full() -> JsonObject:
        full = data.full(method)
        return measure_with(full, plain, data.systematics, values=values, truth=truth, resampling=resampling).to_json()

    return MethodResult.from_json(tasks.result(f"{name}: with systematics", full), method=method.name)


def close(
    method: Method,
    training: SimulatedEvents,
    test: SimulatedEvents,
    model: FitModel,
    *,
    mu: float,
    resampling: Resampling,
    draws: Draws = poisson_draws,
) -> ClosurePoint:
    """Fit the Asimov set of test events at a truth, with the standard errors from resampling them and the training events.

    In a cross-fit both are the same events. As data or as model alone they would move the best fit alike, and by that error they move fits
    to other events; together they move it by `crossed_error`. All methods and truths share the numbers of the replicas, `draws`.
    """
    if not isinstance(method, BinnedMethod | UnbinnedMethod | ParameterisedMethod):
        raise SchemaError(f"closure of {method.name}", got=type(method).__name__, expected="a method of one region")
    truth = {**model.truth, model.parameter: mu}
    weights, replicas, seed = truth_weights(test, model, truth), resampling.replicas, resampling.seed
    best = method.likelihood(weights).fit().parameters[model.parameter]
    if not isinstance(method, ParameterisedMethod) and method.crossed:
        of_model, crossed = (
            resample(weights, replicas=replicas, seed=seed, draws=draws).error(best)
            for resample in (method.bootstrap, method.bootstrap_crossed)
        )
        return ClosurePoint(mu, best, of_model, method.name, training_error=of_model, crossed_error=crossed)
    of_test = method.bootstrap(weights, replicas=replicas, seed=seed, draws=draws).error(best)
    of_training = method.bootstrap_training(truth_weights(training, model, truth), replicas=replicas, seed=seed + 1, draws=draws).error(
        best
    )
    return ClosurePoint(
        mu=mu,
        mu_hat=best,
        standard_error=float(np.hypot(of_test, of_training)),
        method=method.name,
        test_error=of_test,
        training_error=of_training,
    )


def truth_weights(events: SimulatedEvents, model: FitModel, truth: Mapping[str, float]) -> FloatArray:
    """Return the weights that make the events the expectation at a truth, (n_events,)."""
    return asimov_weights(events.weights, coefficients=model.coefficients, parameters=truth, bounds=model.bounds)


def measure_with(
    full: Likelihood, plain: MethodResult, systematics: Systematics, *, values: FloatArray, truth: float, resampling: Resampling = USUAL
) -> MethodResult:
    """Measure with systematic uncertainties; keep the result without them, and where the uncertainty comes from."""
    result = measure(full, method=plain.method, values=values, truth=truth)
    fit = result.fit if result.fit is not None else full.fit()
    shifts = auxiliary_impacts(full, fit)
    uncertainties = describe_uncertainties(full, fit, systematics, shifts=shifts)
    parts = _components(full, fit, _groups(full, systematics), shifts, resampling)
    return replace(result, statistical_only=plain, uncertainties={**uncertainties, **parts})


def with_sources(result: MethodResult, sources: Mapping[str, JsonObject], *, plain: MethodResult) -> MethodResult:
    """Add to every parameter of interest where its uncertainty comes from, and the result without systematic uncertainties.

    Args:
        result: With systematic uncertainties.
        sources: By parameter, from `describe_uncertainties`; those of the first one are those of the whole result, too.
        plain: Without systematic uncertainties.
    """
    parameters = {name: replace(own, uncertainties=sources[name]) for name, own in result.parameters.items()}
    return replace(result, statistical_only=plain, parameters=parameters, uncertainties=next(iter(sources.values()), None))


def describe_uncertainties(
    full: Likelihood, fit: FitResult, systematics: Systematics, *, poi: str | None = None, shifts: Sequence[Impact] | None = None
) -> JsonObject:
    """Find pulls, impacts before and after the fit and of the auxiliary measurements, and the sources of the uncertainty.

    Args:
        full: The likelihood with systematic uncertainties.
        fit: Its global fit.
        systematics: All systematic uncertainties, for their groups.
        poi: Parameter of interest; the likelihood's own if not given.
        shifts: Impacts of the auxiliary measurements, where they are known.

    Returns:
        The object `uncertainties` of results.json.
    """
    groups = {g: own for g, own in _groups(full, systematics).items() if own}
    piece = piece_around(full, fit, full.poi if poi is None else poi)
    moved = auxiliary_impacts(full, fit, poi=poi, piece=piece) if shifts is None else shifts
    return {
        "pulls": [p.to_json() for p in pulls(full, fit)],
        "impacts": [i.to_json() for i in impacts(full, fit, poi=poi, piece=piece)],
        "impacts_pre_fit": [i.to_json() for i in impacts(full, fit, poi=poi, by="pre-fit", piece=piece)],
        "impacts_auxiliary": [i.to_json() for i in moved],
        "breakdown": [c.to_json() for c in breakdown(full, fit, groups, poi=poi)],
    }


def _groups(full: Likelihood, systematics: Systematics) -> dict[str, list[str]]:
    """Return the nuisance parameters of a likelihood by group, statistical errors of templates among them."""
    groups = {g: [n for n in names if n in full.parameter_names] for g, names in systematics.groups.items()}
    groups[SIMULATION] = [c.parameter for c in full.constraints if c.parameter.startswith(f"{SIMULATION}_")]
    return groups


def _components(
    full: Likelihood, fit: FitResult, groups: Mapping[str, Sequence[str]], shifts: Sequence[Impact], resampling: Resampling
) -> JsonObject:
    """Return the independent parts of the uncertainty, or why there are none: an Asimov set of signed weights cannot fluctuate."""
    measured = {c.parameter for c in full.constraints}
    kept = {g: own for g, names in groups.items() if (own := [n for n in names if n in measured])}
    try:
        found = uncertainty_components(full, fit, kept, seed=resampling.seed, replicas=resampling.replicas, shifts=shifts)
    except PhysicsDomainError as error:
        return {"components": [], "components_left_out": " ".join(str(error).split())}
    return {"components": [c.to_json() for c in found]}
