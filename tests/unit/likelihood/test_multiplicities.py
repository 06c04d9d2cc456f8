"""Poisson numbers of a bootstrap: one stream, whether drawn or kept."""

from __future__ import annotations

import numpy as np
import pytest

from toolkit.likelihood.multiplicities import ROWS, Draws, KeptDraws, poisson_draws

N = 3 * ROWS + 100
"""Events: three whole blocks and a part of one."""


def numbers(draws: Draws, n: int = N, seed: int = 5) -> np.ndarray:
    out = np.full((n, 3), np.nan)
    for rows, drawn in draws(n, 3, seed):
        out[rows] = drawn
    return out


@pytest.mark.parametrize("most_bytes", [0, 3 * ROWS, 2 * 3 * ROWS + 1, 10**9])
def test_kept_numbers_are_those_of_the_stream(most_bytes: int) -> None:
    """Some blocks are kept, and the others are drawn again where they belong in the stream."""
    direct = np.random.default_rng(5).poisson(1.0, size=(N, 3))
    kept = KeptDraws(most_bytes)
    for _ in range(3):
        np.testing.assert_array_equal(numbers(kept), direct)
    np.testing.assert_array_equal(numbers(poisson_draws), direct)


def test_an_iteration_that_was_left_early_spoils_nothing() -> None:
    kept = KeptDraws()
    next(kept(N, 3, 5))
    np.testing.assert_array_equal(numbers(kept), numbers(poisson_draws))


def test_numbers_of_events_and_seeds_do_not_mix() -> None:
    kept = KeptDraws()
    numbers(kept)
    np.testing.assert_array_equal(numbers(kept, n=ROWS + 1), numbers(poisson_draws)[: ROWS + 1])
    assert not np.array_equal(numbers(kept, seed=6), numbers(kept))


def test_numbers_are_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = KeptDraws()
    first = numbers(kept)
    monkeypatch.setattr(np.random, "default_rng", lambda _seed: None)
    np.testing.assert_array_equal(numbers(kept), first)
