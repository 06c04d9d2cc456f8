"""Data drawn again around what was observed: the bootstrap of the data of a likelihood.

What to use when: `resampled` for the statistical part of an uncertainty (`toolkit.likelihood.components`);
`toolkit.likelihood.bootstrap` for the error of a best fit from finite simulation, in which every simulated event is multiplied by a Poisson
number instead. Counts become Poisson numbers with the counts as means, and so do the weights of events: 1 for an event of data (the
Poisson bootstrap), expected events for an Asimov set (a toy of it). Auxiliary data stay as they are.
"""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from toolkit.errors import FitError, PhysicsDomainError
from toolkit.likelihood.base import Likelihood
from toolkit.likelihood.binned import BinnedLikelihood
from toolkit.likelihood.combined import CombinedLikelihood
from toolkit.likelihood.constraint_term import ConstraintTerm
from toolkit.likelihood.parameterised import ParameterisedLikelihood
from toolkit.likelihood.pyhf_model import PyhfLikelihood
from toolkit.likelihood.unbinned import UnbinnedLikelihood


@singledispatch
def resampled(likelihood: Likelihood, generator: np.random.Generator) -> Likelihood:
    """Return the likelihood of data drawn around the observed ones.

    Args:
        likelihood: A binned, pyhf, unbinned or combined likelihood; others can be registered with `resampled.register`.
        generator: Random numbers.

    Returns:
        The likelihood of the drawn data.

    Raises:
        FitError: A likelihood whose data are not known here.
        PhysicsDomainError: Events of negative weight, which are no expectation of a Poisson number.

    Examples:
        >>> likelihood = BinnedLikelihood(templates=[[10.0], [5.0]], data=[15.0], coefficients=("mu", "1"), parameters=("mu",),
        ...     bounds={"mu": (0.0, 4.0)})
        >>> resampled(likelihood, np.random.default_rng(1)).data.tolist()
        [13.0]
    """
    del generator
    raise FitError(
        f"bootstrap of the data of {type(likelihood).__name__}",
        got="data that are not known",
        expected="a binned, pyhf, unbinned or combined likelihood",
        remedy="register a function with toolkit.likelihood.resampled.register",
    )


@resampled.register
def _binned(likelihood: BinnedLikelihood, generator: np.random.Generator) -> Likelihood:
    return likelihood.with_data(generator.poisson(likelihood.data).astype(np.float64))


@resampled.register
def _pyhf(likelihood: PyhfLikelihood, generator: np.random.Generator) -> Likelihood:
    counts = likelihood.data[: likelihood.model.config.nmaindata]
    return likelihood.with_data(generator.poisson(counts).astype(np.float64))


@resampled.register(UnbinnedLikelihood)
@resampled.register(ParameterisedLikelihood)
def _unbinned(likelihood: UnbinnedLikelihood | ParameterisedLikelihood, generator: np.random.Generator) -> Likelihood:
    weights = likelihood.weights
    if np.any(weights < 0.0):
        raise PhysicsDomainError(
            "bootstrap of the data",
            got=f"{int(np.sum(weights < 0.0))} of {len(weights)} events with negative weights",
            expected="weights >= 0",
            remedy="use an Asimov set without negative weights",
        )
    drawn = generator.poisson(weights).astype(np.float64)
    present = np.flatnonzero(drawn)
    return likelihood.with_events(present, weights=drawn[present])


@resampled.register
def _constraints(likelihood: ConstraintTerm, generator: np.random.Generator) -> Likelihood:
    del generator
    return likelihood


@resampled.register
def _combined(likelihood: CombinedLikelihood, generator: np.random.Generator) -> Likelihood:
    return likelihood.with_terms([resampled(term, generator) for term in likelihood.terms])
