"""Stage `fit`: the signal strength by every method on the same test events, with closure; workspaces to fit it elsewhere.

If the config asks for it, the recorded events are fitted like the test events; otherwise nothing here reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from toolkit.artifacts.atomic import make_folder, write_json
from toolkit.artifacts.checksums import write_checked_json
from toolkit.artifacts.tasks import FinishedTasks
from toolkit.config import Config, HistogramConfig
from toolkit.errors import ArtifactMismatchError
from toolkit.likelihood import (
    ClosurePoint,
    Likelihood,
    MethodResult,
    ObservedResults,
    OnnxRatio,
    Results,
    UnbinnedLikelihood,
    Workspace,
    asimov_weights,
    breakdown,
    coefficient_values,
    impacts,
    make_document,
    measure,
    pulls,
    write_observation,
)
from toolkit.likelihood.observation import WEIGHT
from toolkit.likelihood.planes import Plane
from toolkit.likelihood.workspace_schema import Observation
from toolkit.pipeline.stage import StageContext
from toolkit.pipeline.stages.channels import binned_document, normalisation_columns, parameters_of, unbinned_channel
from toolkit.pipeline.stages.comparison import write_comparison
from toolkit.pipeline.stages.constructions import Experiment, write_intervals
from toolkit.pipeline.stages.data import FitData, yields_and_shape
from toolkit.pipeline.stages.datasets import Events, RecordedEvents, read_recorded, read_simulation
from toolkit.pipeline.stages.goodness import write_goodness
from toolkit.pipeline.stages.layout import ASIMOV, FIT, MODEL, NORMALISATION, OBSERVED, OUT_OF_BAG, WORKSPACE
from toolkit.pipeline.stages.methods import (
    BinnedMethod,
    Method,
    Model,
    UnbinnedMethod,
    histogram_method,
    plane_method,
    rate_method,
    score_method,
)
from toolkit.pipeline.stages.nuisances import LUMINOSITY, SIMULATION, Systematics, read_systematics
from toolkit.typing import FloatArray, JsonObject, Progress
from toolkit.weights import SimulatedEvents


def run(context: StageContext) -> None:
    """Write `workspace/`: the results of all methods, one workspace per method, the Asimov set."""
    config = context.config
    pool, test = read_simulation(context)
    ratio = open_ratio(context.out / MODEL, config)
    methods = build_methods(config, pool=pool, test=test, ratio=ratio, out_of_bag=read_out_of_bag(context.out / OUT_OF_BAG, pool))
    systematics = read_systematics(context, {m.name: m.fill for m in methods if isinstance(m, BinnedMethod)}, pool=pool)
    model = Model.of(config)
    asimov = FitData(test, truth_weights(test, model, model.truth), methods, systematics, model)
    datasets = (asimov, *read_observed(context, asimov))
    results = measure_all(config, datasets, pool=pool, test=test, progress=context.progress, tasks=context.tasks)
    make_folder(context.work / WORKSPACE)
    write_json(context.work / FIT, results.to_json())
    for data in datasets:
        write_workspaces(context.work, data, yields=pool.yields, ratio=ratio)
    full = asimov.full if systematics else None
    write_comparison(context, datasets, results)
    write_goodness(context, datasets, results, experiment=Experiment(config, test, ratio, full))
    write_intervals(context, methods, test=test, ratio=ratio, full=full, recorded=datasets[1:])


def read_observed(context: StageContext, asimov: FitData) -> tuple[FitData, ...]:
    """Return the recorded events as data, if the config asks for them; nothing is read if it does not."""
    if not context.config.likelihood.observed:
        return ()
    return (asimov.for_events(read_recorded(context), label="observed"),)


def open_ratio(path: Path, config: Config) -> OnnxRatio:
    """Open the exported networks and check that they belong to the config.

    Raises:
        ArtifactMismatchError: They have other outputs or inputs.
    """
    ratio = OnnxRatio(path)
    for what, got, expected in (("numerators", ratio.numerators, config.processes), ("features", ratio.features, config.ratios.features)):
        if tuple(got) != tuple(expected):
            raise ArtifactMismatchError(
                f"{what} of {path}", got=list(got), expected=list(expected), remedy="train and export again with this config"
            )
    return ratio


def read_out_of_bag(path: Path, pool: SimulatedEvents) -> FloatArray:
    """Read the log ratios of the pool events from networks that did not train on them, (n_pool, n_processes).

    Raises:
        ArtifactMismatchError: They are of other events.
    """
    with np.load(path, allow_pickle=False) as stored:
        event_id, log_ratio = stored["event_id"], stored["log_ratio"]
    if not np.array_equal(event_id, pool.event_id):
        raise ArtifactMismatchError(
            f"events of {path}", got=f"{len(event_id)} events", expected=f"the {len(pool)} events of the pool", remedy="train again"
        )
    return np.asarray(log_ratio, dtype=np.float64)


def build_methods(
    config: Config, *, pool: SimulatedEvents, test: SimulatedEvents, ratio: OnnxRatio, out_of_bag: FloatArray
) -> tuple[Method, ...]:
    """Build every method: rate, the histograms of the config, the networks' score in bins, the unbinned likelihood.

    Templates and yields come from the pool; the test events are used only as the Asimov data.
    """
    model = Model.of(config)

    def evaluate(events: Events) -> FloatArray:
        return ratio(ratio.columns(events.observables))

    log_ratios = evaluate(test)
    of_test, of_pool = (
        UnbinnedLikelihood(
            log_ratios=values,
            weights=np.ones(len(events)),
            yields=pool.yields,
            coefficients=model.coefficients,
            parameters=(model.parameter,),
            bounds=model.bounds,
            event_ids=events.event_id,
        )
        for values, events in ((log_ratios, test), (out_of_bag, pool))
    )
    histograms = [configured_histogram(name, section, model, pool=pool, test=test) for name, section in config.histograms.items()]
    signal = config.processes.index(config.morphing.signal)
    score = score_method(
        model,
        pool=pool,
        test=test,
        log_ratios=(out_of_bag, log_ratios),
        bins=config.score_histogram.bins,
        signal=signal,
        evaluate=evaluate,
    )
    return (rate_method(model, pool=pool, test=test), *histograms, score, UnbinnedMethod("nsbi", of_test, of_pool, evaluate))


def configured_histogram(
    name: str, section: HistogramConfig, model: Model, *, pool: SimulatedEvents, test: SimulatedEvents
) -> BinnedMethod:
    """Build the histogram fit of one entry of `histograms`, of one observable or of two."""
    if len(section.observables) == 2:
        one, two = section.observables
        plane = Plane.of((one, two), (section.axes[0], section.axes[1]))
        return plane_method(name, model, plane, pool=pool, test=test, least=section.least_expected)
    [observable], [edges] = section.observables, section.axes
    return histogram_method(
        name,
        model,
        pool=pool,
        test=test,
        values=(pool.observables[observable], test.observables[observable]),
        edges=edges,
        observe=partial(column, observable),
        observable=observable,
    )


def column(name: str, events: Events) -> FloatArray:
    """Return an observable of events, (n,)."""
    return events.observables[name]


def measure_all(
    config: Config,
    datasets: Sequence[FitData],
    *,
    pool: SimulatedEvents,
    test: SimulatedEvents,
    progress: Progress,
    tasks: FinishedTasks,
) -> Results:
    """Measure the parameter of interest by every method on all data, the Asimov set first, and test the closure at every truth.

    The standard error of a closure point is that of the finite simulation, test events and pool events in quadrature. Closure
    tests are without systematic uncertainties. Every method and every closure point is a task of its own, kept in `tasks`.
    """
    model, settings, methods = Model.of(config), config.likelihood, datasets[0].methods
    values = np.linspace(*model.range, settings.scan_points)
    measured: list[dict[str, MethodResult]] = [{} for _ in datasets]
    closure, done = [], 0
    steps = len(methods) * (len(datasets) + len(settings.closure_mu))
    for k, method in enumerate(methods):
        for data, found in zip(datasets, measured, strict=True):
            found[method.name] = measure_method(data, data.methods[k], values=values, tasks=tasks)
            progress("fits", done := done + 1, steps)
        for mu in settings.closure_mu:
            point = partial(close, method, pool, test, model, mu=mu, replicas=settings.bootstrap_replicas, seed=settings.seed)
            closure.append(ClosurePoint.from_json(tasks.result(f"{method.name}: closure at {mu!r}", lambda p=point: p().to_json())))  # type: ignore[misc]
            progress("fits", done := done + 1, steps)
    return Results(
        poi=model.parameter,
        asimov={model.parameter: model.truth},
        luminosity_ifb=config.luminosity_ifb,
        yields=dict(zip(pool.processes, pool.yields.tolist(), strict=True)),
        methods=measured[0],
        closure=tuple(closure),
        observed=observed_results(datasets, measured, yields=pool.yields),
    )


def observed_results(
    datasets: Sequence[FitData], measured: Sequence[dict[str, MethodResult]], *, yields: FloatArray
) -> ObservedResults | None:
    """Return what the recorded events say, if they are among the data."""
    for data, found in zip(datasets, measured, strict=True):
        if isinstance(data.events, RecordedEvents):
            truth = {data.model.parameter: data.model.truth}
            expected = float(coefficient_values(data.model.coefficients, truth) @ yields)
            return ObservedResults(data.events.counts, expected, found)
    return None


def measure_method(data: FitData, method: Method, *, values: FloatArray, tasks: FinishedTasks) -> MethodResult:
    """Measure by one method of the data, without and with systematic uncertainties: two tasks."""
    truth, name = data.model.truth, data.named(method.name)

    def without() -> JsonObject:
        return measure(method.likelihood(data.weights), method=method.name, values=values, truth=truth).to_json()

    plain = MethodResult.from_json(tasks.result(f"{name}: statistical", without), method=method.name)
    if not data.systematics:
        return plain

    def full() -> JsonObject:
        return measure_with(data.full(method), plain, data.systematics, values=values, truth=truth).to_json()

    return MethodResult.from_json(tasks.result(f"{name}: with systematics", full), method=method.name)


def close(
    method: Method, pool: SimulatedEvents, test: SimulatedEvents, model: Model, *, mu: float, replicas: int, seed: int
) -> ClosurePoint:
    """Fit the Asimov set of test events at a truth, with the standard errors from resampling them and the pool."""
    weights = truth_weights(test, model, mu)
    fit = method.likelihood(weights).fit()
    of_test = method.bootstrap(weights, replicas=replicas, seed=seed).standard_error
    of_pool = method.bootstrap_pool(truth_weights(pool, model, mu), replicas=replicas, seed=seed + 1).standard_error
    return ClosurePoint(
        mu=mu,
        mu_hat=fit.parameters[model.parameter],
        standard_error=float(np.hypot(of_test, of_pool)),
        method=method.name,
        test_error=of_test,
        pool_error=of_pool,
    )


def truth_weights(events: SimulatedEvents, model: Model, truth: float) -> FloatArray:
    """Return the weights that make the events the expectation at a truth, (n_events,)."""
    return asimov_weights(events.weights, coefficients=model.coefficients, parameters={model.parameter: truth}, bounds=model.bounds)


def write_workspaces(folder: Path, data: FitData, *, yields: FloatArray, ratio: OnnxRatio) -> None:
    """Write `nsbi.json`, `<histogram>.json` (with the parameter of interest), `<histogram>.pyhf.json` (plain pyhf) and the events.

    Those of recorded events are called `nsbi_observed.json` and so on.

    Args:
        folder: The folder that holds `workspace/`.
        data: The events, and all methods.
        yields: Expected events of each process, (n_processes,).
        ratio: The exported networks.
    """
    model, systematics, recorded = data.model, data.systematics, isinstance(data.events, RecordedEvents)
    rate, shape = yields_and_shape(data.methods)
    columns = dict.fromkeys([*ratio.features, *([str(shape.observable)] if systematics and shape is not None else [])])
    file = OBSERVED if recorded else ASIMOV
    write_observation(folder / file, {name: data.events.observables[name] for name in columns}, weights=None if recorded else data.weights)
    for method in data.methods:
        if isinstance(method, BinnedMethod):
            workspace, name = Workspace(binned_document(method, data.weights, systematics)), data.named(method.name)
            workspace.save(folder / WORKSPACE / f"{name}.json")
            plain = workspace.to_pyhf() if systematics else method.likelihood(data.weights).to_pyhf()
            write_checked_json(folder / WORKSPACE / f"{name}.pyhf.json", plain)
    observation = Observation(file=file.name, weight=None if recorded else WEIGHT)
    channel = unbinned_channel(model, yields, ratio, systematics, rate=rate, shape=shape, observation=observation)
    if channel.normalisation is not None:
        write_observation(folder / NORMALISATION, normalisation_columns(shape, systematics, features=ratio.features))
    used = {model.parameter, *channel.kinds}
    document = make_document(
        parameters=[p for p in parameters_of(model, systematics) if p.name in used],
        unbinned=[channel],
        constraints=[c for c in systematics.constraints if c.parameter == LUMINOSITY],
    )
    Workspace(document).save(folder / WORKSPACE / f"{data.named('nsbi')}.json")


def measure_with(full: Likelihood, plain: MethodResult, systematics: Systematics, *, values: FloatArray, truth: float) -> MethodResult:
    """Measure with systematic uncertainties; keep the result without them, and where the uncertainty comes from."""
    result = measure(full, method=plain.method, values=values, truth=truth)
    fit = result.fit if result.fit is not None else full.fit()
    groups = {g: [n for n in names if n in full.parameter_names] for g, names in systematics.groups.items()}
    groups[SIMULATION] = [c.parameter for c in full.constraints if c.parameter.startswith(f"{SIMULATION}_{plain.method}[")]
    uncertainties = {
        "pulls": [p.to_json() for p in pulls(full, fit)],
        "impacts": [i.to_json() for i in impacts(full, fit)],
        "breakdown": [c.to_json() for c in breakdown(full, fit, {g: own for g, own in groups.items() if own})],
    }
    return replace(result, statistical_only=plain, uncertainties=uncertainties)
