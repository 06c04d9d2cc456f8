"""results.json: the numbers of an analysis, in a form that stays as it is, with additions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.artifacts.atomic import write_json
from toolkit.diagnostics.closure import ClosureVerdict
from toolkit.diagnostics.serialise import jsonable
from toolkit.errors import InputFileError, SchemaError
from toolkit.likelihood.results import Results
from toolkit.report.table import judge


def results_document(
    results: Results, *, verdicts: Sequence[ClosureVerdict] | None = None, extras: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Build the content of results.json.

    Args:
        results: All methods, closure points, yields and timings.
        verdicts: Closure verdicts; made from the closure points when None.
        extras: Further top-level entries, for example diagnostics.

    Returns:
        The keys `schema, poi, asimov, luminosity_ifb, parameters, yields, methods, closure, timing_s`, then the extras. Each method
        has `parameters`, and a `verdict` on the first parameter of interest, "compatible", "biased" or "not_tested", with `closure`
        behind it; where there are several, each of its parameters has them. `information` are lower bounds of
        -2 Delta lnL that no bias of the networks can raise. Each closure point has `pull` and
        `fails`, whether it is off, beside `mu, mu_hat, standard_error, method`. Numbers that are not finite are null.

    Raises:
        SchemaError: An extra has the name of one of the fixed keys.
    """
    document: dict[str, Any] = dict(jsonable(results.with_parameters().to_json()))
    taken = sorted(set(document) & set(extras or {}))
    if taken:
        raise SchemaError(what="extra entries of results.json", got=taken, expected="other names than the fixed ones", remedy="rename them")
    for verdict in judge(results) if verdicts is None else verdicts:
        method = document["methods"].get(verdict.method, {})
        if method and verdict.parameter == results.poi:
            method |= {"verdict": verdict.word, "closure": verdict.to_json()}
        if method and len(results.interest) > 1:
            method["parameters"][verdict.parameter] |= {"verdict": verdict.word, "closure": verdict.to_json()}
        for check in verdict.checks:
            for point in document["closure"]:
                one = (point["method"], point.get("parameter") or verdict.parameter, point["mu"], point.get("truth", {}))
                if one == (verdict.method, verdict.parameter, check.mu, dict(check.truth)):
                    point.update(pull=jsonable(check.pull), fails=check.fails)
    return {**document, **jsonable(extras or {})}


def write_results(
    path: str | Path, results: Results, *, verdicts: Sequence[ClosureVerdict] | None = None, extras: Mapping[str, Any] | None = None
) -> None:
    """Write results.json in one step; see `results_document`."""
    write_json(path, results_document(results, verdicts=verdicts, extras=extras))


def read_results(path: str | Path) -> Results:
    """Read the fixed part of a results.json.

    Args:
        path: The file.

    Raises:
        InputFileError: The file cannot be read.
        SchemaError: It is not JSON, or not of this schema.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputFileError(what=f"results {path}", got=str(error), expected="a results.json", remedy="run the report stage") from error
    except json.JSONDecodeError as error:
        raise SchemaError(what=f"results {path}", got=str(error), expected="valid JSON", remedy="run the report stage again") from error
    return Results.from_json(document)
