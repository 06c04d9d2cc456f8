"""Consoles: results go to stdout, progress and messages to stderr; text of foreign origin is shown, never obeyed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from toolkit.text import visible

FILE_WIDTH = 160


class PlainConsole(Console):
    """A console for text that may come from data files: the one place where it is made harmless.

    A `str`, a cell or a title of a table, too, is one line without markup: `w[njet]` stays `w[njet]`, and control characters and newlines
    are shown as escapes. Own text of several lines or with colours is a `rich.text.Text`, of which only the newlines are kept.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Turn a string into text without markup, its control characters as escapes."""
        return super().render_str(visible(text), **{**options, "markup": False, "emoji": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render an object; control characters that its text brought along become escapes."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text, keep="\n"), segment.style)


def output_console() -> PlainConsole:
    """Return a console on stdout: as wide as the terminal, or wide enough for every table where there is none."""
    console = PlainConsole()
    return console if console.is_terminal else PlainConsole(width=FILE_WIDTH)


def message_console() -> PlainConsole:
    """Return a console on stderr."""
    return PlainConsole(stderr=True)
