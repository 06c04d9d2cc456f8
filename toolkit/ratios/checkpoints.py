"""Files of finished members, so that a stopped training resumes with the next one.

A checkpoint is used again only if its key agrees: the key covers the training events, their targets, the config and the seed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from toolkit.artifacts.atomic import link_or_copy
from toolkit.config import AnyRatioConfig
from toolkit.ratios.plan import Member, MemberTask
from toolkit.ratios.structure import Mixture
from toolkit.ratios.targets import Targets
from toolkit.ratios.training_history import TrainingHistory
from toolkit.ratios.training_state import read_state, tensor_bytes, write_state

FORMAT = 4
"""Part of the key: raise it when the content of a checkpoint changes."""


def member_key(inputs: torch.Tensor, targets: Targets, *, mixture: Mixture, config: AnyRatioConfig, seed: int) -> str:
    """Hash everything that decides the weights of a member."""
    digest = hashlib.blake2b(digest_size=16)
    settings = config.model_dump(mode="json", exclude={"device", "calibration_mu", "ensemble"})
    digest.update(json.dumps([FORMAT, settings, asdict(mixture), seed], sort_keys=True).encode())
    for tensor in (inputs, targets.label, targets.weight, targets.composition, targets.sources):
        if tensor is not None:
            digest.update(tensor_bytes(tensor))
    return digest.hexdigest()


def save_member(path: Path, network: nn.Module, history: Sequence[TrainingHistory], *, key: str) -> None:
    """Write one finished member in one step, behind a digest of its content."""
    write_state(path, {"key": key, "state": network.state_dict(), "history": [asdict(h) for h in history]})


def has_member(path: Path, *, key: str) -> bool:
    """Whether there is a finished member with this key: neither missing, damaged nor of other events."""
    return read_state(path, key=key) is not None


def take_over(task: MemberTask, members: Sequence[Member], *, folder: Path, former: Sequence[Path]) -> None:
    """Take finished members over from the folders of earlier trainings, where events, settings and seed are the same.

    Args:
        task: Says what each member depends on.
        members: Those that are wanted; one that is finished in `folder` stays.
        folder: Where they shall be.
        former: Where they may be.
    """
    for member in members if former else ():
        key = task.key(member)
        if not has_member(folder / member.file, key=key):
            found = next((f for f in former if has_member(f / member.file, key=key)), None)
            if found is not None:
                link_or_copy(found / member.file, folder / member.file)


def load_member(path: Path, network: nn.Module, *, key: str) -> tuple[TrainingHistory, ...] | None:
    """Load a finished member into `network`.

    Returns:
        The losses of its networks, or None where there is no usable checkpoint with this key (missing, damaged or of other events):
        the member is then trained again.
    """
    state = read_state(path, key=key)
    if state is None:
        return None
    network.load_state_dict(state["state"])
    return tuple(TrainingHistory.from_document(h) for h in state["history"])
