"""Stage fit."""

from __future__ import annotations

from toolkit.pipeline.stage import StageContext


def run(context: StageContext) -> None:
    """Run the stage."""
    raise NotImplementedError
