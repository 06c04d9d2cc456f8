"""HEPData tables: scans and templates as YAML that says the same numbers."""

from __future__ import annotations

import numpy as np
import yaml

from toolkit.likelihood import BinnedLikelihood, Interval, MethodResult, Results, Scan
from toolkit.report.hepdata import SUBMISSION, hepdata_tables

SCAN = Scan(values=np.array([0.0, 1.0, 2.0]), twice_delta_nll=np.array([1.0, 0.0, 1.5]))
RESULT = MethodResult("m4l", 1.0, 1.0, (Interval(0.0, 1.7),), (), SCAN)
RESULTS = Results("mu", {"mu": 1.0}, 140.0, {"S": 10.0}, {"m4l": RESULT})


def _document() -> dict:
    likelihood = BinnedLikelihood(
        templates=[[4.0, 6.0], [5.0, 1.0]],
        data=[9.0, 7.0],
        coefficients=("mu", "1"),
        parameters=("mu",),
        bounds={"mu": (0.0, 4.0)},
        processes=("S", "B"),
    )
    return likelihood.to_pyhf()


def test_scans_and_templates_hold_the_numbers() -> None:
    files = hepdata_tables(RESULTS, binned={"m4l": _document()}, edges={"m4l": [220.0, 400.0, 1000.0]}, title="demo")
    assert list(files) == [SUBMISSION, "scan_m4l.yaml", "templates_m4l.yaml"]
    scan = yaml.safe_load(files["scan_m4l.yaml"])
    assert scan["independent_variables"] == [{"header": {"name": "mu"}, "values": [{"value": 0.0}, {"value": 1.0}, {"value": 2.0}]}]
    assert [entry["value"] for entry in scan["dependent_variables"][0]["values"]] == [1.0, 0.0, 1.5]
    assert scan["dependent_variables"][0]["qualifiers"][0]["value"] == 140.0
    templates = yaml.safe_load(files["templates_m4l.yaml"])
    assert templates["independent_variables"][0]["values"] == [{"low": 220.0, "high": 400.0}, {"low": 400.0, "high": 1000.0}]
    columns = {c["header"]["name"]: [v["value"] for v in c["values"]] for c in templates["dependent_variables"]}
    assert columns == {"S": [4.0, 6.0], "B": [5.0, 1.0], "observation": [9.0, 7.0]}


def test_the_submission_lists_every_table() -> None:
    files = hepdata_tables(RESULTS, binned={"m4l": _document()}, edges={}, title="demo")
    comment, *entries = yaml.safe_load_all(files[SUBMISSION])
    assert comment == {"comment": "demo: scans of mu and templates"}
    assert {entry["data_file"] for entry in entries} == set(files) - {SUBMISSION}
    assert entries[0]["description"] == "Profile likelihood scan of mu, method m4l; best fit 1"


def test_bins_without_known_edges_are_numbered() -> None:
    for edges in ({}, {"m4l": [220.0, 400.0]}):
        files = hepdata_tables(RESULTS, binned={"m4l": _document()}, edges=edges, title="demo")
        assert yaml.safe_load(files["templates_m4l.yaml"])["independent_variables"][0]["values"] == [{"value": 1.0}, {"value": 2.0}]
