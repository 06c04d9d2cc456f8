"""Stage `fit`: the signal strength by every method on the same test events, with closure; workspaces to fit it elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from toolkit.artifacts.atomic import make_folder, write_json
from toolkit.config import Config
from toolkit.errors import ArtifactMismatchError
from toolkit.likelihood import (
    ClosurePoint,
    Observation,
    OnnxRatio,
    Parameter,
    Results,
    UnbinnedChannel,
    UnbinnedLikelihood,
    UnbinnedSample,
    Workspace,
    asimov_weights,
    make_document,
    measure,
    write_observation,
)
from toolkit.pipeline.stage import StageContext
from toolkit.pipeline.stages.constructions import write_intervals
from toolkit.pipeline.stages.datasets import read_simulation
from toolkit.pipeline.stages.layout import ASIMOV, FIT, MODEL, OUT_OF_BAG, WORKSPACE
from toolkit.pipeline.stages.methods import BinnedMethod, Method, Model, UnbinnedMethod, histogram_method, rate_method, score_method
from toolkit.typing import FloatArray, Progress
from toolkit.weights import SimulatedEvents


def run(context: StageContext) -> None:
    """Write `workspace/`: the results of all methods, one workspace per method, the Asimov set."""
    config = context.config
    pool, test = read_simulation(context)
    ratio = open_ratio(context.out / MODEL, config)
    methods = build_methods(config, pool=pool, test=test, ratio=ratio, out_of_bag=read_out_of_bag(context.out / OUT_OF_BAG, pool))
    results = measure_all(config, methods, pool=pool, test=test, progress=context.progress)
    make_folder(context.work / WORKSPACE)
    write_json(context.work / FIT, results.to_json())
    write_workspaces(context.work, methods, model=Model.of(config), pool=pool, test=test, ratio=ratio)
    write_intervals(context, methods, test=test, ratio=ratio)


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
    log_ratios = ratio(ratio.columns(test.observables))
    unbinned = [
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
    ]
    histograms = [
        histogram_method(
            name,
            model,
            pool=pool,
            test=test,
            values=(pool.observables[section.observable], test.observables[section.observable]),
            edges=section.edges,
        )
        for name, section in config.histograms.items()
    ]
    signal = config.processes.index(config.morphing.signal)
    score = score_method(model, pool=pool, test=test, log_ratios=(out_of_bag, log_ratios), bins=config.score_histogram.bins, signal=signal)
    return (rate_method(model, pool=pool, test=test), *histograms, score, UnbinnedMethod("nsbi", *unbinned))


def measure_all(config: Config, methods: Sequence[Method], *, pool: SimulatedEvents, test: SimulatedEvents, progress: Progress) -> Results:
    """Measure the parameter of interest by every method, and test the closure at every truth of the config.

    The standard error of a closure point is that of the finite simulation, test events and pool events in quadrature.
    """
    model, settings = Model.of(config), config.likelihood
    values = np.linspace(*model.range, settings.scan_points)
    nominal = truth_weights(test, model, model.truth)
    measured, closure = {}, []
    steps = len(methods) * (1 + len(settings.closure_mu))
    for k, method in enumerate(methods):
        measured[method.name] = measure(method.likelihood(nominal), method=method.name, values=values, truth=model.truth)
        progress("fits", k * (1 + len(settings.closure_mu)) + 1, steps)
        for i, mu in enumerate(settings.closure_mu):
            closure.append(close(method, pool, test, model, mu=mu, replicas=settings.bootstrap_replicas, seed=settings.seed))
            progress("fits", k * (1 + len(settings.closure_mu)) + 2 + i, steps)
    return Results(
        poi=model.parameter,
        asimov={model.parameter: model.truth},
        luminosity_ifb=config.luminosity_ifb,
        yields=dict(zip(pool.processes, pool.yields.tolist(), strict=True)),
        methods=measured,
        closure=tuple(closure),
    )


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


def write_workspaces(
    folder: Path, methods: Sequence[Method], *, model: Model, pool: SimulatedEvents, test: SimulatedEvents, ratio: OnnxRatio
) -> None:
    """Write `nsbi.json`, `<histogram>.json` (with the parameter of interest), `<histogram>.pyhf.json` (plain pyhf) and the Asimov set.

    Args:
        folder: The folder that holds `workspace/`.
        methods: All methods.
        model: The parameter of interest and the coefficients.
        pool: Events behind the yields.
        test: Events of the Asimov set.
        ratio: The exported networks.
    """
    weights = truth_weights(test, model, model.truth)
    parameter = Parameter(model.parameter, init=model.truth, low=model.range[0], high=model.range[1])
    write_observation(folder / ASIMOV, {name: test.observables[name] for name in ratio.features}, weights=weights)
    for method in methods:
        if isinstance(method, BinnedMethod):
            binned = method.likelihood(weights)
            Workspace(make_document(parameters=[parameter], binned=[binned])).save(folder / WORKSPACE / f"{method.name}.json")
            write_json(folder / WORKSPACE / f"{method.name}.pyhf.json", binned.to_pyhf())
    channel = unbinned_channel(model, pool.yields, ratio)
    Workspace(make_document(parameters=[parameter], unbinned=[channel])).save(folder / WORKSPACE / "nsbi.json")


def unbinned_channel(model: Model, yields: FloatArray, ratio: OnnxRatio) -> UnbinnedChannel:
    """Describe the unbinned channel; file names are relative to `workspace/`."""
    samples = [
        {"name": name, "yield": float(nu), "output": name, "modifiers": [{"type": "morphing", "data": {"coefficient": text}}]}
        for name, nu, text in zip(model.processes, yields, model.coefficients, strict=True)
    ]
    return UnbinnedChannel(
        name="nsbi",
        observables=tuple(ratio.features),
        reference=ratio.reference,
        model=f"../{MODEL.as_posix()}",
        samples=tuple(UnbinnedSample.model_validate(sample) for sample in samples),
        observation=Observation(file=ASIMOV.name),
    )
