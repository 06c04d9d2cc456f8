"""Blocks of toys at once give what toys fitted one by one give."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from toolkit.likelihood import BinnedLikelihood, CombinedLikelihood, UnbinnedLikelihood
from toolkit.likelihood.toy_lines import Lines, LineSource
from toolkit.likelihood.toy_sources import BinnedToys, CombinedToys, UnbinnedToys
from toolkit.likelihood.toys import ToyRequest, ToyTask, fit_toy, run_task, run_toys, toy_generator

COEFFICIENTS = ("mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)", "1")
YIELDS = np.array([20.0, 55.0, 50.0, 100.0])
BOUNDS = {"mu": (0.0, 6.0)}


def densities(x: np.ndarray) -> np.ndarray:
    s, b, q = 2.0 * x, 2.0 * (1.0 - x), np.ones_like(x)
    return np.stack([s, (20.0 * s + 50.0 * b - 90.0 * x * (1.0 - x)) / 55.0, b, q], axis=1)


def events(n: int = 4000) -> UnbinnedToys:
    x = np.random.default_rng(3).uniform(0.01, 0.99, n)
    shared: Any = {"coefficients": COEFFICIENTS, "parameters": ("mu",), "bounds": BOUNDS}
    likelihood = UnbinnedLikelihood.from_ratios(ratios=densities(x), weights=np.ones(n), yields=YIELDS, **shared)
    return UnbinnedToys(likelihood, densities(x) * YIELDS / n)


def bins() -> BinnedToys:
    middle = densities(np.linspace(0.1, 0.9, 5))
    templates = (middle / middle.sum(axis=0) * YIELDS).T
    return BinnedToys(BinnedLikelihood(templates=templates, data=np.ones(5), coefficients=COEFFICIENTS, parameters=("mu",), bounds=BOUNDS))


def both() -> CombinedToys:
    sources = (events(), bins())
    return CombinedToys(sources, CombinedLikelihood([s.likelihood for s in sources], poi="mu"))


@pytest.mark.parametrize("make", [events, bins, both])
@pytest.mark.parametrize("mu", [0.0, 0.4, 6.0])
def test_a_block_gives_what_single_fits_give(make: Any, mu: float) -> None:
    source = make()
    assert isinstance(source, LineSource)
    assert source.lines is not None
    theta = {"mu": mu}
    rows = run_task(source, ToyTask(tuple(theta.items()), tuple(range(60)), 5, "mu"))
    for index, (value, t, boundary, _) in rows.items():
        single = source.likelihood_of(source.sample(theta, toy_generator(5, theta, index)))
        other = fit_toy(single, poi="mu", truth=mu)
        assert t == pytest.approx(other[1], abs=3e-6)
        assert boundary == other[2]
        # equally deep minima are equally good
        assert value == pytest.approx(other[0], abs=1e-5) or single.twice_nll({"mu": value}) < single.twice_nll({"mu": other[0]}) + 1e-6


def test_blocks_of_any_size_have_the_same_bits() -> None:
    source, point = events(500), {"mu": 1.0}
    whole = run_task(source, ToyTask(tuple(point.items()), tuple(range(30)), 5, "mu"))
    alone = {i: run_task(source, ToyTask(tuple(point.items()), (i,), 5, "mu"))[i] for i in (0, 11, 29)}
    assert {i: whole[i] for i in alone} == alone


def test_toys_that_are_not_smooth_are_fitted_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    source, seen = bins(), []

    def rough(self: Lines, drawn: Any, *, truth: float) -> Any:
        fit = plain(self, drawn, truth=truth)
        return replace(fit, smooth=np.arange(len(drawn)) != 3, t=np.where(np.arange(len(drawn)) == 3, 1e9, fit.t))

    plain = Lines.fit
    monkeypatch.setattr(Lines, "fit", rough)
    [toys] = run_toys(source, [ToyRequest({"mu": 1.0}, 10)], poi="mu", seed=1)
    seen += toys.t.tolist()
    assert max(seen) < 50.0


def test_what_has_no_table_says_so() -> None:
    """A density that is negative somewhere, and two free parameters."""
    below = BinnedLikelihood(
        templates=[[1.0, 2.0], [5.0, -1.0]], data=[6.0, 1.0], coefficients=("mu", "1"), parameters=("mu",), bounds={"mu": (0.0, 4.0)}
    )
    assert BinnedToys(below).lines is None
    two = BinnedLikelihood(
        templates=[[1.0, 2.0], [5.0, 1.0]],
        data=[6.0, 3.0],
        coefficients=("mu", "t"),
        parameters=("mu", "t"),
        bounds={"mu": (0.0, 4.0), "t": (0.5, 2.0)},
    )
    assert BinnedToys(two).lines is None
