"""results.json has the fixed keys with the fixed meaning, and additions beside them."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from toolkit.errors import InputFileError, SchemaError
from toolkit.likelihood.results import ClosurePoint
from toolkit.report import read_results, results_document, write_results


def test_fixed_schema(results):
    document = results_document(results)
    assert list(document) == ["schema", "poi", "asimov", "luminosity_ifb", "parameters", "yields", "methods", "closure", "timing_s"]
    assert document["schema"] == 2
    assert document["poi"] == "mu"
    assert document["asimov"] == {"mu": 1.0}
    assert document["luminosity_ifb"] == 140.0
    assert document["yields"]["qqZZ"] == 2313.5
    method = document["methods"]["m4l"]
    assert method["mu_hat"] == 1.02
    assert method["twice_nll_at_0"] == 0.54
    assert method["interval_68"] == [[0.0, 0.2], [0.7, 2.3]]
    assert method["at_boundary"] is True
    assert method["interval_68_at_boundary"] == [True, False]
    assert method["scan"]["mu"] == results.methods["m4l"].scan.values.tolist()
    assert method["scan"]["twice_delta_nll"] == results.methods["m4l"].scan.twice_delta_nll.tolist()
    point = document["closure"][-1]
    assert {k: point[k] for k in ("mu", "mu_hat", "method")} == {"mu": 1.7, "mu_hat": pytest.approx(2.1), "method": "nsbi"}


def test_additions(results):
    document = results_document(results, extras={"diagnostics": {"p": math.nan}})
    assert document["methods"]["nsbi"]["verdict"] == "biased"
    assert document["methods"]["nsbi"]["twice_nll_at_0_error"] == 0.47
    assert document["methods"]["score"]["verdict"] == "compatible"
    assert document["methods"]["score"]["closure"]["verdict"] == "compatible"
    assert document["closure"][-1]["pull"] == pytest.approx(4.0)
    assert document["closure"][-1]["fails"] is True
    assert document["diagnostics"] == {"p": None}
    with pytest.raises(SchemaError, match="yields"):
        results_document(results, extras={"yields": {}})


def test_round_trip(results, tmp_path):
    path = tmp_path / "results.json"
    write_results(path, results, extras={"diagnostics": {}})
    back = read_results(path)
    assert results_document(back) == results_document(results)
    assert [p.name for p in tmp_path.iterdir()] == ["results.json"]


def test_undefined_numbers_are_null(results, tmp_path):
    point = ClosurePoint(1.0, math.nan, math.nan, "nsbi")
    write_results(tmp_path / "r.json", replace(results, closure=(point,)))
    entry = json.loads((tmp_path / "r.json").read_text())["closure"][0]
    assert entry["mu_hat"] is None
    assert entry["standard_error"] is None
    assert entry["fails"] is False, "without an error nothing is tested"


def test_bad_files(tmp_path):
    with pytest.raises(InputFileError):
        read_results(tmp_path / "none.json")
    (tmp_path / "half.json").write_text('{"schema": 1, ')
    with pytest.raises(SchemaError, match="valid JSON"):
        read_results(tmp_path / "half.json")
    (tmp_path / "other.json").write_text('{"schema": 3}')
    with pytest.raises(SchemaError):
        read_results(tmp_path / "other.json")


def test_unwritable_folder_leaves_nothing(results, tmp_path):
    with pytest.raises(InputFileError, match="cannot write"):
        write_results(tmp_path / "missing" / "results.json", results)
    assert list(tmp_path.iterdir()) == []
