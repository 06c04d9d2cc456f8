"""Checks of what the diagnostics are given."""

from __future__ import annotations

import numpy as np

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.typing import FloatArray
from toolkit.weights.simulation import SimulatedEvents


def process_index(events: SimulatedEvents, name: str) -> int:
    """Return the column of process `name` in `events.weights`; SchemaError names the processes there are."""
    try:
        return events.processes.index(name)
    except ValueError as error:
        raise SchemaError(
            what="process", got=name, expected=f"one of {list(events.processes)}", remedy="use a name of the mixture"
        ) from error


def check_vector(values: FloatArray, *, name: str, size: int) -> None:
    """Refuse an array that is not (size,) or holds a number that is not finite."""
    if values.shape != (size,):
        raise ShapeError(name, got=values.shape, expected=(size,), remedy="pass one number per event")
    finite = np.isfinite(values)
    if not finite.all():
        row = int(np.argmin(finite))
        raise PhysicsDomainError(
            what=f"{name} at event row {row}",
            got=values[row],
            expected="a finite number",
            remedy="find out where it comes from; nothing is filled",
        )


def check_log_ratios(log_ratios: FloatArray, events: SimulatedEvents) -> None:
    """Refuse log ratios that are not (n_events, n_processes) or hold a number that is not finite."""
    if log_ratios.shape != events.weights.shape:
        raise ShapeError(
            what="log_ratios", got=log_ratios.shape, expected=events.weights.shape, remedy="pass one row per event, one column per process"
        )
    for process, column in zip(events.processes, log_ratios.T, strict=True):
        check_vector(column, name=f"log ratio of {process}", size=len(events))
