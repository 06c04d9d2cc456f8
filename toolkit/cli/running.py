"""The commands that run stages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from toolkit.cli.console import message_console, output_console
from toolkit.cli.failures import explained
from toolkit.cli.reporter import RichReporter
from toolkit.config import Config, load_config
from toolkit.errors import SchemaError
from toolkit.pipeline import GRAPH, ExecutorOptions, Plan, StageOutcome, run_pipeline

RESUME_HINT = "Finished stages are kept: run the same command again to go on."


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    Args:
        out: Output folder; None takes `out/<name of the config>`.
        data: Folder that replaces `{data}` in the config.
        first: Run this stage and everything after it again.
        only: Run this stage alone.
        executor: Where ntuples are processed and networks trained.
        style: Look of the plots; None leaves it to the config.
        debug: Show tracebacks.
        quiet: Show no progress.
    """

    out: Path | None
    executor: ExecutorOptions
    debug: bool
    quiet: bool
    data: Path | None = None
    first: str | None = None
    only: str | None = None
    style: Literal["plain", "ATLAS", "CMS"] | None = None


def run_demo(request: Request) -> None:
    """Run all stages on the example ntuples of the package."""
    from toolkit.example import demo_config

    run_analysis(demo_config(), request)


def run_analysis(config_file: Path, request: Request) -> None:
    """Run all stages or one, then print the comparison if the report is among them."""
    with explained(debug=request.debug, resume_hint=RESUME_HINT):
        if request.only is not None and request.first not in (None, request.only):
            raise SchemaError(
                "--from",
                got=request.first,
                expected=f"{request.only}, the one stage that this command runs",
                remedy=f"h4l run {config_file} --from {request.first}",
            )
        config = styled(load_config(config_file, data=request.data), request.style)
        if request.only != "process":
            from toolkit.weights.configured import configured_morphing

            config.require_interference()
            configured_morphing(config.morphing, parameter=config.parameter.name)
        plan = Plan(GRAPH, force_from=request.first, only=request.only)
        _run(config, request.out or Path("out") / config.name, plan, request)


def styled(config: Config, style: Literal["plain", "ATLAS", "CMS"] | None) -> Config:
    """Return the config with another look of the plots, or as it is for None; only the report depends on it."""
    return config if style is None else config.model_copy(update={"report": config.report.model_copy(update={"style": style})})


def _run(config: Config, out: Path, plan: Plan, request: Request) -> None:
    reporter = RichReporter(message_console(), quiet=request.quiet)
    try:
        outcomes = run_pipeline(config, out=out, plan=plan, executor=request.executor, reporter=reporter)
    finally:
        reporter.close()
    show_results(out, outcomes)


def show_results(out: Path, outcomes: tuple[StageOutcome, ...]) -> None:
    """Print the comparison of all methods or, after processing alone, the cut flow, and where the results are.

    Args:
        out: The output folder.
        outcomes: What became of the stages.
    """
    console = output_console()
    if outcomes[-1].stage == "report":
        from toolkit.report import Comparison, read_results

        console.print(Comparison(read_results(out / "results.json")))
        console.print(f"report: {out / 'report.html'}", highlight=False, soft_wrap=True)
    else:
        if outcomes[-1].stage == "process" and (out / "cutflow.json").is_file():
            from toolkit.report import CutflowTables

            console.print(CutflowTables.read(out / "cutflow.json"))
        console.print(f"results of {outcomes[-1].stage}: {out}", highlight=False, soft_wrap=True)


def write_members(config_file: Path, out: Path | None, *, data: Path | None, debug: bool) -> None:
    """Write every member of the ensemble as an ONNX file of its own, and say where."""
    with explained(debug=debug):
        from toolkit.pipeline.member_export import export_members

        config = load_config(config_file, data=data)
        files = export_members(config, out or Path("out") / config.name)
        output_console().print(f"{len(files)} members: {files[0].parent}", highlight=False, soft_wrap=True)
