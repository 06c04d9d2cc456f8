"""What a command shows: results on stdout, as text or as one JSON document; progress and messages on stderr."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, is_dataclass
from os import PathLike, fspath
from typing import Any

from rich.console import RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from toolkit.cli.console import PlainConsole, message_console, output_console
from toolkit.cli.failures import explained
from toolkit.cli.reporter import RichReporter
from toolkit.typing import JsonObject


@dataclass(frozen=True)
class Screen:
    """How much a command shows, and in which form.

    Args:
        quiet: Show no progress, only results and errors.
        debug: Show tracebacks.
        as_json: Print one JSON document instead of text.
    """

    quiet: bool = False
    debug: bool = False
    as_json: bool = False

    def explained(self, resume_hint: str = "") -> AbstractContextManager[None]:
        """Turn whatever a block raises into a message and an exit code; see `toolkit.cli.failures.explained`."""
        return explained(debug=self.debug, resume_hint=resume_hint, as_json=self.as_json)

    def reporter(self) -> RichReporter:
        """Return what draws the progress."""
        return RichReporter(message_console(), quiet=self.quiet)

    def show(self, *parts: RenderableType) -> None:
        """Print results for people: tables as they are, text without cutting it; nothing where JSON was asked for."""
        if not self.as_json:
            show_on(output_console(), *parts)

    def note(self, *parts: RenderableType) -> None:
        """Print on stderr what belongs to the progress."""
        if not self.quiet:
            show_on(message_console(), *parts)

    def document(self, content: Any) -> None:
        """Print the JSON document where it was asked for."""
        if self.as_json:
            sys.stdout.write(json.dumps(plain(content), allow_nan=False) + "\n")

    def result(self, content: JsonObject, *parts: RenderableType) -> None:
        """Print a result once: the JSON document, or its form for people."""
        self.document(content)
        self.show(*parts)


def show_on(console: PlainConsole, *parts: RenderableType) -> None:
    """Print on a console: text without markup and cutting, tables never narrower than their numbers need."""
    for part in parts:
        if isinstance(part, str | Text):
            console.print(part, soft_wrap=True)
            continue
        if isinstance(part, Table):
            needed = Measurement.get(console, console.options, part).minimum
            if needed > console.width:
                console.print(part, width=needed, crop=False, no_wrap=True, overflow="ignore")
                continue
        console.print(part)


def plain(value: Any) -> Any:
    """Return a value as JSON-like values: paths as text, results as mappings, NaN and infinity as null.

    Examples:
        >>> from pathlib import Path
        >>> plain({"file": Path("a.root"), "range": (0.0, float("inf")), "names": {"b", "a"}})
        {'file': 'a.root', 'range': [0.0, None], 'names': ['a', 'b']}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Set):
        return [plain(item) for item in sorted(value)]
    if isinstance(value, PathLike):
        return fspath(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
