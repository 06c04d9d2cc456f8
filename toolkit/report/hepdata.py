"""Tables of scans and templates as HEPData takes them: one YAML file per table, and submission.yaml that lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from toolkit.likelihood import Results

SUBMISSION = "submission.yaml"


def hepdata_tables(
    results: Results, *, binned: Mapping[str, Mapping[str, Any]], edges: Mapping[str, Sequence[float]], title: str
) -> dict[str, str]:
    """Write all tables.

    Args:
        results: Scans and intervals of all methods.
        binned: Workspace documents of the histogram fits by method.
        edges: Bin edges by method, where they are known; other bins are numbered.
        title: Name of the analysis.

    Returns:
        YAML text by file name.
    """
    tables: dict[str, tuple[str, dict[str, Any]]] = {}
    for name, method in results.methods.items():
        description = f"Profile likelihood scan of {results.poi}, method {name}; best fit {method.mu_hat:.6g}"
        points = _dependent("-2 ln lambda", method.scan.twice_delta_nll.tolist(), luminosity=results.luminosity_ifb)
        tables[f"scan_{name}.yaml"] = (description, _table(results.poi, [{"value": v} for v in method.scan.values.tolist()], [points]))
    for name, document in binned.items():
        columns = _templates(document, luminosity=results.luminosity_ifb)
        bins = _bins(edges.get(name), len(columns[0]["values"]))
        tables[f"templates_{name}.yaml"] = (f"Expected events per process and bin, method {name}", _table("bin", bins, columns))
    files = {file: yaml.safe_dump(table, sort_keys=False) for file, (_, table) in tables.items()}
    entries: list[dict[str, Any]] = [{"comment": f"{title}: scans of {results.poi} and templates"}]
    entries += [_entry(file, description) for file, (description, _) in tables.items()]
    return {SUBMISSION: yaml.safe_dump_all(entries, sort_keys=False), **files}


def _entry(file: str, description: str) -> dict[str, Any]:
    return {"name": file.removesuffix(".yaml"), "description": description, "keywords": [], "data_file": file}


def _table(variable: str, values: list[dict[str, float]], dependent: list[dict[str, Any]]) -> dict[str, Any]:
    return {"independent_variables": [{"header": {"name": variable}, "values": values}], "dependent_variables": dependent}


def _dependent(name: str, values: Sequence[float], *, luminosity: float) -> dict[str, Any]:
    qualifiers = [{"name": "LUMINOSITY", "value": float(luminosity), "units": "fb$^{-1}$"}]
    return {"header": {"name": name}, "qualifiers": qualifiers, "values": [{"value": float(v)} for v in values]}


def _templates(document: Mapping[str, Any], *, luminosity: float) -> list[dict[str, Any]]:
    """Return one column per process, and the observation."""
    channel, observation = document["channels"][0], document["observations"][0]
    columns = [_dependent(sample["name"], sample["data"], luminosity=luminosity) for sample in channel["samples"]]
    return [*columns, _dependent("observation", observation["data"], luminosity=luminosity)]


def _bins(edges: Sequence[float] | None, n: int) -> list[dict[str, float]]:
    if edges is None or len(edges) != n + 1:
        return [{"value": float(k + 1)} for k in range(n)]
    return [{"low": float(edges[k]), "high": float(edges[k + 1])} for k in range(n)]
