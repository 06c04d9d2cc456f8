"""Goodness of every fit, asymptotic and from toys: `workspace/goodness.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from toolkit.artifacts.atomic import make_folder, write_json
from toolkit.errors import SchemaError
from toolkit.likelihood import Likelihood, Results
from toolkit.likelihood.goodness import BinnedFit, GoodnessTest, UnbinnedFit, compare_with_toys
from toolkit.likelihood.toy_sources import BinnedToys, UnbinnedToys
from toolkit.likelihood.toy_workers import Workers
from toolkit.pipeline.stage import StageContext
from toolkit.pipeline.stages.constructions import Experiment, reference_weights, toy_source, toy_workers
from toolkit.pipeline.stages.layout import GOODNESS, TOYS
from toolkit.pipeline.stages.methods import BinnedMethod, Method
from toolkit.typing import FloatArray, IntArray


def write_goodness(
    context: StageContext, methods: Sequence[Method], results: Results, *, experiment: Experiment, weights: FloatArray
) -> None:
    """Compare every best fit with the data; toys are drawn from it if the config asks for them.

    Args:
        context: The stage; finished toys are kept in `workspace/toys/`.
        methods: All methods.
        results: Their results.
        experiment: Events, networks and likelihoods, nuisance parameters included.
        weights: Weights of the Asimov set, (n_test,).
    """
    settings = context.config.likelihood.goodness
    toys = context.config.likelihood.toys.model_copy(update={"draw": "model"})
    likelihood_section = context.config.likelihood.model_copy(update={"toys": toys})
    drawn = replace(experiment, config=context.config.model_copy(update={"likelihood": likelihood_section}))
    folder = make_folder(context.work / TOYS) if settings.toys else context.work / TOYS
    bins = {m.name: m.index for m in methods if isinstance(m, BinnedMethod)}
    parts = {}
    with toy_workers(context.executor) as workers:
        for method in methods:
            likelihood, fit = drawn.likelihood(method, weights), results.methods[method.name].fit
            point = likelihood.point((likelihood.fit() if fit is None else fit).parameters)
            tests = _tests(context, drawn, method, point, bins=bins, weights=weights, workers=workers, folder=folder)
            parts[method.name] = [test.to_json() for test in tests]
    write_json(context.work / GOODNESS, {"schema": 1, "toys": settings.toys, "methods": parts})


def _tests(
    context: StageContext,
    experiment: Experiment,
    method: Method,
    point: FloatArray,
    *,
    bins: Mapping[str, IntArray],
    weights: FloatArray,
    workers: Workers,
    folder: Path,
) -> tuple[GoodnessTest, ...]:
    settings, source = context.config.likelihood.goodness, toy_source(experiment, method)
    if not isinstance(source, BinnedToys | UnbinnedToys):
        what = f"goodness of fit of the method {method.name!r}"
        raise SchemaError(what, got=type(source).__name__, expected="toys of bins or of events")
    free = _unconstrained(experiment.likelihood(method, weights))
    theta = dict(zip(source.likelihood.parameter_names, point.tolist(), strict=True))
    measured: BinnedFit | UnbinnedFit
    degrees: list[int | None]
    if isinstance(source, BinnedToys):
        measured = BinnedFit(source)
        counts = np.bincount(bins[method.name], weights=weights, minlength=len(source.expected(theta)))
        observed, degrees = measured.statistics((counts.astype(np.float64), {}), point), [len(counts) - free]
    else:
        reference = reference_weights(experiment.test, experiment.ratio.metadata.reference_mixture)
        bins = {name: index for name, index in bins.items() if index.max() > 0}
        measured = UnbinnedFit(source, reference, bins)
        observed = measured.compare(weights, point)
        degrees = [None, *(int(index.max()) + 1 - free for index in bins.values())]
    return compare_with_toys(
        measured,
        observed,
        theta,
        poi=context.config.parameter.name,
        degrees=degrees,
        toys=settings.toys,
        seed=settings.seed,
        workers=workers,
        file=folder / f"{method.name}_goodness.jsonl",
        progress=context.progress,
    )


def _unconstrained(likelihood: Likelihood) -> int:
    """Count the free parameters without an auxiliary measurement."""
    constrained = {c.parameter for c in likelihood.constraints}
    return sum(not p.fixed and p.name not in constrained for p in likelihood.parameters)
