"""Ensembles: the same network trained several times on random parts of the events, one after the other or in parallel.

When to use: the spread over members says how much of an estimate is chance of the training, and their mean is better than one of
them. `folds` leaves every event to the members that did not train on it (calibration out of bag), `fraction` and `bootstrap` serve
where no such use is made.

Every member is a task of its own that depends on nothing but its seed and its events: whatever executes it, in whatever order, the
same weights come out, and a finished member is never trained again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from toolkit.artifacts.atomic import make_folder
from toolkit.errors import SchemaError
from toolkit.ratios.checkpoints import load_member, take_over
from toolkit.ratios.plan import Member, MemberTask, Subsets, plan_members
from toolkit.ratios.training_history import TrainingHistory
from toolkit.ratios.workers import execute
from toolkit.typing import Progress, silent_progress

__all__ = ["EnsembleMean", "Member", "MemberTask", "TrainedMembers", "plan_members", "train_ensemble"]


@dataclass(frozen=True, eq=False)
class TrainedMembers:
    """A trained ensemble.

    Attributes:
        networks: In the order of the members, on the CPU.
        history: Losses of the networks of each member.
    """

    networks: tuple[nn.Module, ...]
    history: tuple[tuple[TrainingHistory, ...], ...]

    def mean(self) -> EnsembleMean:
        """Return mean and spread of the members as one module."""
        return EnsembleMean(self.networks)


def train_ensemble(
    task: MemberTask,
    members: int | Sequence[Member],
    *,
    folder: Path,
    subsets: Subsets = "folds",
    seed: int = 1,
    executor: Any = "sequential",
    workers: int | None = None,
    progress: Progress = silent_progress,
    former: Sequence[Path] = (),
) -> TrainedMembers:
    """Train all members, or read those that are finished.

    Args:
        task: Trains one member.
        members: The members, or their number.
        folder: Where members are kept; a later call goes on there. Workers on other machines need the same folder.
        subsets: How the events of a member are chosen, if `members` is a number.
        seed: Of the first member, if `members` is a number.
        executor: `sequential` here; `processes` on this machine; `dask` on a cluster started here; the address of a dask
            scheduler; or a dask client.
        workers: Processes of `processes` and of a cluster started here; None takes the number of cores.
        progress: Called after every epoch with the members finished so far, fractions included, and the latest loss.
        former: Folders of earlier trainings by the same code; members of the same events and settings are taken over from them.

    Returns:
        The members, the same to the last bit whatever the executor.

    Raises:
        WorkerLostError: Workers died again and again.
        MissingExtraError: dask is wanted and not installed.
        ToolkitError: What `task` raises.

    Notes:
        A lost worker costs the epoch under way: its member goes on elsewhere from the last checkpoint, and finished members stay.
        Workers of a dask cluster should have one thread each, since torch's settings belong to the process.
    """
    plan = plan_members(members, subsets=subsets, seed=seed) if isinstance(members, int) else tuple(members)
    folder = make_folder(folder)
    take_over(task, plan, folder=folder, former=former)
    execute(task, plan, folder=folder, executor=executor, workers=workers, progress=progress)
    networks, history = [], []
    for member in plan:
        network = task.network()
        losses = load_member(folder / member.file, network, key=task.key(member))
        if losses is None:
            raise SchemaError(
                f"member {member.index}",
                got=f"no usable file {folder / member.file} after its training",
                expected="the same folder here and in the workers",
                remedy="choose a folder that all workers share",
            )
        networks.append(network.eval())
        history.append(losses)
    return TrainedMembers(tuple(networks), tuple(history))


class EnsembleMean(nn.Module):
    """Mean and spread of the outputs of several networks.

    Args:
        members: Networks with the same inputs and outputs.

    Examples:
        >>> members = [nn.Linear(1, 1, bias=False) for _ in range(2)]
        >>> _ = [nn.init.constant_(member.weight, slope) for member, slope in zip(members, (1.0, 3.0))]
        >>> [output.item() for output in EnsembleMean(members)(torch.ones(1, 1))]
        [2.0, 1.0]
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean over the members and their standard deviation, each of the shape of one member's output."""
        outputs = torch.stack([member(x) for member in self.members])
        mean = outputs.mean(dim=0)
        return mean, torch.sqrt(((outputs - mean) ** 2).mean(dim=0))
