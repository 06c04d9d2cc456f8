from __future__ import annotations

import numpy as np
import pytest

from toolkit.artifacts import EventTable, match_events
from toolkit.errors import ArtifactMismatchError, ShapeError


def _table(identities: list[tuple[int, int]], *, sample: str = "s") -> EventTable:
    n = len(identities)
    file_index, entry = np.array(identities, dtype=np.int64).reshape(n, 2).T
    arrays = (np.zeros(n, np.uint64), {}, np.ones(n), (), np.empty((n, 0)), np.zeros(n, np.int8))
    return EventTable(sample, *arrays, file_index=file_index.astype(np.int32), entry=entry)


@pytest.mark.parametrize("seed", range(5))
def test_matches_equal_the_loop(seed: int) -> None:
    rng = np.random.default_rng(seed)
    everything = sorted({(int(f), int(e)) for f, e in rng.integers(0, [3, 40], (60, 2))})
    one, two = ([i for i in everything if rng.uniform() < 0.7] for _ in range(2))
    i, j = match_events(_table(one), _table(two))
    assert [(one[a], two[b]) for a, b in zip(i, j, strict=True)] == [(x, x) for x in one if x in two]


def test_equal_entries_of_different_files_are_different_events() -> None:
    i, j = match_events(_table([(0, 5), (1, 5)]), _table([(1, 5), (2, 5)]))
    assert (i.tolist(), j.tolist()) == ([1], [0])


def test_empty_tables_match_nothing() -> None:
    full, empty = _table([(0, 1)]), _table([])
    for one, two in ((full, empty), (empty, full), (empty, empty)):
        i, j = match_events(one, two)
        assert len(i) == len(j) == 0


def test_tables_that_cannot_be_matched_are_refused() -> None:
    with pytest.raises(ArtifactMismatchError, match="samples s and t"):
        match_events(_table([(0, 1)]), _table([(0, 1)], sample="t"))
    bare = EventTable("s", np.zeros(1, np.uint64), {}, np.ones(1), (), np.empty((1, 0)), np.zeros(1, np.int8))
    with pytest.raises(ShapeError, match="0 entry numbers"):
        match_events(bare, _table([(0, 1)]))
