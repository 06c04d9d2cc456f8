"""Which events and which seed each member of an ensemble gets, and what it takes to train one."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import nn

from toolkit.config.ratios import MOST_MEMBERS, RatioSettings, group_size
from toolkit.errors import SchemaError
from toolkit.ratios.trainer import OnEpoch
from toolkit.ratios.training_history import TrainingHistory
from toolkit.typing import FloatArray, IntArray

Subsets = Literal["folds", "fraction", "bootstrap"]

SEED_STEP = 1000
"""Seeds of two members are this far apart."""
FRACTION = 0.8
"""Share of the events that a member of `fraction` trains on."""


def member_folds(n_folds: int, n_trained: int | None = None) -> list[tuple[int, ...]]:
    """List the folds that each member trains on: every choice of half of the folds, or of another number of them.

    Every event then trains the same share of the members and is out of bag for the others.

    Examples:
        >>> member_folds(4)
        [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
        >>> member_folds(3, 2)
        [(0, 1), (0, 2), (1, 2)]
    """
    return list(itertools.combinations(range(n_folds), n_folds // 2 if n_trained is None else n_trained))


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
        fraction: Share of the events, for `fraction` and `bootstrap`.

    Notes:
        Shares are drawn in groups of members: the events of a group stand in one random order, and its members leave out one part of it
        after the other, so that together they leave out every event.
    """

    index: int
    seed: int
    subsets: Subsets = "folds"
    folds: tuple[int, ...] = ()
    fraction: float = FRACTION

    @property
    def group(self) -> tuple[int, int, int]:
        """Number of the group of members with one order of the events, place in it, and members of a group."""
        size = group_size(self.fraction)
        return self.index // size, self.index % size, size

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
        group, place, size = self.group
        order = np.random.default_rng([self.seed - SEED_STEP * self.index, group]).permutation(n_events)
        kept = min(round(self.fraction * n_events), n_events - -(-n_events // size)) if size > 1 else n_events
        rows = np.sort(np.roll(order, -(place * n_events // size))[n_events - kept :])  # left out: n - kept from there on
        if self.subsets == "fraction":
            return Subset(rows, np.ones(len(rows)))
        rng = np.random.default_rng([self.seed, self.index])
        counts = np.bincount(rows[rng.integers(0, len(rows), n_events)], minlength=n_events)
        drawn = np.nonzero(counts)[0]
        return Subset(drawn, counts[drawn].astype(np.float64))

    def saw(self, n_events: int, *, fold: IntArray | None = None) -> NDArray[np.bool_]:
        """Say which events the member may have trained on, (n_events,); arguments and errors as for `subset`.

        Examples:
            >>> Member(0, 1, "folds", folds=(0, 2)).saw(4, fold=np.array([2, 1, 0, 2])).tolist()
            [True, False, True, True]
        """
        seen = np.zeros(n_events, dtype=bool)
        seen[self.subset(n_events, fold=fold).rows] = True
        return seen


def plan_members(
    number: int | None = None,
    *,
    subsets: Subsets = "folds",
    seed: int = 1,
    n_folds: int = 4,
    n_trained: int | None = None,
    fraction: float = FRACTION,
) -> tuple[Member, ...]:
    """List the members of an ensemble.

    Args:
        number: How many. None takes all choices of folds; another number takes as many, those first that leave out every fold soon, and
            begins again after the last.
        subsets: `folds`, `fraction` (without replacement) or `bootstrap` (with).
        seed: Of the first member.
        n_folds: Number of folds, for `folds`.
        n_trained: Folds that a member trains on, for `folds`; None takes half of them.
        fraction: Share of the events of each member, for `fraction` and `bootstrap`.

    Raises:
        SchemaError: The number does not go with the folds, or the fraction is not in (0, 1].

    Examples:
        >>> [(m.seed, m.folds) for m in plan_members(seed=3)][:2]
        [(3, (0, 1)), (1003, (0, 2))]
        >>> [m.folds for m in plan_members(2)]
        [(2, 3), (0, 1)]
        >>> len(plan_members(10, subsets="bootstrap"))
        10
    """
    if subsets == "folds":
        choices = _chosen_folds(number, n_folds, n_folds // 2 if n_trained is None else n_trained)
        return tuple(Member(m, seed + SEED_STEP * m, "folds", folds) for m, folds in enumerate(choices))
    if number is None or number < 1:
        raise SchemaError("number of members", got=number, expected=">= 1", remedy="say how many")
    if not 0.0 < fraction <= 1.0:
        raise SchemaError("fraction", got=fraction, expected="above 0, at most 1", remedy="0.8 is usual")
    return tuple(Member(m, seed + SEED_STEP * m, subsets, fraction=fraction) for m in range(number))


def _chosen_folds(number: int | None, n_folds: int, n_trained: int) -> list[tuple[int, ...]]:
    """Return the folds of each member."""
    total = math.comb(n_folds, n_trained)
    if number is None and total > MOST_MEMBERS:
        raise SchemaError(
            "number of members",
            got=f"{total}, all choices of {n_trained} of {n_folds} folds",
            expected=f"<= {MOST_MEMBERS}",
            remedy="give `ensemble.members`, or `ensemble.train_folds` one below the number of folds",
        )
    if number is None:
        return member_folds(n_folds, n_trained)
    starts = [k * (n_folds - n_trained) for k in range(n_folds)]  # what is left out moves on by its own length
    rounds = [tuple(sorted((start + n_folds - n_trained + k) % n_folds for k in range(n_trained))) for start in starts]
    first = list(dict.fromkeys(rounds))
    left = itertools.islice(
        (f for f in itertools.combinations(range(n_folds), n_trained) if f not in set(first)), max(0, number - len(first))
    )
    return list(itertools.islice(itertools.cycle([*first, *left]), number))


def plan_ensemble(settings: RatioSettings) -> tuple[Member, ...]:
    """List the members that a config asks for; every event is left out by one of them.

    Examples:
        >>> from toolkit.config import RatioConfig
        >>> len(plan_ensemble(RatioConfig())), plan_ensemble(RatioConfig())[1].folds
        (6, (0, 2))
    """
    chosen = settings.ensemble
    if chosen.subsets == "folds":
        return plan_members(chosen.members, seed=settings.seed, n_folds=settings.splits.folds, n_trained=chosen.train_folds)
    return plan_members(settings.n_members, subsets=chosen.subsets, seed=settings.seed, fraction=chosen.fraction)


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
