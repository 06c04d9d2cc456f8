"""The file of a training under way: enough to go on after the last finished epoch with the same result to the last bit."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import torch

from toolkit.artifacts.atomic import write_bytes

DIGEST_SIZE = 16


def write_state(path: Path, state: dict[str, Any], *, durable: bool = True) -> None:
    """Write tensors, numbers and texts in one step, behind a digest of the content.

    Args:
        path: The file; its folder must exist.
        state: Nested dicts and lists.
        durable: Wait until the disk has it. Without, a killed process loses nothing, but a loss of power may; the digest
            then tells.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    content = buffer.getvalue()
    write_bytes(path, digest_of(content) + content, durable=durable)


def read_state(path: Path, *, key: str | None = None) -> dict[str, Any] | None:
    """Read what `write_state` wrote.

    Args:
        path: The file.
        key: What the state must hold under `key`; None takes any.

    Returns:
        The state, or None where there is none with this `key`: missing, damaged, or of another training.
    """
    if not path.is_file():
        return None
    stored = path.read_bytes()
    content = stored[DIGEST_SIZE:]
    if stored[:DIGEST_SIZE] != digest_of(content):
        return None
    state: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return state if key is None or state.get("key") == key else None


def digest_of(*contents: bytes) -> bytes:
    """Hash bytes, 16 bytes long."""
    digest = hashlib.blake2b(digest_size=DIGEST_SIZE)
    for content in contents:
        digest.update(content)
    return digest.digest()


def tensor_bytes(tensor: torch.Tensor) -> bytes:
    """Return the values of a tensor, for hashing."""
    return tensor.detach().cpu().contiguous().numpy().tobytes()
