"""Save a figure as PDF and PNG, with the plotted numbers beside it as JSON; and as PNG bytes for a page."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_mixed import MixedModeRenderer
from matplotlib.backends.backend_pdf import PdfFile, RendererPdf
from matplotlib.mathtext import MathTextParser
from matplotlib.text import Text

from toolkit.artifacts.atomic import make_folder, write_bytes, write_json
from toolkit.plots.names import is_readable
from toolkit.plots.style import StyledFigure, style_context


class _Formulas(MathTextParser):  # type: ignore[type-arg]  # generic in the stubs only
    """Remembers every formula that it has set: a tenth of the time of a plot goes into reading those that other plots had before."""

    def __init__(self) -> None:
        super().__init__("path")
        self._known: dict[Any, Any] = {}

    def parse(self, s: str, dpi: float = 72, prop: Any = None, *, antialiased: bool | None = None) -> Any:
        """Set a formula."""
        key = (s, dpi, None if prop is None else hash(prop), antialiased)
        if key not in self._known:
            self._known[key] = super().parse(s, dpi, prop, antialiased=antialiased)
        return self._known[key]


_FORMULAS = _Formulas()


@dataclass(frozen=True)
class SavedPlot:
    """The three files of one plot."""

    pdf: Path
    png: Path
    numbers: Path

    @classmethod
    def at(cls, folder: str | Path, name: str) -> SavedPlot:
        """Return where the files of a plot are or will be.

        Examples:
            >>> SavedPlot.at("plots", "scans").pdf.as_posix()
            'plots/scans.pdf'
        """
        target = Path(folder)
        return cls(pdf=target / f"{name}.pdf", png=target / f"{name}.png", numbers=target / f"{name}.json")

    @property
    def files(self) -> tuple[Path, Path, Path]:
        """The three files."""
        return (self.pdf, self.png, self.numbers)


def save_figure(figure: StyledFigure, folder: str | Path, name: str) -> SavedPlot:
    """Write `folder/name.pdf`, `.png` and `.json`, each in one step.

    Args:
        figure: A figure of this package; its numbers go into the JSON file.
        folder: Created if need be.
        name: File name without ending.

    Returns:
        The paths.

    Raises:
        InputFileError: The folder cannot be written or the disk is full; files that were there stay as they were.

    Notes:
        No time stamp is written: the same figure gives the same bytes. The figure's layout is fixed from then on.
    """
    target = make_folder(folder)
    saved = SavedPlot.at(target, name)
    png = png_bytes(figure)
    figure.set_layout_engine("none")  # keep the layout just found: finding it again is half the cost of drawing
    pdf = pdf_bytes(figure)
    write_json(saved.numbers, figure.numbers)
    write_bytes(saved.pdf, pdf)
    write_bytes(saved.png, png)
    return saved


def png_bytes(figure: StyledFigure, *, dpi: float = 160.0) -> bytes:
    """Render to PNG with `dpi` dots per inch; a formula that cannot be read is shown as it was written."""
    try:
        return _png_bytes(figure, dpi)
    except ValueError:  # a broken formula is no reason to lose a report
        broken = [text for text in figure.findobj(Text) if isinstance(text, Text) and not is_readable(text.get_text())]
        if not broken:
            raise
        for text in broken:
            text.set_parse_math(False)
        return _png_bytes(figure, dpi)


def _png_bytes(figure: StyledFigure, dpi: float) -> bytes:
    buffer = io.BytesIO()
    with _own_canvas(figure), style_context(figure.style):
        figure.dpi = dpi
        canvas = FigureCanvasAgg(figure)
        canvas.get_renderer().mathtext_parser = _FORMULAS
        canvas.print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def pdf_bytes(figure: StyledFigure) -> bytes:
    """Render to PDF with embedded fonts."""
    buffer = io.BytesIO()
    width, height = figure.get_size_inches()
    with _own_canvas(figure), style_context(figure.style):
        figure.dpi = 72
        file = PdfFile(buffer, metadata={"CreationDate": None, "Producer": None, "Creator": None})
        file.newPage(width, height)
        renderer = RendererPdf(file, 72, height, width)
        renderer._text2path.mathtext_parser = _FORMULAS
        mixed = MixedModeRenderer(figure, width, height, 72, renderer)
        figure.draw(mixed)
        mixed.finalize()
        file.finalize()
        file.close()
    return buffer.getvalue()


@contextlib.contextmanager
def _own_canvas(figure: StyledFigure) -> Iterator[None]:
    """Give a figure back with its canvas and resolution. `savefig` would draw it twice for every file, to the same bytes."""
    canvas, dpi = figure.canvas, figure.dpi
    try:
        yield
    finally:
        figure.set_canvas(canvas)
        figure.dpi = dpi
