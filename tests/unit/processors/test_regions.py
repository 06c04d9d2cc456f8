"""Regions and scores of selected events."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from processors.regions import Regions, region_observables
from toolkit.config import Config
from toolkit.errors import ArtifactMismatchError, InputFileError, SchemaError

WEIGHTS = np.array([[0.01, -0.5], [-0.02, 1.0]], dtype=np.float32)
BIAS = np.array([0.5, -1.0], dtype=np.float32)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """ln p_S/p_ref = 0.01 m4l - 0.5 m_jj + 0.5, ln p_B/p_ref = -0.02 m4l + m_jj - 1, in an ONNX file."""
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["observables", "w", "b"], ["log_ratio"], transB=1)],
        "linear",
        [helper.make_tensor_value_info("observables", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor_value_info("log_ratio", TensorProto.FLOAT, ["batch", 2])],
        [numpy_helper.from_array(WEIGHTS, "w"), numpy_helper.from_array(BIAS, "b")],
    )
    file = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    features = [{"name": name, "unit": "GeV", "training_range": [0.0, 2000.0]} for name in ("m4l", "m_jj")]
    document = {"schema": 1, "features": features, "parameters": [], "numerators": ["S", "B"], "reference": "qq", "estimator": "carl"}
    helper.set_model_props(file, {"h4l": json.dumps({**document, "ensemble_size": 1})})
    path = tmp_path / "dpre.onnx"
    path.write_bytes(file.SerializeToString())
    return path


def _config(**sections: Any) -> Config:
    sample = {"name": "ggF_S", "files": ["x"], "benchmarks": ["ggF_S", "ggF_B", "ggF_SBI"]}
    return Config.model_validate({"luminosity_ifb": 1.0, "samples": [sample], **sections})


def _score(model: Path, changes: dict[str, Any] | None = None) -> dict[str, Any]:
    section: dict[str, Any] = {"model": str(model), "numerator": {"S": 2.0}, "denominator": {"B": 3.0, "qq": 0.5}}
    return section | (changes or {})


def test_a_score_is_the_log_of_sums_of_densities(model: Path) -> None:
    config = _config(scores={"d_pre": _score(model)}, regions={"SR": "d_pre > -0.85", "CR": "d_pre <= -0.85"})
    assert region_observables(config) == ("m4l", "m_jj")
    regions = pickle.loads(pickle.dumps(Regions(config, observables=("m4l", "m_jj", "n_jets"))))
    values = {"m4l": np.array([220.0, 300.0, 400.0, 250.0]), "m_jj": np.array([1.0, 6.0, math.nan, 20.0])}
    scores, inside = regions.evaluate(values)
    for i in (0, 1, 3):
        m4l, m_jj = values["m4l"][i], values["m_jj"][i]
        s, b = math.exp(0.01 * m4l - 0.5 * m_jj + 0.5), math.exp(-0.02 * m4l + m_jj - 1)
        assert scores["d_pre"][i] == pytest.approx(math.log(2 * s / (3 * b + 0.5)), rel=1e-5)
    assert math.isnan(scores["d_pre"][2])
    assert inside["SR"].tolist() == [True, True, False, False]
    assert inside["CR"].tolist() == [False, False, False, True]  # the event without a score lies in neither


def test_no_event_gives_empty_scores(model: Path) -> None:
    regions = Regions(_config(scores={"d": _score(model)}, regions={"SR": "d > 0"}), observables=("m4l", "m_jj"))
    scores, inside = regions.evaluate({"m4l": np.empty(0), "m_jj": np.empty(0)})
    assert scores["d"].shape == inside["SR"].shape == (0,)


def test_without_regions_nothing_is_computed() -> None:
    assert Regions(_config(), observables=("m4l",)).evaluate({"m4l": np.ones(2)}) == ({}, {})
    assert region_observables(_config()) == ()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"numerator": {"T": 1.0}}, ArtifactMismatchError, r"(?s)\['T'\].*'S', 'B', 'qq'"),
        ({"denominator": {"B": -1.0}}, SchemaError, "above 0"),
        ({"model": "absent.onnx"}, InputFileError, r"absent\.onnx"),
    ],
)
def test_wrong_scores_are_refused(model: Path, changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Regions(_config(scores={"d": _score(model, changes)}), observables=("m4l", "m_jj"))


def test_names_must_be_known_and_not_taken(model: Path) -> None:
    with pytest.raises(SchemaError, match=r"region SR(?s:.)*\['m5l'\]"):
        Regions(_config(regions={"SR": "m5l > 0"}), observables=("m4l",))
    with pytest.raises(SchemaError, match=r"score d(?s:.)*\['m_jj'\]"):
        Regions(_config(scores={"d": _score(model)}), observables=("m4l",))
    with pytest.raises(SchemaError, match=r"names of observables \['m4l'\]"):
        Regions(_config(scores={"m4l": _score(model)}), observables=("m4l", "m_jj"))


@pytest.mark.parametrize("text", ["m4l", "m4l > 220 and __import__('os')", "m4l = 3", "m4l > 2; n_jets"])
def test_the_config_refuses_anything_but_conditions(text: str) -> None:
    with pytest.raises(ValueError, match=r"condition"):
        _config(regions={"SR": text})


def test_the_condition_of_the_selection_names_observables_that_are_written(model: Path) -> None:
    config = _config(selection={"where": "n_jets >= 2 and m_jj > 120"}, regions={"SR": "pt4l > 20"})
    assert region_observables(config) == ("pt4l", "m_jj", "n_jets")
    late = _config(scores={"d": _score(model)}, selection={"where": "d > 0"})
    with pytest.raises(SchemaError, match=r"selection.where(?s:.)*scores \['d'\](?s:.)*region"):
        Regions(late, observables=("m4l", "m_jj"))


def test_parts_of_processes_and_regions_of_any_kind_are_flags_of_events() -> None:
    parts = {"low": {"condition": "n_jets < 2"}, "high": {"condition": "n_jets >= 2", "factor": "t"}}
    config = Config.model_validate(
        {
            "luminosity_ifb": 1.0,
            "parameters": {"mu": {}, "t": {"kind": "normalisation"}},
            "processes": {"signal": {"factor": "mu"}, "qqZZ": {"split": parts}},
            "samples": [{"name": name, "files": ["x"]} for name in ("signal", "qqZZ")],
            "regions": {"CR": {"kind": "counting", "condition": "m4l > 300"}, "foreign": {"kind": "workspace", "file": "w.json"}},
        }
    )
    assert region_observables(config) == ("m4l", "n_jets")
    _, inside = Regions(config, observables=("m4l", "n_jets")).evaluate({"m4l": np.array([250.0, 400.0]), "n_jets": np.array([3.0, 0.0])})
    assert {name: flags.tolist() for name, flags in inside.items()} == {"CR": [False, True], "low": [False, True], "high": [True, False]}
