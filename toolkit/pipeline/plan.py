"""What of the graph was asked for."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.errors import SchemaError
from toolkit.pipeline.stage import Stage


@dataclass(frozen=True)
class Plan:
    """The stages that were asked for, and what was asked of them.

    Args:
        graph: All stages, each after those that it needs.
        force_from: Run this stage and everything after it, whatever the stamps say.
        only: Run this stage alone, with what completes it; those that it needs must be done and unchanged.
    """

    graph: Sequence[Stage]
    force_from: str | None = None
    only: str | None = None

    def __post_init__(self) -> None:
        """Refuse stages that the graph does not have."""
        names = [stage.name for stage in self.graph]
        for asked in (self.force_from, self.only):
            if asked is not None and asked not in names:
                near = difflib.get_close_matches(asked, names, n=1)
                remedy = f"did you mean {near[0]!r}?" if near else "name one of these stages"
                raise SchemaError("stage", got=asked, expected=f"one of {', '.join(names)}", remedy=remedy)

    @property
    def forced(self) -> frozenset[str]:
        """Stages that run whatever the stamps say."""
        return frozenset() if self.force_from is None else frozenset({self.force_from, *self.after(self.force_from)})

    def wants(self, name: str) -> bool:
        """Whether a stage belongs to what was asked for."""
        completed = {stage.name: stage.completes for stage in self.graph}
        return self.only in (None, name, completed[name])

    def after(self, name: str) -> tuple[str, ...]:
        """Return the stages that depend on `name`, directly or through others, in order."""
        found = {name}
        for stage in self.graph:
            if found & set(stage.needs):
                found.add(stage.name)
        return tuple(stage.name for stage in self.graph if stage.name in found - {name})
