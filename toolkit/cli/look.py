"""The commands that look without running: inspect and validate."""

from __future__ import annotations

from pathlib import Path

from toolkit.cli.failures import explained
from toolkit.config import load_config


def inspect_file(file: Path, *, debug: bool) -> None:
    """Print what an ntuple holds."""
    with explained(debug=debug):
        raise NotImplementedError


def validate_config(config: Path, *, data: Path | None, debug: bool) -> None:
    """Check a config and its inputs."""
    with explained(debug=debug):
        load_config(config, data=data)
        raise NotImplementedError
