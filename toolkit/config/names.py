"""Names that a config gives: parts of names of files, columns and variables."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

LONGEST_NAME = 80
_PATH_PARTS = frozenset("/\\:")


def _file_name(text: str) -> str:
    """Refuse a name that cannot be part of the name of a file, or cannot be read."""
    strange = sorted({c for c in text if c in _PATH_PARTS or not c.isprintable()})
    if strange:
        msg = f"{text[:LONGEST_NAME]!r} is the name of files, too: it may not contain {', '.join(map(repr, strange))}"
        raise ValueError(msg)
    if not text or text != text.strip() or text.startswith("."):
        msg = f"{text!r} is no name: it is empty, or begins with a dot, or begins or ends with a blank"
        raise ValueError(msg)
    size = len(text.encode())
    if size > LONGEST_NAME:
        msg = f"a name of {size} bytes, at most {LONGEST_NAME} are allowed"
        raise ValueError(msg)
    return text


def is_file_name(text: str) -> bool:
    r"""Return whether a text can be part of the name of a file.

    Examples:
        >>> [is_file_name(text) for text in ("m4l (2 bins)", "../m4l", ".m4l", "m4l\n")]
        [True, False, False, False]
    """
    try:
        return bool(_file_name(text))
    except ValueError:
        return False


Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=LONGEST_NAME)]
"""A name of letters, digits and underscores, a letter first."""
FileName = Annotated[str, AfterValidator(_file_name)]
"""A name that is part of the name of a file: no path in it, no invisible character, not too long."""
Seed = Annotated[int, Field(ge=0, le=1_000_000_000)]
"""A seed that every random generator takes."""
