"""The command init: a complete config with comments from the user's ntuples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from toolkit.cli.look import check_config, samples_table, validation_document
from toolkit.cli.screen import Screen
from toolkit.errors import InputFileError, ToolkitError

if TYPE_CHECKING:
    from processors.grouping import Group
    from processors.inputs import SampleInputs
    from processors.starter import Starter
    from toolkit.config import Config


@dataclass(frozen=True)
class InitRequest:
    """What the user typed.

    Args:
        files: Ntuples: paths, URLs, patterns, lists or datasets.
        out: The config to write.
        weight: Branch of the generator weight; `none` for data; None leaves it to the names of the branches.
        force: Replace it if it exists.
        screen: How much is shown, and in which form.
    """

    files: tuple[str, ...]
    out: Path
    force: bool
    weight: str | None
    screen: Screen


def write_config(request: InitRequest) -> None:
    """Look into the ntuples, write the config, check it, and say what only the user can know."""
    with request.screen.explained():
        from processors.filelists import expand
        from processors.grouping import group_samples, read_ntuples
        from processors.starter import write_starter
        from toolkit.artifacts.atomic import atomic_path
        from toolkit.config import load_config, parse_config
        from toolkit.config.document import parse_document

        _check_target(request)
        listed, notes = expand(request.files, what=f"input file {request.files[0]}" if len(request.files) == 1 else "input files")
        for note in notes:
            request.screen.note(note)
        datasets = {one.file: one.dataset for one in listed}
        reporter = request.screen.reporter()
        try:
            ntuples = read_ntuples([one.file for one in listed], reporter.progress, weight=request.weight, datasets=datasets)
            groups = group_samples(ntuples)
        finally:
            reporter.close()
        starter = write_starter(groups, target=request.out)
        config = parse_config(parse_document(starter.text, f"config {request.out}"), folder=request.out.resolve().parent)
        try:
            # Whatever the files say, no code is run: only the user can name modules.
            samples, observables = check_config(config.model_copy(update={"modules": ()}))
            complaint = None
        except ToolkitError as error:
            samples, observables, complaint = (), (), error
        with atomic_path(request.out) as temporary:
            temporary.write_text(starter.text, encoding="utf-8")
        _show(request, starter, groups, _Check(load_config(request.out), samples, observables, complaint))


@dataclass(frozen=True)
class _Check:
    """What `h4l validate` says about the config: the samples, or a complaint."""

    config: Config
    samples: Sequence[SampleInputs]
    observables: Sequence[str]
    complaint: ToolkitError | None


def _check_target(request: InitRequest) -> None:
    if request.out.exists() and not request.force:
        raise InputFileError(
            f"config {request.out}",
            got="a file of that name",
            expected="a new file",
            remedy="choose another with --out, or replace it with --force",
        )
    if not request.out.resolve().parent.is_dir():
        raise InputFileError(f"config {request.out}", got="no such folder", expected="an existing folder", remedy="create it first")


def _show(request: InitRequest, starter: Starter, groups: Sequence[Group], check: _Check) -> None:
    valid = None if check.complaint else validation_document(check.config, check.samples, check.observables)
    document = {
        "config": request.out,
        "valid": check.complaint is None,
        "complaint": None if check.complaint is None else str(check.complaint),
        "samples": [
            {"name": g.name, "kind": "data" if g.data else "simulation", "files": [n.path for n in g.files], "entries": g.entries}
            for g in groups
        ],
        "validation": valid,
        "to_check": starter.blanks,
        "measures": starter.measures,
    }
    request.screen.result(document, *_text(request, starter, check))


def _text(request: InitRequest, starter: Starter, check: _Check) -> Iterator[RenderableType]:
    if check.complaint is None:
        yield samples_table(check.config, check.samples)
    if starter.blanks:
        yield _blank_table(starter)
    if check.complaint is not None:
        yield f"{request.out} is written, but `h4l validate` says:"
        yield Text(str(check.complaint))
        return
    command = "run" if starter.measures else "process"
    yield f"{request.out} is written and valid. Next: h4l {command} {request.out}"
    if not starter.measures:
        yield "No samples list benchmark weights or are called after S, SBI and B: they can be processed, but no signal strength fitted."


def _blank_table(starter: Starter) -> Table:
    table = Table(title="no file states these: check them in the config", title_justify="left")
    table.add_column("key", overflow="fold")
    table.add_column("now", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    table.add_column("what belongs there", overflow="fold")
    for blank in starter.blanks:
        table.add_row(blank.key, blank.now, blank.unit or "-", blank.meaning)
    return table
