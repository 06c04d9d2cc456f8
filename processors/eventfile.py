"""Open an ntuple whatever its format: ROOT (TTree, RNTuple), CSV or LHE; all look alike from outside."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

import awkward as ak

from processors.csvfile import is_csv, open_csv
from processors.lhefile import is_lhe, open_lhe
from processors.rootfile import open_root_events
from toolkit.locations import Location
from toolkit.typing import FloatArray

Format = Literal["root", "csv", "lhe"]


class EventFile(Protocol):
    """The events of one file, column by column.

    Attributes:
        entries: Number of events.
        types: Type of each column by name, in TTree spelling (``Electron_pt``).
        uuid: Identity of the content, 16 bytes.
    """

    @property
    def entries(self) -> int:
        """Number of events."""
        ...

    @property
    def types(self) -> Mapping[str, str]:
        """Type of each column, by name."""
        ...

    @property
    def uuid(self) -> bytes:
        """Identity of the content, 16 bytes."""
        ...

    def arrays(self, names: Sequence[str], start: int, stop: int) -> ak.Array:
        """Read columns of a range of entries: a record array with one field per name."""
        ...

    def weight_names(self, column: str) -> tuple[str, ...]:
        """Names that the file gives to the entries of a weight vector; empty where it gives none."""
        ...

    def constants(self, tree: str, column: str) -> FloatArray | None:
        """Numbers that describe the whole file: a column of another tree or of the head; None where there is none."""
        ...


def format_of(path: Location) -> Format:
    """Return the format of a file, by its name."""
    return "csv" if is_csv(path) else "lhe" if is_lhe(path) else "root"


@contextlib.contextmanager
def open_events(path: Location, tree: str) -> Iterator[EventFile]:
    """Open an ntuple.

    Args:
        path: The file.
        tree: Name of the event tree of a ROOT file; other formats have none.

    Yields:
        The events.

    Raises:
        InputFileError: The file is missing, unreadable or truncated.
        SchemaError: The tree does not exist.
        MissingExtraError: The format needs an optional dependency.
    """
    openers: dict[Format, Any] = {"csv": open_csv, "lhe": open_lhe}
    kind = format_of(path)
    with open_root_events(path, tree) if kind == "root" else openers[kind](path) as events:
        yield events
