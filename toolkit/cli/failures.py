"""From exceptions to exit codes: 2 for the user's input, 130 for an interruption, 1 for a defect of ours."""

from __future__ import annotations

import contextlib
import errno
import sys
import traceback
from collections.abc import Iterator

import typer

from toolkit.errors import InputFileError, ToolkitError

WRONG_INPUT = 2
INTERRUPTED = 130
DEFECT = 1
_ENVIRONMENT = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}


@contextlib.contextmanager
def explained(*, debug: bool, resume_hint: str = "") -> Iterator[None]:
    """Turn whatever the block raises into one message on stderr and an exit code.

    Args:
        debug: Show the traceback too.
        resume_hint: What to say after an interruption.

    Yields:
        Nothing.

    Raises:
        typer.Exit: With code 2 for a `ToolkitError` and for a disk that is full or not writable, 130 for Ctrl-C,
            1 for anything else.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        _tell(f"interrupted. {resume_hint}".rstrip(), debug=debug)
        raise typer.Exit(INTERRUPTED) from error
    except ToolkitError as error:
        _tell(f"error: {error}", debug=debug)
        raise typer.Exit(WRONG_INPUT) from error
    except OSError as error:
        if error.errno not in _ENVIRONMENT:
            _defect(error, debug=debug)
            raise typer.Exit(DEFECT) from error
        explanation = InputFileError(
            f"cannot write {error.filename or 'a file'}",
            got=error.strerror,
            expected="a writable folder with free disk space",
            remedy="free disk space, or choose another output folder with --out",
        )
        _tell(f"error: {explanation}", debug=debug)
        raise typer.Exit(WRONG_INPUT) from error
    except typer.Exit:
        raise
    except Exception as error:
        _defect(error, debug=debug)
        raise typer.Exit(DEFECT) from error


def _defect(error: Exception, *, debug: bool) -> None:
    hint = "" if debug else "; --debug shows where"
    _tell(f"internal error: {type(error).__name__}: {error}\nThis is a defect of the toolkit{hint}.", debug=debug)


def _tell(message: str, *, debug: bool) -> None:
    if debug:
        traceback.print_exc(file=sys.stderr)
    sys.stderr.write(message + "\n")
