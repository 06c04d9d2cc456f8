"""The command line `h4l`."""

from toolkit.cli.app import main

__all__ = ["main"]
