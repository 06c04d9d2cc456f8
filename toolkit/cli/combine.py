"""The command combine: finished measurements in one fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from toolkit.cli.completion import CONFIGS, files, folders
from toolkit.cli.options import AsJson, Debug, Out, Quiet, Style
from toolkit.cli.screen import Screen
from toolkit.errors import InputFileError
from toolkit.typing import JsonObject

if TYPE_CHECKING:
    from toolkit.pipeline.combination import CombinationOutcome
    from toolkit.plots.style import Experiment
    from toolkit.report.interpretation import InterpretationRow

RESUME_HINT = "Finished fits are kept: run the same command again to go on."
FILES = {"report": "report.html", "results": "results.json", "plots": "plots", "workspaces": "workspace", "tables": "hepdata"}


@dataclass(frozen=True)
class CombineRequest:
    """What the user typed.

    Args:
        config: YAML file.
        out: Output folder; None takes `out/<name of the config>`.
        runs: Folder that replaces `{runs}`; None takes the current one.
        style: Look of the plots; None leaves it to the config.
        screen: How much is shown, and in which form.
    """

    config: Path
    out: Path | None
    runs: Path | None
    style: Experiment | None
    screen: Screen


def combine(
    config: Annotated[
        Path,
        typer.Argument(metavar="CONFIG", help="YAML file of the combination.", show_default=False, autocompletion=files(*CONFIGS)),
    ],
    out: Out = None,
    runs: Annotated[
        Path | None,
        typer.Option(
            "--runs",
            metavar="FOLDER",
            help="Folder that replaces {runs} in the config; default: the current one.",
            show_default=False,
            autocompletion=folders,
        ),
    ] = None,
    style: Style = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Fit finished runs, workspaces and counts together: the width, couplings off over on shell, or parameters of your own."""
    screen = Screen(quiet, debug, as_json)
    request = CombineRequest(config, out, runs, style, screen)
    with screen.explained(RESUME_HINT):
        _combine(request)


def _combine(request: CombineRequest) -> None:
    from toolkit.config import load_combination
    from toolkit.pipeline.combination import run_combination

    config = load_combination(request.config, runs=request.runs)
    if request.style is not None:
        config = config.model_copy(update={"report": config.report.model_copy(update={"style": request.style})})
    out = request.out or Path("out") / config.name
    if out.exists() and not out.is_dir():
        raise InputFileError(f"output folder {out}", got="a file of that name", expected="a folder", remedy="choose another with --out")
    reporter = request.screen.reporter()
    try:
        outcome = run_combination(config, out, progress=reporter.progress)
    finally:
        reporter.close()
    request.screen.result(_document(out, outcome, config.gamma_sm_mev), *_text(out, outcome, config.gamma_sm_mev))


def _rows(outcome: CombinationOutcome, gamma_sm_mev: float) -> list[InterpretationRow]:
    from toolkit.report.interpretation import combination_views, interpretation_rows

    return interpretation_rows(combination_views(outcome.results, outcome.first), gamma_sm_mev=gamma_sm_mev)


def _text(out: Path, outcome: CombinationOutcome, gamma_sm_mev: float) -> Iterator[RenderableType]:
    """Yield the table of all fits, the areas of contours, and where the files are."""
    from toolkit.report.interpretation import combination_views, interpretation_columns
    from toolkit.report.table import contour_tables

    rows = _rows(outcome, gamma_sm_mev)
    table = Table(title=f"{outcome.results.luminosity_ifb:g}/fb, {'fitted' if outcome.ran else 'unchanged'}", title_justify="left")
    for k, header in enumerate(interpretation_columns(rows)):
        table.add_column(header, justify="left" if k < 3 else "right", no_wrap=True)
    for row in rows:
        table.add_row(row.fit, row.parameter, row.method, *(Text(cell) for cell in row.cells))
    yield table
    for name, view in combination_views(outcome.results, outcome.first).items():
        for areas in contour_tables(view):
            areas.title = f"{name}: {areas.title}"
            yield areas
    yield "Other parameters profiled; * reaches the edge of the allowed range."
    yield from (f"{name + ':':<13} {out / path}" for name, path in FILES.items())


def _document(out: Path, outcome: CombinationOutcome, gamma_sm_mev: float) -> JsonObject:
    rows = [
        {
            "fit": row.fit,
            "parameter": row.parameter,
            "method": row.method,
            **{
                data: {
                    "best_fit": row.factor * result.mu_hat,
                    "interval_68": [[row.factor * i.low, row.factor * i.high] for i in result.interval_68],
                    "interval_95": [[row.factor * i.low, row.factor * i.high] for i in result.interval_95],
                }
                for data, result in (("expected", row.expected), ("observed", row.observed))
                if result is not None
            },
        }
        for row in _rows(outcome, gamma_sm_mev)
    ]
    return {"out": out, "ran": outcome.ran, "files": {name: out / path for name, path in FILES.items()}, "parameters": rows}
