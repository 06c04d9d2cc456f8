"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from toolkit.pipeline.stage import ExecutorName

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="YAML file of the analysis.", show_default=False)]
NtupleFile = Annotated[Path, typer.Argument(metavar="FILE", help="ROOT ntuple.", show_default=False)]
Out = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Output folder; default out/<name of the config>.", show_default=False)
]
DemoOut = Annotated[Path, typer.Option("--out", metavar="DIR", help="Output folder.")]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="STAGE", help="Run this stage and everything after it again.", show_default=False),
]
Force = Annotated[bool, typer.Option("--force", help="Run the stage even if it is done and unchanged.")]
Executor = Annotated[ExecutorName, typer.Option("--executor", help="Where ntuples are processed and networks trained.")]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, metavar="N", help="Worker processes; default: one per core.", show_default=False)
]
Scheduler = Annotated[str | None, typer.Option("--scheduler", metavar="ADDRESS", help="Address of a dask scheduler.", show_default=False)]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="FOLDER", help="Folder that replaces {data} in the config's file names.", show_default=False),
]
Style = Annotated[
    Literal["plain", "ATLAS", "CMS"] | None,
    typer.Option("--style", help="Look of the plots; comes before report.style of the config.", show_default=False),
]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress, only results and errors.")]
