"""Test events and training folds, assigned by a keyed hash of the event identity.

The assignment depends on nothing but the event number and the salt: not on the order of the events, the
number of files or the executor. It is a hash and not a remainder, because event numbers may carry structure
(generators number without gaps, filters keep every second event) that a remainder would turn into a bias.

`hold_out` takes the test events away once and for all. What is left, the training sample, is cut into folds by
`assign_fold`: a network that trains on some folds is calibrated on the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import SchemaError, ShapeError
from toolkit.weights.simulation import SimulatedEvents


def hold_out(events: SimulatedEvents, *, fraction: float, salt: str) -> tuple[SimulatedEvents, SimulatedEvents]:
    """Split simulated events into a training sample and a test sample that each keep the expected yields.

    Args:
        events: All simulated events.
        fraction: Expected fraction of test events, in (0, 1).
        salt: Key of the hash. Another salt gives an independent split of the same events.

    Returns:
        (training, test), their weights scaled by 1 / (1 - fraction) and 1 / fraction.

    Raises:
        SchemaError: The fraction is not in (0, 1).

    Notes:
        The fraction is an expectation: the number of test events fluctuates binomially, and so do the yields.
        Scaling by the ratio of counts instead would tie the two sets to each other.

    Examples:
        The yields of both parts are expected to be those of all events:

        >>> n = 10_000
        >>> ids, one = np.arange(n, dtype=np.uint64), np.full((n, 1), 0.01)
        >>> events = SimulatedEvents(("qqZZ",), ids, np.zeros(n, dtype=np.int64), ("qqZZ",), {}, one)
        >>> training, test = hold_out(events, fraction=0.25, salt="h4l")
        >>> len(test), round(float(training.yields[0])), round(float(test.yields[0]))
        (2489, 100, 100)
    """
    if not 0.0 < fraction < 1.0:
        raise SchemaError(what="fraction of test events", got=fraction, expected="a number between 0 and 1, both excluded")
    test = hash_uniform(events.event_id, salt=salt) < fraction
    return events.select(~test).scaled(1.0 / (1.0 - fraction)), events.select(test).scaled(1.0 / fraction)


def assign_fold(event_id: NDArray[np.integer[Any]], *, n_folds: int, salt: str) -> NDArray[np.int8]:
    """Assign each event to one of `n_folds` folds of equal expected size.

    Args:
        event_id: Event numbers, shape (n,), any integer type. Equal numbers get equal folds.
        n_folds: Number of folds, 2 to 100.
        salt: Key of the hash; independent of `hold_out` with the same salt.

    Returns:
        Fold numbers, shape (n,), int8.

    Raises:
        ShapeError: `event_id` is not one-dimensional.
        SchemaError: `event_id` is not of integer type, or the number of folds is out of range.

    Examples:
        >>> np.bincount(assign_fold(np.arange(100_000), n_folds=4, salt="h4l")) // 1000
        array([24, 25, 24, 25])
    """
    if not 2 <= n_folds <= 100:
        raise SchemaError(what="n_folds", got=n_folds, expected="2 to 100")
    return (hash_uniform(event_id, salt=f"{salt}/fold") * n_folds).astype(np.int8)


def hash_uniform(event_id: NDArray[np.integer[Any]], *, salt: str, more: Sequence[NDArray[np.integer[Any]]] = ()) -> NDArray[np.float64]:
    """Hash event numbers to reproducible uniform numbers.

    Args:
        event_id: Event numbers, shape (n,), integer type.
        salt: Key of the hash.
        more: Further integers that belong to the identity, each (n,): run, position of a particle in the event, ...

    Returns:
        Numbers in [0, 1), multiples of 2^-53, shape (n,).

    Raises:
        ShapeError: `event_id` is not one-dimensional.
        SchemaError: `event_id` is not of integer type.

    References:
        Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014): the mixing function.

    Examples:
        >>> hash_uniform(np.array([1, 2, 1]), salt="a").round(3)
        array([0.123, 0.954, 0.123])
    """
    ids = np.asarray(event_id)
    if ids.ndim != 1:
        raise ShapeError(what="event_id", got=f"shape {ids.shape}", expected="shape (n,)")
    if ids.dtype.kind not in "iu":
        remedy = "keep event numbers as integers: a float64 holds them exactly only below 2^53"
        raise SchemaError(what="event_id", got=f"dtype {ids.dtype}", expected="an integer dtype", remedy=remedy)
    key = np.frombuffer(hashlib.blake2b(salt.encode(), digest_size=16).digest(), dtype="<u8")
    mixed = _mix(_mix(ids.astype(np.uint64) ^ key[0]) + key[1])
    for part in more:
        mixed = _mix(mixed ^ np.asarray(part).astype(np.uint64))
    uniform: NDArray[np.float64] = (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return uniform


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits of 64-bit integers (splitmix64: increment by the golden gamma, then finalise)."""
    z = z + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z
