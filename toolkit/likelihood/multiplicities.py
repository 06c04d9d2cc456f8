"""The Poisson numbers of a bootstrap: how often every event happens in every replica.

Drawing them takes most of the time of a bootstrap. Bootstraps of the same events with the same seed have the same numbers, whatever the
method and the weights: `KeptDraws` keeps them from one bootstrap to the next, a byte each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.typing import FloatArray

ROWS = 1 << 13
"""Events per block; 200 replicas of one block are 13 MB."""
MOST_BYTES = 1 << 27
"""Numbers that are kept, at most: those of 670,000 events with 200 replicas."""

Draws = Callable[[int, int, int], Iterator[tuple[slice, FloatArray]]]
"""(n_events, n_replicas, seed) -> consecutive rows and their numbers, (n_rows, n_replicas)."""


def poisson_draws(n: int, replicas: int, seed: int) -> Iterator[tuple[slice, FloatArray]]:
    """Yield Poisson(1) numbers (n_rows, n_replicas) for consecutive rows: the stream does not depend on the size of the blocks.

    Args:
        n: Number of events.
        replicas: Number of replicas.
        seed: Seed.
    """
    yield from KeptDraws(most_bytes=0)(n, replicas, seed)


@dataclass(eq=False)
class KeptDraws:
    """Yields the numbers of `poisson_draws`, and keeps the first ones for the next time.

    Args:
        most_bytes: Memory for what is kept, in all; what does not fit is drawn again.

    Examples:
        >>> kept = KeptDraws()
        >>> first, second, fresh = (next(draws(100, 5, 1))[1] for draws in (kept, kept, poisson_draws))
        >>> bool(np.all(first == second)), bool(np.all(first == fresh))
        (True, True)
    """

    most_bytes: int = MOST_BYTES
    _streams: dict[tuple[int, int, int], _Stream] = field(default_factory=dict, init=False, repr=False)

    def __call__(self, n: int, replicas: int, seed: int) -> Iterator[tuple[slice, FloatArray]]:
        """Yield the numbers; arguments as of `poisson_draws`."""
        stream = self._streams.setdefault((n, replicas, seed), _Stream())
        generator = np.random.default_rng(seed)
        fresh = True
        for k, start in enumerate(range(0, n, ROWS)):
            rows = slice(start, min(start + ROWS, n))
            if k < len(stream.blocks):
                yield rows, stream.blocks[k].astype(np.float64)
                continue
            if fresh and stream.state is not None:
                generator.bit_generator.state = stream.state
            fresh = False
            drawn = generator.poisson(1.0, size=(rows.stop - rows.start, replicas))
            if k == len(stream.blocks) and self._bytes + drawn.size <= self.most_bytes:
                stream.blocks.append(drawn.astype(np.uint8))  # a Poisson(1) number above 255 has a probability of 1e-508
                stream.state = generator.bit_generator.state
            yield rows, drawn.astype(np.float64)

    @property
    def _bytes(self) -> int:
        return sum(block.nbytes for stream in self._streams.values() for block in stream.blocks)


@dataclass(eq=False)
class _Stream:
    """The first blocks of the numbers of one seed, and the state of the generator behind them."""

    blocks: list[NDArray[np.uint8]] = field(default_factory=list)
    state: Any = None
