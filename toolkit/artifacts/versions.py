"""Say that another version wrote a file: such a file is neither damaged nor wrong, and the remedy is another."""

from __future__ import annotations

from toolkit import __version__
from toolkit.errors import SchemaError


def other_version(what: str, *, found: object, expected: object, remedy: str) -> SchemaError:
    """Return the error for a file whose schema is not that of this version.

    Args:
        what: The file.
        found: Schema that the file states; None where it states none.
        expected: Schemas that this version reads.
        remedy: How to come to a file that this version reads.

    Examples:
        >>> print(other_version("workspace", found=1, expected=2, remedy="write it anew").got)
        schema 1, written by another version of h4l-toolkit
    """
    stated = "no schema" if found is None else f"schema {found}"
    got = f"{stated}, written by another version of h4l-toolkit"
    return SchemaError(what, got=got, expected=f"schema {expected}, as version {__version__} writes it", remedy=remedy)
