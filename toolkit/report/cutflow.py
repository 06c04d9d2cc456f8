"""The cut flow and the yields of regions and variations on the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from toolkit.errors import InputFileError

NAME_COLUMN = 18
"""Columns of a terminal that the names of the cuts take."""
NUMBER_COLUMN = 12
"""Columns that a number takes, a line drawn beside it included."""
PADDING = 3


@dataclass(frozen=True)
class CutflowTables:
    """Everything in `cutflow.json`, to be printed on a rich console.

    Attributes:
        document: Content of `cutflow.json`.
    """

    document: Mapping[str, Any]

    @classmethod
    def read(cls, path: str | Path) -> CutflowTables:
        """Read `cutflow.json`.

        Raises:
            InputFileError: It is missing or damaged.
        """
        try:
            return cls(json.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise InputFileError(
                f"cut flow {path}", got=str(error), expected="a complete JSON file", remedy="run the processing stage again"
            ) from error

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the cut flow, then regions and variations if there are any."""
        luminosity = self.document["luminosity_ifb"]
        at = "" if luminosity is None else f" at {luminosity:g}/fb"
        title = f"expected events{at} (entries); data count 1 each"
        for part in split_columns(self.document["samples"], width=options.max_width):
            yield sums_table("cut", part, title=title)
        if "regions" in self.document:
            for part in split_columns(self.document["regions"], width=options.max_width):
                yield sums_table("region", part, title="expected events per region (entries)")
        if "variations" in self.document:
            yield variations_table(self.document)
        yield from (Text(f"note: {note}") for note in self.document.get("notes", ()))


def split_columns(samples: Mapping[str, Any], *, width: int) -> list[dict[str, Any]]:
    """Split samples into as many tables as a terminal needs to show each number in one piece.

    Args:
        samples: One column each.
        width: Columns of the terminal.

    Returns:
        The samples of each table, in order.

    Examples:
        >>> [list(part) for part in split_columns(dict.fromkeys("abcdefg"), width=80)]
        [['a', 'b', 'c', 'd', 'e'], ['f', 'g']]
    """
    fitting = max(1, (width - NAME_COLUMN) // max([NUMBER_COLUMN, *(len(name) + PADDING for name in samples)]))
    names = list(samples)
    return [{name: samples[name] for name in names[k : k + fitting]} for k in range(0, len(names), fitting)]


def sums_table(what: str, samples: Mapping[str, Mapping[str, Mapping[str, float]]], *, title: str) -> Table:
    """Lay out weighted and unweighted sums: one row per cut or region, one column per sample.

    Examples:
        >>> from rich.console import Console
        >>> table = sums_table("cut", {"qqZZ": {"all": {"events": 10, "sumw": 2.5, "sumw2": 1.0}}}, title="t")
        >>> "2.50 (10)" in "".join(segment.text for segment in Console(width=60).render(table))
        True
    """
    table = Table(title=title, title_justify="left")
    table.add_column(what, no_wrap=True)
    for name in samples:
        table.add_column(name, justify="right")
    for row in dict.fromkeys(row for flow in samples.values() for row in flow):
        cells = [_cell(flow[row]) if row in flow else "-" for flow in samples.values()]
        table.add_row(row, *cells)
    return table


def variations_table(document: Mapping[str, Any]) -> Table:
    """Lay out the change of the yield after all cuts under each variation, in per cent of the nominal one."""
    table = Table(title="change of the yield after all cuts", title_justify="left")
    table.add_column("variation", no_wrap=True)
    found = document["variations"]
    for name in found:
        table.add_column(name, justify="right")
    for variation in dict.fromkeys(v for of_sample in found.values() for v in of_sample):
        cells = []
        for sample, of_sample in found.items():
            nominal = list(document["samples"][sample].values())[-1]["sumw"]
            varied = list(of_sample[variation]["cutflow"].values())[-1]["sumw"] if variation in of_sample else None
            cells.append("-" if varied is None or not nominal else f"{100 * (varied / nominal - 1):+.2f} %")
        table.add_row(variation, *cells)
    return table


def _cell(sums: Mapping[str, float]) -> str:
    return f"{sums['sumw']:.2f} ({int(sums['events'])})"
