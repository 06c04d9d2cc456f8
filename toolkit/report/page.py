"""What a report page holds: sections with sentences, tables and pictures. Plain data; how it looks is the template's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from toolkit.errors import ShapeError


@dataclass(frozen=True)
class PageTable:
    """A table of text cells.

    Attributes:
        title: Its title.
        columns: Headers; the first column is set left, the others right.
        rows: Cells, one tuple per row; a line break in a cell is kept.
        flagged: Numbers of the rows that are marked as a warning.
        note: A sentence below the table.
        words: Set all columns left, as words are.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    flagged: frozenset[int] = frozenset()
    note: str = ""
    words: bool = False

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ShapeError(what=f"row of table {self.title!r}", got=f"{len(row)} cells", expected=f"{len(self.columns)} cells")


@dataclass(frozen=True)
class PageFigure:
    """A picture as PNG bytes, with a caption; `wide` pictures take the whole width, `name` is that of its files in `plots/`."""

    png: bytes = field(repr=False)
    caption: str
    wide: bool = False
    name: str = ""


@dataclass(frozen=True)
class PageSection:
    """A titled part of the page, in the order text, tables, figures."""

    title: str
    text: tuple[str, ...] = ()
    tables: tuple[PageTable, ...] = ()
    figures: tuple[PageFigure, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def anchor(self) -> str:
        """Name of the section in links within the page."""
        return "".join(c if c.isalnum() else "-" for c in self.title.lower()).strip("-")


@dataclass(frozen=True)
class Page:
    """The whole report.

    Attributes:
        title: Name of the analysis.
        subtitle: One line on data and hypothesis.
        sections: Parts, in order.
        footer: One line on what made the page.
    """

    title: str
    subtitle: str
    sections: tuple[PageSection, ...]
    footer: str = ""

    def with_section(self, section: PageSection, *, after: Sequence[str]) -> Page:
        """Return the page with one more section behind the last one of those titles that are there, at the end if none is.

        Examples:
            >>> page = Page("analysis", "", (PageSection("Result"), PageSection("Closure")))
            >>> [s.title for s in page.with_section(PageSection("Comparison"), after=("Result", "Uncertainties")).sections]
            ['Result', 'Comparison', 'Closure']
        """
        places = [k + 1 for k, own in enumerate(self.sections) if own.title in after]
        place = max(places, default=len(self.sections))
        return replace(self, sections=(*self.sections[:place], section, *self.sections[place:]))
