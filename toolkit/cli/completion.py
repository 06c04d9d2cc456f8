"""What the shell offers when the tab key is pressed: stages, and files and folders of the kind that a command reads."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

CONFIGS = (".yaml", ".yml")
NTUPLES = (".root", ".csv", ".lhe", ".lhe.gz")
MODELS = (".onnx",)
ARCHIVES = (".tar.gz",)


def stages(incomplete: str) -> list[str]:
    """Return the stages that begin with what was typed.

    Examples:
        >>> stages("f"), stages("r")
        (['fit'], ['report'])
    """
    from toolkit.pipeline import STAGE_NAMES

    return [name for name in STAGE_NAMES if name.startswith(incomplete)]


def files(*suffixes: str) -> Callable[[str], list[str]]:
    """Return a function that offers files with one of these suffixes, and folders to go on into."""

    def offer(incomplete: str) -> list[str]:
        return [path for path in _entries(incomplete) if path.endswith((os.sep, *suffixes))]

    return offer


def folders(incomplete: str) -> list[str]:
    """Return the folders that begin with what was typed."""
    return [path for path in _entries(incomplete) if path.endswith(os.sep)]


def _entries(incomplete: str) -> list[str]:
    """Return files and folders (these with a slash) that begin with what was typed; hidden ones only after a dot."""
    head, name = os.path.split(incomplete)
    folder = Path(head).expanduser() if head else Path()
    try:
        found = sorted(folder.iterdir())
    except OSError:
        return []
    shown = [path for path in found if path.name.startswith(name) and (name.startswith(".") or not path.name.startswith("."))]
    return [os.path.join(head, path.name) + (os.sep if path.is_dir() else "") for path in shown]  # noqa: PTH118 - keeps `~` and `./` as typed
