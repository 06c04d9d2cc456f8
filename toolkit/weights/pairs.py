"""Nominal and varied events side by side: the same simulated event under both, row by row.

A systematic variation moves events by little and leaves most of them where they were. Between two independent samples the change
drowns in their fluctuations; between two rows of the same event it does not, because whatever the event is, it is on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import ArtifactMismatchError, ShapeError
from toolkit.typing import BoolArray, FloatArray, IntArray
from toolkit.weights.simulation import SimulatedEvents


@dataclass(frozen=True, eq=False)
class EventPairs:
    """Simulated events under the nominal and the varied conditions, one row per event that is selected under either.

    Attributes:
        processes: Names of the columns of the weights.
        event_id: Event numbers, (n,).
        nominal: Observables under nominal conditions, each (n,); those of the varied ones where the event is selected there only.
        varied: The same the other way round.
        nominal_weights: Expected events, (n, n_processes); 0 where the event is not selected under nominal conditions.
        varied_weights: The same under the varied ones.
    """

    processes: tuple[str, ...]
    event_id: NDArray[np.uint64]
    nominal: Mapping[str, FloatArray]
    varied: Mapping[str, FloatArray]
    nominal_weights: FloatArray
    varied_weights: FloatArray

    def __len__(self) -> int:
        return len(self.event_id)

    @property
    def yield_ratios(self) -> FloatArray:
        """Varied over nominal expected events of each process, (n_processes,); 1 where the nominal sum is not positive."""
        nominal, varied = self.nominal_weights.sum(axis=0), self.varied_weights.sum(axis=0)
        return np.asarray(np.divide(varied, nominal, out=np.ones_like(nominal), where=nominal > 0.0))

    def select(self, mask: NDArray[Any]) -> EventPairs:
        """Return the rows of a boolean mask (n,) or of integer positions (k,)."""
        return EventPairs(
            self.processes,
            self.event_id[mask],
            {name: values[mask] for name, values in self.nominal.items()},
            {name: values[mask] for name, values in self.varied.items()},
            self.nominal_weights[mask],
            self.varied_weights[mask],
        )

    def scaled(self, factor: float) -> EventPairs:
        """Return the same pairs with all weights multiplied by `factor`."""
        return replace(self, nominal_weights=self.nominal_weights * factor, varied_weights=self.varied_weights * factor)

    def moved(self, names: tuple[str, ...]) -> BoolArray:
        """Tell for which events some of the named observables differ, (n,)."""
        moved = np.zeros(len(self), dtype=bool)
        for name in names:
            moved |= self.nominal[name] != self.varied[name]
        return moved

    def affected(self, names: tuple[str, ...]) -> BoolArray:
        """Tell which processes the variation changes at all, in the named observables or in their weights, (n_processes,)."""
        moved = self.moved(names)[:, None] & (self.nominal_weights != 0.0)
        return np.asarray((moved | (self.nominal_weights != self.varied_weights)).any(axis=0))


def pair_events(nominal: SimulatedEvents, varied: SimulatedEvents, identities: tuple[IntArray, IntArray]) -> EventPairs:
    """Match nominal and varied events.

    Args:
        nominal: Events under nominal conditions.
        varied: Events under the varied ones.
        identities: What identifies an event within its sample, by nominal and by varied event: (n_nominal,), (n_varied,).

    Returns:
        All nominal events in their order, then the events that only the variation selects.

    Raises:
        ArtifactMismatchError: Other processes or samples, or two events of one sample with one identity.
        ShapeError: Identities of another length.

    Examples:
        >>> def events(number, x):
        ...     zeros = np.zeros(len(x), np.int64)
        ...     return SimulatedEvents(("q",), np.array(number, np.uint64), zeros, ("q",), {"x": np.array(x)}, np.ones((len(x), 1)))
        >>> one, two = events([7, 8], [1.0, 2.0]), events([8, 9], [2.5, 3.0])
        >>> pairs = pair_events(one, two, (np.array([0, 1]), np.array([1, 2])))
        >>> pairs.nominal["x"].tolist(), pairs.varied["x"].tolist()
        ([1.0, 2.0, 3.0], [1.0, 2.5, 3.0])
        >>> pairs.nominal_weights.ravel().tolist(), pairs.varied_weights.ravel().tolist()
        ([1.0, 1.0, 0.0], [0.0, 1.0, 1.0])
    """
    for what in ("processes", "samples"):
        if getattr(nominal, what) != getattr(varied, what):
            raise ArtifactMismatchError(f"{what} of nominal and varied events", got=getattr(varied, what), expected=getattr(nominal, what))
    first, second = (_codes(events, identity) for events, identity in zip((nominal, varied), identities, strict=True))
    _, i, j = np.intersect1d(first, second, assume_unique=True, return_indices=True)
    partner = np.full(len(nominal), -1)
    partner[i] = j
    extra = np.setdiff1d(np.arange(len(varied)), j, assume_unique=True)
    found = partner >= 0

    def after(events_of_nominal: FloatArray, events_of_varied: FloatArray) -> tuple[FloatArray, FloatArray]:
        other = np.where(found, events_of_varied[partner], events_of_nominal) if len(varied) else events_of_nominal
        own = events_of_varied[extra]
        return np.concatenate([events_of_nominal, own]), np.concatenate([other, own])

    columns = {name: after(values, varied.observables[name]) for name, values in nominal.observables.items()}
    weights = np.zeros((len(nominal), len(nominal.processes)))
    weights[found] = varied.weights[partner[found]]
    return EventPairs(
        nominal.processes,
        np.concatenate([nominal.event_id, varied.event_id[extra]]),
        {name: pair[0] for name, pair in columns.items()},
        {name: pair[1] for name, pair in columns.items()},
        np.concatenate([nominal.weights, np.zeros((len(extra), len(nominal.processes)))]),
        np.concatenate([weights, varied.weights[extra]]),
    )


def _codes(events: SimulatedEvents, identity: IntArray) -> IntArray:
    """Return one number per event, different for all of them, (n,)."""
    if len(identity) != len(events):
        raise ShapeError("identities", got=len(identity), expected=f"one for each of {len(events)} events")
    codes = (events.sample_index.astype(np.int64) << 56) + np.asarray(identity, dtype=np.int64)
    if len(np.unique(codes)) != len(codes):
        raise ArtifactMismatchError("events to pair", got="two of one sample with one identity", expected="different identities")
    return codes
