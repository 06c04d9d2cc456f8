"""HEPData tables: scans, templates and nuisance parameters as YAML that says the same numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import yaml

from toolkit.errors import ArtifactMismatchError
from toolkit.likelihood import BinnedLikelihood, Interval, MethodResult, ObservedResults, Results, Scan
from toolkit.report.hepdata import SUBMISSION, hepdata_tables

SCAN = Scan(values=np.array([0.0, 1.0, 2.0]), twice_delta_nll=np.array([1.0, 0.0, 1.5]))
RESULT = MethodResult("m4l", 1.0, 1.0, (Interval(0.0, 1.7),), (), SCAN)
RESULTS = Results("mu", {"mu": 1.0}, 140.0, {"S": 10.0}, {"m4l": RESULT})
SEEN = MethodResult(
    "m4l",
    1.25,
    0.5,
    (Interval(0.0, 0.25, at_boundary=True), Interval(0.75, 1.5)),
    (),
    replace(SCAN, twice_delta_nll=np.array([0.5, 0.25, 2.0])),
)
UNBLINDED = replace(RESULTS, observed=ObservedResults({"early": 10, "late": 8}, 16.0, {"m4l": SEEN}))


def _document(*, data: tuple[float, float] = (9.0, 7.0)) -> dict[str, Any]:
    likelihood = BinnedLikelihood(
        templates=[[4.0, 6.0], [5.0, 1.0]],
        data=list(data),
        coefficients=("mu", "1"),
        parameters=("mu",),
        bounds={"mu": (0.0, 4.0)},
        processes=("S", "B"),
    )
    return likelihood.to_pyhf()


def _tables(results: Results, **options: Any) -> dict[str, Any]:
    """Return all tables by file name, each checked to be of HEPData's form, listed once."""
    files = hepdata_tables(results, binned={"m4l": _document()}, edges={"m4l": [220.0, 400.0, 1000.0]}, title="demo", **options)
    tables = {file: yaml.safe_load(text) for file, text in files.items() if file != SUBMISSION}
    comment, *entries = yaml.safe_load_all(files[SUBMISSION])
    assert set(comment) == {"comment"}
    assert [entry["data_file"] for entry in entries] == list(tables)
    for entry in entries:
        assert set(entry) == {"name", "description", "keywords", "data_file"}
        assert 0 < len(entry["name"]) <= 64
    for table in tables.values():
        check_form(table)
    return tables


def check_form(table: dict[str, Any]) -> None:
    """Check what HEPData's schema of a table asks for: keys, types, columns of equal length, errors that are not zero."""
    assert set(table) == {"independent_variables", "dependent_variables"}
    columns = [*table["independent_variables"], *table["dependent_variables"]]
    assert len({len(column["values"]) for column in columns}) == 1
    for column in columns:
        assert set(column) <= {"header", "values", "qualifiers"}
        assert set(column["header"]) <= {"name", "units"}
        assert isinstance(column["header"]["name"], str)
    for variable in table["independent_variables"]:
        for value in variable["values"]:
            assert set(value) in ({"value"}, {"low", "high"})
    for variable in table["dependent_variables"]:
        for qualifier in variable["qualifiers"]:
            assert {"name", "value"} <= set(qualifier) <= {"name", "value", "units"}
            assert isinstance(qualifier["value"], str | float)
        for value in variable["values"]:
            assert set(value) <= {"value", "errors"}
            assert value["value"] == "-" or np.isfinite(value["value"])
            for error in value.get("errors", ()):
                assert set(error) == {"symerror", "label"}
                assert error["symerror"] > 0.0


def _numbers(table: dict[str, Any]) -> dict[str, list[Any]]:
    return {column["header"]["name"]: [v["value"] for v in column["values"]] for column in table["dependent_variables"]}


def _qualifiers(table: dict[str, Any]) -> list[dict[str, Any]]:
    return [{q["name"]: q["value"] for q in column["qualifiers"]} for column in table["dependent_variables"]]


def test_scans_and_templates_hold_the_numbers() -> None:
    tables = _tables(RESULTS)
    assert list(tables) == ["scan_m4l.yaml", "templates_m4l.yaml"]
    scan, templates = tables.values()
    assert scan["independent_variables"] == [{"header": {"name": "mu"}, "values": [{"value": 0.0}, {"value": 1.0}, {"value": 2.0}]}]
    assert _numbers(scan) == {"-2 ln lambda, expected": [1.0, 0.0, 1.5]}
    [said] = _qualifiers(scan)
    assert (said["LUMINOSITY"], said["DATA"], said["BEST FIT"]) == (140.0, "Asimov set at mu = 1", 1.0)
    assert (said["68% INTERVAL"], said["95% INTERVAL"]) == ("[0, 1.7]", "none")
    assert templates["independent_variables"][0]["values"] == [{"low": 220.0, "high": 400.0}, {"low": 400.0, "high": 1000.0}]
    assert _numbers(templates) == {"S": [4.0, 6.0], "B": [5.0, 1.0], "Asimov set": [9.0, 7.0]}


def test_data_are_columns_beside_the_expected_ones() -> None:
    tables = _tables(UNBLINDED, observed={"m4l": _document(data=(6.0, 12.0))})
    scan, templates = tables["scan_m4l.yaml"], tables["templates_m4l.yaml"]
    assert _numbers(scan) == {"-2 ln lambda, expected": [1.0, 0.0, 1.5], "-2 ln lambda, observed": [0.5, 0.25, 2.0]}
    expected, observed = _qualifiers(scan)
    assert (expected["68% INTERVAL"], expected["DATA"]) == ("[0, 1.7]", "Asimov set at mu = 1")
    assert (observed["DATA"], observed["BEST FIT"]) == ("18 data events", 1.25)
    assert observed["68% INTERVAL"] == "[0, 0.25] [0.75, 1.5], ends at the edge of the allowed range"
    assert list(_numbers(templates).items())[2:] == [("Asimov set", [9.0, 7.0]), ("observation", [6.0, 12.0])]


def test_intervals_from_toys_are_qualifiers() -> None:
    toys = {f"interval_{level}": [[0.0, high]] for level, high in ((68, 1.5), (95, 1.875))}
    intervals = {"methods": {"m4l": toys}, "observed": {"m4l": {**toys, "interval_68_at_boundary": [True]}}}
    expected, observed = _qualifiers(_tables(UNBLINDED, intervals=intervals)["scan_m4l.yaml"])
    assert (expected["68% INTERVAL FROM TOYS"], expected["95% INTERVAL FROM TOYS"]) == ("[0, 1.5]", "[0, 1.875]")
    assert observed["68% INTERVAL FROM TOYS"] == "[0, 1.5], ends at the edge of the allowed range"


def test_nuisance_parameters_have_pulls_with_errors_and_impacts() -> None:
    """The rows are the same for all columns, in whatever order the impacts come; what has no constraint has no pull."""
    pulls = [{"parameter": "lumi", "pull": 0.5, "constraint": 0.9}, {"parameter": "scale", "pull": -1.0, "constraint": None}]
    impacts = [{"parameter": "free", "up": 0.2, "down": None}, {"parameter": "lumi", "up": 0.1, "down": -0.1}]
    other = [{"parameter": "lumi", "pull": -0.25, "constraint": 0.8}]
    results = replace(UNBLINDED, methods={"m4l": replace(RESULT, uncertainties={"pulls": pulls, "impacts": impacts})})
    seen = replace(SEEN, uncertainties={"pulls": other, "impacts": []})
    results = replace(results, observed=ObservedResults({"data": 18}, 16.0, {"m4l": seen}))
    table = _tables(results)["nuisances_m4l.yaml"]
    assert [v["value"] for v in table["independent_variables"][0]["values"]] == ["lumi", "scale", "free"]
    assert _numbers(table) == {
        "pull, expected": [0.5, -1.0, "-"],
        "impact on mu, up, expected": [0.1, "-", 0.2],
        "impact on mu, down, expected": [-0.1, "-", "-"],
        "pull, observed": [-0.25, "-", "-"],
        "impact on mu, up, observed": ["-", "-", "-"],
        "impact on mu, down, observed": ["-", "-", "-"],
    }
    errors = [[v.get("errors") for v in table["dependent_variables"][k]["values"]] for k in (0, 3)]
    assert errors == [[[{"symerror": e, "label": "fitted error"}], None, None] for e in (0.9, 0.8)]


def test_the_submission_describes_every_table() -> None:
    files = hepdata_tables(UNBLINDED, binned={"m4l": _document()}, edges={}, title="demo")
    comment, *entries = yaml.safe_load_all(files[SUBMISSION])
    assert comment == {"comment": "demo: scans of mu, templates and nuisance parameters"}
    assert {entry["data_file"] for entry in entries} == set(files) - {SUBMISSION}
    assert entries[0]["description"] == "Profile likelihood scan of mu, method m4l; best fit 1 expected, 1.25 observed"


def test_bins_without_known_edges_are_numbered() -> None:
    for edges in ({}, {"m4l": [220.0, 400.0]}):
        files = hepdata_tables(RESULTS, binned={"m4l": _document()}, edges=edges, title="demo")
        assert yaml.safe_load(files["templates_m4l.yaml"])["independent_variables"][0]["values"] == [{"value": 1.0}, {"value": 2.0}]


def test_scans_at_other_points_are_refused() -> None:
    moved = replace(SEEN, scan=replace(SCAN, values=np.array([0.0, 1.0, 2.5])))
    results = replace(RESULTS, observed=ObservedResults({"data": 18}, 16.0, {"m4l": moved}))
    with pytest.raises(ArtifactMismatchError, match="observed scan of method m4l"):
        hepdata_tables(results, binned={}, edges={}, title="demo")
