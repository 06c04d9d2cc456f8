"""Merge the results of chunks pairwise in their order, as a tree whose shape depends on their number alone.

On a cluster the workers merge, and one result travels to the client instead of one per chunk. Floating-point sums depend on the order of
the terms: all executors use this tree, so they agree to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def reduced(values: Iterable[T], merge: Callable[[T, T], T]) -> T | None:
    """Merge values pairwise: neighbours first, then neighbouring pairs, and so on; at most log2(n) + 1 are kept at a time.

    Args:
        values: In their order.
        merge: Merges two neighbours, the left one first.

    Returns:
        The merged value, None for no values.

    Examples:
        >>> reduced("abcde", lambda left, right: f"({left}{right})")
        '(((ab)(cd))e)'
    """
    stack: list[tuple[int, T]] = []
    for value in values:
        stack.append((0, value))
        while len(stack) > 1 and stack[-1][0] == stack[-2][0]:
            (level, left), (_, right) = stack[-2:]
            stack[-2:] = [(level + 1, merge(left, right))]
    while len(stack) > 1:
        (level, left), (_, right) = stack[-2:]
        stack[-2:] = [(level, merge(left, right))]
    return stack[0][1] if stack else None
