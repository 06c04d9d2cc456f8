"""Exceptions of the toolkit: every message says what, got, expected and the remedy.

Each class is also a built-in exception, so that callers may catch either. The command line turns a
`ToolkitError` into one readable message and exit code 2; anything else is a defect of the toolkit.
"""

from __future__ import annotations


class ToolkitError(Exception):
    """Base of all errors that the user's input or environment can cause.

    Args:
        what: The object that is wrong (a file, a config key, a column, an event).
        got: What was found there.
        expected: What a correct input looks like.
        remedy: What the user can do about it.

    Examples:
        >>> print(ToolkitError("selection.m4l", got="[2000, 220]", expected="low < high", remedy="swap the two edges"))
        selection.m4l
          got:      [2000, 220]
          expected: low < high
          remedy:   swap the two edges
    """

    def __init__(self, what: str, *, got: object = None, expected: object = None, remedy: str | None = None) -> None:
        self.what = what
        self.got = got
        self.expected = expected
        self.remedy = remedy
        lines = [what]
        if got is not None:
            lines.append(f"  got:      {_indented(got)}")
        if expected is not None:
            lines.append(f"  expected: {_indented(expected)}")
        if remedy is not None:
            lines.append(f"  remedy:   {_indented(remedy)}")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle with the keyword arguments, so that errors survive worker processes."""
        return (_rebuild, (type(self), self.what, self.got, self.expected, self.remedy))


def _indented(part: object) -> str:
    """Write a part of a message; none of its lines can pass for another part."""
    return str(part).replace("\n", "\n            ")


def _rebuild(cls: type[ToolkitError], what: str, got: object, expected: object, remedy: str | None) -> ToolkitError:
    return cls(what, got=got, expected=expected, remedy=remedy)


class SchemaError(ToolkitError, ValueError):
    """A config, column, branch or JSON document does not have the expected form."""


class ShapeError(ToolkitError, ValueError):
    """An array has the wrong shape."""


class PhysicsDomainError(ToolkitError, ValueError):
    """A value is outside the domain in which a formula is defined (mass < 0, density <= 0, NaN weight)."""


class ArtifactMismatchError(ToolkitError, ValueError):
    """Two files that should belong together do not (features, hashes, benchmark names)."""


class InputFileError(ToolkitError, OSError):
    """A file cannot be found, opened, read completely or written."""

    def __str__(self) -> str:
        """Return the message (OSError would print its errno form)."""
        return str(self.args[0])


class FitError(ToolkitError, RuntimeError):
    """A fit cannot be set up at all. The outcome of a fit that ran is data, not an exception."""


class WorkerLostError(ToolkitError, RuntimeError):
    """A worker process died before it was done, killed from outside or for want of memory."""


class MissingExtraError(ToolkitError, ImportError):
    """An optional dependency is not installed."""
