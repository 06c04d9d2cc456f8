"""Checks before a training with weights of both signs: classes, batches, numbers of events.

A loss weighted with signed weights has the right minimum on average, but a batch whose weights nearly cancel gives a gradient of noise,
and one whose weights sum to less than zero pushes the network the wrong way. `training` watches every step; here it is
known before the first one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError

DRAWS = 200
"""Batches that are looked at."""
SIGMA = 5.0
"""Standard deviations by which the sum of weights of a batch should lie above zero."""


@dataclass(frozen=True)
class BatchSizes:
    """Effective sizes of random batches.

    Attributes:
        batch_size: Events of a batch.
        n_batches: Batches that were drawn.
        smallest: Smallest (sum w)^2 / sum w^2; 0 if a sum is not positive.
        median: Median of the same.
        not_positive: Share of batches whose weights do not sum to more than zero.
        suggested: Batch size at which the sum of weights is 5 standard deviations above zero.
        warning: A sentence if there are negative weights and batches are smaller than suggested, else empty.
    """

    batch_size: int
    n_batches: int
    smallest: float
    median: float
    not_positive: float
    suggested: int
    warning: str


def effective_size_of_batches(weights: ArrayLike, *, batch_size: int, seed: int = 0) -> BatchSizes:
    """Draw batches and compute their effective numbers of events.

    Args:
        weights: Event weights of a class, or of all training events, shape (n,).
        batch_size: Events of a batch.
        seed: Seed of the draws.

    Returns:
        Sizes and, if needed, a warning with the batch size that would do.

    Raises:
        PhysicsDomainError: The weights do not sum to more than zero. SchemaError: a batch is larger than the sample.

    Examples:
        >>> sizes = effective_size_of_batches(np.ones(1000), batch_size=64)
        >>> round(sizes.smallest, 9), sizes.not_positive, sizes.warning
        (64.0, 0.0, '')
    """
    w = np.asarray(weights, dtype=np.float64)
    require_positive_classes(np.zeros(len(w), dtype=np.int64), w, names=("training events",))
    if not 1 <= batch_size <= len(w):
        raise SchemaError(what="batch_size", got=batch_size, expected=f"1 to {len(w)}, the number of events")
    rng = np.random.default_rng(seed)
    per_epoch = len(w) // batch_size
    sums: list[float] = []
    squares: list[float] = []
    while len(sums) < DRAWS:
        rows = rng.permutation(len(w))[: per_epoch * batch_size].reshape(per_epoch, batch_size)[: DRAWS - len(sums)]
        sums += w[rows].sum(axis=1).tolist()
        squares += np.square(w[rows]).sum(axis=1).tolist()
    total = np.array(sums)
    sizes = np.divide(np.maximum(total, 0.0) ** 2, squares, out=np.zeros_like(total), where=np.array(squares) > 0)
    suggested = max(1, int(np.ceil(SIGMA**2 * w.var() / w.mean() ** 2)))
    smallest, bad = float(sizes.min()), float(np.mean(total <= 0))
    warning = ""
    if np.any(w < 0) and batch_size < suggested:
        warning = f"a batch of {batch_size} events has an effective size of {smallest:.1f}: take at least {suggested} events per batch"
    return BatchSizes(batch_size, len(sums), smallest, float(np.median(sizes)), bad, suggested, warning)


def require_positive_classes(labels: NDArray[np.integer[Any]], weights: ArrayLike, *, names: Sequence[str]) -> None:
    """Refuse classes without a positive sum of weights: they have no density.

    Args:
        labels: Class of each event, 0 .. n_classes - 1, shape (n,).
        weights: Event weights, shape (n,).
        names: Names of the classes.

    Raises:
        PhysicsDomainError: A class has no events, or its weights do not sum to more than zero, or a weight is not finite.
        ShapeError: Labels and weights differ in length.

    Examples:
        >>> require_positive_classes(np.array([0, 0, 1]), [1.0, -0.5, 2.0], names=("S", "B"))
    """
    w = np.asarray(weights, dtype=np.float64)
    if labels.shape != w.shape:
        raise ShapeError(what="labels", got=f"shape {labels.shape}", expected=f"shape {w.shape} of the weights")
    if not np.all(np.isfinite(w)):
        i = int(np.argmin(np.isfinite(w)))
        raise PhysicsDomainError(what=f"weight of event {i}", got=w[i], expected="a finite number")
    sums = np.bincount(labels, weights=w, minlength=len(names))
    counts = np.bincount(labels, minlength=len(names))
    negative = np.bincount(labels, weights=(w < 0).astype(np.float64), minlength=len(names))
    for name, total, n, below in zip(names, sums, counts, negative, strict=True):
        if not total > 0:
            raise PhysicsDomainError(
                what=f"class {name}",
                got=f"a sum of weights of {total:g} from {n} events, {int(below)} of them with negative weight",
                expected="a positive sum",
                remedy="leave the class out, widen the selection, or simulate more events of it",
            )


def require_enough_events(n_events: int, n_parameters: int, *, what: str) -> None:
    """Refuse to determine more parameters than there are events.

    Raises:
        SchemaError: There are fewer events than parameters.

    Examples:
        >>> require_enough_events(1000, 12, what="calibration")
    """
    if n_events < n_parameters:
        raise SchemaError(
            what=what,
            got=f"{n_events} events for {n_parameters} parameters",
            expected=f"at least {n_parameters} events",
            remedy="use more events, or a smaller model",
        )
