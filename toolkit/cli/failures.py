"""From exceptions to exit codes: 2 for the user's input, 130 and 143 for an interruption, 1 for a defect of ours."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from functools import partial
from types import FrameType
from typing import NoReturn

import typer

from toolkit.errors import InputFileError, ToolkitError
from toolkit.text import visible
from toolkit.typing import JsonObject

WRONG_INPUT = 2
INTERRUPTED = 130
TERMINATED = 143
DEFECT = 1
AGAIN_S = 0.01
"""After this time an interruption that Python ignored strikes again."""
_ENVIRONMENT = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}
_UNUSABLE = {errno.ENAMETOOLONG, errno.ELOOP, errno.EISDIR, errno.ENOTDIR, errno.EILSEQ}
_WRITABLE = "a writable folder with free disk space"


class Terminated(KeyboardInterrupt):
    """SIGTERM, with which batch systems end a job: it ends a run as Ctrl-C does, with another exit code."""


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Raise `Terminated` where SIGTERM strikes this process; workers forked from it die of the signal as ever.

    Python ignores what is raised in callbacks of weak references and in finalisers, which torch runs often: an interruption that is
    lost there, Ctrl-C included, strikes again a moment later.

    Yields:
        Nothing.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    owner = os.getpid()

    def strike(number: int, frame: FrameType | None) -> None:
        del frame
        if os.getpid() == owner:
            raise Terminated
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def ignored(unraisable: sys.UnraisableHookArgs) -> None:
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            usual(unraisable)
            return
        signal.signal(signal.SIGALRM, partial(_strike_again, unraisable.exc_type))
        signal.setitimer(signal.ITIMER_REAL, AGAIN_S)

    usual, alarm = sys.unraisablehook, signal.getsignal(signal.SIGALRM)
    sys.unraisablehook = ignored
    signal.signal(signal.SIGTERM, strike)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, alarm)
        sys.unraisablehook = usual


def _strike_again(interruption: type[BaseException], number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise interruption


def exit_code(interruption: BaseException | None) -> int:
    """Return the exit code of an interruption: 128 and the number of the signal."""
    return TERMINATED if isinstance(interruption, Terminated) else INTERRUPTED


@contextlib.contextmanager
def explained(*, debug: bool, resume_hint: str = "", as_json: bool = False) -> Iterator[None]:
    """Turn whatever the block raises into one message on stderr and an exit code.

    Args:
        debug: Show the traceback too.
        resume_hint: What to say after an interruption.
        as_json: Print the error as a JSON document on stdout, too.

    Yields:
        Nothing.

    Raises:
        typer.Exit: With code 2 for a `ToolkitError` and for a disk that is full or not writable, 130 for Ctrl-C,
            143 for SIGTERM, 1 for anything else.
    """
    try:
        yield
    except typer.Exit:
        raise
    except KeyboardInterrupt as error:
        told = ToolkitError("interrupted", remedy=resume_hint or None)
        _tell(f"interrupted. {resume_hint}".rstrip(), debug=debug)
        raise _exit(told, exit_code(error), as_json=as_json) from error
    except Exception as error:
        wrong = _of_the_user(error)
        if wrong is not None:
            _tell(f"error: {wrong}", debug=debug)
            raise _exit(wrong, WRONG_INPUT, as_json=as_json) from error
        hint = "" if debug else "; --debug shows where"
        _tell(f"internal error: {type(error).__name__}: {error}\nThis is a defect of the toolkit{hint}.", debug=debug)
        told = ToolkitError("internal error", got=f"{type(error).__name__}: {error}", remedy="--debug shows where; please report it")
        raise _exit(told, DEFECT, as_json=as_json) from error


def error_document(error: ToolkitError) -> JsonObject:
    """Return an error as JSON-like values.

    Examples:
        >>> error_document(ToolkitError("config a.yaml", got="no such file"))
        {'error': {'what': 'config a.yaml', 'got': 'no such file', 'expected': None, 'remedy': None}}
    """
    parts = {"what": error.what, "got": error.got, "expected": error.expected, "remedy": error.remedy}
    return {"error": {name: None if value is None else str(value) for name, value in parts.items()}}


def _of_the_user(error: Exception) -> ToolkitError | None:
    """Return the message for an error that the user's input or environment caused; None for a defect of ours."""
    if isinstance(error, ToolkitError):
        return error
    if isinstance(error, OSError) and error.errno in _ENVIRONMENT:
        remedy = "free disk space, or choose another output folder with --out"
        return InputFileError(f"cannot write {error.filename or 'a file'}", got=error.strerror, expected=_WRITABLE, remedy=remedy)
    if isinstance(error, OSError) and error.errno in _UNUSABLE:
        remedy = "correct the path in the command or the config"
        return InputFileError(f"cannot use {error.filename or 'a path'}", got=error.strerror, expected="the path of a file", remedy=remedy)
    return None


def _exit(error: ToolkitError, code: int, *, as_json: bool) -> typer.Exit:
    if as_json:
        sys.stdout.write(json.dumps(error_document(error)) + "\n")
    return typer.Exit(code)


def _tell(message: str, *, debug: bool) -> None:
    text = f"{traceback.format_exc()}{message}\n" if debug else f"{message}\n"
    sys.stderr.write(visible(text, keep="\n"))
