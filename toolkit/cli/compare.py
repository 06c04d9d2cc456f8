"""The command compare: the event tables of two runs beside each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from toolkit import __version__
from toolkit.cli.completion import folders
from toolkit.cli.options import AsJson, Debug, Quiet, Style
from toolkit.cli.reporter import RichReporter
from toolkit.cli.running import styled
from toolkit.cli.screen import Screen
from toolkit.cli.wording import count
from toolkit.errors import SchemaError

if TYPE_CHECKING:
    from toolkit.analysis.run_comparison import RunComparison, SampleComparison
    from toolkit.plots.style import Experiment
    from toolkit.report.page import Page, PageFigure

NUMBERS, PAGE, PLOTS = "compare.json", "compare.html", "plots"


@dataclass(frozen=True)
class CompareRequest:
    """What the user typed.

    Args:
        a: Folder of the reference.
        b: Folder of the other run.
        out: Where results are written.
        samples: Names; all common ones if empty.
        observables: Names; all common ones if empty.
        bins: Bins before joining.
        normalise: Compare shapes only.
        style: Look of the plots; None takes that of the config of A.
        screen: How much is shown, and in which form.
    """

    a: Path
    b: Path
    out: Path
    samples: Sequence[str]
    observables: Sequence[str]
    bins: int
    normalise: bool
    style: Experiment | None
    screen: Screen


def compare(
    a: Annotated[
        Path, typer.Argument(metavar="A", help="Output folder of a run: the reference.", show_default=False, autocompletion=folders)
    ],
    b: Annotated[Path, typer.Argument(metavar="B", help="Output folder of another run.", show_default=False, autocompletion=folders)],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where plots, page and numbers go.", autocompletion=folders)] = Path(
        "h4l-compare"
    ),
    sample: Annotated[
        list[str] | None, typer.Option("--sample", metavar="NAME", help="Only this sample; may be repeated. Default: all that both have.")
    ] = None,
    observables: Annotated[
        str | None, typer.Option("--observables", metavar="NAMES", help="Only these, separated by commas. Default: all that both have.")
    ] = None,
    bins: Annotated[
        int, typer.Option("--bins", min=1, metavar="N", help="Bins of an observable, before those with few events are joined.")
    ] = 20,
    normalise: Annotated[bool, typer.Option("--normalise", help="Compare shapes only.")] = False,
    style: Style = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Compare the events of two runs: two generators, or two versions of a model; ratio and chi-square of every observable."""
    names = [part.strip() for part in (observables or "").split(",") if part.strip()]
    screen = Screen(quiet, debug, as_json)
    request = CompareRequest(a, b, out, tuple(sample or ()), tuple(names), bins, normalise, style, screen)
    with screen.explained():
        if observables is not None and not names:
            raise SchemaError("--observables", got=repr(observables), expected="names, separated by commas", remedy="for example m4l,m_z1")
        reporter = screen.reporter()
        try:
            found = _compared(request, reporter)
        finally:
            reporter.close()
        files = {"numbers": out / NUMBERS, "page": out / PAGE, "plots": out / PLOTS}
        screen.result({**found.to_json(), "files": files}, *_text(found, out))


def _compared(request: CompareRequest, reporter: RichReporter) -> RunComparison:
    """Compare, and write plots, the page, and last the numbers."""
    from toolkit.analysis.finished import FinishedRun
    from toolkit.analysis.layout import MANIFEST
    from toolkit.analysis.run_comparison import compare_runs
    from toolkit.artifacts.atomic import make_folder, write_json
    from toolkit.report import write_page

    runs = FinishedRun.open(request.a), FinishedRun.open(request.b)
    if (request.out / MANIFEST).exists():
        raise SchemaError("--out", got=f"{request.out}, the folder of a run", expected="a folder of its own", remedy="name another folder")
    found = compare_runs(
        *runs,
        samples=request.samples,
        observables=request.observables,
        bins=request.bins,
        normalise=request.normalise,
        progress=reporter.progress,
    )
    make_folder(request.out)
    write_page(request.out / PAGE, _page(found, _figures(found, request, reporter)))
    write_json(request.out / NUMBERS, found.to_json())
    return found


def _figures(found: RunComparison, request: CompareRequest, reporter: RichReporter) -> dict[str, list[PageFigure]]:
    """Write the plot of every histogram; return the most remarkable ones of each sample for the page."""
    from toolkit.pipeline.stages.report import plot_style
    from toolkit.plots import plot_two_samples, save_figure
    from toolkit.report.page import PageFigure
    from toolkit.report.two_runs import SHOWN

    style = plot_style(styled(found.runs[0].config, request.style))
    dependent = {sample.name: sample.dependent for sample in found.samples}
    pictures: dict[str, list[PageFigure]] = {sample.name: [] for sample in found.samples}
    for done, row in enumerate(found.rows, start=1):
        title = f"{row.sample}, {row.term}"
        own = style.for_data() if found.runs[0].config.sample(row.sample).kind == "data" else style
        figure = plot_two_samples(row.histogram, labels=found.labels, title=title, dependent=dependent[row.sample], style=own)
        saved = save_figure(figure, request.out / PLOTS, row.plot)
        if len(pictures[row.sample]) < SHOWN:
            pictures[row.sample].append(PageFigure(saved.png.read_bytes(), f"{row.histogram.observable} of {title}.", name=row.plot))
        reporter.progress("plots", done, len(found.rows))
    return pictures


def _page(found: RunComparison, figures: dict[str, list[PageFigure]]) -> Page:
    from toolkit.report.two_runs import TwoRunsSample, two_runs_page

    samples = [
        TwoRunsSample(
            name=s.name,
            yields=dict(s.yields),
            histograms=[(row.term, row.histogram, row.plot) for row in found.rows if row.sample == s.name],
            figures=figures[s.name],
            moments=s.moments,
            warnings=s.notes[:1] if s.dependent else (),
            notes=s.notes[1:] if s.dependent else s.notes,
        )
        for s in found.samples
    ]
    return two_runs_page(found.labels, samples, normalised=found.normalised, summary=(*_summary(found), *found.notes), made=__version__)


def _summary(found: RunComparison) -> Iterator[str]:
    known = sum(math.isfinite(row.histogram.chi2.p_value) for row in found.rows)
    if known:
        many = f"{count(known, 'comparison')} with a p-value"
        yield f"{many}; the probability that the smallest of them is as small as it is, is at most {found.smallest:.2g}."
    dependent = [s.name for s in found.samples if s.dependent]
    if dependent:
        yield f"A and B are of the same events, without p-values: {', '.join(dependent)}."


def _text(found: RunComparison, out: Path) -> Iterator[RenderableType]:
    from toolkit.report.moment_tables import moment_rows
    from toolkit.report.two_runs import chi_square_cells, yield_cells

    what = "shapes" if found.normalised else "contents"
    yields = _table(f"sums of weights, A: {found.labels[0]}, B: {found.labels[1]}", "sample", "term", "A", "B", "B / A")
    for s in found.samples:
        for term, pair in s.yields.items():
            yields.add_row(Text(s.name), Text(term), *yield_cells(pair))
    yield yields
    table = _table(f"{what} of observables, smallest p-value first", "sample", "term", "observable", "chi2 / ndf", "p-value", "bins")
    for row in found.rows:
        table.add_row(Text(row.sample), Text(row.term), Text(row.histogram.observable), *chi_square_cells(row.histogram))
    yield table
    moments = list(moment_rows({s.name: (s.moments, not s.dependent) for s in found.samples}))
    if moments:
        own = _table("moments of f_1 ... f_9", "sample", "term", "chi2 / ndf", "p-value", "furthest, in errors")
        for cells in moments:
            own.add_row(*(Text(cell) for cell in cells))
        yield own
    yield from _summary(found)
    yield from found.notes
    for s in found.samples:
        yield from (_note(s, text) for text in s.notes)
    yield f"{out / PAGE}, {out / NUMBERS}, {count(len(found.rows), 'plot')} in {out / PLOTS}"


def _note(sample: SampleComparison, text: str) -> Text:
    alarm = sample.dependent and text == sample.notes[0]
    return Text(f"{'! ' if alarm else ''}{sample.name}: {text}", style="bold" if alarm else "")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="left" if column in {"sample", "term", "observable"} else "right", no_wrap=True)
    return table
