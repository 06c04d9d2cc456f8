"""Commands and entry point."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import rich_utils

from toolkit import __version__
from toolkit.cli import blas  # noqa: F401  first, before numpy is loaded
from toolkit.cli.cluster import cluster
from toolkit.cli.combine import combine
from toolkit.cli.compare import compare
from toolkit.cli.completion import CONFIGS, NTUPLES, files, folders
from toolkit.cli.examples import epilog
from toolkit.cli.failures import WRONG_INPUT, error_document, exit_code, terminable
from toolkit.cli.init import InitRequest, write_config
from toolkit.cli.look import inspect_file, show_version, validate_config
from toolkit.cli.options import (
    AsJson,
    ConfigFile,
    Data,
    Debug,
    DemoOut,
    DryRun,
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
from toolkit.cli.reference import optimise_reference
from toolkit.cli.run_validation import validate_run
from toolkit.cli.running import Request, executor_options, run_analysis, run_demo
from toolkit.cli.screen import Screen
from toolkit.cli.sharing import bundle, cpp, export_roofit, predict, reuse
from toolkit.cli.status import show_status
from toolkit.cli.streams import lasting_streams
from toolkit.errors import InputFileError, SchemaError
from toolkit.text import visible

STAGE_HELP = {
    "process": "Select events of the ntuples, write event tables and histograms.",
    "histograms": "Fill the histograms from the event tables, as after a change of their edges.",
    "classify": "Train the classifiers of the config, if it has any, and write their scores.",
    "train": "Train the ratio networks on the event tables.",
    "export": "Write the networks as ONNX and check them against the training framework.",
    "fit": "Fit the signal strength, unbinned and from histograms.",
    "report": "Write plots, report.html and results.json, print the comparison.",
}
START, RUN, ONE_STAGE, CARRY = "Start", "Run", "Run one stage", "Compare, and carry results elsewhere"

app = typer.Typer(
    name="h4l",
    help="From four-lepton ntuples to a signal strength: neural ratio estimation beside the histogram fit.",
    epilog=epilog(""),
    no_args_is_help=True,
    add_completion=True,
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


@app.command(rich_help_panel=START, epilog=epilog("demo"))
def demo(
    out: DemoOut = Path("h4l-demo"),
    first: From = None,
    dry_run: DryRun = False,
    executor: Executor = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    style: Style = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Run the whole chain on the example ntuples that come with the package."""
    options, screen = executor_options(executor, workers, scheduler), Screen(quiet, debug, as_json)
    run_demo(Request(out=out, executor=options, screen=screen, first=first, style=style, dry_run=dry_run))


@app.command(rich_help_panel=START, epilog=epilog("inspect"))
def inspect(file: NtupleFile, as_json: AsJson = False, quiet: Quiet = False, debug: Debug = False) -> None:
    """Say which format an ntuple has, its branches, entries and weights, and how a config for it would begin."""
    inspect_file(file, Screen(quiet, debug, as_json))


@app.command(rich_help_panel=START, epilog=epilog("init"))
def init(
    ntuples: Annotated[
        list[str],
        typer.Argument(
            metavar="FILES...",
            help="ROOT, CSV or LHE files: paths, URLs, quoted patterns, FILES.txt or DATASETS.json.",
            show_default=False,
            autocompletion=files(*NTUPLES),
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="CONFIG", help="The config to write.")] = Path("config.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace a config that exists.")] = False,
    weight: Annotated[
        str | None,
        typer.Option("--weight", metavar="BRANCH", help="Branch of the generator weight, where its name does not tell; `none`: data."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Look into ntuples and write a complete config for them, with comments on what only you can know."""
    write_config(InitRequest(files=tuple(ntuples), out=out, force=force, weight=weight, screen=Screen(quiet, debug, as_json)))


@app.command(rich_help_panel=START, epilog=epilog("validate"))
def validate(
    what: Annotated[
        Path,
        typer.Argument(
            metavar="CONFIG|DIR",
            help="YAML file of an analysis, or the output folder of a run (or an unpacked bundle).",
            show_default=False,
            autocompletion=files(*CONFIGS),
        ),
    ],
    data: Data = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Check a config and its input files without running anything, or the files and networks of a finished run."""
    screen = Screen(quiet, debug, as_json)
    if what.is_dir():
        validate_run(what, data=data, screen=screen)
    else:
        validate_config(what, data=data, screen=screen)


@app.command(rich_help_panel=RUN, epilog=epilog("run"))
def run(
    config: ConfigFile,
    out: Out = None,
    first: From = None,
    dry_run: DryRun = False,
    executor: Executor = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    data: Data = None,
    style: Style = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Run all stages, resuming what is done and unchanged."""
    options, screen = executor_options(executor, workers, scheduler), Screen(quiet, debug, as_json)
    run_analysis(config, Request(out=out, executor=options, screen=screen, data=data, first=first, style=style, dry_run=dry_run))


@app.command(rich_help_panel=RUN, epilog=epilog("status"))
def status(
    out: Annotated[Path, typer.Argument(metavar="DIR", help="Output folder of a run.", show_default=False, autocompletion=folders)],
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Say which stages of an output folder are done, what is in work, and whether a run is going on in it."""
    show_status(out, Screen(quiet, debug, as_json))


def _stage_command(stage: str) -> Callable[..., None]:
    def command(
        config: ConfigFile,
        out: Out = None,
        first: From = None,
        force: Force = False,
        dry_run: DryRun = False,
        executor: Executor = None,
        workers: Workers = None,
        scheduler: Scheduler = None,
        data: Data = None,
        style: Style = None,
        as_json: AsJson = False,
        quiet: Quiet = False,
        debug: Debug = False,
    ) -> None:
        options, screen = executor_options(executor, workers, scheduler), Screen(quiet, debug, as_json)
        begin = first or (stage if force else None)
        request = Request(out=out, executor=options, screen=screen, data=data, first=begin, only=stage, style=style, dry_run=dry_run)
        run_analysis(config, request)

    return command


def export(
    config: ConfigFile,
    out: Out = None,
    first: From = None,
    force: Force = False,
    members: Annotated[bool, typer.Option("--members", help="Write each network of the ensemble as a file of its own, too.")] = False,
    dry_run: DryRun = False,
    executor: Executor = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    data: Data = None,
    style: Style = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write the networks as ONNX."""
    options, screen = executor_options(executor, workers, scheduler), Screen(quiet, debug, as_json)
    begin = first or ("export" if force else None)
    request = Request(out=out, executor=options, screen=screen, data=data, first=begin, only="export", style=style, dry_run=dry_run)
    run_analysis(config, replace(request, members=members))


app.command(rich_help_panel=RUN, epilog=epilog("cluster"))(cluster)
app.command(name="optimise-reference", rich_help_panel=RUN, epilog=epilog("optimise-reference"))(optimise_reference)

for _name, _help in STAGE_HELP.items():
    _command = export if _name == "export" else _stage_command(_name)
    _text = f"One stage: {_help[0].lower()}{_help[1:]}"
    app.command(name=_name, help=_text, rich_help_panel=ONE_STAGE, epilog=epilog(_name))(_command)


for _sharing in (combine, compare, predict, cpp, export_roofit, bundle, reuse):
    _name = _sharing.__name__.replace("_", "-")
    app.command(name=_name, rich_help_panel=CARRY, epilog=epilog(_name))(_sharing)


@app.command(rich_help_panel=CARRY, epilog=epilog("version"))
def version(as_json: AsJson = False, quiet: Quiet = False, debug: Debug = False) -> None:
    """Show the versions of the toolkit, of Python and of the libraries that results depend on."""
    show_version(Screen(quiet, debug, as_json))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; does not return.

    Args:
        arguments: The words after `h4l`; None takes them from the process.

    Raises:
        SystemExit: Always, with 0 for success, 2 for wrong input, 130 for Ctrl-C, 143 for SIGTERM, 1 for a defect.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    with terminable(), lasting_streams() as results:
        code = _run(words)
        results.flush()
        if results.lost is not None:
            told = InputFileError("the results cannot be shown", got=results.lost.strerror, remedy="write them to another place")
            sys.stderr.write(f"error: {told}\n")
            code = code or WRONG_INPUT
    sys.exit(code)


def _run(words: list[str]) -> int:
    """Run a command and return its exit code; a wrong option is told like every other wrong input."""
    try:
        code: Any = app(args=words, prog_name="h4l", standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt) as error:  # before or after the command explains its errors itself
        sys.stderr.write("interrupted\n")
        return exit_code(error.__context__ if isinstance(error, typer.Abort) else error)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return _wrong_option(error, words)
    return code if isinstance(code, int) else 0


def _wrong_option(error: Any, words: list[str]) -> int:
    """Say which option is wrong, for a program as a JSON document."""
    error.message = visible(error.message)
    if "--json" not in words:
        rich_utils.rich_format_error(error)
        return WRONG_INPUT
    told = SchemaError(error.format_message(), got=" ".join(("h4l", *words)), remedy="h4l COMMAND --help lists the options")
    sys.stderr.write("error: " + visible(str(told), keep="\n") + "\n")
    sys.stdout.write(json.dumps(error_document(told)) + "\n")
    return WRONG_INPUT
