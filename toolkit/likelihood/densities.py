"""Checks of the arrays of an unbinned likelihood, and the densities that it computes with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.likelihood.shaped import ShapeReference
from toolkit.likelihood.shapes import Shapes
from toolkit.typing import FloatArray


def checked_weights(weights: ArrayLike, rows: FloatArray) -> FloatArray:
    """Check event weights, (n_events,), against the rows (n_events, n_processes) that they belong to.

    Examples:
        >>> checked_weights([1, 2], np.zeros((2, 3)))
        array([1., 2.])
    """
    array = np.array(weights, dtype=np.float64)
    if rows.ndim != 2 or array.shape != (len(rows),):
        what = "log_ratios and weights"
        raise ShapeError(what, got=f"{rows.shape} and {array.shape}", expected="(n_events, n_processes) and (n_events,)")
    bad = np.flatnonzero(~np.isfinite(array))
    if len(bad):
        what = f"weight of event {bad[0]}"
        raise PhysicsDomainError(
            what, got=array[bad[0]], expected="a finite number", remedy=f"{len(bad)} weights are not finite; find where they come from"
        )
    return array


def checked_yields(yields: ArrayLike, rows: FloatArray) -> FloatArray:
    """Check expected events, (n_processes,), against the columns of log ratios (n_events, n_processes).

    Examples:
        >>> checked_yields([10, 5], np.zeros((2, 2)))
        array([10.,  5.])
    """
    array = np.array(yields, dtype=np.float64)
    if array.shape != (rows.shape[1],):
        what = "yields"
        raise ShapeError(what, got=array.shape, expected=f"({rows.shape[1]},), one per column of log_ratios")
    if not np.all(np.isfinite(array) & (array >= 0.0)):
        what = "yields"
        raise PhysicsDomainError(what, got=array.tolist(), expected="finite numbers >= 0", remedy="signs belong into the coefficients")
    return array


def check_logs(logs: FloatArray, event_ids: NDArray[np.generic] | None) -> None:
    """Check log ratios (n_events, n_processes): no NaN, no +inf, and some density for every event."""
    bad = np.isnan(logs) | (logs == np.inf)
    empty = ~np.any(np.isfinite(logs), axis=1)
    if bad.any() or empty.any():
        row, column = np.argwhere(bad)[0] if bad.any() else (int(np.argmax(empty)), 0)
        name = f"event {row}" if event_ids is None else f"event {row} (id {event_ids[row]})"
        what = f"log ratio of {name}, process {column}"
        raise PhysicsDomainError(
            what,
            got=f"{logs[row, column]} ({int(bad.sum())} NaN or infinite, {int(empty.sum())} events without any density)",
            expected="a finite number, or -inf for a density of zero",
            remedy="check the inputs of the ratio model: a missing observable gives NaN",
        )


def scaled_densities(logs: FloatArray, yields: FloatArray) -> FloatArray:
    """Return nu_j r_j(x) with each row divided by its largest ratio, which drops out of the likelihood and avoids overflow.

    Examples:
        >>> scaled_densities(np.log([[1.0, 4.0], [3.0, 1.0]]), np.array([10.0, 20.0])).round(3)
        array([[ 2.5  , 20.   ],
               [10.   ,  6.667]])
    """
    present = yields > 0.0
    largest = np.max(logs[:, present], axis=1, keepdims=True, initial=-np.inf)
    out = logs - np.where(np.isfinite(largest), largest, 0.0)
    out[:, ~present] = -np.inf
    np.exp(out, out=out)
    out *= yields
    return np.asarray(out)


def check_variations(shapes: Shapes, reference: ShapeReference | str | None, *, like: tuple[int, ...], names: Sequence[str]) -> None:
    """Check that per-event variations fit densities of shape `like` (n_events, n_processes), the parameters and their reference."""
    if (len(shapes), len(shapes.parameters)) != like:
        raise ShapeError("per-event variations", got=(len(shapes), len(shapes.parameters)), expected=f"{like}: events and processes")
    unknown = [name for name in shapes.names if name not in names]
    if unknown:
        raise SchemaError("per-event variations", got=f"undefined parameters {unknown}", expected=f"some of {list(names)}")
    if reference is None:
        raise SchemaError(
            "per-event variations",
            got="no reference to normalise them on",
            expected="a ShapeReference",
            remedy='give simulated events as `reference`, or say "normalised" if every variation has mean 1 at every alpha',
        )
    if isinstance(reference, ShapeReference) and reference.shapes.parameters != shapes.parameters:
        raise SchemaError("reference of the variations", got=reference.shapes.parameters, expected=shapes.parameters)
