"""Measures several parameters of interest in all regions by every method, and tests the closure of each parameter at every truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from toolkit.analysis.data import FitData
from toolkit.analysis.information import pairs
from toolkit.analysis.measurements import describe_uncertainties, observed_results, truth_weights, with_sources, with_told
from toolkit.analysis.methods import Method
from toolkit.analysis.model import FitModel, describe_parameters
from toolkit.analysis.region_method import RegionMethod
from toolkit.analysis.regions import split_events
from toolkit.artifacts.tasks import FinishedTasks
from toolkit.config import Config
from toolkit.config.other_fits import OtherFit
from toolkit.likelihood import (
    ClosurePoint,
    Likelihood,
    MethodResult,
    ObservedResults,
    OtherParameters,
    Parameter,
    ParameterInfo,
    Results,
    measure_parameters,
)
from toolkit.likelihood.reparameterised import ReparameterisedLikelihood
from toolkit.typing import FloatArray, JsonObject, Progress
from toolkit.weights import SimulatedEvents

Truth = Mapping[str, float]


def measure_regions(
    config: Config,
    datasets: Sequence[FitData],
    *,
    training: SimulatedEvents,
    test: SimulatedEvents,
    progress: Progress,
    tasks: FinishedTasks,
) -> Results:
    """Measure all parameters of interest by every method on all data, the Asimov set first.

    Args:
        config: The analysis.
        datasets: The Asimov set of the test events, and the data if they are fitted; methods are those over regions.
        training: Training events of all regions.
        test: Test events of all regions.
        progress: Told after every fit.
        tasks: Records of finished fits.

    Returns:
        The results, without and with systematic uncertainties; closure points of every parameter, truth and method.
    """
    model = FitModel.of(config)
    training, test = (split_events(events, config.model) for events in (training, test))
    truths, names = closure_truths(config, model), list(config.likelihood.fits)
    measured: list[dict[str, MethodResult]] = [{} for _ in datasets]
    fits: list[dict[str, dict[str, MethodResult]]] = [{name: {} for name in names} for _ in datasets]
    closure: list[ClosurePoint] = []
    methods = region_methods(datasets[0])
    steps, done = len(methods) * (len(datasets) * (1 + len(names)) + len(truths)), 0
    for k, method in enumerate(methods):
        for data, found, others in zip(datasets, measured, fits, strict=True):
            found[method.name] = _measured(config, data, data.methods[k], tasks=tasks)
            progress("fits", done := done + 1, steps)
            for name in names:
                others[name][method.name] = _other_fit(config, name, data, data.methods[k], tasks=tasks)
                progress("fits", done := done + 1, steps)
        for truth in truths:
            compute = partial(_closure_document, method, training, test, model, truth)
            document = tasks.result(f"{method.name}: closure at {describe(truth)}", compute)
            closure += [ClosurePoint.from_json(entry) for entry in document["points"]]
            progress("fits", done := done + 1, steps)
    chosen = pairs(config, model, truths)
    measured[0] = with_told(measured[0], datasets[0], training=training, chosen=chosen, tasks=tasks)
    return Results(
        poi=model.parameter,
        asimov=model.truth,
        luminosity_ifb=config.luminosity_ifb,
        yields=dict(zip(training.processes, training.yields.tolist(), strict=True)),
        methods=measured[0],
        closure=tuple(closure),
        observed=_observed(datasets, measured, fits, yields=training.yields),
        fits=fits[0],
        fit_parameters={name: _describe_fit(section) for name, section in config.likelihood.fits.items()},
        parameters=describe_parameters(config.model),
    )


def region_methods(data: FitData) -> tuple[RegionMethod, ...]:
    """Return the methods of data, all of which are over regions."""
    return tuple(method for method in data.methods if isinstance(method, RegionMethod))


def _observed(
    datasets: Sequence[FitData],
    measured: Sequence[dict[str, MethodResult]],
    fits: Sequence[dict[str, dict[str, MethodResult]]],
    *,
    yields: FloatArray,
) -> ObservedResults | None:
    """Return what the data say, and how many there are in every region."""
    found = observed_results(datasets, measured, yields=yields)
    if found is None:
        return None
    regions = {part.region.name: int(np.count_nonzero(part.test)) for part in region_methods(datasets[-1])[0].parts}
    return replace(found, regions=regions, fits=fits[-1])


def closure_truths(config: Config, model: FitModel) -> tuple[Truth, ...]:
    """Return the truths of the closure tests: those of the config, or every parameter of interest moved by itself."""
    if config.likelihood.closure:
        return tuple({**model.truth, **point} for point in config.likelihood.closure)
    points: list[Truth] = []
    for name in model.interest:
        low, high = model.bounds[name]
        points += [{**model.truth, name: value} for value in config.likelihood.closure_mu if low <= value <= high]
    return tuple({describe(p): p for p in points}.values())


def describe(point: Truth) -> str:
    """Write a parameter point: "mu = 1, t = 0.5".

    Examples:
        >>> describe({"mu": 1.0, "t": 0.5})
        'mu = 1, t = 0.5'
    """
    return ", ".join(f"{name} = {value:g}" for name, value in point.items())


def _measured(config: Config, data: FitData, method: Method, *, tasks: FinishedTasks) -> MethodResult:
    """Measure by one method of the data, without and with systematic uncertainties: two tasks."""
    model, name = data.model, data.named(method.name)

    def measure(build: Callable[[Method], Likelihood]) -> JsonObject:
        points = config.likelihood.scan_points
        return measure_parameters(build(method), method=method.name, interest=model.interest, truth=model.truth, points=points).to_json()

    def statistical() -> JsonObject:
        return measure(data.plain)

    plain = MethodResult.from_json(tasks.result(f"{name}: statistical", statistical), method=method.name)
    if not data.systematics:
        return plain
    full = MethodResult.from_json(tasks.result(f"{name}: with systematics", partial(measure, data.full)), method=method.name)
    return _with_sources(f"{name}: sources of uncertainty", full, partial(data.full, method), data, tasks=tasks, plain=plain)


def _with_sources(
    task: str, full: MethodResult, likelihood: Callable[[], Likelihood], data: FitData, *, tasks: FinishedTasks, plain: MethodResult
) -> MethodResult:
    """Find where the uncertainty of every parameter of interest comes from, as a task."""

    def sources() -> JsonObject:
        built = likelihood()
        fit = built.fit() if full.fit is None else full.fit
        return {name: describe_uncertainties(built, fit, data.systematics, poi=name) for name in full.parameters}

    return with_sources(full, tasks.result(task, sources), plain=plain)


def _describe_fit(section: OtherFit) -> OtherParameters:
    """Return the parameters of a fit in other parameters, as results.json holds them."""
    made = {name: p.parameter(name) for name, p in section.parameters.items()}
    return OtherParameters({n: ParameterInfo(p.kind, p.range, p.truth) for n, p in made.items()}, section.express)


def _other_fit(config: Config, name: str, data: FitData, method: Method, *, tasks: FinishedTasks) -> MethodResult:
    """Measure in other parameters."""
    section = config.likelihood.fits[name]
    made = {key: p.parameter(key) for key, p in section.parameters.items()}
    parameters = [Parameter(p.name, p.start, *p.range) for p in made.values()]
    truth = {p.name: p.truth for p in made.values()}
    interest = [p.name for p in made.values() if p.kind == "interest"]

    def built(build: Callable[[Method], Likelihood]) -> Likelihood:
        return ReparameterisedLikelihood(build(method), section.express, parameters)

    def measure(build: Callable[[Method], Likelihood]) -> JsonObject:
        points = config.likelihood.scan_points
        return measure_parameters(built(build), method=method.name, interest=interest, truth=truth, points=points).to_json()

    task = f"{data.named(method.name)}: {name}"
    plain = MethodResult.from_json(tasks.result(f"{task}, statistical", partial(measure, data.plain)), method=method.name)
    if not data.systematics:
        return plain
    document = tasks.result(f"{task}, with systematics", partial(measure, data.full))
    full = MethodResult.from_json(document, method=method.name)
    return _with_sources(f"{task}, sources of uncertainty", full, partial(built, data.full), data, tasks=tasks, plain=plain)


def _closure_document(method: RegionMethod, training: SimulatedEvents, test: SimulatedEvents, model: FitModel, truth: Truth) -> JsonObject:
    """Fit the Asimov set at a truth, with the errors of the finite simulation."""
    of_test, of_training = truth_weights(test, model, truth), truth_weights(training, model, truth)
    likelihood = method.at(of_test, truth)
    fit = likelihood.fit()
    bounds = {p.name: (p.low, p.high) for p in likelihood.parameters}
    errors = method.finite_simulation(fit, test=of_test, training=of_training, roots=likelihood.diverging, bounds=bounds)
    together = {}
    if len(model.interest) > 1:
        off = max(likelihood.twice_nll(truth) - fit.twice_nll, 0.0)
        chance = method.truth_probability(
            fit, truth=truth, twice_delta_nll=off, test=of_test, training=of_training, roots=likelihood.diverging
        )
        together = {"twice_delta_nll": off, "p_value": chance}
    points = []
    for name in model.interest:
        point = ClosurePoint(
            mu=truth[name],
            mu_hat=fit.parameters[name],
            standard_error=errors[name].total,
            method=method.name,
            test_error=errors[name].test,
            training_error=errors[name].training,
            crossed_error=errors[name].crossed,
            parameter=name,
            truth={n: truth[n] for n in model.interest},
            **together,
        )
        points.append(point.to_json())
    return {"points": points}
