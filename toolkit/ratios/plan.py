"""Which events and which seed each member of an ensemble gets, and what it takes to train one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from torch import nn

from toolkit.errors import SchemaError
from toolkit.ratios.ensemble import member_folds
from toolkit.ratios.trainer import OnEpoch
from toolkit.ratios.training_history import TrainingHistory
from toolkit.typing import FloatArray, IntArray

Subsets = Literal["folds", "fraction", "bootstrap"]

SEED_STEP = 1000
"""Seeds of two members are this far apart."""
FRACTION = 0.8
"""Share of the events that a member of `fraction` trains on."""


@dataclass(frozen=True, eq=False)
class Subset:
    """The events that a member trains on.

    Attributes:
        rows: Their rows, ascending, none twice, shape (n,).
        counts: How often each was drawn, shape (n,): a factor of its weight. Not all 1 for a bootstrap only. Repeated rows
            would stand on both sides of the division into training and validation.
    """

    rows: IntArray
    counts: FloatArray


@dataclass(frozen=True)
class Member:
    """One member before it is trained.

    Args:
        index: Place in the ensemble, from 0.
        seed: Of its network and batches.
        subsets: How its events are chosen.
        folds: Folds that it trains on, for `folds`.
        fraction: Share of the events, for `fraction`.
    """

    index: int
    seed: int
    subsets: Subsets = "folds"
    folds: tuple[int, ...] = ()
    fraction: float = FRACTION

    @property
    def file(self) -> str:
        """Name of the file of the trained member."""
        return f"member_{self.index:02d}.pt"

    def subset(self, n_events: int, *, fold: IntArray | None = None) -> Subset:
        """Choose the events of this member.

        Args:
            n_events: Number of events.
            fold: Fold of each event, shape (n_events,); needed for `folds` only.

        Raises:
            SchemaError: `fold` is missing or has another length.

        Examples:
            >>> Member(0, 1, "fraction").subset(10).rows.size
            8
            >>> float(Member(0, 1, "bootstrap").subset(1000).counts.sum())
            1000.0
            >>> Member(0, 1, "folds", folds=(0, 2)).subset(4, fold=np.array([2, 1, 0, 2])).rows.tolist()
            [0, 2, 3]
        """
        if self.subsets == "folds":
            if fold is None or len(fold) != n_events:
                raise SchemaError("fold", got="none" if fold is None else f"{len(fold)} values", expected=f"the fold of {n_events} events")
            rows = np.nonzero(np.isin(fold, self.folds))[0]
            return Subset(rows, np.ones(len(rows)))
        rng = np.random.default_rng([self.seed, self.index])
        if self.subsets == "fraction":
            rows = np.sort(rng.permutation(n_events)[: round(self.fraction * n_events)])
            return Subset(rows, np.ones(len(rows)))
        counts = np.bincount(rng.integers(0, n_events, n_events), minlength=n_events)
        rows = np.nonzero(counts)[0]
        return Subset(rows, counts[rows].astype(np.float64))


def plan_members(
    number: int | None = None, *, subsets: Subsets = "folds", seed: int = 1, n_folds: int = 4, fraction: float = FRACTION
) -> tuple[Member, ...]:
    """List the members of an ensemble.

    Args:
        number: How many; None takes all choices of half of the folds, and `folds` knows no other number.
        subsets: `folds`, `fraction` (without replacement) or `bootstrap` (with).
        seed: Of the first member.
        n_folds: Number of folds, for `folds`.
        fraction: Share of the events of each member, for `fraction`.

    Raises:
        SchemaError: The number does not go with the folds, or the fraction is not in (0, 1].

    Examples:
        >>> [(m.seed, m.folds) for m in plan_members(seed=3)][:2]
        [(3, (0, 1)), (1003, (0, 2))]
        >>> len(plan_members(10, subsets="bootstrap"))
        10
    """
    if subsets == "folds":
        choices = member_folds(n_folds)
        if number not in {None, len(choices)}:
            raise SchemaError("number of members", got=number, expected=f"{len(choices)} with {n_folds} folds", remedy='subsets="fraction"')
        return tuple(Member(m, seed + SEED_STEP * m, "folds", folds) for m, folds in enumerate(choices))
    if number is None or number < 1:
        raise SchemaError("number of members", got=number, expected=">= 1", remedy="say how many")
    if not 0.0 < fraction <= 1.0:
        raise SchemaError("fraction", got=fraction, expected="above 0, at most 1", remedy="0.8 is usual")
    return tuple(Member(m, seed + SEED_STEP * m, subsets, fraction=fraction) for m in range(number))


class MemberTask(Protocol):
    """What it takes to train a member; must be picklable, events included, to train in other processes."""

    def network(self) -> nn.Module:
        """Build an untrained network, to read a finished member into."""

    def key(self, member: Member) -> str:
        """Hash everything that decides the weights of a member: its events, all settings, its seed."""

    def train(self, member: Member, *, checkpoint: Path, on_progress: OnEpoch) -> tuple[nn.Module, tuple[TrainingHistory, ...]]:
        """Train a member and return it on the CPU.

        Args:
            member: Which one.
            checkpoint: Where the finished member will be; files of training under way are named like it with another last suffix and
                end with `.unfinished` (see `training.unfinished`). They are removed when the member is finished.
            on_progress: To be called after every epoch.
        """
