"""Safeguards of a training with weights of both signs: effective size of the batches, share of negative weight, length of the gradient.

A batch of events with weights w tells as much as n_eff = (sum w)^2 / sum w^2 events of equal weight. Negative weights shrink the sum
and not the squares: where n_eff is small the gradient of a step is noise, and the loss has no lower bound on the events of
a batch whose weights sum to less than zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

SMALL = 0.05
"""A batch whose effective size is below this share of its events is reported."""


class StepWatch:
    """Looks at every step of a training.

    Args:
        weights: Position of the event weights in a batch; None if there are none.
        clip: Largest norm of the gradient; None does not clip.

    Notes:
        Weights are looked at in the first epoch, which sees every event once. The norm of the gradient is computed if
        it is to be clipped, or if the events of the first epoch so far have a negative weight.

    Examples:
        >>> watch = StepWatch(weights=0, clip=None)
        >>> watch.step([torch.tensor([2.0, 2.0, -1.0])], [], first=True)
        >>> watch.negative_share, round(watch.smallest, 9)
        (0.2, 1.0)
    """

    def __init__(self, weights: int | None, clip: float | None) -> None:
        self.weights = weights
        self.clip = clip
        self.steps = 0
        self.clipped = 0.0
        self.largest = 0.0
        self.smallest = float("inf")
        self.absolute = 0.0
        self.total = 0.0
        self.below_zero = 0

    def step(self, batch: Sequence[torch.Tensor], parameters: Sequence[torch.Tensor], *, first: bool) -> None:
        """Look at a batch and at the gradient that it gave, and clip it.

        Args:
            batch: The batch of this step.
            parameters: Parameters with their gradients.
            first: Whether this is the first epoch.
        """
        self.steps += 1
        if first and self.weights is not None:
            self._look_at(batch[self.weights])
        if self.clip is not None:
            norm = float(torch.nn.utils.clip_grad_norm_(parameters, self.clip))
            self.largest, self.clipped = max(self.largest, norm), self.clipped + (norm > self.clip)
        elif self.negative_share > 0.0:
            norm = float(torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]))
            self.largest = max(self.largest, norm)

    @property
    def negative_share(self) -> float:
        """Share of the sum of |w| that negative weights hold, so far."""
        return 0.5 * (self.absolute - self.total) / self.absolute if self.absolute > 0 else 0.0

    def _look_at(self, weight: torch.Tensor) -> None:
        total, absolute, square = torch.stack([weight.sum(), weight.abs().sum(), (weight * weight).sum()]).tolist()
        self.total += total
        self.absolute += absolute
        self.below_zero += total <= 0.0
        self.smallest = min(self.smallest, total * abs(total) / square if square > 0 else 0.0)

    def summary(self, batch_size: int) -> dict[str, Any]:
        """Return the fields of `TrainingHistory`."""
        known = self.weights is not None
        looked = self.clip is not None or self.negative_share > 0.0
        return {
            "negative_weight": self.negative_share if known else None,
            "smallest_effective_size": max(0.0, self.smallest) if known else None,
            "largest_gradient": self.largest if looked else None,
            "clipped_steps": self.clipped / self.steps if self.steps else 0.0,
            "warnings": tuple(self._warnings(batch_size)) if known else (),
        }

    def _warnings(self, batch_size: int) -> list[str]:
        found = []
        if self.below_zero:
            found.append(f"the weights of {self.below_zero} batches do not sum to more than zero: take larger batches")
        if self.smallest < SMALL * batch_size:
            size = max(0.0, self.smallest)
            found.append(f"a batch of {batch_size} events has an effective size of {size:.1f}: take larger batches, or clip the gradient")
        return found

    def state(self) -> dict[str, Any]:
        """Return what a later `load` needs."""
        return {name: getattr(self, name) for name in ("steps", "clipped", "largest", "smallest", "absolute", "total", "below_zero")}

    def load(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        for name, value in state.items():
            setattr(self, name, value)
