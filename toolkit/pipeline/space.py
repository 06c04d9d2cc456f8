"""Checks of the output folder before any work is done."""

from __future__ import annotations

import shutil
from pathlib import Path

from toolkit.config import Config
from toolkit.errors import InputFileError
from toolkit.locations import file_state
from toolkit.pipeline.stage import Stage


def expected_bytes(stage: Stage, config: Config) -> int:
    """Estimate the space that the result of a stage takes, from the sizes of its input files (bytes)."""
    return stage.disk_bytes(sum(file_state(path).size for paths in stage.inputs(config).values() for path in paths))


def check_space(folder: Path, *, needed_bytes: int) -> None:
    """Refuse a folder on a disk with too little free space.

    Args:
        folder: The output folder; the nearest existing parent is asked.
        needed_bytes: Estimate of what the run writes.

    Raises:
        InputFileError: Fewer bytes are free.
    """
    free = free_bytes(folder)
    if free < needed_bytes:
        raise InputFileError(
            f"disk of the output folder {folder} is too full",
            got=f"{free / 1e6:.0f} MB free",
            expected=f"at least {needed_bytes / 1e6:.0f} MB for this run",
            remedy="free disk space, or choose another output folder with --out",
        )


def free_bytes(folder: Path) -> int:
    """Return the free space on the disk of a folder that need not exist yet (bytes)."""
    return shutil.disk_usage(nearest_existing(folder)).free


def nearest_existing(folder: Path) -> Path:
    """Return the folder, or its nearest parent that exists.

    Examples:
        >>> nearest_existing(Path("/no-such-folder/below")).as_posix()
        '/'
    """
    absolute = folder.absolute()
    return next(p for p in (absolute, *absolute.parents) if p.exists())
