"""HS3 documents: everything of the pyhf workspace is there, and what cannot be written is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from exports.hs3 import hs3_document, write_hs3
from toolkit.errors import SchemaError

WORKSPACE: dict[str, Any] = {
    "version": "1.0.0",
    "channels": [
        {
            "name": "sr",
            "samples": [
                {"name": "s", "data": [5.0, 10.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": None}]},
                {
                    "name": "b",
                    "data": [50.0, 60.0],
                    "modifiers": [
                        {"name": "xs", "type": "normsys", "data": {"hi": 1.1, "lo": 0.95}},
                        {"name": "tilt", "type": "histosys", "data": {"hi_data": [52.0, 59.0], "lo_data": [49.0, 62.0]}},
                        {"name": "bins", "type": "shapesys", "data": [5.0, 7.0]},
                    ],
                },
            ],
        }
    ],
    "observations": [{"name": "sr", "data": [53.0, 71.0]}],
    "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": [{"name": "mu", "inits": [0.5], "bounds": [[0.0, 4.0]]}]}}],
}


def test_the_document_holds_the_workspace(tmp_path: Path) -> None:
    write_hs3(WORKSPACE, tmp_path / "hs3.json")
    document = json.loads((tmp_path / "hs3.json").read_text(encoding="utf-8"))
    assert document == hs3_document(WORKSPACE)
    (distribution,) = document["distributions"]
    assert distribution["type"] == "histfactory_dist"
    assert distribution["axes"] == document["data"][0]["axes"]
    samples = {s["name"]: s for s in distribution["samples"]}
    assert samples["b"]["data"]["contents"] == [50.0, 60.0]
    kinds = {m["type"]: m for m in samples["b"]["modifiers"]}
    assert kinds["normsys"]["data"] == {"hi": 1.1, "lo": 0.95, "interpolation": "code4"}
    assert kinds["histosys"]["data"]["hi"] == {"contents": [52.0, 59.0]}
    assert kinds["shapesys"]["parameters"] == ["bins_bin_0", "bins_bin_1"]
    assert kinds["shapesys"]["data"] == {"vals": [5.0 / 50.0, 7.0 / 60.0]}
    assert document["data"][0]["contents"] == [53.0, 71.0]
    values = {p["name"]: p["value"] for p in document["parameter_points"][0]["parameters"]}
    assert values == {"mu": 0.5, "xs": 0.0, "tilt": 0.0, "bins_bin_0": 1.0, "bins_bin_1": 1.0}
    assert {"name": "mu", "min": 0.0, "max": 4.0} in document["domains"][0]["axes"]
    assert document["analyses"][0]["parameters_of_interest"] == ["mu"]


def test_what_hs3_cannot_hold_is_refused() -> None:
    with pytest.raises(SchemaError, match="unbinned channels"):
        hs3_document({**WORKSPACE, "unbinned_channels": []})
    with pytest.raises(SchemaError, match="HS3 export"):
        hs3_document(WORKSPACE, measurement="another")
    morphing = {"name": "f", "type": "morphing", "data": {"coefficient": "mu"}}
    channel = {"name": "c", "samples": [{"name": "s", "data": [1.0], "modifiers": [morphing]}]}
    with pytest.raises(SchemaError, match="free normfactors"):
        hs3_document({**WORKSPACE, "channels": [channel], "observations": [{"name": "c", "data": [1.0]}]})


def with_errors() -> dict[str, Any]:
    """Luminosity and statistical errors; the second bin has none."""
    document: dict[str, Any] = json.loads(json.dumps(WORKSPACE))
    for sample, errors in zip(document["channels"][0]["samples"], ([1.0, 0.0], [4.0, 0.0]), strict=True):
        sample["modifiers"] += [{"name": "stat", "type": "staterror", "data": errors}, {"name": "lumi", "type": "lumi", "data": None}]
    lumi = {"name": "lumi", "auxdata": [1.0], "sigmas": [0.02], "inits": [1.0], "bounds": [[0.9, 1.1]]}
    document["measurements"][0]["config"]["parameters"].append(lumi)
    return document


def test_luminosity_and_statistical_errors() -> None:
    document = hs3_document(with_errors())
    channel, constraint = document["distributions"]
    assert constraint == {"type": "gaussian_dist", "name": "constraint_lumi", "x": "nominal_lumi", "mean": "lumi", "sigma": 0.02}
    assert document["likelihoods"][0]["aux_distributions"] == ["constraint_lumi"]
    assert [s["data"]["errors"] for s in channel["samples"]] == [[1.0, 0.0], [4.0, 0.0]]
    assert channel["staterror"]["constraint_type"] == "Gauss"
    modifiers = {m["name"]: m for m in channel["samples"][0]["modifiers"]}
    assert modifiers["lumi"] == {"type": "normfactor", "name": "lumi", "parameter": "lumi"}
    assert modifiers["stat"] == {"type": "staterror", "name": "stat", "parameters": ["stat_bin_0", "stat_bin_1"], "constraint": "Gauss"}
    points = {p["name"]: (p["value"], p["const"]) for p in document["parameter_points"][0]["parameters"]}
    assert (points["stat_bin_0"], points["stat_bin_1"]) == ((1.0, False), (1.0, True))
    assert (points["nominal_lumi"], points["lumi"]) == ((1.0, True), (1.0, False))
    assert {"name": "lumi", "min": 0.9, "max": 1.1} in document["domains"][0]["axes"]


def test_errors_that_hs3_cannot_tell_apart_are_refused() -> None:
    document = with_errors()
    document["channels"][0]["samples"][1]["modifiers"].append({"name": "stat_b", "type": "staterror", "data": [1.0, 1.0]})
    with pytest.raises(SchemaError, match="one name per channel"):
        hs3_document(document)
    shared = with_errors()
    shared["channels"].append({**shared["channels"][0], "name": "cr"})
    shared["observations"].append({"name": "cr", "data": [53.0, 71.0]})
    with pytest.raises(SchemaError, match="staterror of channel 'cr'"):
        hs3_document(shared)
    bare = with_errors()
    bare["measurements"][0]["config"]["parameters"].pop()
    with pytest.raises(SchemaError, match="no auxdata and sigmas"):
        hs3_document(bare)
