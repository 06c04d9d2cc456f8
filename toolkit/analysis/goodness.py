"""Goodness of every fit, asymptotic and from toys: `workspace/goodness.json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from toolkit.analysis.constructions import Experiment, reference_weights, toy_source
from toolkit.analysis.data import FitData
from toolkit.analysis.layout import GOODNESS, TOYS
from toolkit.analysis.methods import Method, UnbinnedMethod
from toolkit.analysis.session import Session
from toolkit.artifacts.atomic import make_folder, write_json
from toolkit.artifacts.toys import Row
from toolkit.errors import SchemaError
from toolkit.likelihood import FitResult, Likelihood, Results, UnbinnedLikelihood
from toolkit.likelihood.goodness import BinnedFit, GoodnessTest, UnbinnedFit, compare_with_toys
from toolkit.likelihood.toy_sources import BinnedToys, UnbinnedToys, model_weights
from toolkit.likelihood.toy_workers import Workers, run_here
from toolkit.typing import FloatArray, JsonObject


def write_goodness(
    session: Session, datasets: Sequence[FitData], results: Results, *, experiment: Experiment, workers: Workers = run_here
) -> None:
    """Compare every best fit with its data; toys are drawn from it if the config asks for them.

    Args:
        session: Where results are written; finished toys are kept in `workspace/toys/`.
        datasets: The Asimov set, and the recorded events if they are fitted.
        results: The results of all methods.
        experiment: Events, networks and likelihoods, nuisance parameters included.
        workers: Where toys run.
    """
    settings = session.config.likelihood.goodness
    toys = session.config.likelihood.toys.model_copy(update={"draw": "model"})
    likelihood_section = session.config.likelihood.model_copy(update={"toys": toys})
    drawn = replace(experiment, config=session.config.model_copy(update={"likelihood": likelihood_section}))
    folder = make_folder(session.work / TOYS) if settings.toys else session.work / TOYS
    measured = [results.methods, *([results.observed.methods] if results.observed is not None else [])]
    parts: list[JsonObject] = []
    for data, of_data in zip(datasets, measured, strict=True):
        found: JsonObject = {}
        for method in datasets[0].methods:
            fit = of_data[method.name].fit
            tests = _tests(session, drawn, method, datasets[0], data, fit=fit, workers=workers, folder=folder)
            found[method.name] = [test.to_json() for test in tests]
        parts.append(found)
    document = {"schema": 1, "toys": settings.toys, "methods": parts[0]}
    write_json(session.work / GOODNESS, {**document, "observed": parts[1]} if parts[1:] else document)


def _tests(
    session: Session,
    experiment: Experiment,
    method: Method,
    asimov: FitData,
    data: FitData,
    *,
    fit: FitResult | None,
    workers: Workers,
    folder: Path,
) -> tuple[GoodnessTest, ...]:
    """Test the fit of a method to data; toys and expectations come from the simulated events of the Asimov set."""
    settings, source = session.config.likelihood.goodness, toy_source(experiment, method)
    if not isinstance(source, BinnedToys | UnbinnedToys):
        what = f"goodness of fit of the method {method.name!r}"
        raise SchemaError(what, got=type(source).__name__, expected="toys of bins or of events")
    likelihood = experiment.likelihood(method, asimov.weights)
    point = likelihood.point((likelihood.fit() if fit is None else fit).parameters)
    free, theta = _unconstrained(likelihood), dict(zip(source.likelihood.parameter_names, point.tolist(), strict=True))
    measured: BinnedFit | UnbinnedFit
    degrees: list[int | None]
    if isinstance(source, BinnedToys):
        measured = BinnedFit(source)
        counts = np.bincount(data.bins[method.name], weights=data.weights, minlength=len(source.expected(theta)))
        observed, degrees = measured.statistics((counts.astype(np.float64), {}), point), [len(counts) - free]
    else:
        reference = reference_weights(experiment.test, experiment.ratio.metadata.reference_mixture)
        bins = {name: index for name, index in asimov.bins.items() if index.max() > 0}
        measured = UnbinnedFit(source, reference, bins)
        observed = measured.compare(data.weights, point) if data is asimov else _compare_recorded(measured, experiment, data, point)
        degrees = [None, *(int(index.max()) + 1 - free for index in bins.values())]
    return compare_with_toys(
        measured,
        observed,
        theta,
        poi=session.config.parameter.name,
        degrees=degrees,
        toys=settings.toys,
        seed=settings.seed,
        workers=workers,
        file=folder / f"{data.named(method.name)}_goodness.jsonl",
        progress=session.progress,
    )


def _compare_recorded(measured: UnbinnedFit, experiment: Experiment, data: FitData, point: FloatArray) -> Row:
    """Compare recorded events with the fitted densities, normalised on the simulated events like those that toys are drawn from."""
    ratio, yields = experiment.ratio, measured.toys.likelihood.yields
    simulated, own = (ratio(ratio.columns(events.observables)) for events in (experiment.test, data.events))
    _, log_mean = model_weights(simulated, measured.reference, yields)
    method = next(m for m in data.methods if isinstance(m, UnbinnedMethod))
    likelihood = data.full(method) if experiment.full is not None else method.likelihood(data.weights)
    shapes = likelihood.shapes if isinstance(likelihood, UnbinnedLikelihood) else None
    return measured.compare_recorded(np.exp(own - log_mean) * yields, data.bins, point, shapes=shapes)


def _unconstrained(likelihood: Likelihood) -> int:
    """Count the free parameters without an auxiliary measurement."""
    constrained = {c.parameter for c in likelihood.constraints}
    return sum(not p.fixed and p.name not in constrained for p in likelihood.parameters)
