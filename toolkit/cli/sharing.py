"""The commands that carry results elsewhere: predict, cpp, export-roofit, bundle and reuse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from toolkit.cli.bundle import ReuseRequest
from toolkit.cli.bundle import bundle as run_bundle
from toolkit.cli.bundle import reuse as run_reuse
from toolkit.cli.completion import ARCHIVES, CONFIGS, MODELS, files, folders
from toolkit.cli.options import AsJson, Data, Debug, NtupleFile, Quiet
from toolkit.cli.predict import PredictRequest, note_unchecked
from toolkit.cli.predict import predict as run_predict
from toolkit.cli.roofit import export_roofit as run_export_roofit
from toolkit.cli.screen import Screen

ModelFile = Annotated[
    Path, typer.Argument(metavar="MODEL", help="ONNX file of a ratio network.", show_default=False, autocompletion=files(*MODELS))
]
Archive = Annotated[
    Path,
    typer.Argument(metavar="BUNDLE", help="Archive written by h4l bundle.", show_default=False, autocompletion=files(*ARCHIVES)),
]
OutFile = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="New file; default FILE_ratios.root.", show_default=False)]
Tree = Annotated[str | None, typer.Option("--tree", metavar="NAME", help="Tree; needed if the file holds several.", show_default=False)]
Column = Annotated[list[str] | None, typer.Option("--column", metavar="NAME=BRANCH", help="Branch of a column of the network.")]
SetColumn = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=NUMBER", help="Parameter column, the same for all events.")]
ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="CONFIG",
        help="Compute the observables as this analysis does.",
        show_default=False,
        autocompletion=files(*CONFIGS),
    ),
]
Sample = Annotated[str | None, typer.Option("--sample", metavar="NAME", help="Sample of the config whose layout the file has.")]
Drop = Annotated[list[str] | None, typer.Option("--drop", metavar="BRANCH", help="Branch that is not copied.")]
Prefix = Annotated[str, typer.Option("--prefix", metavar="TEXT", help="The new branches are PREFIX_NUMERATOR.")]


def predict(
    model: ModelFile,
    file: NtupleFile,
    out: OutFile = None,
    tree: Tree = None,
    column: Column = None,
    fixed: SetColumn = None,
    config: ConfigOption = None,
    sample: Sample = None,
    drop: Drop = None,
    prefix: Prefix = "log_ratio",
    data: Data = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Add the log ratios of a network to an ntuple, as branches of a new file."""
    run_predict(
        PredictRequest(
            model=model,
            file=file,
            out=out,
            tree=tree,
            columns=column or (),
            fixed=fixed or (),
            config=config,
            sample=sample,
            drop=drop or (),
            prefix=prefix,
            data=data,
            screen=Screen(quiet, debug, as_json),
        )
    )


def cpp(
    model: ModelFile,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The CMake project; further models can be added to it.")],
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Name in C++; default that of the file.")] = None,
    sofie: Annotated[bool, typer.Option("--sofie/--no-sofie", help="Generate code with SOFIE, or leave the ONNX Runtime only.")] = True,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write a CMake project that evaluates a network from C++."""
    screen = Screen(quiet, debug, as_json)
    with screen.explained():
        from exports.cpp_project import write_cpp_project

        project = write_cpp_project(model, out, name=name, sofie=sofie).folder
        note_unchecked(model, screen)
        steps = (
            f"cmake -S {project} -B {project}/build -DH4L_ARCH=native",
            f"cmake --build {project}/build",
            f"ctest --test-dir {project}/build",
        )
        screen.result({"project": project, "sofie": sofie, "commands": steps}, " && ".join(steps))


def export_roofit(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="DIR|FILE", help="Output folder of h4l run, or a workspace file.", show_default=False, autocompletion=files(".json")
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Default: roofit beside the workspaces.", show_default=False)
    ] = None,
    method: Annotated[list[str] | None, typer.Option("--method", metavar="NAME", help="Only this method; may be repeated.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write likelihoods as RooFit workspaces: a macro with its events, and the workspace file where ROOT is at hand."""
    run_export_roofit(source, out, methods=tuple(method or ()), screen=Screen(quiet, debug, as_json))


def bundle(
    run: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Output folder of h4l run.", show_default=False, autocompletion=folders)],
    out: Annotated[Path, typer.Argument(metavar="OUT.tar.gz", help="The bundle.", show_default=False)],
    licence: Annotated[Path | None, typer.Option("--licence", metavar="FILE", help="Text of the licence; default the toolkit's.")] = None,
    title: Annotated[str | None, typer.Option("--title", metavar="TEXT", help="Name of the analysis; default the config's.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Pack workspaces, networks, reference rows, example events and tables of a finished run into one archive."""
    run_bundle(run, out, licence=licence, title=title, screen=Screen(quiet, debug, as_json))


def reuse(
    archive: Archive,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Keep the unpacked bundle and reuse.json here.")] = None,
    method: Annotated[list[str] | None, typer.Option("--method", metavar="NAME", help="Only this method; may be repeated.")] = None,
    only: Annotated[
        Literal["expected", "observed"] | None,
        typer.Option("--only", help="Only the Asimov set, or only the data; default: both.", show_default=False),
    ] = None,
    at: Annotated[list[str] | None, typer.Option("--at", metavar="NAME=VALUE", help="Answer -2 ln L at this hypothesis.")] = None,
    where: Annotated[
        list[str] | None, typer.Option("--where", metavar="NAME=EXPR", help="Replace a parameter by an expression in others.")
    ] = None,
    coefficient: Annotated[
        list[str] | None, typer.Option("--coefficient", metavar="SAMPLE=EXPR", help="Replace the coefficient of a sample.")
    ] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", metavar="NAME=START:LOW:HIGH", help="A new parameter, or another range.")
    ] = None,
    poi: Annotated[str | None, typer.Option("--poi", metavar="NAME", help="Parameter of interest of the new parameterisation.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Run the scans of a bundle again and compare with what was published, or answer other hypotheses."""
    run_reuse(
        ReuseRequest(
            bundle=archive,
            out=out,
            methods=method or (),
            only=only,
            at=at or (),
            where=where or (),
            coefficients=coefficient or (),
            parameters=parameter or (),
            poi=poi,
            screen=Screen(quiet, debug, as_json),
        )
    )
