"""write_onnx: the form of both files, their numbers, and that nothing unverified is ever left on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from exports import Feature, OnnxExport
from toolkit.errors import ArtifactMismatchError, InputFileError, PhysicsDomainError, SchemaError, ShapeError
from toolkit.likelihood import OnnxRatio

Events = NDArray[np.float64]
Write = Callable[..., OnnxExport]


def torch_float64(model: nn.Module, rows: Events) -> list[Events]:
    """Evaluate row by row: the obvious twin of the writer's batched evaluation."""
    with torch.no_grad():
        parts = [model(torch.from_numpy(row[None, :])) for row in rows]
    return [np.concatenate([part[i].numpy() for part in parts]) for i in range(2)]


@pytest.fixture(scope="module")
def reference(written: tuple[nn.Module, OnnxExport]) -> dict[str, Any]:
    document = json.loads(written[1].reference_path.read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


def test_form_of_the_file(written: tuple[nn.Module, OnnxExport]) -> None:
    model = onnx.load(written[1].path)
    onnx.checker.check_model(model, full_check=True)
    described = {}
    for value in (*model.graph.input, *model.graph.output):
        batch, width = value.type.tensor_type.shape.dim
        described[value.name] = (value.type.tensor_type.elem_type, width.dim_value, batch.dim_param)
    assert described == {
        "observables": (onnx.TensorProto.FLOAT, 5, "batch"),
        "log_ratio": (onnx.TensorProto.FLOAT, 4, "batch"),
        "log_ratio_spread": (onnx.TensorProto.FLOAT, 4, "batch"),
    }
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 18)]
    assert model.ir_version == 8
    assert not model.functions


def test_metadata(written: tuple[nn.Module, OnnxExport]) -> None:
    (entry,) = onnx.load(written[1].path).metadata_props
    document = json.loads(entry.value)
    assert entry.key == "h4l"
    assert document["features"][0] == {"name": "m4l", "unit": "GeV", "training_range": [220.0, 2000.0]}
    assert [feature["name"] for feature in document["features"]] == ["m4l", "m_z1", "cos_theta_star", "phi", "pt4l"]
    assert document["numerators"] == ["ggF_S", "ggF_SBI", "ggF_B", "qqZZ"]
    assert (document["reference"], document["estimator"], document["parameters"], document["ensemble_size"]) == (
        "mixture",
        "multiclass",
        [],
        2,
    )
    assert (document["config_hash"], document["training_data_hash"]) == ("c0ffee", "da7a")
    assert document["reference_mixture"] == {"ggF_S": 0.25, "qqZZ": 0.75}
    assert document["toolkit_version"]


def test_log_ratios_from_minus_15_to_15_agree(written: tuple[nn.Module, OnnxExport], events: Events) -> None:
    model, export = written
    expected, spread = torch_float64(model, events)
    ratio = OnnxRatio(export.path)
    assert expected.min() < -10.0
    assert expected.max() > 10.0
    assert np.abs(ratio(events) - expected).max() < 1e-4
    assert np.abs(ratio.spread(events) - spread).max() < 1e-4
    assert export.parity.log_ratio == pytest.approx(np.abs(ratio(events) - expected).max(), rel=0.5)
    assert export.parity.n_rows == len(events)


def test_reference_rows_hold_both_results(written: tuple[nn.Module, OnnxExport], reference: dict[str, Any]) -> None:
    rows = np.array(reference["rows"])
    assert rows.shape == (1000, 5)
    assert reference["columns"] == ["m4l", "m_z1", "cos_theta_star", "phi", "pt4l"]
    for name, expected in zip(("log_ratio", "log_ratio_spread"), torch_float64(written[0], rows), strict=True):
        np.testing.assert_allclose(reference["torch_float64"][name], expected, rtol=0, atol=1e-12)
    session = onnxruntime.InferenceSession(written[1].path, providers=["CPUExecutionProvider"])
    for name in ("log_ratio", "log_ratio_spread"):
        (found,) = session.run([name], {"observables": rows.astype(np.float32)})
        np.testing.assert_allclose(reference["onnxruntime_float32"][name], found, rtol=0, atol=2e-5)


def test_reference_rows_hold_the_tails(written: tuple[nn.Module, OnnxExport], reference: dict[str, Any], events: Events) -> None:
    rows, log_ratio = np.array(reference["rows"]), np.array(reference["torch_float64"]["log_ratio"])
    expected = torch_float64(written[0], events)[0]
    for found, everything in ((rows, events), (log_ratio, expected)):
        np.testing.assert_allclose(found.min(axis=0), everything.min(axis=0), rtol=0, atol=1e-12)
        np.testing.assert_allclose(found.max(axis=0), everything.max(axis=0), rtol=0, atol=1e-12)


def test_reference_file_names_the_model(written: tuple[nn.Module, OnnxExport], reference: dict[str, Any]) -> None:
    export = written[1]
    digest = hashlib.sha256(export.path.read_bytes()).hexdigest()
    assert export.reference_path.name == "ratio.reference.json"
    assert (reference["model"], reference["model_sha256"], export.sha256) == ("ratio.onnx", digest, digest)
    assert sorted(path.name for path in export.path.parent.iterdir()) == ["ratio.onnx", "ratio.onnx.sha256", "ratio.reference.json"]


def test_file_keeps_no_trace_of_the_source(written: tuple[nn.Module, OnnxExport]) -> None:
    content = written[1].path.read_bytes()
    assert b".py" not in content
    assert b"site-packages" not in content


def test_untrained_single_network(make_ensemble: Callable[..., nn.Module], write: Write, events: Events, tmp_path: Path) -> None:
    network = make_ensemble(n_members=1).float().train()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    first = write(network, tmp_path / "a.onnx", rows=events[:100])
    again = write(network, tmp_path / "b.onnx", rows=events[:100])
    assert first.sha256 == again.sha256
    assert first.parity.log_ratio < 1e-6
    assert first.parity.log_ratio_spread is None
    assert first.parity.from_parameters == 0.0
    assert not OnnxRatio(first.path).has_spread
    assert len(json.loads(first.reference_path.read_text())["rows"]) == 100
    assert network.training
    assert all(torch.equal(value, state[name]) and value.dtype == torch.float32 for name, value in network.state_dict().items())


def test_parameters_follow_the_features(write: Write, tmp_path: Path) -> None:
    class Parameterised(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x[:, :1] * x[:, 1:2]

    names = {"features": [Feature("y4l", "", -3, 3)], "parameters": [Feature("mu", "", 0, 6)], "numerators": ["ggF"]}
    export = write(Parameterised(), tmp_path / "theta.onnx", rows=[[1.0, 2.0], [-3.0, 0.5]], **names)
    ratio = OnnxRatio(export.path)
    assert (ratio.features, ratio.parameters) == (("y4l",), ("mu",))
    assert ratio(ratio.columns({"y4l": np.array([1.0, -2.0]), "mu": 3.0})).tolist() == [[3.0], [-6.0]]


class Cancelling(nn.Module):
    """Adds 1e4 and takes it away again: exact in float64, good to 1e-3 in float32."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x[:, :4] / 100.0) + 1e4 * torch.sigmoid(x[:, 2:3]) - 1e4 / (1.0 + torch.exp(-x[:, 2:3]))


def test_network_that_loses_its_digits_is_not_written(write: Write, events: Events, tmp_path: Path) -> None:
    with pytest.raises(ArtifactMismatchError, match=r"not written[\s\S]*log_ratio=[\s\S]*below 0\.0001"):
        write(Cancelling(), tmp_path / "bad.onnx", rows=events[:50])
    assert list(tmp_path.iterdir()) == []


def test_network_that_overflows_in_float32_is_not_written(write: Write, tmp_path: Path) -> None:
    class Overflowing(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.log(torch.exp(x[:, :4]))  # fine in float64 up to 709, in float32 up to 88

    with pytest.raises(ArtifactMismatchError, match=r"not written[\s\S]*inf in row 1"):
        write(Overflowing(), tmp_path / "bad.onnx", rows=np.array([[1.0] * 5, [100.0] * 5]))
    assert list(tmp_path.iterdir()) == []


def test_failed_verification_leaves_the_old_file(write: Write, events: Events, tmp_path: Path) -> None:
    path = tmp_path / "ratio.onnx"
    path.write_bytes(b"the file of an earlier run")
    with pytest.raises(ArtifactMismatchError):
        write(Cancelling(), path, rows=events[:50])
    assert [file.name for file in tmp_path.iterdir()] == ["ratio.onnx"]
    assert path.read_bytes() == b"the file of an earlier run"


class Derivatives(nn.Module):
    """Four log ratios that are multiples of one column."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x[:, 2:3], 2.0 * x[:, 2:3], -x[:, 2:3], 0.5 * x[:, 2:3]], dim=1)


GOOD_ROW = [[300.0, 91.0, 0.5, 0.1, 9.0]]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"rows": [[300.0, 91.0, 0.5, 0.1, np.nan]]}, PhysicsDomainError, "pt4l in row 0"),
        ({"rows": [[300.0, 91.0]]}, ShapeError, r"\(1, 2\)[\s\S]*m4l, m_z1"),
        ({"rows": np.empty((0, 5))}, ShapeError, "n > 0"),
        ({"numerators": ["ggF_S"]}, ShapeError, "outputs of the network"),
        ({"ensemble_size": 3}, ShapeError, "ensemble_size 3"),
        ({"numerators": ["S", "S", "B", "q"]}, SchemaError, "repeated"),
        ({"reference": ""}, SchemaError, "reference"),
    ],
)
def test_wrong_arguments(write: Write, tmp_path: Path, changes: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        write(Derivatives(), tmp_path / "bad.onnx", **({"rows": GOOD_ROW} | changes))
    assert list(tmp_path.iterdir()) == []


def test_network_with_nan_is_refused(write: Write, tmp_path: Path) -> None:
    class Root(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.sqrt(x[:, :4])

    with pytest.raises(PhysicsDomainError, match=r"row 1, numerator 0[\s\S]*nan"):
        write(Root(), tmp_path / "bad.onnx", rows=[[1.0] * 5, [-1.0] * 5])


def test_folder_that_is_a_file(write: Write, events: Events, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("in the way")
    with pytest.raises(InputFileError, match="cannot write"):
        write(Derivatives(), tmp_path / "models" / "ratio.onnx", rows=events[:5])
