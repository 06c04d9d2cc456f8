"""Consoles: results go to stdout, progress and messages to stderr."""

from __future__ import annotations

from rich.console import Console

FILE_WIDTH = 160


def output_console() -> Console:
    """Return a console on stdout: as wide as the terminal, or wide enough for every table where there is none."""
    console = Console()
    return console if console.is_terminal else Console(width=FILE_WIDTH)


def message_console() -> Console:
    """Return a console on stderr."""
    return Console(stderr=True)
