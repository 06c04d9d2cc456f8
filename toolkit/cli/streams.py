"""Output streams that a reader may close at any time: what is written afterwards is dropped, and the exit code stays."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO, cast


class LastingStream:
    """A text stream that outlives its reader.

    Args:
        stream: Where text is written; every other attribute is that of this stream.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost: OSError | None = None
        """Why text was lost, unless its reader went away on purpose: a full disk, for example."""

    def __getattr__(self, name: str) -> Any:
        """Return what the stream has."""
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text, or drop it if the reader is gone."""
        with self._unbroken():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write out what is buffered, or drop it if the reader is gone."""
        with self._unbroken():
            self._stream.flush()

    @contextlib.contextmanager
    def _unbroken(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                self.lost = self.lost or error
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)


@contextlib.contextmanager
def lasting_streams() -> Iterator[LastingStream]:
    """Let stdout and stderr outlive their readers, accept every character, and exist even if the caller closed them.

    Yields:
        stdout.
    """
    before = (sys.stdout, sys.stderr)
    with contextlib.ExitStack() as opened:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is None:
                stream = opened.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
            elif hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
            setattr(sys, name, LastingStream(stream))
        try:
            yield cast(LastingStream, sys.stdout)
        finally:
            sys.stderr.flush()
            sys.stdout, sys.stderr = before
