"""The command optimise-reference: the best point of local scores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from toolkit.cli.options import AsJson, ConfigFile, Data, Debug, Out, Quiet
from toolkit.cli.running import executor_options
from toolkit.cli.screen import Screen
from toolkit.errors import InputFileError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolkit.analysis.reference_point import ReferencePoint

RESUME_HINT = "Finished points are kept: run the same command again to go on."


def optimise_reference(
    config: ConfigFile,
    out: Out = None,
    data: Data = None,
    initial: Annotated[int, typer.Option("--initial", min=1, metavar="N", help="Random points after the truth.")] = 5,
    steps: Annotated[int, typer.Option("--steps", min=0, metavar="N", help="Points that the search chooses, at most.")] = 10,
    bins: Annotated[int, typer.Option("--bins", min=2, metavar="N", help="Bins of each score, with about the same expected events.")] = 12,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Of the search.")] = 0,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Search the point of the local scores of a config with the smallest expected 95 % region, by Bayesian optimisation."""
    screen = Screen(quiet, debug, as_json)
    with screen.explained(RESUME_HINT):
        from toolkit.config import load_config
        from toolkit.pipeline import GRAPH, Plan, run_pipeline
        from toolkit.pipeline.reference_search import REFERENCE, SearchSettings, local_scores, search_reference

        analysis = load_config(config, data=data)
        names = list(local_scores(analysis))
        folder = out or Path("out") / analysis.name
        if folder.exists() and not folder.is_dir():
            what = f"output folder {folder}"
            raise InputFileError(what, got="a file of that name", expected="a folder", remedy="choose another with --out")
        reporter = screen.reporter()
        try:
            run_pipeline(
                analysis, out=folder, plan=Plan(GRAPH, only="process"), executor=executor_options(None, None, None), reporter=reporter
            )
            settings = SearchSettings(initial=initial, steps=steps, bins=bins, seed=seed)
            found = search_reference(analysis, folder, settings=settings, progress=reporter.progress)
        finally:
            reporter.close()
        screen.result({**found.to_json(), "classifiers": names, "file": folder / REFERENCE}, *_text(found, names, folder / REFERENCE))


def _text(found: ReferencePoint, names: list[str], file: Path) -> Iterator[RenderableType]:
    table = Table(title="expected 95 % region of the scores at a point", title_justify="left")
    for column in ("point", *found.theta_0, "volume"):
        table.add_column(column, justify="right")
    for k, (point, volume) in enumerate(zip(found.points, found.volumes, strict=True)):
        label = "truth" if k == 0 else str(k)
        best = dict(point) == dict(found.theta_0)
        cells = [label, *(f"{value:.4g}" for value in point.values()), f"{volume:.4g}"]
        table.add_row(*(Text(cell, style="bold" if best else "") for cell in cells))
    yield table
    yield f"smallest: {found.volume:.4g}, {found.volume / found.volumes[0]:.3f} of that at the truth"
    yield f"for the config: local_score.at: {_flow(found.theta_0)} of {', '.join(names)}"
    yield str(file)


def _flow(point: Mapping[str, float]) -> str:
    return "{" + ", ".join(f"{name}: {value:.4g}" for name, value in point.items()) + "}"
