"""Fits, profiles and intervals of random models with several minima against an independent search: a tenth of `benchmarks.minima`."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.minima import TOLERANCE, check, height, names_of
from benchmarks.minima_models import judge, random_model


@pytest.mark.parametrize("seed", [5, 6, 8, 11, 55, 75, 103, 142, 160, 268, 300, 337, 375, 474, 482, 490])
def test_fit_profile_and_intervals_are_those_of_an_independent_search(seed: int) -> None:
    """Seeds of small models, among them those on which searches along one parameter alone, or along straight lines, failed."""
    outcome = check(seed)
    assert outcome.missed <= TOLERANCE
    assert outcome.high <= TOLERANCE
    assert outcome.lost == 0
    assert outcome.unnamed == 0


@pytest.mark.parametrize("first", range(500, 550, 10))
def test_no_fit_misses_the_global_minimum(first: int) -> None:
    for seed in range(first, first + 10):
        model = random_model(seed)
        fit, rng = model.likelihood().fit(), np.random.default_rng([7, seed])
        starts = np.stack([rng.uniform(low, high, 4) for low, high in model.bounds], axis=1)
        lowest = judge(model, {}, starts, grid={1: 61, 2: 15, 3: 7}[model.n_signals])[0, 0]
        assert height(model, fit.parameters) <= lowest + TOLERANCE, (seed, names_of(model))
