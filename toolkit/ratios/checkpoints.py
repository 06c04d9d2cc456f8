"""Files of finished members, so that a stopped training resumes with the next one.

A checkpoint is used again only if its key agrees: the key covers the training events, their targets, the config and the seed.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from toolkit.artifacts.atomic import write_bytes
from toolkit.config import RatioConfig
from toolkit.ratios.network import MixtureNetwork
from toolkit.ratios.structure import Mixture
from toolkit.ratios.targets import Targets
from toolkit.ratios.training_history import TrainingHistory

FORMAT = 2
"""Part of the key: raise it when the content of a checkpoint changes."""
DIGEST_SIZE = 16


def member_key(inputs: torch.Tensor, targets: Targets, *, mixture: Mixture, config: RatioConfig, seed: int) -> str:
    """Hash everything that decides the weights of a member."""
    digest = hashlib.blake2b(digest_size=16)
    settings = config.model_dump(mode="json", exclude={"device", "calibration_mu"})
    digest.update(json.dumps([FORMAT, settings, mixture.n_heads, mixture.kappa, mixture.yields, seed], sort_keys=True).encode())
    for tensor in (inputs, targets.label, targets.weight, targets.signal, targets.interference):
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_member(path: Path, network: MixtureNetwork, history: Sequence[TrainingHistory], *, key: str) -> None:
    """Write one finished member in one step, behind a digest of its content."""
    buffer = io.BytesIO()
    torch.save({"key": key, "state": network.state_dict(), "history": [asdict(h) for h in history]}, buffer)
    content = buffer.getvalue()
    write_bytes(path, _digest(content) + content)


def load_member(path: Path, network: MixtureNetwork, *, key: str) -> tuple[TrainingHistory, ...] | None:
    """Load a finished member into `network`.

    Returns:
        The losses of its networks, or None where there is no usable checkpoint with this key (missing, damaged or of other events):
        the member is then trained again.
    """
    if not path.is_file():
        return None
    stored = path.read_bytes()
    content = stored[DIGEST_SIZE:]
    if stored[:DIGEST_SIZE] != _digest(content):
        return None
    state: dict[str, Any] = torch.load(io.BytesIO(content), weights_only=True)
    if state["key"] != key:
        return None
    network.load_state_dict(state["state"])
    return tuple(TrainingHistory.from_document(h) for h in state["history"])


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=DIGEST_SIZE).digest()
