"""Intervals from toys: the part of the stage `fit` that runs when the config asks for a Neyman construction."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from toolkit.artifacts.atomic import make_folder, write_json
from toolkit.config import Config
from toolkit.errors import SchemaError
from toolkit.likelihood import OnnxRatio, asimov_weights
from toolkit.likelihood.coverage import check_coverage
from toolkit.likelihood.neyman import construct_bands, grid_points, neyman_intervals
from toolkit.likelihood.toy_sources import BinnedToys, UnbinnedToys, model_weights, rescaled
from toolkit.likelihood.toy_workers import Workers, dask_workers, local_processes, run_here
from toolkit.likelihood.toys import ToySource
from toolkit.pipeline.stage import ExecutorOptions, StageContext
from toolkit.pipeline.stages.layout import INTERVALS, TOYS
from toolkit.pipeline.stages.methods import BinnedMethod, Method, Model, UnbinnedMethod
from toolkit.typing import FloatArray, JsonObject
from toolkit.weights import SimulatedEvents


def write_intervals(context: StageContext, methods: Sequence[Method], *, test: SimulatedEvents, ratio: OnnxRatio) -> None:
    """Write `workspace/intervals.json` if the config asks for it; finished toys are kept in `workspace/toys/`.

    Raises:
        SchemaError: The config names a method that there is not.
    """
    config = context.config
    if config.parameter.interval != "neyman":
        return
    settings, named = config.likelihood.toys, {method.name: method for method in methods}
    unknown = sorted(set(settings.methods) - set(named))
    if unknown:
        what = "likelihood.toys.methods"
        raise SchemaError(what, got=unknown, expected=f"methods among {sorted(named)}", remedy="correct the names in the config")
    folder = make_folder(context.work / TOYS)
    with toy_workers(context.executor) as workers:
        parts = {
            name: _construct(context, named[name], test=test, ratio=ratio, workers=workers, folder=folder) for name in settings.methods
        }
    write_json(context.work / INTERVALS, {"schema": 1, "draw": settings.draw, "methods": parts})


@contextlib.contextmanager
def toy_workers(options: ExecutorOptions) -> Iterator[Workers]:
    """Give the place where toys run: that of the processing stage."""
    if options.name == "dask":
        from processors.cluster import dask_executor

        with dask_executor(scheduler=options.scheduler, workers=options.workers or 1) as executor:
            yield dask_workers(executor.client)
    elif options.name == "futures":
        yield local_processes(options.workers or os.cpu_count() or 1)
    else:
        yield run_here


def _construct(
    context: StageContext, method: Method, *, test: SimulatedEvents, ratio: OnnxRatio, workers: Workers, folder: Path
) -> JsonObject:
    config, settings = context.config, context.config.likelihood.toys
    model, poi = Model.of(config), config.parameter.name
    weights = asimov_weights(test.weights, coefficients=model.coefficients, parameters={poi: model.truth}, bounds=model.bounds)
    observed, source = method.likelihood(weights), toy_source(config, method, test=test, ratio=ratio)
    points = grid_points(observed, points=settings.grid_points, poi=poi)
    bands = construct_bands(
        source,
        points,
        poi=poi,
        toys=settings.per_point,
        seed=settings.seed,
        low=model.range[0],
        root=poi in observed.diverging,
        workers=workers,
        file=folder / f"{method.name}.jsonl",
        progress=context.progress,
    )
    result = neyman_intervals(bands, observed, values=np.linspace(*model.range, config.likelihood.scan_points))
    truths = [observed.fit(fixed={poi: mu}).parameters for mu in settings.coverage_at]
    checks = check_coverage(
        source,
        bands,
        truths,
        toys=settings.coverage_toys,
        seed=settings.seed + 1,
        workers=workers,
        file=folder / f"{method.name}_coverage.jsonl",
        progress=context.progress,
    )
    return {**result.to_json(), "coverage": [check.to_json() for check in checks]}


def toy_source(config: Config, method: Method, *, test: SimulatedEvents, ratio: OnnxRatio) -> ToySource:
    """Return the experiment whose toys are drawn for a method.

    Args:
        config: Says what the toys are drawn from, and what happens to negative weights.
        method: The method.
        test: The simulated events that unbinned toys are drawn from.
        ratio: The exported networks; their reference is what weighs events for the model's own density.

    Raises:
        SchemaError: The networks' reference is not a mixture of processes, so that the model cannot be drawn from.
    """
    settings = config.likelihood.toys
    if isinstance(method, BinnedMethod):
        likelihood = method.likelihood(np.ones(len(test)))
        if settings.draw == "model":
            return BinnedToys(likelihood)
        n_bins = likelihood.templates.shape[1]
        return BinnedToys(likelihood, np.stack([np.bincount(method.index, weights=w, minlength=n_bins) for w in test.weights.T]))
    if not isinstance(method, UnbinnedMethod):
        what = f"toys of the method {method.name!r}"
        raise SchemaError(what, got=type(method).__name__, expected="a binned or an unbinned method")
    if settings.draw == "simulation":
        return UnbinnedToys(method.base, test.weights, negative=settings.negative)
    reference = reference_weights(test, ratio.metadata.reference_mixture)
    expected, log_mean = model_weights(ratio(ratio.columns(test.observables)), reference, method.base.yields)
    return UnbinnedToys(rescaled(method.base, log_mean), expected, negative=settings.negative)


def reference_weights(test: SimulatedEvents, mixture: Mapping[str, float]) -> FloatArray:
    """Weigh events so that they follow the reference density sum_j pi_j p_j, (n_events,).

    Raises:
        SchemaError: There are no fractions pi_j.
    """
    if not mixture:
        what = "reference of the networks"
        raise SchemaError(
            what, got="not a mixture of processes", expected="its fractions", remedy="draw from the simulation: likelihood.toys.draw"
        )
    columns = [test.processes.index(name) for name in mixture]
    return np.asarray(test.weights[:, columns] @ (np.array(list(mixture.values())) / test.yields[columns]))
