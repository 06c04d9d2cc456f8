"""Goodness of fit in several regions: bins of all regions together, events of each unbinned region in tests of their own."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from toolkit.analysis.data import FitData
from toolkit.analysis.experiments import Experiment, reference_weights
from toolkit.analysis.methods import BinnedMethod, UnbinnedMethod
from toolkit.analysis.region_method import Part, RegionMethod, select_events
from toolkit.artifacts.toys import Row
from toolkit.errors import SchemaError
from toolkit.likelihood import CombinedLikelihood, Likelihood, PyhfLikelihood, UnbinnedLikelihood
from toolkit.likelihood.goodness import BinnedFit, CombinedFit, UnbinnedFit
from toolkit.likelihood.toy_sources import BinnedToys, CombinedToys, UnbinnedToys, model_weights
from toolkit.typing import FloatArray, IntArray


def combined_fit(
    experiment: Experiment,
    method: RegionMethod,
    source: CombinedToys,
    *,
    asimov: FitData,
    data: FitData,
    theta: Mapping[str, float],
) -> tuple[CombinedFit, Row]:
    """Compare the fit of a method over regions with its data.

    Args:
        experiment: Events, networks and likelihoods.
        method: The method, which looks at the simulated events.
        source: Its toys.
        asimov: The Asimov set.
        data: The Asimov set, or the data.
        theta: The best fit.

    Returns:
        The experiment with its test statistics, and the statistics of the data.
    """
    own = next(m for m in data.methods if isinstance(m, RegionMethod) and m.name == method.name)
    likelihood = data.full(own) if experiment.full is not None else data.plain(own)
    terms = likelihood.terms if isinstance(likelihood, CombinedLikelihood) else (likelihood,)
    parts = list(zip(method.parts, own.parts, strict=True))
    fits: list[BinnedFit | UnbinnedFit | None] = []
    labels, rows = [], list[FloatArray | Row | None]()
    for toys, term in zip(source.sources, terms, strict=True):
        part, seen = parts.pop(0) if toys is not None and parts else (None, None)
        labels.append("" if toys is None else "workspace" if part is None else part.region.name)
        if isinstance(toys, UnbinnedToys) and part is not None and seen is not None:
            fit = _unbinned(experiment, toys, part)
            point = np.array([theta[name] for name in toys.likelihood.parameter_names])
            fits.append(fit)
            if data is asimov:
                rows.append(fit.compare(data.weights[seen.test], point))
            else:
                rows.append(_compare_data(fit, experiment, (part, seen), data, term=term, point=point))
        elif isinstance(toys, BinnedToys):
            fits.append(BinnedFit(toys))
            rows.append(_counts(term, seen, data))
        else:
            fits.append(None)
            rows.append(None)
    measured = CombinedFit(source, tuple(fits), tuple(labels))
    whole = np.array([theta[name] for name in source.likelihood.parameter_names])
    auxiliary = {c.parameter: c.observed for c in likelihood.constraints}
    return measured, measured.row(rows, whole, auxiliary=auxiliary)


def _unbinned(experiment: Experiment, toys: UnbinnedToys, part: Part) -> UnbinnedFit:
    """Return the tests of the simulated events of a region."""
    reference = reference_weights(experiment.test.select(part.test), experiment.ratio.metadata.reference_mixture)
    return UnbinnedFit(toys, reference, {name: index for name, index in _bins(part).items() if index.max(initial=0) > 0})


def _bins(part: Part) -> dict[str, IntArray]:
    """Return the bins of the events of an unbinned region in all of its histograms."""
    return {m.name: m.index for m in part.siblings if isinstance(m, BinnedMethod)}


def _counts(term: Likelihood, seen: Part | None, data: FitData) -> FloatArray:
    """Return what the bins of a region hold, or those of a workspace of others."""
    if seen is not None and isinstance(seen.method, BinnedMethod):
        n_bins = seen.method.expected.shape[1]
        return np.bincount(seen.method.place, weights=data.weights[seen.test], minlength=n_bins).astype(np.float64)
    if isinstance(term, PyhfLikelihood):
        return np.asarray(term.data[: term.model.config.nmaindata])
    raise SchemaError("goodness of fit", got=type(term).__name__, expected="a region with bins, or a pyhf workspace")


def _compare_data(
    fit: UnbinnedFit, experiment: Experiment, parts: tuple[Part, Part], data: FitData, *, term: Likelihood, point: FloatArray
) -> Row:
    """Compare data with densities that are normalised on the simulated events, like those that toys are drawn from.

    Args:
        fit: The tests of the region.
        experiment: The simulated events.
        parts: The region with the simulated events, and with the data.
        data: The data of all regions.
        term: The likelihood of the data.
        point: The best fit, (n_parameters,).
    """
    method = parts[0].method
    if not isinstance(method, UnbinnedMethod) or method.evaluate is None:
        raise SchemaError("goodness of fit", got=type(method).__name__, expected="an unbinned method that can evaluate events")
    simulated = method.evaluate(experiment.test.select(parts[0].test))
    own = method.evaluate(select_events(data.events, parts[1].test))
    yields = method.base.yields
    _, log_mean = model_weights(simulated, fit.reference, yields)
    shapes = term.shapes if isinstance(term, UnbinnedLikelihood) else None
    return fit.compare_data(np.exp(own - log_mean) * yields, _bins(parts[1]), point, shapes=shapes)
