"""The command predict: log ratios of a network as new branches of an ntuple."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.cli.reporter import RichReporter
from toolkit.cli.screen import Screen
from toolkit.errors import SchemaError

if TYPE_CHECKING:
    from processors.predict import Prediction


@dataclass(frozen=True)
class PredictRequest:
    """What the user typed.

    Args:
        model: ONNX file.
        file: Ntuple.
        out: New ntuple.
        tree: Name of the tree.
        columns: NAME=BRANCH.
        fixed: NAME=NUMBER.
        config: Analysis that says how observables are computed.
        sample: Its sample.
        drop: Branches that are not copied.
        prefix: Of the new branches.
        data: Folder that replaces `{data}` in the config.
        screen: How much is shown, and in which form.
    """

    model: Path
    file: str
    out: Path | None
    tree: str | None
    columns: Sequence[str]
    fixed: Sequence[str]
    config: Path | None
    sample: str | None
    drop: Sequence[str]
    prefix: str
    data: str | None
    screen: Screen


def predict(request: PredictRequest) -> None:
    """Write a copy of an ntuple with the log ratios of a network, and say how many events have them."""
    screen = request.screen
    with screen.explained():
        reporter = screen.reporter()
        try:
            done = _predict(request, reporter)
        finally:
            reporter.close()
        text = f"{done.path}: {done.evaluated} of {done.entries} events of {done.tree} have log ratios"
        outside = f"{done.extrapolated} outside the range of the training"
        lines = [f"events without {name}: {n}" for name, n in done.missing.items()]
        screen.result(asdict(done), f"{text}, {outside}", *lines, f"new branches: {' '.join(done.branches)}")


def _predict(request: PredictRequest, reporter: RichReporter) -> Prediction:
    from processors.predict import add_log_ratios, check_copy, observables_of
    from toolkit.config import load_config
    from toolkit.likelihood import OnnxRatio
    from toolkit.locations import locate

    source, ratio = locate(request.file), OnnxRatio(request.model)
    beside = source.parent if isinstance(source, Path) else Path()
    note_unchecked(request.model, request.screen)
    compute, tree = None, request.tree
    numbers = {name: _number(name, text) for name, text in pairs("--set", request.fixed).items()}
    if request.config is not None:
        if request.sample is None or request.columns:
            expected = "--sample SAMPLE, whose format the file has, and no --column"
            raise SchemaError("--config", got=f"--sample {request.sample}, --column {list(request.columns)}", expected=expected)
        config = load_config(request.config, data=request.data)
        compute = observables_of(config, request.sample, ratio, source, fixed=numbers)
        tree = tree or config.sample(request.sample).tree
    done = add_log_ratios(
        ratio,
        source,
        request.out or beside / f"{source.name.removesuffix(source.suffix)}_ratios.root",
        tree=tree,
        columns=pairs("--column", request.columns),
        compute=compute,
        fixed=numbers,
        drop=request.drop,
        prefix=request.prefix,
        progress=reporter.progress,
    )
    check_copy(done)
    return done


def note_unchecked(model: Path, screen: Screen) -> None:
    """Say that a network has no checksum beside it."""
    from toolkit.artifacts.checksums import checksum_path

    if not checksum_path(model).is_file():
        screen.note(f"{model} has no checksum beside it: nothing says whether it is as it was written")


def pairs(option: str, words: Sequence[str]) -> dict[str, str]:
    """Split words NAME=VALUE of an option.

    Raises:
        SchemaError: A word of another form, or a name twice.
    """
    found: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not (name and sign and value) or name in found:
            raise SchemaError(option, got=word, expected="NAME=VALUE, each name once", remedy=f"for example {option} m4l=M4L")
        found[name] = value
    return found


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise SchemaError(f"--set {name}", got=text, expected="a number", remedy=f"for example --set {name}=1.0") from error
