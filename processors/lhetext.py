"""Les Houches files as XML: what generators write is often not quite that, and the events are whole all the same.

Run cards in the head hold ``mu < 1 && pt > 5`` and comments with ``--``, Fortran writes 1.0D-03, and some programs never write the last
tag. The text is mended line by line, so that line numbers of messages are those of the file; an event without its end is refused.
"""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator
from types import TracebackType
from typing import IO, cast

from toolkit.errors import InputFileError
from toolkit.locations import Location

LAST_TAG = "</LesHouchesEvents>"
LONGEST_LINE = 1 << 20
_STRAY = re.compile(r"&(?!(?:\w+|#\d+|#x[0-9a-fA-F]+);)|<(?![A-Za-z/!?])")
_FORTRAN = re.compile(r"(?<=[\d.])[dD](?=[+-]?\d)")
_CONTENT = re.compile(r"(?<=>)[^<]*(?=<)")


class LheText:
    """The mended text of a file, as a stream to read from.

    Args:
        path: The file, compressed or not.
    """

    def __init__(self, path: Location) -> None:
        self._path = path
        raw = path.open("rb")
        self._raw = raw
        content = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if path.suffix == ".gz" else raw
        self._file = io.TextIOWrapper(content, encoding="utf-8", errors="replace")
        self._lines = mended_lines(iter(lambda: self._file.readline(LONGEST_LINE), ""), path)
        self._rest = ""

    def read(self, size: int = -1) -> str:
        """Return the next characters, at least one of them before the end."""
        while len(self._rest) < size or size < 0:
            line = next(self._lines, None)
            if line is None:
                break
            self._rest += line
        if size < 0:
            size = len(self._rest)
        text, self._rest = self._rest[:size], self._rest[size:]
        return text

    def count_events(self) -> int:
        """Return the number of events in the rest of the text."""
        return sum(line.count("</event>") for line in self._lines)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._raw.close()

    def __enter__(self) -> LheText:
        """Return the stream."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the file."""
        self.close()


def mended_lines(lines: Iterator[str], path: Location) -> Iterator[str]:
    r"""Go through the lines of a file as XML; what stands in the head beside the declaration of weights is left out.

    Args:
        lines: Lines with their ends.
        path: The file, for messages.

    Yields:
        As many lines as there are, and the last tag if it is missing.

    Raises:
        InputFileError: The file ends inside an event.

    Examples:
        >>> from pathlib import Path
        >>> text = "<LesHouchesEvents>\n<header>\na < 1 && b\n</header>\n<init>\n1.0D-03 x\n</init>\n"
        >>> [line.rstrip() for line in mended_lines(iter(text.splitlines(keepends=True)), Path("a.lhe"))]
        ['<LesHouchesEvents>', '<header>', '', '</header>', '<init>', '1.0E-03 x', '</init>', '</LesHouchesEvents>']
    """
    in_head = in_weights = in_comment = closed = False
    event_line = number = 0
    for number, line in enumerate(lines, start=1):
        text = line
        if in_comment or "<!--" in text:
            text, in_comment = _without_comment(text, inside=in_comment)
        if in_head and not in_weights:
            text, in_weights, in_head = _head(text)
        elif in_weights:
            text, in_weights = _STRAY.sub(_escape, text), "</initrwgt" not in text
        elif re.match(r"\s*<header\b", text):
            start, _, rest = text.partition(">")
            kept, in_weights, in_head = _head(rest)
            text = f"{start}>{kept}"
        else:
            text = _numbers(_STRAY.sub(_escape, text))
            event_line = number if "<event" in text else event_line
            event_line = 0 if "</event" in text else event_line
            closed |= LAST_TAG in text
        yield text if text.endswith("\n") else f"{text}\n"
    if event_line:
        raise InputFileError(
            f"input file {path}",
            got=f"the event that begins in line {event_line} has no end; the file ends in line {number}",
            expected="whole events",
            remedy="generate the file again: an interrupted generator leaves the last event unfinished; or remove this event",
        )
    if not closed:
        yield f"{LAST_TAG}\n"


def _head(text: str) -> tuple[str, bool, bool]:
    """Return what is kept of a line of the head, whether the declaration of weights goes on, and whether the head does."""
    start, end = text.find("<initrwgt"), text.find("</header")
    if start >= 0:
        kept = _STRAY.sub(_escape, text[start:])
        done = "</initrwgt" in kept
        return kept, not done, end < 0
    if end >= 0:
        return text[end:], False, False
    return "\n", False, True


def _without_comment(text: str, *, inside: bool) -> tuple[str, bool]:
    """Take comments out of a line; return the rest, and whether a comment goes on."""
    kept = ""
    while text:
        mark = "-->" if inside else "<!--"
        before, found, text = text.partition(mark)
        kept += "" if inside else before
        if not found:
            break
        inside = not inside
    return kept if kept.endswith("\n") else f"{kept}\n", inside


def _escape(match: re.Match[str]) -> str:
    return "&amp;" if match[0] == "&" else "&lt;"


def _numbers(text: str) -> str:
    """Write Fortran's exponents as everyone's, in numbers outside of tags."""
    if "D" not in text and "d" not in text:
        return text
    if "<" not in text:
        return text if text.lstrip().startswith("#") else _FORTRAN.sub("E", text)
    return _CONTENT.sub(lambda match: _FORTRAN.sub("E", match[0]), text)
