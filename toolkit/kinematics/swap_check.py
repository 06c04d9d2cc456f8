"""Whether an observable becomes what it declares when the beams are exchanged, tried on events."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from toolkit.errors import SchemaError
from toolkit.kinematics.registry import OBSERVABLES, FourLeptonEvent, Observable
from toolkit.typing import FloatArray

EVENTS = 200
TOLERANCE = 1e-6
"""Largest departure, relative to the largest value and at least absolute, that rounding explains."""


def example_event(n: int, *, seed: int = 1) -> FourLeptonEvent:
    """Return events with four leptons and two jets in random directions; forward and backward differ.

    Args:
        n: Number of events.
        seed: Of the random numbers.

    Examples:
        >>> event = example_event(3)
        >>> event.a1.shape, bool((event.masses[0] > 0).all())
        ((4, 3), True)
    """
    rng = np.random.default_rng(seed)
    a1, b1, a2, b2 = (_massive(rng.normal(size=(3, n)) * [[40.0], [40.0], [120.0]], 0.1) for _ in range(4))
    jets = sorted((_massive(rng.normal(size=(3, n)) * [[60.0], [60.0], [400.0]], 8.0) for _ in range(2)), key=lambda p: -abs(p[0, 0]))
    return FourLeptonEvent(a1, b1, a2, b2, n_jets=np.full(n, 2.0), j1=jets[0], j2=jets[1])


def swapped(event: FourLeptonEvent) -> FourLeptonEvent:
    """Return the events turned by pi about the x axis.

    Examples:
        >>> event = example_event(1)
        >>> (swapped(event).a1 / event.a1)[:, 0].tolist()
        [1.0, -1.0, -1.0, 1.0]
    """
    turn = np.array([[1.0], [-1.0], [-1.0], [1.0]])
    a1, b1, a2, b2, j1, j2 = (p * turn for p in (event.a1, event.b1, event.a2, event.b2, event.j1, event.j2))
    return FourLeptonEvent(a1, b1, a2, b2, n_jets=event.n_jets, j1=j1, j2=j2, recoil=event.recoil)


def departure(entry: Observable, event: FourLeptonEvent) -> FloatArray:
    """Return the value with exchanged beams less what the observable declares it to be, (n,); modulo 2 pi for an angle.

    Raises:
        SchemaError: The observable declares nothing, or names another that does not exist.
    """
    swap = entry.beam_swap
    if swap is None:
        raise undeclared(entry.name)
    value, found = entry.function(event), entry.function(swapped(event))
    if isinstance(swap, Mapping):
        absent = [name for name in swap if name not in OBSERVABLES]
        if absent:
            raise SchemaError(f"beam_swap of observable {entry.name}", got=f"the name {absent[0]}", expected=f"one of {list(OBSERVABLES)}")
        expected = sum((c * OBSERVABLES[name].function(event) for name, c in swap.items()), start=np.zeros_like(found))
    else:
        expected = {"even": value, "odd": -value, "half_turn": value + np.pi}[swap]
    difference = np.asarray(found - expected, dtype=np.float64)
    return np.remainder(difference + np.pi, 2.0 * np.pi) - np.pi if entry.unit == "rad" else difference


def check_beam_swap(entry: Observable) -> None:
    """Check on events that an observable becomes what it declares when the beams are exchanged.

    Raises:
        SchemaError: It does not, or it declares nothing.

    Examples:
        >>> check_beam_swap(OBSERVABLES["eta_j1"])
    """
    event = example_event(EVENTS)
    with np.errstate(all="ignore"):
        off = np.abs(departure(entry, event))
        scale = max(1.0, float(np.nanmax(np.abs(entry.function(event)), initial=0.0)))
    worst = float(np.nanmax(off, initial=0.0))
    if worst > TOLERANCE * scale:
        raise SchemaError(
            f"beam_swap of observable {entry.name}",
            got=f"{entry.beam_swap!r}, but an example event turned by pi about a transverse axis gives another value, off by {worst:.3g}",
            expected="even, odd, half_turn or {NAME: factor}, as toolkit/kinematics/beam_swap.py says",
            remedy="correct `beam_swap` where the observable is registered, or set ratios.fold_beam_axis: false",
        )


def undeclared(name: str) -> SchemaError:
    """Return the error for a feature that does not say what it becomes.

    Examples:
        >>> "beam_swap" in str(undeclared("x"))
        True
    """
    return SchemaError(
        f"feature {name}",
        got="no word on what it becomes when the beams are exchanged (beam_swap)",
        expected="even, odd, half_turn or {NAME: factor}, because ratios.fold_beam_axis is on",
        remedy=f'say `beam_swap="even"` or "odd" where {name} is registered (a column: `columns.{name}.beam_swap`), or set '
        "ratios.fold_beam_axis: false",
    )


def _massive(p: FloatArray, mass: float) -> FloatArray:
    return np.concatenate([p, np.sqrt(np.sum(p**2, axis=0, keepdims=True) + mass**2)])
