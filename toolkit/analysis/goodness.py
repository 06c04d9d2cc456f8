"""Goodness of every fit, asymptotic and from toys: `workspace/goodness.json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from toolkit.analysis.cross_fit import log_ratios_of
from toolkit.analysis.data import FitData
from toolkit.analysis.experiments import Experiment, reference_weights, toy_source
from toolkit.analysis.layout import GOODNESS, TOYS
from toolkit.analysis.methods import BinnedMethod, Method, UnbinnedMethod
from toolkit.analysis.region_goodness import combined_fit
from toolkit.analysis.region_method import RegionMethod
from toolkit.analysis.session import Session
from toolkit.analysis.theta import ParameterisedMethod, learned_by_theta
from toolkit.artifacts.atomic import make_folder, write_json
from toolkit.artifacts.toys import Row
from toolkit.errors import SchemaError
from toolkit.likelihood import FitResult, Likelihood, Results, UnbinnedLikelihood
from toolkit.likelihood.goodness import BinnedFit, CombinedFit, GoodnessTest, UnbinnedFit, compare_with_toys
from toolkit.likelihood.parameterised_toys import ParameterisedToys
from toolkit.likelihood.toy_sources import BinnedToys, CombinedToys, UnbinnedToys, model_weights
from toolkit.likelihood.toy_workers import Workers, run_here
from toolkit.typing import FloatArray, JsonObject


def write_goodness(
    session: Session, datasets: Sequence[FitData], results: Results, *, experiment: Experiment, workers: Workers = run_here
) -> None:
    """Compare every best fit with its data; toys are drawn from it if the config asks for them.

    Args:
        session: Where results are written; finished toys are kept in `workspace/toys/`.
        datasets: The Asimov set, and the data if they are fitted.
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
    if data is not asimov and isinstance(method, BinnedMethod | RegionMethod):
        method = method.whole  # data have the bins of no fold
    settings, source = session.config.likelihood.goodness, toy_source(experiment, method)
    likelihood = asimov.full(method) if experiment.full is not None else asimov.plain(method)
    point = likelihood.point((likelihood.fit() if fit is None else fit).parameters)
    theta = dict(zip(likelihood.parameter_names, point.tolist(), strict=True))
    measured: BinnedFit | UnbinnedFit | CombinedFit
    if isinstance(source, CombinedToys) and isinstance(method, RegionMethod):
        measured, observed = combined_fit(experiment, method, source, asimov=asimov, data=data, theta=theta)
        degrees = _degrees_of_all(measured, free=_unconstrained(likelihood))
    elif isinstance(source, BinnedToys | UnbinnedToys | ParameterisedToys):
        measured, observed, degrees = _one(experiment, method, source, asimov, data, point=point, free=_unconstrained(likelihood))
    else:
        what = f"goodness of fit of the method {method.name!r}"
        raise SchemaError(what, got=type(source).__name__, expected="toys of bins or of events")
    return compare_with_toys(
        measured,
        observed,
        theta,
        poi=asimov.model.parameter,
        degrees=degrees,
        toys=settings.toys,
        seed=settings.seed,
        workers=workers,
        file=folder / f"{data.named(method.name)}_goodness.jsonl",
        progress=session.progress,
    )


def _one(
    experiment: Experiment,
    method: Method,
    source: BinnedToys | UnbinnedToys | ParameterisedToys,
    asimov: FitData,
    data: FitData,
    *,
    point: FloatArray,
    free: int,
) -> tuple[BinnedFit | UnbinnedFit, Row, list[int | None]]:
    """Return the experiment of a method of all events, the test statistics of the data, and their degrees of freedom."""
    if isinstance(source, BinnedToys):
        fit = BinnedFit(source)
        theta = dict(zip(source.likelihood.parameter_names, point.tolist(), strict=True))
        places = next(m.place for m in data.methods if isinstance(m, BinnedMethod) and m.name == method.name)
        counts = np.bincount(places, weights=data.weights, minlength=len(source.expected(theta)))
        return fit, fit.statistics((counts.astype(np.float64), {}), point), [len(counts) - free]
    simulated = learned_by_theta(experiment.config, experiment.test)
    reference = reference_weights(simulated, experiment.ratio.metadata.reference_mixture)
    bins = {name: index for name, index in asimov.bins.items() if index.max() > 0}
    events = UnbinnedFit(source, reference, bins)
    observed = events.compare(data.weights, point) if data is asimov else _compare_data(events, experiment, data, point)
    return events, observed, [None, *(int(index.max()) + 1 - free for index in bins.values())]


def _degrees_of_all(measured: CombinedFit, *, free: int) -> list[int | None]:
    """Return the degrees of freedom of tests in several regions: known if all of them are binned, since their bins fix all parameters."""
    fits = [f for f in measured.fits if f is not None]
    if not all(isinstance(f, BinnedFit) for f in fits):
        return [None] * len(measured.names)
    start = {p.name: p.init for p in measured.toys.likelihood.parameters}
    bins = sum(len(f.toys.expected({n: start[n] for n in f.toys.likelihood.parameter_names})) for f in fits if isinstance(f, BinnedFit))
    return [bins - free if bins > free else None]


def _compare_data(measured: UnbinnedFit, experiment: Experiment, data: FitData, point: FloatArray) -> Row:
    """Compare data with the fitted densities, normalised on the simulated events like those that toys are drawn from."""
    if isinstance(measured.toys, ParameterisedToys):
        [own_method] = [m for m in data.methods if isinstance(m, ParameterisedMethod)]
        fitted = own_method.base.with_mean(measured.toys.likelihood.log_mean)
        theta = dict(zip(measured.toys.likelihood.parameter_names, point.tolist(), strict=True))
        at = fitted.point({name: theta[name] for name in fitted.parameter_names})
        return measured.compare_density(np.exp(fitted.log_density(at[None, :])[:, 0]), data.bins, point)
    ratio, yields = experiment.ratio, measured.toys.likelihood.yields
    simulated, own = (log_ratios_of(ratio, events) for events in (experiment.test, data.events))
    _, log_mean = model_weights(simulated, measured.reference, yields)
    method = next(m for m in data.methods if isinstance(m, UnbinnedMethod))
    likelihood = data.full(method) if experiment.full is not None else method.likelihood(data.weights)
    shapes = likelihood.shapes if isinstance(likelihood, UnbinnedLikelihood) else None
    return measured.compare_data(np.exp(own - log_mean) * yields, data.bins, point, shapes=shapes)


def _unconstrained(likelihood: Likelihood) -> int:
    """Count the free parameters without an auxiliary measurement."""
    constrained = {c.parameter for c in likelihood.constraints}
    return sum(not p.fixed and p.name not in constrained for p in likelihood.parameters)
