"""The commands bundle and reuse."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from toolkit.cli.predict import pairs
from toolkit.cli.screen import Screen
from toolkit.cli.wording import count, size
from toolkit.errors import ArtifactMismatchError, SchemaError

if TYPE_CHECKING:
    from toolkit.likelihood import MethodResult
    from toolkit.pipeline.reuse import Bundle, Substitution


@dataclass(frozen=True)
class ReuseRequest:
    """What the user typed.

    Args:
        bundle: The archive.
        out: Folder to unpack into and to write results to; None keeps nothing.
        methods: Methods; all if empty.
        at: Hypotheses, NAME=VALUE[,NAME=VALUE].
        where: NAME=EXPRESSION.
        coefficients: SAMPLE=EXPRESSION.
        parameters: NAME=START:LOW:HIGH.
        poi: Parameter of interest.
        screen: How much is shown, and in which form.
    """

    bundle: Path
    out: Path | None
    methods: Sequence[str]
    at: Sequence[str]
    where: Sequence[str]
    coefficients: Sequence[str]
    parameters: Sequence[str]
    poi: str | None
    screen: Screen


def bundle(run: Path, out: Path, *, licence: Path | None, title: str | None, screen: Screen) -> None:
    """Write the release bundle of a run, and say what is in it."""
    with screen.explained():
        from toolkit.pipeline.bundle import write_bundle

        index = write_bundle(run, out, licence=licence, title=title)
        unpacked = size(sum(entry["size"] for entry in index["files"]))
        screen.result(index, f"{out}: {count(len(index['files']), 'file')}, {unpacked} unpacked, methods {', '.join(index['methods'])}")


def reuse(request: ReuseRequest) -> None:
    """Run the scans of a bundle again, or answer other hypotheses; a result that is not reproduced is an error."""
    with request.screen.explained(), tempfile.TemporaryDirectory() as scratch:
        from toolkit.pipeline.reuse import Bundle

        opened = Bundle.open(request.bundle, request.out / "bundle" if request.out else Path(scratch) / "bundle")
        change = _substitution(request)
        names = tuple(request.methods) or opened.methods
        if request.at:
            _answer(opened, names, change, request)
            return
        found = {name: opened.measure(name, change=change) for name in names}
        _report(opened, found, compare=not change, request=request)


def _answer(opened: Bundle, names: Sequence[str], change: Substitution, request: ReuseRequest) -> None:
    points = [{k: _number("--at", v) for k, v in pairs("--at", text.split(",")).items()} for text in request.at]
    answers = [{"point": p, "twice_delta_nll": {n: opened.at(n, p, change=change) for n in names}} for p in points]
    table = Table(title="-2 ln L / L(best fit)", title_justify="left")
    for column in ("hypothesis", *names):
        table.add_column(column, justify="left" if column == "hypothesis" else "right")
    for answer, text in zip(answers, request.at, strict=True):
        values: Mapping[str, float] = answer["twice_delta_nll"]
        table.add_row(text, *(f"{values[n]:.6g}" for n in names))
    request.screen.result({"answers": answers}, table)


def _report(opened: Bundle, found: Mapping[str, MethodResult], *, compare: bool, request: ReuseRequest) -> None:
    from toolkit.artifacts.atomic import write_json
    from toolkit.pipeline.reuse import TOLERANCE, differences

    compared = {name: differences(result, opened.published.methods[name]) for name, result in found.items()} if compare else {}
    worst = max((value for entry in compared.values() for value in entry.values()), default=0.0)
    document = {
        "schema": 1,
        "poi": next(iter(found.values())).scan.parameter,
        "methods": {n: r.to_json() for n, r in found.items()},
        "differences": compared,
        "reproduced": (worst < TOLERANCE) if compare else None,
    }
    if request.out is not None:
        write_json(request.out / "reuse.json", document)
    table = _results_table(found, compared, title=str(opened.index.get("title", "")))
    if not compare or worst < TOLERANCE:
        request.screen.result(document, table)
        return
    request.screen.show(table)
    expected = f"differences below {TOLERANCE:g}"
    remedy = "compare the versions in bundle.json with those installed"
    raise ArtifactMismatchError(f"{request.bundle} is not reproduced", got=f"{worst:.3g}", expected=expected, remedy=remedy)


def _results_table(found: Mapping[str, MethodResult], compared: Mapping[str, Mapping[str, float]], *, title: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in ("method", "best fit", "68% interval", "95% interval", "t(0)", "largest difference"):
        table.add_column(column, justify="left" if column == "method" else "right")
    for name, result in found.items():
        largest = f"{max(compared[name].values()):.2g}" if name in compared else "-"
        at_zero = "-" if result.twice_nll_at_0 is None else f"{result.twice_nll_at_0:.4f}"
        pieces = [" ".join(f"[{i.low:.4f}, {i.high:.4f}]" for i in group) for group in (result.interval_68, result.interval_95)]
        table.add_row(name, f"{result.mu_hat:.4f}", *(piece.replace("[", "\\[") for piece in pieces), at_zero, largest)
    return table


def _substitution(request: ReuseRequest) -> Substitution:
    from toolkit.pipeline.reuse import Substitution

    parameters = {}
    for name, text in pairs("--parameter", request.parameters).items():
        numbers = [_number("--parameter", part) for part in text.split(":")]
        if len(numbers) != 3 or not numbers[1] <= numbers[0] <= numbers[2]:
            raise SchemaError(f"--parameter {name}", got=text, expected="START:LOW:HIGH", remedy=f"for example --parameter {name}=1:0:2.5")
        parameters[name] = (numbers[0], numbers[1], numbers[2])
    return Substitution(pairs("--where", request.where), pairs("--coefficient", request.coefficients), parameters, request.poi)


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise SchemaError(option, got=text, expected="a number") from error
