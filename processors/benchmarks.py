"""Find out what the entries of benchmark weight vectors mean, from the events themselves.

A vector is relative to the weight under which its event was generated. So the entry that is 1 in every event belongs to
the process of the sample, and samples of all processes name all entries. Four or more entries also name themselves: with
S, B and SBI known, any further entry is mu S + sqrt(mu) (SBI - S - B) + B, event by event, for one choice of entries only.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import awkward as ak
import numpy as np

from processors.eventfile import open_events
from toolkit.locations import Location
from toolkit.typing import FloatArray

PROBE = 2000
"""Events that are read."""
TOLERANCE = 1e-4
"""Largest departure from 1, or from the relation, that rounding in single precision explains."""
LONGEST = 8
"""Vectors with more entries are variations, not benchmarks."""
ROLES = {"signal": ("S", "SIG", "SIGNAL"), "interfering": ("SBI",), "background": ("B", "BKG", "BACKGROUND")}
"""How the names of samples end."""
SUFFIX = {"signal": "S", "interfering": "SBI", "background": "B"}


@dataclass(frozen=True)
class Benchmarks:
    """Meaning of the entries of a weight vector.

    Args:
        names: Names of the entries, in their order.
        signal: The entry of the signal amplitude alone.
        interfering: The entry with both amplitudes and their interference, at a parameter of 1.
        background: The entry of the background amplitude alone.
        how: From what the meaning was found.
    """

    names: tuple[str, ...]
    signal: str
    interfering: str
    background: str
    how: str


def read_vector(path: Location, tree: str, branch: str) -> FloatArray | None:
    """Read a weight vector of the first events, (n_events, n_entries); None if its length varies or it holds only zeros."""
    with open_events(path, tree) as events:
        jagged = events.arrays([branch], 0, min(PROBE, events.entries))[branch]
    lengths = np.unique(np.asarray(ak.num(jagged, axis=1)))
    if len(lengths) != 1 or lengths[0] == 0:
        return None
    values = np.asarray(ak.to_regular(jagged, axis=1), dtype=np.float64)
    return values if np.any(values) else None


def own_entry(weights: FloatArray) -> int | None:
    """Return the entry that is 1 in every event: the process that was generated.

    Args:
        weights: Relative weights, (n_events, n_entries).

    Returns:
        Its index; None if no entry or several are.

    Examples:
        >>> own_entry(np.array([[0.1, 1.0, 0.9], [3.0, 1.0, 2.5]]))
        1
    """
    ones = np.flatnonzero(np.all(np.abs(weights - 1) < TOLERANCE, axis=0))
    return int(ones[0]) if len(ones) == 1 else None


def name_benchmarks(vectors: Mapping[str, FloatArray]) -> Benchmarks | None:
    """Name the entries that samples of one physics process share.

    Args:
        vectors: Relative weights of each sample, (n_events, n_entries), by name; all of one length.

    Returns:
        Their meaning; None where the events do not tell.
    """
    n = next(iter(vectors.values())).shape[1]
    known: dict[int, str] = {}
    for sample, weights in vectors.items():
        entry = own_entry(weights)
        if entry is None or entry in known or n > LONGEST:
            return None
        known[entry] = sample
    if n == len(ROLES):
        return _of_three(known)
    return _by_relation(known, vectors[next(iter(known.values()))]) if n > len(ROLES) else None


def role(name: str) -> tuple[str, str] | None:
    """Split a name into what stands before its role, and the role.

    Examples:
        >>> role("ggF_SBI"), role("EW_bkg"), role("qqZZ")
        (('ggF_', 'interfering'), ('EW_', 'background'), None)
    """
    head, sign, tail = name.rpartition("_")
    found = next((key for key, endings in ROLES.items() if tail.upper() in endings), None)
    return None if found is None else (head + sign, found)


def separate_benchmarks(names: Sequence[str]) -> Benchmarks | None:
    """Find the samples of S, SBI and B of one process by the ends of their names, for events that know their own weight only.

    Args:
        names: Names of the samples without meaning of a weight vector.

    Returns:
        Their roles; None where no three names, or those of several processes, belong together.

    Examples:
        >>> separate_benchmarks(["gg_SBI", "gg_sig", "gg_bkg", "qqZZ"]).names
        ('gg_sig', 'gg_SBI', 'gg_bkg')
        >>> separate_benchmarks(["gg_SBI", "gg_sig", "qqZZ"]) is None
        True
    """
    families: dict[str, dict[str, list[str]]] = {}
    for name in names:
        if (parts := role(name)) is not None:
            families.setdefault(parts[0], {}).setdefault(parts[1], []).append(name)
    whole = [found for found in families.values() if len(found) == len(ROLES) and all(len(own) == 1 for own in found.values())]
    if len(whole) != 1:
        return None
    signal, interfering, background = (whole[0][key][0] for key in ROLES)
    return Benchmarks((signal, interfering, background), signal, interfering, background, "the samples are called after them")


def _of_three(known: Mapping[int, str]) -> Benchmarks | None:
    roles = {entry: role(name) for entry, name in known.items()}
    found = {part[1]: known[entry] for entry, part in roles.items() if part is not None}
    if len(found) < len(known) or len(known) < len(ROLES) - 1:
        return None
    names, how = dict(known), "the entry that is 1 in every event of a sample is its own"
    for missing in set(ROLES) - set(found):
        prefix = next(part[0] for part in roles.values() if part is not None)
        entry = next(iter({0, 1, 2} - set(known)))
        names[entry] = found[missing] = prefix + SUFFIX[missing]
        how += "; the one that is left has the role that is left"
    return Benchmarks(tuple(names[k] for k in range(len(ROLES))), found["signal"], found["interfering"], found["background"], how)


def _by_relation(known: Mapping[int, str], weights: FloatArray) -> Benchmarks | None:
    n = weights.shape[1]
    fixed = {entry: parts[1] for entry, name in known.items() if (parts := role(name)) is not None}
    for entries in itertools.permutations(range(n), len(ROLES)):
        if any(fixed.get(k, what) != what for k, what in zip(entries, ROLES, strict=True)):
            continue
        points = {k: _point(weights, entries, k) for k in range(n) if k not in entries}
        found = {k: value for k, value in points.items() if value is not None}
        if len(found) < len(points):
            continue
        first = next(iter(known.values()))
        parts = role(first)
        prefix = parts[0] if parts is not None else f"{first}_"
        names = {k: known.get(k, prefix + SUFFIX[what]) for k, what in zip(entries, ROLES, strict=True)}
        names |= {k: known.get(k, f"{prefix}SBI{value:.3g}".replace(".", "p")) for k, value in found.items()}
        how = "the relation between the weights of S, SBI, B and further points holds in every event for this order only"
        signal, interfering, background = (names[k] for k in entries)
        return Benchmarks(tuple(names[k] for k in range(n)), signal, interfering, background, how)
    return None


def _point(weights: FloatArray, entries: tuple[int, ...], k: int) -> float | None:
    """Return mu of entry `k` if w_k = mu S + sqrt(mu) (SBI - S - B) + B holds in every event; None otherwise."""
    signal, interfering, background = (weights[:, e] for e in entries)
    terms = np.stack([signal, interfering - signal - background], axis=1)
    (mu, root), *_ = np.linalg.lstsq(terms, weights[:, k] - background, rcond=None)
    scale = np.max(np.abs(weights[:, [*entries, k]]), axis=1)
    rest = np.abs(terms @ np.array([mu, root]) - weights[:, k] + background)
    holds = root > 0 and abs(mu - root**2) < TOLERANCE * max(1.0, mu) and np.all(rest < TOLERANCE * (1 + mu) * scale)
    return float(mu) if holds else None
