"""Merging as a tree keeps the order, and its shape depends on the number of values alone."""

from __future__ import annotations

import numpy as np
import pytest

from processors.executors import LocalExecutor, merge_pair
from processors.reduction import reduced


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 8, 100])
def test_the_order_is_kept_and_the_depth_is_that_of_a_tree(n: int) -> None:
    def merge(left: tuple[list[int], int], right: tuple[list[int], int]) -> tuple[list[int], int]:
        return left[0] + right[0], max(left[1], right[1]) + 1

    found = reduced((([k], 0) for k in range(n)), merge)
    assert (found is None) == (n == 0)
    if found is not None:
        assert found[0] == list(range(n))
        assert found[1] <= 2 * np.ceil(np.log2(max(n, 1)))


def test_only_a_few_values_are_kept_at_a_time() -> None:
    alive = most = 0

    class Value:
        def __init__(self) -> None:
            nonlocal alive, most
            alive += 1
            most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    reduced((Value() for _ in range(1000)), lambda _left, right: right)
    assert most <= 14


def test_an_executor_sums_as_a_tree() -> None:
    """With floating-point numbers the tree differs from the sum from left to right."""
    numbers = np.random.default_rng(7).normal(size=1001).tolist()
    merged, _ = LocalExecutor()(range(1001), lambda k: {"x": numbers[k]}, None)
    assert merged["x"] == reduced(numbers, lambda left, right: left + right)
    assert merged["x"] != sum(numbers)
    assert merge_pair({"x": 1.0}, {"x": 2.0}) == {"x": 3.0}
