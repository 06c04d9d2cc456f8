"""Match the events of two variations of one sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from toolkit.artifacts.events import EventTable
from toolkit.errors import ArtifactMismatchError, ShapeError


def match_events(nominal: EventTable, varied: EventTable) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the events that two tables of one sample have in common.

    Args:
        nominal: One table.
        varied: Another variation of the same sample.

    Returns:
        Positions in `nominal` and in `varied`, (n_common,) each, of the same events in the same order. Events that only
        one of them has have moved over a threshold.

    Raises:
        ArtifactMismatchError: The tables belong to different samples.
        ShapeError: A table was not read from files and has no identities.

    Examples:
        A shift moved the second event under a threshold and another event over it:

        >>> def table(entries, variation):
        ...     n, where = len(entries), np.zeros(len(entries), dtype=np.int32)
        ...     return EventTable("qqZZ", np.array(entries, dtype=np.uint64), {}, np.ones(n), (), np.empty((n, 0)), where.astype(np.int8),
        ...                       file_index=where, entry=np.array(entries), variation=variation)
        >>> match_events(table([10, 11, 12], "nominal"), table([10, 12, 14], "jet_scale_up"))
        (array([0, 2]), array([0, 1]))
    """
    if nominal.sample != varied.sample:
        raise ArtifactMismatchError(
            "tables to match", got=f"samples {nominal.sample} and {varied.sample}", expected="two variations of one sample"
        )
    one, two = _identity(nominal), _identity(varied)
    position = np.minimum(np.searchsorted(one, two), max(len(one) - 1, 0))
    found = one[position] == two if len(one) else np.zeros(len(two), dtype=bool)
    return position[found].astype(np.int64), np.flatnonzero(found).astype(np.int64)


def _identity(table: EventTable) -> NDArray[np.int64]:
    """Return file and entry as one number, increasing as in every table that was read, (n,)."""
    if len(table.entry) != len(table):
        raise ShapeError(
            f"event table of {table.sample}",
            got=f"{len(table.entry)} entry numbers",
            expected=f"{len(table)}",
            remedy="read the table with read_events",
        )
    return np.asarray((table.file_index.astype(np.int64) << 40) + table.entry)
