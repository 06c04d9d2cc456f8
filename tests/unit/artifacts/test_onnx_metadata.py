"""The description in an ONNX file survives writing and reading, and bad ones are refused with the key's name."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from toolkit.artifacts.onnx_metadata import Feature, OnnxMetadata
from toolkit.errors import SchemaError

FULL = OnnxMetadata(
    features=(Feature("m4l", "GeV", 220.0, 2000.0), Feature("phi", "rad", -3.0, 3.0)),
    numerators=("ggF_S", "qqZZ"),
    reference="mixture",
    estimator="multiclass",
    parameters=(Feature("mu", "", 0.0, 6.0),),
    ensemble_size=6,
    reference_mixture={"ggF_S": 0.25, "qqZZ": 0.75},
    toolkit_version="0.1.0",
    config_hash="ab",
    training_data_hash="cd",
)


def changed(**changes: Any) -> str:
    return json.dumps(json.loads(FULL.to_json()) | changes)


def test_round_trip() -> None:
    assert OnnxMetadata.from_json(FULL.to_json()) == FULL
    assert FULL.columns == ("m4l", "phi", "mu")


def test_minimal_document_and_unknown_keys() -> None:
    document = {
        key: value for key, value in json.loads(FULL.to_json()).items() if key in {"features", "numerators", "reference", "estimator"}
    }
    read = OnnxMetadata.from_json(json.dumps(document | {"colour": "blue"}))
    assert (read.parameters, read.ensemble_size, dict(read.reference_mixture), read.config_hash) == ((), 1, {}, "")


def test_numpy_numbers_are_written() -> None:
    feature = Feature("m4l", "GeV", np.float32(220.0), np.float64(2000.0))  # type: ignore[arg-type]
    assert json.loads(json.dumps(feature.to_json()))["training_range"] == [220.0, 2000.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "metadata key h4l"),
        (changed(schema=7), r"(?s)schema 7, written by another version.*h4l export"),
        (changed(numerators="ggF_S"), "numerators"),
        (changed(numerators=[]), "numerators"),
        (changed(features={"m4l": "GeV"}), "features"),
        (changed(features=[{"name": "mu", "unit": "", "training_range": [0, 1]}]), "none repeated"),
        (changed(features=[{"name": "", "unit": "", "training_range": [0, 1]}]), "feature name"),
        (changed(features=[{"name": "m4l", "unit": 1, "training_range": [0, 1]}]), "unit of feature m4l"),
        (changed(features=[{"name": "m4l", "unit": "", "training_range": [0]}]), "training_range"),
        (changed(features=[{"name": "m4l", "unit": "", "training_range": [True, False]}]), "training_range"),
        (changed(reference_mixture=[0.5]), "reference_mixture"),
        (changed(reference_mixture={"ggF_S": "half"}), "reference_mixture"),
        (changed(ensemble_size=0), "ensemble_size"),
        (changed(ensemble_size=2.0), "ensemble_size"),
        (changed(estimator=""), "estimator"),
        (changed(reference=None), "reference"),
    ],
)
def test_refusals(text: str, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        OnnxMetadata.from_json(text)


def test_range_must_be_finite() -> None:
    with pytest.raises(SchemaError, match="training range of feature m4l"):
        Feature("m4l", "GeV", 220.0, float("inf"))
