"""CPU time of parts of a program, by wrapping functions where they are looked up; nested parts count once."""

from __future__ import annotations

import functools
import importlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def find(place: str) -> tuple[Any, str, Callable[..., Any]]:
    """Return the owner, the name and the function of ``module:name`` or ``module:Class.name``.

    Raises:
        AttributeError: The module has no such name.
    """
    module, _, path = place.partition(":")
    owner: Any = importlib.import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    return owner, name, getattr(owner, name)


class Sections:
    """Collects CPU seconds per section, each without the sections inside it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inside: list[float] = []

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with its time added to a section."""

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            began = time.process_time()
            self._inside.append(0.0)
            try:
                return function(*args, **kwargs)
            finally:
                spent, inside = time.process_time() - began, self._inside.pop()
                self.seconds[name] = self.seconds.get(name, 0.0) + spent - inside
                if self._inside:
                    self._inside[-1] += spent

        return wrapper

    @contextmanager
    def watching(self, targets: dict[str, tuple[str, ...]]) -> Iterator[None]:
        """Wrap functions while the block runs.

        Args:
            targets: Section to functions, each as ``module:name`` or ``module:Class.name``.
        """
        undo = []
        try:
            for section, places in targets.items():
                self.seconds[section] = 0.0
                for place in places:
                    owner, name, original = find(place)
                    setattr(owner, name, self.timed(section, original))
                    undo.append((owner, name, original))
            yield
        finally:
            for owner, name, original in reversed(undo):
                setattr(owner, name, original)
