"""Conversion of modules: what is refused, that torch stays quiet, and that tails keep their digits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import logsigmoid

from exports.flat_values import NotFlatError
from exports.onnx_graph import PORTABLE_OPERATORS, NamedOutputs, convert, operators
from toolkit.artifacts.onnx_metadata import Feature, OnnxMetadata
from toolkit.errors import SchemaError, ShapeError
from toolkit.likelihood import OnnxRatio

METADATA = OnnxMetadata((Feature("a", "", -1, 1), Feature("b", "", -1, 1)), ("S", "B"), "ref", "carl")
ROWS = torch.tensor([[0.5, 1.0], [2.0, 3.0]])


class Function(nn.Module):
    def __init__(self, function: Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> object:
        return self.function(x)


def network(function: Callable[[torch.Tensor], object]) -> NamedOutputs:
    return NamedOutputs(Function(function), n_numerators=2)


def evaluate(model: onnx.ModelProto, x: NDArray[np.float64], folder: Path) -> NDArray[np.float64]:
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return OnnxRatio(path, threads=1)(x)


def tails() -> NDArray[np.float64]:
    values = np.linspace(-40.0, 40.0, 801)
    return np.stack([values, values], axis=1)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.log(torch.sigmoid(x)),
        logsigmoid,
        lambda x: 0.5 * (torch.log(torch.sigmoid(x) * 3.0) + torch.log(torch.sigmoid(x) / 3.0)),
    ],
    ids=["log of sigmoid", "logsigmoid", "sigmoid used further"],
)
def test_logarithms_of_sigmoids_keep_their_tails(function: Callable[[torch.Tensor], torch.Tensor], tmp_path: Path) -> None:
    x = tails()
    expected = -np.logaddexp(0.0, -x)
    found = evaluate(convert(network(function), ROWS, metadata=METADATA), x, tmp_path)
    assert np.abs(found - expected).max() < 1e-5


def test_sigmoid_has_relative_precision_outside_hidden_layers(tmp_path: Path) -> None:
    x = tails()
    model = convert(network(torch.sigmoid), ROWS, metadata=METADATA)
    np.testing.assert_allclose(evaluate(model, x, tmp_path), 1.0 / (1.0 + np.exp(-x)), rtol=4e-6)
    assert "Sigmoid" not in operators(model)


def test_activation_stays_a_sigmoid(tmp_path: Path) -> None:
    x = tails()
    model = convert(network(nn.functional.silu), ROWS, metadata=METADATA)
    assert operators(model) == ("Mul", "Sigmoid")
    assert np.abs(evaluate(model, x, tmp_path) - x / (1.0 + np.exp(-x))).max() < 5e-6


@pytest.mark.parametrize("keepdim", [True, False])
def test_log_sum_exp_is_stable_and_portable(keepdim: bool, tmp_path: Path) -> None:
    def normalised(x: torch.Tensor) -> torch.Tensor:
        total = torch.logsumexp(x, dim=1, keepdim=keepdim)
        return x - (total if keepdim else total.unsqueeze(1))

    x = np.array([[500.0, 499.0], [-500.0, -300.0]])
    found = evaluate(convert(network(normalised), ROWS, metadata=METADATA), x, tmp_path)
    np.testing.assert_allclose(found, x - np.logaddexp(x[:, 0], x[:, 1])[:, None], rtol=0, atol=5e-5)


@pytest.mark.parametrize(("low", "high"), [(-1.5, 2.5), (1e-30, None), (None, 0.25)])
def test_clipping_becomes_extrema(low: float | None, high: float | None, tmp_path: Path) -> None:
    x = tails()
    model = convert(network(lambda rows: 2.0 * rows.clamp(low, high)), ROWS, metadata=METADATA)
    assert not {"Clip", "Sigmoid"} & set(operators(model))
    np.testing.assert_allclose(evaluate(model, x, tmp_path), 2.0 * np.clip(x, low, high), rtol=1e-7)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: torch.sort(x, dim=1).values, "TopK"),
        (lambda x: torch.linalg.vector_norm(x, dim=1, keepdim=True).expand(-1, 2), "ReduceL2"),
        (lambda x: (x.double() * 2.0).float(), "DOUBLE"),
        (lambda x: x if bool(x.sum() > 0) else -x, "cannot be converted"),
    ],
    ids=["operator", "another operator", "type", "branch on data"],
)
def test_module_without_portable_form(function: Callable[[torch.Tensor], torch.Tensor], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        convert(network(function), ROWS, metadata=METADATA)


@pytest.mark.parametrize(
    ("function", "got"),
    [
        (lambda x: x[:, 0], r"\(2,\)"),
        (lambda x: (x, x, x), r"\(2, 2\), \(2, 2\), \(2, 2\)"),
        (lambda x: (x, x[:, :1]), r"\(2, 1\)"),
        (lambda x: {"log_ratio": x}, "dict"),
    ],
)
def test_outputs_of_another_form(function: Callable[[torch.Tensor], object], got: str) -> None:
    with pytest.raises(ShapeError, match=got):
        network(function)(ROWS)


def test_exporter_is_quiet_and_restores_the_loggers(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    convert(network(torch.tanh), ROWS, metadata=METADATA)
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert logger.level == before


def _not_flat(*arguments: object, **options: object) -> onnx.ModelProto:
    what = "taken as not flat"
    raise NotFlatError(what)


@pytest.mark.parametrize("traced", [False, True], ids=["written directly", "through torch's exporter"])
def test_every_node_has_a_name_of_its_own(traced: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def several(x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(x) + torch.log(torch.sigmoid(x)) + x.clamp(-1.0, 1.0) + torch.logsumexp(x, dim=1, keepdim=True)

    if traced:
        monkeypatch.setattr("exports.onnx_graph.flat_model", _not_flat)
    names = [node.name for node in convert(network(several), ROWS, metadata=METADATA).graph.node]
    assert len(names) > 10
    assert all(names)
    assert len(set(names)) == len(names)


def test_operators_of_the_list_exist_in_this_opset() -> None:
    known = {schema.name for schema in onnx.defs.get_all_schemas_with_history() if not schema.domain and schema.since_version <= 18}
    assert known >= PORTABLE_OPERATORS
