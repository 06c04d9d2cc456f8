"""Where a training takes its batches from: tensors in memory, as long as they fit (`streaming` reads them from files).

A batch is a tuple of tensors with the events along the first axis; what they mean is known to the loss alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch

from toolkit.errors import FitError
from toolkit.ratios.training_state import digest_of, tensor_bytes

Batch = tuple[torch.Tensor, ...]

BLOCK = 16
"""Batches gathered at once: fewer small copies."""


class Batches(Protocol):
    """A source of training and validation batches.

    Attributes:
        n_training: Training events.
        n_validation: Validation events.
        batch_size: Events per training batch; what is left over after the last full batch of an epoch is left out of that epoch.
    """

    n_training: int
    n_validation: int
    batch_size: int

    def training(self, generator: torch.Generator, *, batch_size: int | None = None) -> Iterator[Batch]:
        """Yield the batches of one epoch, `n_training // batch_size` in number, in a new random order; by default of the usual size."""

    def validation(self) -> Iterator[Batch]:
        """Yield all validation events in a fixed order, in as many batches as memory asks for."""

    def digest(self) -> bytes:
        """Hash everything that decides the batches, for the checkpoint."""


class InMemoryBatches:
    """Batches from tensors in memory.

    Args:
        tensors: Tensors of the same length n.
        batch_size: Events per training batch.
        validation_fraction: Share of the events, drawn at random, that do not train.
        generator: Draws the validation events.
        device: Where the tensors are kept.

    Raises:
        FitError: A value is not finite.

    Examples:
        >>> batches = InMemoryBatches((torch.arange(100.0),), batch_size=30, validation_fraction=0.1, generator=torch.Generator())
        >>> batches.n_training, [len(x) for (x,) in batches.training(torch.Generator())]
        (90, [30, 30, 30])
    """

    def __init__(
        self, tensors: Batch, *, batch_size: int, validation_fraction: float, generator: torch.Generator, device: str = "cpu"
    ) -> None:
        self.tensors = tuple(t.to(device) for t in tensors)
        self.batch_size = batch_size
        n = len(tensors[0])
        for k, tensor in enumerate(self.tensors):
            require_finite(tensor, f"tensor {k}")
        order = torch.randperm(n, generator=generator)
        self.n_validation = count_validation(n, validation_fraction)
        self.n_training = n - self.n_validation
        self._held, self._used = order[: self.n_validation], order[self.n_validation :]

    def training(self, generator: torch.Generator, *, batch_size: int | None = None) -> Iterator[Batch]:
        """Yield the batches of one epoch in a new random order."""
        size = self.batch_size if batch_size is None else batch_size
        shuffled = self._used[torch.randperm(self.n_training, generator=generator)]
        complete = self.n_training - self.n_training % size
        for rows in torch.split(shuffled[:complete].to(self.tensors[0].device), BLOCK * size):
            gathered = (t.index_select(0, rows) for t in self.tensors)  # twice as fast as t[rows]
            yield from zip(*(torch.split(t, size) for t in gathered), strict=True)

    def validation(self) -> Iterator[Batch]:
        """Yield all validation events at once."""
        yield tuple(t[self._held] for t in self.tensors)

    def digest(self) -> bytes:
        """Hash the tensors and the division into training and validation."""
        settings = repr((self.batch_size, [(str(t.dtype), tuple(t.shape)) for t in self.tensors])).encode()
        return digest_of(settings, tensor_bytes(self._held), *(tensor_bytes(t) for t in self.tensors))


def count_validation(n: int, fraction: float) -> int:
    """Return the number of validation events among n.

    Examples:
        >>> count_validation(1000, 0.1), count_validation(3, 0.1), count_validation(0, 0.1)
        (100, 1, 0)
    """
    return min(n, max(1, round(fraction * n)))


def require_finite(tensor: torch.Tensor, name: str) -> None:
    """Raise a FitError that names the first value that is not finite."""
    if not tensor.is_floating_point():
        return
    values = tensor.flatten(1) if tensor.ndim > 1 else tensor[:, None]
    bad = ~torch.isfinite(values)
    if bool(bad.any()):
        row, column = (int(i) for i in torch.nonzero(bad)[0])
        raise FitError(
            f"training {name}",
            got=f"{values[row, column].item()} in row {row}, column {column} ({int(bad.sum())} such values)",
            expected="finite values",
            remedy="remove these events, or fill the missing values",
        )
