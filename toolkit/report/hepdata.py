"""Tables of scans, templates and nuisance parameters as HEPData takes them: one YAML file per table, and submission.yaml that lists them.

Results of the data, once they are looked at, are columns beside the expected ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml

from toolkit.errors import ArtifactMismatchError
from toolkit.likelihood import Contour, MethodResult, Results

SUBMISSION = "submission.yaml"
MISSING = "-"
"""What HEPData shows where a table has no number."""


@dataclass(frozen=True)
class _Column:
    """The results of one method on one set of data.

    Attributes:
        data: "expected" or "observed".
        result: The results.
        qualifiers: Luminosity, data, best fit and intervals.
    """

    data: str
    result: MethodResult
    qualifiers: list[dict[str, Any]]


def hepdata_tables(
    results: Results,
    *,
    binned: Mapping[str, Mapping[str, Any]],
    edges: Mapping[str, Sequence[float]],
    title: str,
    observed: Mapping[str, Mapping[str, Any]] | None = None,
    intervals: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Write all tables.

    Args:
        results: Scans, intervals, pulls and impacts of all methods, those of the data among them if it has any.
        binned: Workspace documents of the histogram fits by method.
        edges: Bin edges by method, where they are known; other bins are numbered.
        title: Name of the analysis.
        observed: Workspace documents of the histogram fits to the data by method.
        intervals: Intervals from toys, the object `intervals` of results.json.

    Returns:
        YAML text by file name.

    Raises:
        ArtifactMismatchError: Observed and expected scan of a method have other points.
    """
    tables: dict[str, tuple[str, dict[str, Any]]] = {}
    columns = {name: list(_columns(name, results, intervals or {})) for name in results.methods}
    for poi in results.interest:
        own, tail = results.of(poi), f"_{poi}" if len(results.interest) > 1 else ""
        for name in own.methods:
            found = list(_columns(name, own, intervals or {}))
            best = ", ".join(f"{column.result.mu_hat:.6g} {column.data}" for column in found)
            tables[f"scan_{name}{tail}.yaml"] = (f"Profile likelihood scan of {poi}, method {name}; best fit {best}", _scan(found))
    for name, found in columns.items():
        for (first, second), contours in _pairs(found).items():
            text = f"Contours of {first} and {second}, method {name}: points of the lines, all other parameters profiled"
            tables[f"contours_{name}_{first}_{second}.yaml"] = (text, _contours(contours, _qualifiers(results)))
    common = _qualifiers(results)
    for name, document in binned.items():
        templates = _templates(document, (observed or {}).get(name), common)
        bins = _bins(edges.get(name), len(templates[0]["values"]))
        tables[f"templates_{name}.yaml"] = (f"Expected events per process and bin, and data, method {name}", _table("bin", bins, templates))
    for poi in results.interest:
        tail = f"_{poi}" if len(results.interest) > 1 else ""
        for name in results.of(poi).methods:
            found = list(_columns(name, results.of(poi), intervals or {}))
            if any(column.result.uncertainties for column in found):
                text = f"Pulls of the nuisance parameters in units of their constraints and impacts on {poi}, method {name}"
                tables[f"nuisances_{name}{tail}.yaml"] = (text, _nuisances(found, poi=poi, qualifiers=common))
    files = {file: yaml.safe_dump(table, sort_keys=False) for file, (_, table) in tables.items()}
    contents = "scans of " + ", ".join(results.interest) + (", contours" if len(results.interest) > 1 else "")
    entries: list[dict[str, Any]] = [{"comment": f"{title}: {contents}, templates and nuisance parameters"}]
    entries += [_entry(file, description) for file, (description, _) in tables.items()]
    return {SUBMISSION: yaml.safe_dump_all(entries, sort_keys=False), **files}


def _columns(name: str, results: Results, intervals: Mapping[str, Any]) -> Iterator[_Column]:
    """Yield the expected results of a method, then the observed ones if there are any."""
    truth = ", ".join(f"{parameter} = {value:g}" for parameter, value in results.asimov.items())
    toys = intervals.get("methods", {}).get(name)
    result = results.methods[name]
    yield _Column("expected", result, _qualifiers(results, result, toys=toys, data=f"Asimov set at {truth}"))
    if results.observed is not None and name in results.observed.methods:
        result, toys = results.observed.methods[name], intervals.get("observed", {}).get(name)
        text = f"{results.observed.n_events} data events"
        yield _Column("observed", result, _qualifiers(results, result, toys=toys, data=text))


def _qualifiers(
    results: Results, result: MethodResult | None = None, *, toys: Mapping[str, Any] | None = None, data: str = ""
) -> list[dict[str, Any]]:
    """Say what belongs to all numbers of a column: the luminosity and, with a result, data, best fit and intervals."""
    found: list[dict[str, Any]] = [{"name": "LUMINOSITY", "value": float(results.luminosity_ifb), "units": "fb$^{-1}$"}]
    if result is None:
        return found
    document = result.to_json()
    found += [{"name": "DATA", "value": data}, {"name": "BEST FIT", "value": float(result.mu_hat)}]
    found += [{"name": f"{level}% INTERVAL", "value": _interval(document, level)} for level in (68, 95)]
    if toys is not None:
        found += [{"name": f"{level}% INTERVAL FROM TOYS", "value": _interval(toys, level)} for level in (68, 95)]
    return found


def _interval(document: Mapping[str, Any], level: int) -> str:
    """Write an interval of results.json with all its pieces.

    Examples:
        >>> _interval({"interval_68": [[0.0, 0.4], [1.2, 2.0]], "interval_68_at_boundary": [True, False]}, 68)
        '[0, 0.4] [1.2, 2], ends at the edge of the allowed range'
    """
    pieces = " ".join(f"[{low:.6g}, {high:.6g}]" for low, high in document[f"interval_{level}"]) or "none"
    return pieces + ", ends at the edge of the allowed range" * any(document.get(f"interval_{level}_at_boundary", ()))


def _entry(file: str, description: str) -> dict[str, Any]:
    return {"name": file.removesuffix(".yaml"), "description": description, "keywords": [], "data_file": file}


def _table(variable: str, values: Sequence[Mapping[str, float | str]], dependent: list[dict[str, Any]]) -> dict[str, Any]:
    return {"independent_variables": [{"header": {"name": variable}, "values": values}], "dependent_variables": dependent}


def _dependent(name: str, values: Sequence[float | None], qualifiers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    entries = [{"value": MISSING if v is None or not math.isfinite(v) else float(v)} for v in values]
    return {"header": {"name": name}, "qualifiers": [dict(q) for q in qualifiers], "values": entries}


def _scan(columns: Sequence[_Column]) -> dict[str, Any]:
    """Return the scan with one column per set of data."""
    first, *others = (column.result for column in columns)
    for other in others:
        if not np.array_equal(other.scan.values, first.scan.values):
            what = f"points of the observed scan of method {first.method}"
            raise ArtifactMismatchError(
                what, got=f"{len(other.scan.values)} other points", expected="those of the expected scan", remedy="fit and report again"
            )
    dependent = [_dependent(f"-2 ln lambda, {c.data}", c.result.scan.twice_delta_nll.tolist(), c.qualifiers) for c in columns]
    return _table(first.scan.parameter, [{"value": v} for v in first.scan.values.tolist()], dependent)


def _pairs(columns: Sequence[_Column]) -> dict[tuple[str, str], list[tuple[str, Contour]]]:
    """Return the contours of every pair of parameters, each with the data that it is of."""
    found: dict[tuple[str, str], list[tuple[str, Contour]]] = {}
    for column in columns:
        for contour in column.result.contours:
            found.setdefault(contour.parameters, []).append((column.data, contour))
    return found


def _contours(contours: Sequence[tuple[str, Contour]], qualifiers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the points of all lines: two independent variables, and as dependent ones the level and the number of the line."""
    rows = [(data, c.level, k, *p) for data, c in contours for k, line in enumerate(c.lines, start=1) for p in line]
    areas = [{"name": f"AREA {data}, {100 * c.level:.0f}%", "value": float(c.area)} for data, c in contours]
    names = contours[0][1].parameters
    independent = [{"header": {"name": name}, "values": [{"value": float(row[3 + i])} for row in rows]} for i, name in enumerate(names)]
    dependent = [
        {"header": {"name": "confidence level", "units": "%"}, "values": [{"value": 100.0 * row[1]} for row in rows]},
        {"header": {"name": "line"}, "values": [{"value": float(row[2])} for row in rows]},
        {"header": {"name": "data"}, "values": [{"value": row[0]} for row in rows]},
    ]
    for column in dependent:
        column["qualifiers"] = [dict(q) for q in (*qualifiers, *areas)]
    return {"independent_variables": independent, "dependent_variables": dependent}


def _templates(
    document: Mapping[str, Any], observed: Mapping[str, Any] | None, qualifiers: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return one column per process, the Asimov set, and the data if they are looked at."""
    data = {sample["name"]: sample["data"] for sample in document["channels"][0]["samples"]}
    data["Asimov set"] = document["observations"][0]["data"]
    if observed is not None:
        data["observation"] = observed["observations"][0]["data"]
    return [_dependent(name, values, qualifiers) for name, values in data.items()]


def _bins(edges: Sequence[float] | None, n: int) -> list[dict[str, float]]:
    if edges is None or len(edges) != n + 1:
        return [{"value": float(k + 1)} for k in range(n)]
    return [{"low": float(edges[k]), "high": float(edges[k + 1])} for k in range(n)]


def _nuisances(columns: Sequence[_Column], *, poi: str, qualifiers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return pulls with their fitted errors, and impacts of both signs, one row per parameter."""
    documents = {column.data: column.result.uncertainties or {} for column in columns}
    names = list(dict.fromkeys(e["parameter"] for d in documents.values() for e in (*d.get("pulls", ()), *d.get("impacts", ()))))
    dependent = []
    for data, document in documents.items():
        pulls, impacts = ({e["parameter"]: e for e in document.get(key, ())} for key in ("pulls", "impacts"))
        pulled = _dependent(f"pull, {data}", [pulls.get(n, {}).get("pull") for n in names], qualifiers)
        for entry, name in zip(pulled["values"], names, strict=True):
            if pulls.get(name, {}).get("constraint"):
                entry["errors"] = [{"symerror": float(pulls[name]["constraint"]), "label": "fitted error"}]
        shifts = [
            _dependent(f"impact on {poi}, {sign}, {data}", [impacts.get(n, {}).get(sign) for n in names], qualifiers)
            for sign in ("up", "down")
        ]
        dependent += [pulled, *shifts]
    return _table("nuisance parameter", [{"value": n} for n in names], dependent)
