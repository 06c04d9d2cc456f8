"""Toys of any likelihood whose data are an Asimov set, such as that of a workspace file."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from toolkit.errors import PhysicsDomainError, SchemaError
from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.binned import BinnedLikelihood
from toolkit.likelihood.coefficients import describe_point
from toolkit.likelihood.combined import CombinedLikelihood
from toolkit.likelihood.compression import quickly_normalised
from toolkit.likelihood.constraint_term import ConstraintTerm
from toolkit.likelihood.parameterised import ParameterisedLikelihood
from toolkit.likelihood.parameterised_toys import ParameterisedToys
from toolkit.likelihood.pyhf_model import PyhfLikelihood
from toolkit.likelihood.toy_sources import BinnedToys, CombinedToys, Negative, UnbinnedToys, rescaled
from toolkit.likelihood.toys import ToySource
from toolkit.likelihood.unbinned import UnbinnedLikelihood


def toys_of(likelihood: Likelihood, *, asimov: Mapping[str, float], negative: Negative = "error", seed: int = 0) -> ToySource:
    """Make the experiment that a likelihood describes.

    Unbinned channels draw from the events of their Asimov set: an event of weight w stands for w r(theta) / r(asimov) events at
    theta, with r the model's density ratio. Bins need no Asimov set.

    Args:
        likelihood: Unbinned, binned, a pyhf model, or a combination of them with constraints.
        asimov: Parameter point of the Asimov set of the unbinned channels.
        negative: What to do with events of negative expected weight.
        seed: Of the subsample on which the toys' fits normalise per-event variations.

    Returns:
        The experiment; each process has its nominal yield in the toys and in their fit, and per-event variations are normalised
        on the events that are drawn from.

    Raises:
        SchemaError: A likelihood of another kind, or a point that leaves a parameter of an unbinned channel out.
        PhysicsDomainError: Events without weights, or a density that is not positive at the Asimov point.
    """
    if isinstance(likelihood, UnbinnedLikelihood):
        return _unbinned(likelihood, asimov, negative, seed)
    if isinstance(likelihood, ParameterisedLikelihood):
        return _parameterised(likelihood, asimov)
    if isinstance(likelihood, BinnedLikelihood | PyhfLikelihood):
        return BinnedToys(likelihood)
    if isinstance(likelihood, CombinedLikelihood):
        sources = [
            None if isinstance(t, ConstraintTerm) else toys_of(t, asimov=asimov, negative=negative, seed=seed) for t in likelihood.terms
        ]
        return CombinedToys(tuple(sources), likelihood)
    what = "toys of a likelihood"
    raise SchemaError(what, got=type(likelihood).__name__, expected="unbinned, binned, pyhf or combined", remedy="write a ToySource for it")


def _parameterised(likelihood: ParameterisedLikelihood, asimov: Mapping[str, float]) -> ParameterisedToys:
    point = likelihood.point(_complete(likelihood, asimov))
    found = likelihood.not_positive(point)
    if found is not None:
        raise found.error
    return ParameterisedToys(likelihood, likelihood.weights * np.exp(-likelihood.log_density(point[None, :])[:, 0]))


def _complete(likelihood: Likelihood, asimov: Mapping[str, float]) -> dict[str, float]:
    names = likelihood.parameter_names
    missing = [name for name in names if name not in asimov]
    if missing:
        what = "point of the Asimov set"
        raise SchemaError(what, got=sorted(asimov), expected=f"values of {list(names)}", remedy=f"name {missing} as well")
    return {name: asimov[name] for name in names}


def _unbinned(likelihood: UnbinnedLikelihood, asimov: Mapping[str, float], negative: Negative, seed: int) -> UnbinnedToys:
    names = likelihood.parameter_names
    point = likelihood.point(_complete(likelihood, asimov))
    factors = likelihood.coefficients.values(point[None, :])[0]
    varied = likelihood.densities * factors
    if likelihood.shapes is not None:
        alphas = point[[names.index(name) for name in likelihood.shapes.names]]
        at, reference = likelihood.shapes.at(alphas), likelihood.reference
        log_norm = np.zeros(varied.shape[1]) if reference is None else reference.norms(alphas, threads=likelihood.threads).log
        for j in range(varied.shape[1]):
            varied[:, j] *= np.exp(at.log_factor(j, slice(None)) - log_norm[j])
    total = varied.sum(axis=1)
    if not len(total) or not total.min() > 0.0:
        what = f"density of the Asimov set at {describe_point(names, point)}"
        raise PhysicsDomainError(what, got=f"{int(np.sum(total <= 0.0))} of {len(total)} events <= 0", expected="events, all > 0")
    expected = likelihood.densities * (likelihood.weights / total)[:, None]
    sums, used = expected.sum(axis=0), likelihood.yields > 0.0
    if np.any(sums[used] <= 0.0):
        what = "Asimov set behind the toys"
        raise PhysicsDomainError(what, got=f"sums of the processes {sums.tolist()}", expected="> 0", remedy="take more events")
    mean = np.where(used, sums / np.where(used, likelihood.yields, 1.0), 1.0)
    expected = expected / mean
    return UnbinnedToys(quickly_normalised(rescaled(likelihood, np.log(mean)), seed=seed, expected=expected), expected, negative=negative)
