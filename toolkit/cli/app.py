"""Commands and entry point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from toolkit import __version__
from toolkit.cli.look import inspect_file, validate_config
from toolkit.cli.options import (
    ConfigFile,
    Data,
    Debug,
    DemoOut,
    Executor,
    Force,
    From,
    NtupleFile,
    Out,
    Quiet,
    Scheduler,
    Style,
    Workers,
)
from toolkit.cli.running import Request, run_analysis, run_demo, write_members
from toolkit.cli.sharing import bundle, cpp, predict, reuse
from toolkit.pipeline.stage import ExecutorOptions

STAGE_HELP = {
    "process": "Select events of the ntuples, write event tables and histograms.",
    "train": "Train the ratio networks on the event tables.",
    "export": "Write the networks as ONNX and check them against the training framework.",
    "fit": "Fit the signal strength, unbinned and from histograms.",
    "report": "Write plots, report.html and results.json, print the comparison.",
}

app = typer.Typer(
    name="h4l",
    help="From four-lepton ntuples to a signal strength: neural ratio estimation beside the histogram fit.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"h4l-toolkit {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    del version


@app.command()
def demo(
    out: DemoOut = Path("h4l-demo"),
    first: From = None,
    executor: Executor = "iterative",
    workers: Workers = None,
    scheduler: Scheduler = None,
    style: Style = None,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Run the whole chain on the example ntuples that come with the package."""
    options = ExecutorOptions(executor, workers, scheduler)
    run_demo(Request(out=out, executor=options, first=first, style=style, debug=debug, quiet=quiet))


@app.command()
def run(
    config: ConfigFile,
    out: Out = None,
    first: From = None,
    executor: Executor = "iterative",
    workers: Workers = None,
    scheduler: Scheduler = None,
    data: Data = None,
    style: Style = None,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Run all stages, resuming what is done and unchanged."""
    options = ExecutorOptions(executor, workers, scheduler)
    run_analysis(config, Request(out=out, executor=options, data=data, first=first, style=style, debug=debug, quiet=quiet))


def _stage_command(stage: str) -> Callable[..., None]:
    def command(
        config: ConfigFile,
        out: Out = None,
        first: From = None,
        force: Force = False,
        executor: Executor = "iterative",
        workers: Workers = None,
        scheduler: Scheduler = None,
        data: Data = None,
        style: Style = None,
        debug: Debug = False,
        quiet: Quiet = False,
    ) -> None:
        options = ExecutorOptions(executor, workers, scheduler)
        begin = first or (stage if force else None)
        request = Request(out=out, executor=options, data=data, only=stage, first=begin, style=style, debug=debug, quiet=quiet)
        run_analysis(config, request)

    return command


def export(
    config: ConfigFile,
    out: Out = None,
    first: From = None,
    force: Force = False,
    members: Annotated[bool, typer.Option("--members", help="Write each network of the ensemble as a file of its own, too.")] = False,
    executor: Executor = "iterative",
    workers: Workers = None,
    scheduler: Scheduler = None,
    data: Data = None,
    style: Style = None,
    debug: Debug = False,
    quiet: Quiet = False,
) -> None:
    """Write the networks as ONNX."""
    _stage_command("export")(config, out, first, force, executor, workers, scheduler, data, style, debug, quiet)
    if members:
        write_members(config, out, data=data, debug=debug)


for _name, _help in STAGE_HELP.items():
    _command = export if _name == "export" else _stage_command(_name)
    app.command(name=_name, help=f"One stage: {_help[0].lower()}{_help[1:]}")(_command)


@app.command()
def inspect(file: NtupleFile, debug: Debug = False) -> None:
    """Say which dialect an ntuple speaks, its branches, entries and weights, and how a config for it would begin."""
    inspect_file(file, debug=debug)


@app.command()
def validate(config: ConfigFile, data: Data = None, debug: Debug = False) -> None:
    """Check a config and its input files without running anything."""
    validate_config(config, data=data, debug=debug)


for _sharing in (predict, cpp, bundle, reuse):
    app.command()(_sharing)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; does not return.

    Args:
        arguments: The words after `h4l`; None takes them from the process.

    Raises:
        SystemExit: Always, with 0 for success, 2 for wrong input, 130 for an interruption, 1 for a defect.
    """
    app(args=None if arguments is None else list(arguments), prog_name="h4l")
