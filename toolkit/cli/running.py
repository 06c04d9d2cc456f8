"""The commands that run stages."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from toolkit.cli.rehearsal import preview_document, preview_text
from toolkit.cli.screen import Screen
from toolkit.cli.summary import results_document, results_text, stage_table
from toolkit.errors import InputFileError, SchemaError
from toolkit.typing import ExecutorName, JsonObject

if TYPE_CHECKING:
    from toolkit.config import Config
    from toolkit.pipeline import ExecutorOptions, Plan, StageOutcome

RESUME_HINT = "Finished stages are kept: run the same command again to go on."
MOST_LOCAL = 4
"""Processes that train networks and draw plots where nobody asked for any, at most: machines are shared, and each takes memory."""


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Args:
        out: Output folder; None takes `out/<name of the config>`.
        executor: Where ntuples are processed and networks trained.
        screen: How much is shown, and in which form.
        data: Folder that replaces `{data}` in the config.
        first: Run this stage and everything after it again.
        only: Run this stage alone.
        style: Look of the plots; None leaves it to the config.
        dry_run: Only say what would run.
        members: Write the members of the ensemble as files of their own, too.
    """

    out: Path | None
    executor: ExecutorOptions
    screen: Screen = field(default_factory=Screen)
    data: str | None = None
    first: str | None = None
    only: str | None = None
    style: Literal["plain", "ATLAS", "CMS"] | None = None
    dry_run: bool = False
    members: bool = False


def run_demo(request: Request) -> None:
    """Run all stages on the example ntuples of the package."""
    from toolkit.example import demo_config

    run_analysis(demo_config(), request)


def run_analysis(config_file: Path, request: Request) -> None:
    """Run all stages or one, or say what would run; then show what came out."""
    screen = request.screen
    with screen.explained(RESUME_HINT):
        if request.only is not None and request.first not in (None, request.only):
            raise SchemaError(
                "--from",
                got=request.first,
                expected=f"{request.only}, the one stage that this command runs",
                remedy=f"h4l run {config_file} --from {request.first}",
            )
        from toolkit.config import load_config
        from toolkit.pipeline import GRAPH, Plan

        _check_executor(request.executor)
        plan = Plan(GRAPH, force_from=request.first, only=request.only)
        config = styled(load_config(config_file, data=request.data), request.style)
        if request.only not in ("process", "histograms"):
            config.require_interference()
        out = request.out or Path("out") / config.name
        if out.exists() and not out.is_dir():
            raise InputFileError(f"output folder {out}", got="a file of that name", expected="a folder", remedy="choose another with --out")
        if request.dry_run:
            _rehearse(config, out, plan, screen)
        else:
            _run(config, out, plan, request)


def executor_options(name: ExecutorName | None, workers: int | None, scheduler: str | None) -> ExecutorOptions:
    """Return where work is done; without a name, what the other options are for.

    Who asks for neither name nor workers gets networks and plots in a few processes of this machine; `iterative`, or one worker, keeps all
    work in this one.

    Examples:
        >>> [executor_options(None, *given).name for given in ((None, None), (1, None), (4, None), (4, "tcp://10.0.0.1:8786"))]
        ['iterative', 'iterative', 'futures', 'dask']
        >>> executor_options("iterative", None, None).local, executor_options(None, 1, None).local
        (1, 1)
    """
    from toolkit.pipeline import ExecutorOptions

    cores = os.cpu_count() or 1
    local = 1 if name == "iterative" or workers == 1 else min(cores, workers or cores, MOST_LOCAL)
    if name is None:
        name = "dask" if scheduler is not None else "futures" if (workers or 1) > 1 else "iterative"
    return ExecutorOptions(name, workers, scheduler, local=local)


def _check_executor(options: ExecutorOptions) -> None:
    """Refuse options that the executor would not look at."""
    if options.scheduler is not None and options.name != "dask":
        raise SchemaError(
            "--scheduler", got=f"--executor {options.name}", expected="--executor dask", remedy="add --executor dask, or leave it out"
        )
    if (options.workers or 1) > 1 and options.name == "iterative":
        got = f"{options.workers} with --executor iterative, which works in this process alone"
        raise SchemaError("--workers", got=got, expected="--executor futures or dask", remedy="add --executor futures")


def styled(config: Config, style: Literal["plain", "ATLAS", "CMS"] | None) -> Config:
    """Return the config with another look of the plots, or as it is for None; only the report depends on it."""
    return config if style is None else config.model_copy(update={"report": config.report.model_copy(update={"style": style})})


def _rehearse(config: Config, out: Path, plan: Plan, screen: Screen) -> None:
    from toolkit.pipeline import preview_pipeline

    reporter = screen.reporter()
    try:
        preview = preview_pipeline(config, out=out, plan=plan, progress=reporter.progress)
    finally:
        reporter.close()
    screen.result(preview_document(preview), *preview_text(preview))


def _run(config: Config, out: Path, plan: Plan, request: Request) -> None:
    from toolkit.pipeline import run_pipeline

    screen = request.screen
    reporter = screen.reporter()
    extra: JsonObject = {}
    try:
        outcomes = run_pipeline(config, out=out, plan=plan, executor=request.executor, reporter=reporter)
        if request.members:
            from toolkit.pipeline.member_export import export_members

            extra["members"] = [str(file) for file in export_members(config, out, progress=reporter.progress)]
    finally:
        reporter.close()
    _show(out, outcomes, extra, screen)


def _show(out: Path, outcomes: tuple[StageOutcome, ...], extra: JsonObject, screen: Screen) -> None:
    if len(outcomes) > 1:
        screen.note(stage_table(out, outcomes))
    if screen.as_json:
        screen.document({**results_document(out, outcomes), **extra})
        return
    screen.show(*results_text(out, outcomes))
    if "members" in extra:
        screen.show(f"{len(extra['members'])} members: {Path(extra['members'][0]).parent}")
