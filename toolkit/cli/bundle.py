"""The commands bundle and reuse."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rich.table import Table

from toolkit.cli.predict import pairs
from toolkit.cli.screen import Screen, plain
from toolkit.cli.wording import count, size
from toolkit.errors import ArtifactMismatchError, SchemaError
from toolkit.typing import JsonObject

if TYPE_CHECKING:
    from toolkit.likelihood import MethodResult
    from toolkit.pipeline.reuse import Bundle, Substitution

Data = Literal["expected", "observed"]


@dataclass(frozen=True)
class ReuseRequest:
    """What the user typed.

    Args:
        bundle: The archive.
        out: Folder to unpack into and to write results to; None keeps nothing.
        methods: Methods; all if empty.
        only: Only the results of the Asimov set, or only those of the data; all that the bundle has if None.
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
    only: Data | None
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
        observed = any("observed" in entry for entry in index["methods"].values())
        data = "expected and observed" if observed else "expected; no data"
        methods = ", ".join(index["methods"])
        screen.result(index, f"{out}: {count(len(index['files']), 'file')}, {unpacked} unpacked, methods {methods} ({data})")


def reuse(request: ReuseRequest) -> None:
    """Run the scans of a bundle again, or answer other hypotheses; a result that is not reproduced is an error."""
    with request.screen.explained(), tempfile.TemporaryDirectory() as scratch:
        from toolkit.pipeline.reuse import Bundle

        opened = Bundle.open(request.bundle, request.out / "bundle" if request.out else Path(scratch) / "bundle")
        change = _substitution(request)
        chosen = _chosen(opened, request)
        if request.at:
            _answer(opened, chosen, change, request)
            return
        found = {data: {n: opened.measure(n, observed=data == "observed", change=change) for n in names} for data, names in chosen.items()}
        _report(opened, found, compare=not change, request=request)


def _chosen(opened: Bundle, request: ReuseRequest) -> dict[Data, tuple[str, ...]]:
    """Return the methods of each set of data: what was asked for, or all that the bundle has."""
    names = tuple(request.methods) or opened.methods
    if request.only is not None:
        return {request.only: names}
    observed = tuple(n for n in names if n in opened.observed)
    return {"expected": names, "observed": observed} if observed else {"expected": names}


def _joined(parts: Mapping[Data, JsonObject], *, empty: JsonObject) -> JsonObject:
    """Return the expected part, and the observed one in it if there is one, as results.json does."""
    return {**parts.get("expected", empty), **({"observed": parts["observed"]} if "observed" in parts else {})}


def _answer(opened: Bundle, chosen: Mapping[Data, Sequence[str]], change: Substitution, request: ReuseRequest) -> None:
    points = [{k: _number("--at", v) for k, v in pairs("--at", text.split(",")).items()} for text in request.at]
    names = next(iter(chosen.values()))
    table = _table("-2 ln L / L(best fit)", "hypothesis", *names, data=chosen)
    answers = []
    for point, text in zip(points, request.at, strict=True):
        parts: dict[Data, JsonObject] = {}
        for data, own in chosen.items():
            values = {n: opened.at(n, point, observed=data == "observed", change=change) for n in own}
            parts[data] = {"twice_delta_nll": values}
            table.add_row(text, *_label(data, chosen), *(f"{values[n]:.6g}" if n in values else "-" for n in names))
        answers.append({"point": point, **_joined(parts, empty={"twice_delta_nll": {}})})
    request.screen.result({"answers": answers}, table)


def _report(opened: Bundle, found: Mapping[Data, Mapping[str, MethodResult]], *, compare: bool, request: ReuseRequest) -> None:
    from toolkit.artifacts.atomic import write_json
    from toolkit.pipeline.reuse import TOLERANCE, differences

    compared: dict[Data, dict[str, dict[str, float]]] = {data: {} for data in found}
    for data, results in found.items() if compare else ():
        published = opened.results(observed=data == "observed")
        compared[data] = {name: differences(result, published[name]) for name, result in results.items()}
    parts: dict[Data, JsonObject] = {
        data: {"methods": {n: r.to_json() for n, r in own.items()}, "differences": compared[data]} for data, own in found.items()
    }
    off = [
        f"{data} {key} of {name} " + (f"is {value:.3g} off" if math.isfinite(value) else "has no counterpart")
        for data, results in compared.items()
        for name, entry in results.items()
        for key, value in entry.items()
        if not value < TOLERANCE
    ]
    document = {
        "schema": 1,
        "poi": next(result.scan.parameter for results in found.values() for result in results.values()),
        **_joined(parts, empty={"methods": {}, "differences": {}}),
        "reproduced": not off if compare else None,
    }
    if request.out is not None:
        write_json(request.out / "reuse.json", plain(document))
    table = _results_table(found, compared, title=str(opened.index.get("title", "")))
    if not off:
        request.screen.result(document, table)
        return
    request.screen.show(table)
    expected = f"differences below {TOLERANCE:g}"
    remedy = "compare the versions in bundle.json with those installed"
    raise ArtifactMismatchError(f"{request.bundle} is not reproduced", got=", ".join(off), expected=expected, remedy=remedy)


def _results_table(
    found: Mapping[Data, Mapping[str, MethodResult]], compared: Mapping[Data, Mapping[str, Mapping[str, float]]], *, title: str
) -> Table:
    table = _table(title, "method", "best fit", "68% interval", "95% interval", "t(0)", "largest difference", data=found)
    for data, results in found.items():
        for name, result in results.items():
            largest = f"{max(compared[data][name].values()):.2g}" if name in compared[data] else "-"
            at_zero = "-" if result.twice_nll_at_0 is None else f"{result.twice_nll_at_0:.4f}"
            pieces = [" ".join(f"[{i.low:.4f}, {i.high:.4f}]" for i in group) for group in (result.interval_68, result.interval_95)]
            table.add_row(name, *_label(data, found), f"{result.mu_hat:.4f}", *pieces, at_zero, largest)
        table.add_section()
    return table


def _table(title: str, first: str, *columns: str, data: Collection[Data]) -> Table:
    """Return an empty table, whose second column says expected or observed if data are among them."""
    table = Table(title=title, title_justify="left")
    for column in (first, *_label("data", data)):
        table.add_column(column)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _label(text: str, data: Collection[Data]) -> tuple[str, ...]:
    return (text,) if "observed" in data else ()


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
