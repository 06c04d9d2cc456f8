"""Train, calibration and test events, assigned by a keyed hash of the event identity.

The assignment depends on nothing but the event number and the salt: not on the order of the events, the
number of files or the executor. It is a hash and not a remainder, because event numbers may carry structure
(generators number without gaps, filters keep every second event) that a remainder would turn into a bias.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolkit.errors import SchemaError, ShapeError
from toolkit.weights.simulation import SimulatedEvents

TRAIN, CALIBRATION, TEST = 0, 1, 2
"""Labels of the three splits."""


def assign_split(event_id: NDArray[np.integer[Any]], *, fractions: tuple[float, float, float], salt: str) -> NDArray[np.int8]:
    """Assign each event to training (0), calibration (1) or test (2).

    Args:
        event_id: Event numbers, shape (n,), any integer type. Equal numbers get equal labels.
        fractions: Expected fractions of train, calibration and test; each >= 0, sum 1.
        salt: Key of the hash. Another salt gives an independent split of the same events.

    Returns:
        Labels, shape (n,), int8.

    Raises:
        ShapeError: `event_id` is not one-dimensional.
        SchemaError: `event_id` is not of integer type, or the fractions are not a partition of 1.

    Notes:
        The fractions are expectations: the number of events in a split fluctuates binomially. A subset must
        be scaled by 1 / fraction (see `split_events`), not by the ratio of counts.

    References:
        Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014): the mixing function.

    Examples:
        >>> labels = assign_split(np.arange(100_000), fractions=(0.4, 0.2, 0.4), salt="h4l")
        >>> [round(float(np.mean(labels == k)), 2) for k in (0, 1, 2)]
        [0.4, 0.2, 0.4]
    """
    ids = np.asarray(event_id)
    if ids.ndim != 1:
        raise ShapeError(what="event_id", got=f"shape {ids.shape}", expected="shape (n,)")
    if ids.dtype.kind not in "iu":
        remedy = "keep event numbers as integers: a float64 holds them exactly only below 2^53"
        raise SchemaError(what="event_id", got=f"dtype {ids.dtype}", expected="an integer dtype", remedy=remedy)
    upper = _upper_edges(fractions)
    return np.searchsorted(upper, hash_uniform(ids, salt=salt), side="right").astype(np.int8)


def hash_uniform(event_id: NDArray[np.integer[Any]], *, salt: str) -> NDArray[np.float64]:
    """Hash event numbers to reproducible uniform numbers.

    Args:
        event_id: Event numbers, shape (n,), integer type.
        salt: Key of the hash.

    Returns:
        Numbers in [0, 1), multiples of 2^-53, shape (n,).

    Examples:
        >>> hash_uniform(np.array([1, 2, 1]), salt="a").round(3)
        array([0.123, 0.954, 0.123])
    """
    key = np.frombuffer(hashlib.blake2b(salt.encode(), digest_size=16).digest(), dtype="<u8")
    mixed = _mix(_mix(event_id.astype(np.uint64) ^ key[0]) + key[1])
    uniform: NDArray[np.float64] = (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return uniform


def split_events(
    events: SimulatedEvents, *, fractions: tuple[float, float, float], salt: str
) -> tuple[SimulatedEvents, SimulatedEvents, SimulatedEvents]:
    """Split simulated events into train, calibration and test sets that each keep the expected yields.

    Args:
        events: All simulated events.
        fractions: Expected fractions, each > 0, sum 1.
        salt: Key of the hash, see `assign_split`.

    Returns:
        (train, calibration, test), the weights of each scaled by 1 / fraction.

    Raises:
        SchemaError: A fraction is 0 (its weights could not be scaled), or the fractions do not sum to 1.
    """
    if min(fractions) <= 0:
        raise SchemaError(what="fractions", got=fractions, expected="three numbers > 0", remedy="use assign_split for an empty split")
    labels = assign_split(events.event_id, fractions=fractions, salt=salt)
    train, calibration, test = (events.select(labels == k).scaled(1.0 / f) for k, f in enumerate(fractions))
    return train, calibration, test


def _mix(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits of 64-bit integers (splitmix64: increment by the golden gamma, then finalise)."""
    z = z + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


def _upper_edges(fractions: tuple[float, float, float]) -> NDArray[np.float64]:
    values = np.asarray(fractions, dtype=np.float64)
    if values.shape != (3,) or not np.all(values >= 0) or abs(values.sum() - 1.0) > 1e-9:
        raise SchemaError(what="fractions", got=fractions, expected="three numbers >= 0 (train, calibration, test) that sum to 1")
    return np.cumsum(values)[:2]
