"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from toolkit.cli import completion
from toolkit.typing import ExecutorName

ConfigFile = Annotated[
    Path,
    typer.Argument(
        metavar="CONFIG", help="YAML file of the analysis.", show_default=False, autocompletion=completion.files(*completion.CONFIGS)
    ),
]
NtupleFile = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="ROOT, CSV or LHE file: a path or a URL (root://, https://, s3://).",
        show_default=False,
        autocompletion=completion.files(*completion.NTUPLES),
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="Output folder; default out/<name of the config>.",
        show_default=False,
        autocompletion=completion.folders,
    ),
]
DemoOut = Annotated[Path, typer.Option("--out", metavar="DIR", help="Output folder.", autocompletion=completion.folders)]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="STAGE",
        help="Run this stage and everything after it again.",
        show_default=False,
        autocompletion=completion.stages,
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Run the stage even if it is done and unchanged.")]
Executor = Annotated[
    ExecutorName | None,
    typer.Option(
        "--executor",
        help="Where ntuples are processed and networks trained; default: ntuples here, networks and plots in up to 4 processes; "
        "with several workers futures, with a scheduler dask.",
        show_default=False,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, metavar="N", help="Worker processes of futures and dask; default: one per core.", show_default=False),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler", metavar="ADDRESS", help="Address of a dask scheduler; default: a cluster on this machine.", show_default=False
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="FOLDER",
        help="Folder or URL that replaces {data} in the config's file names.",
        show_default=False,
        autocompletion=completion.folders,
    ),
]
Style = Annotated[
    Literal["plain", "ATLAS", "CMS"] | None,
    typer.Option("--style", help="Look of the plots; comes before report.style of the config.", show_default=False),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would run and why; run and write nothing.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress, only results and errors.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text; errors, too.")]
