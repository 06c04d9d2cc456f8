"""Measures several parameters of interest in all regions by every method, and tests the closure of each parameter at every truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from toolkit.analysis.data import full_likelihood
from toolkit.analysis.measurements import truth_weights
from toolkit.analysis.model import FitModel, describe_parameters
from toolkit.analysis.nuisances import Systematics
from toolkit.analysis.region_method import RegionMethod
from toolkit.analysis.regions import split_events
from toolkit.artifacts.tasks import FinishedTasks
from toolkit.config import Config
from toolkit.likelihood import (
    ClosurePoint,
    Likelihood,
    MethodResult,
    Parameter,
    Results,
    impacts,
    measure_parameters,
    pulls,
)
from toolkit.likelihood.reparameterised import ReparameterisedLikelihood
from toolkit.typing import JsonObject, Progress
from toolkit.weights import SimulatedEvents

Truth = Mapping[str, float]


def measure_regions(
    config: Config,
    methods: Sequence[RegionMethod],
    *,
    pool: SimulatedEvents,
    test: SimulatedEvents,
    systematics: Systematics,
    progress: Progress,
    tasks: FinishedTasks,
) -> Results:
    """Measure all parameters of interest by every method on the Asimov set of the test events.

    Args:
        config: The analysis.
        methods: All methods.
        pool: Pool events of all regions.
        test: Test events of all regions.
        systematics: Uncertainties of yields and templates; intervals include them, closure tests do not.
        progress: Told after every fit.
        tasks: Records of finished fits.

    Returns:
        The results, without and with systematic uncertainties; closure points of every parameter, truth and method.
    """
    model = FitModel.of(config)
    pool, test = (split_events(events, config.model) for events in (pool, test))
    truths = closure_truths(config, model)
    measured: dict[str, MethodResult] = {}
    closure: list[ClosurePoint] = []
    fits: dict[str, dict[str, MethodResult]] = {name: {} for name in config.likelihood.fits}
    steps, done = len(methods) * (1 + len(fits) + len(truths)), 0
    for method in methods:
        measured[method.name] = _measured(config, method, test, model, systematics=systematics, tasks=tasks)
        progress("fits", done := done + 1, steps)
        for name, found in fits.items():
            found[method.name] = _other_fit(config, name, method, test, model, systematics=systematics, tasks=tasks)
            progress("fits", done := done + 1, steps)
        for truth in truths:
            compute = partial(_closure_document, method, pool, test, model, truth)
            document = tasks.result(f"{method.name}: closure at {describe(truth)}", compute)
            closure += [ClosurePoint.from_json(entry) for entry in document["points"]]
            progress("fits", done := done + 1, steps)
    return Results(
        poi=model.parameter,
        asimov=model.truth,
        luminosity_ifb=config.luminosity_ifb,
        yields=dict(zip(pool.processes, pool.yields.tolist(), strict=True)),
        methods=measured,
        closure=tuple(closure),
        fits=fits,
        parameters=describe_parameters(config.model),
    )


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


def asimov_likelihood(method: RegionMethod, test: SimulatedEvents, model: FitModel, systematics: Systematics | None = None) -> Likelihood:
    """Build the likelihood of the Asimov set of the test events, with systematic uncertainties if there are any."""
    weights = truth_weights(test, model, model.truth)
    if not systematics:
        return method.at(weights, model.truth)
    terms = [full_likelihood(p.method, weights[p.test], systematics, methods=p.siblings, model=p.model) for p in method.parts]
    return method.combined(terms, truth=model.truth)


def _measured(
    config: Config, method: RegionMethod, test: SimulatedEvents, model: FitModel, *, systematics: Systematics, tasks: FinishedTasks
) -> MethodResult:
    """Measure without and with systematic uncertainties: two tasks."""
    points = config.likelihood.scan_points

    def measure(used: Systematics | None) -> JsonObject:
        likelihood = asimov_likelihood(method, test, model, used)
        return measure_parameters(likelihood, method=method.name, interest=model.interest, truth=model.truth, points=points).to_json()

    plain = MethodResult.from_json(tasks.result(f"{method.name}: statistical", partial(measure, None)), method=method.name)
    if not systematics:
        return plain
    full = MethodResult.from_json(tasks.result(f"{method.name}: with systematics", partial(measure, systematics)), method=method.name)

    def shifts() -> JsonObject:
        likelihood = asimov_likelihood(method, test, model, systematics)
        fit = likelihood.fit() if full.fit is None else full.fit
        found: JsonObject = {name: [i.to_json() for i in impacts(likelihood, fit, poi=name)] for name in model.interest}
        return {"pulls": [p.to_json() for p in pulls(likelihood, fit)], "impacts": found}

    found = tasks.result(f"{method.name}: pulls and impacts", shifts)
    parameters = {name: replace(result, impacts=tuple(found["impacts"][name])) for name, result in full.parameters.items()}
    uncertainties = {"pulls": found["pulls"], "impacts": found["impacts"][model.parameter]}
    return replace(full, statistical_only=plain, parameters=parameters, uncertainties=uncertainties)


def _other_fit(
    config: Config,
    name: str,
    method: RegionMethod,
    test: SimulatedEvents,
    model: FitModel,
    *,
    systematics: Systematics,
    tasks: FinishedTasks,
) -> MethodResult:
    """Measure in other parameters."""
    section = config.likelihood.fits[name]
    made = {key: p.parameter(key) for key, p in section.parameters.items()}
    parameters = [Parameter(p.name, p.start, *p.range) for p in made.values()]
    truth = {p.name: p.truth for p in made.values()}
    interest = [p.name for p in made.values() if p.kind == "interest"]

    def measure(used: Systematics | None) -> JsonObject:
        likelihood = ReparameterisedLikelihood(asimov_likelihood(method, test, model, used), section.express, parameters)
        points = config.likelihood.scan_points
        return measure_parameters(likelihood, method=method.name, interest=interest, truth=truth, points=points).to_json()

    plain = MethodResult.from_json(tasks.result(f"{method.name}: {name}, statistical", partial(measure, None)), method=method.name)
    if not systematics:
        return plain
    document = tasks.result(f"{method.name}: {name}, with systematics", partial(measure, systematics))
    return replace(MethodResult.from_json(document, method=method.name), statistical_only=plain)


def _closure_document(method: RegionMethod, pool: SimulatedEvents, test: SimulatedEvents, model: FitModel, truth: Truth) -> JsonObject:
    """Fit the Asimov set at a truth, with the errors of the finite simulation."""
    of_test, of_pool = truth_weights(test, model, truth), truth_weights(pool, model, truth)
    likelihood = method.at(of_test, truth)
    fit = likelihood.fit()
    bounds = {p.name: (p.low, p.high) for p in likelihood.parameters}
    errors = method.finite_simulation(fit, test=of_test, pool=of_pool, roots=likelihood.diverging, bounds=bounds)
    points = []
    for name in model.interest:
        from_test, from_pool = errors[name]
        point = ClosurePoint(
            mu=truth[name],
            mu_hat=fit.parameters[name],
            standard_error=float((from_test**2 + from_pool**2) ** 0.5),
            method=method.name,
            test_error=from_test,
            pool_error=from_pool,
            parameter=name,
            truth={n: truth[n] for n in model.interest},
        )
        points.append(point.to_json())
    return {"points": points}
