"""The direct writer against torch, function by function; torch's own exporter takes what it cannot write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional

from exports.flat_trace import flat_model
from exports.flat_values import NotFlatError
from exports.onnx_graph import IR_VERSION, PORTABLE_OPERATORS, NamedOutputs, convert, operators
from toolkit.artifacts.onnx_metadata import Feature, OnnxMetadata
from toolkit.likelihood import OnnxRatio

Step = Callable[[torch.Tensor], torch.Tensor]
METADATA = OnnxMetadata(tuple(Feature(n, "", -1, 1) for n in "abc"), ("S", "B"), "ref", "carl")
ROW = torch.tensor([1.0, -2.0, 0.5])


class Call(nn.Module):
    def __init__(self, step: Step) -> None:
        super().__init__()
        self.step = step

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.step(x),)


def written(step: Step) -> onnx.ModelProto:
    model = flat_model(Call(step), torch.zeros(1, 3), input_name="x", output_names=("y",), opset=18)
    model.ir_version = IR_VERSION
    return model


def rows(n: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(n).normal(0.0, 3.0, (n, 3)).astype(np.float32))


def members(x: torch.Tensor) -> torch.Tensor:
    return torch.stack([x, 2.0 * x, torch.sin(x), x - 1.0])


def objects(x: torch.Tensor) -> torch.Tensor:
    """Two objects of two numbers per event, (n, 2, 2)."""
    return torch.cat([x, x[:, :1] * 0.5], dim=1).reshape(-1, 2, 2)


PER_OBJECT = nn.Sequential(nn.Linear(2, 4), nn.SiLU(), nn.Linear(4, 3)).requires_grad_(False)
LABELS = torch.tensor([[[1.0], [-2.0]]])

FUNCTIONS: dict[str, Step] = {
    "arithmetic": lambda x: (x + ROW) * 2.0 - x / (ROW + 3.0) + torch.sub(x, ROW, alpha=3.0) - (1.0 - x),
    "powers": lambda x: x**2 + x.abs() ** 1.5 + torch.sqrt(x * x) + 1.0 / (x * x + 1.0) + torch.reciprocal(2.0 + x.abs()),
    "trigonometric": lambda x: torch.sin(x) + torch.cos(x) * torch.tanh(x),
    "activations": lambda x: functional.silu(x) + functional.gelu(x) + functional.relu(x) + functional.elu(x) + functional.leaky_relu(x),
    "selu": functional.selu,
    "exponentials": lambda x: torch.log1p(torch.exp(x)) + torch.logaddexp(x, -x) + functional.softplus(x) + functional.logsigmoid(x),
    "limits": lambda x: x.clamp(-1.0, 2.0) + x.clamp_min(0.5) + x.clamp(max=0.25) + torch.maximum(x, ROW) - torch.minimum(x, ROW),
    "conditions": lambda x: torch.where(x > 0.0, x, -3.0) + torch.where(x <= ROW, 1.0, x) + torch.where((x >= 1.0), x, ROW),
    "softmax": lambda x: torch.softmax(x, dim=1) + functional.log_softmax(x, dim=-1) + torch.logsumexp(x, dim=1, keepdim=True),
    "reductions": lambda x: x.sum(dim=1, keepdim=True) + x.mean(dim=1)[:, None] + x.amax(dim=1, keepdim=True) * x.amin(1)[:, None],
    "columns": lambda x: torch.cat([x[:, 1:], x[:, :1] * 2.0, x[:, ::2]], dim=1),
    "no columns": lambda x: torch.cat([x[:, :0] * 2.0, members(x)[:, :, :0].mean(dim=0), x[:, :1], x[:, 3:]], dim=1),
    "single columns": lambda x: torch.stack([x[:, 0] * x[:, -1], torch.exp(-(x[:, 1] ** 2)), x[:, 2]], dim=1),
    "constants": lambda x: torch.cat([torch.zeros_like(x[:, :1]), x, torch.ones(len(x), 2), ROW.expand(len(x), 3)], dim=1),
    "only constants": lambda x: torch.full((len(x), 2), 1.5) + torch.tensor([1.0, 2.0]),
    "split": lambda x: torch.cat(list(torch.split(x, [1, 2], dim=1))[::-1], dim=1) * x.unbind(dim=1)[1][:, None],
    "matrix": lambda x: x @ torch.arange(6.0).reshape(3, 2) + functional.linear(x, torch.ones(2, 3), torch.tensor([0.5, 1.0])),
    "repeated column": lambda x: x[:, 1:2].expand(-1, 3) + x[:, :1].expand(len(x), 3) * x,
    "order": lambda x: torch.index_select(x, 1, torch.tensor([2, 0, 1])),
    "mean of members": lambda x: members(x).mean(dim=0),
    "spread of members": lambda x: torch.sqrt(((members(x) - members(x).mean(dim=0, keepdim=True)) ** 2).mean(dim=0)),
    "choice of members": lambda x: members(x)[2] - members(x)[1:3].sum(dim=0) + members(x).amax(dim=0),
    "softmax of members": lambda x: torch.logsumexp(functional.log_softmax(members(x), dim=-1), dim=0),
    "factors of members": lambda x: (members(x) * torch.tensor([1.0, 2.0, 3.0, 4.0])[:, None, None]).sum(dim=0),
    "input": lambda x: x,
    "truth as number": lambda x: (x > 0.5).to(x.dtype) * 3.0 + x,
    "objects": lambda x: objects(x).sum(dim=1) - objects(x)[:, 1] + objects(x).amax(dim=1),
    "network per object": lambda x: PER_OBJECT(objects(x)).mean(dim=1),
    "missing objects": lambda x: (PER_OBJECT(objects(x)) * torch.where(x[:, :2] > 0, 1.0, 0.0).reshape(-1, 2, 1)).sum(dim=1),
    "objects side by side": lambda x: PER_OBJECT(objects(x)).reshape(len(x), -1) * 2.0,
    "network per member": lambda x: PER_OBJECT(members(x)[:, :, :2]).mean(dim=0),
    "labels of objects": lambda x: PER_OBJECT(torch.cat([objects(x)[:, :, 1:], LABELS.expand(len(x), -1, -1)], dim=2)).sum(dim=1),
    "first state": lambda x: PER_OBJECT(torch.zeros_like(objects(x)[:, 0, :1]).expand(-1, 2)) * x,
    "exchanged axes": lambda x: (objects(x).transpose(0, 1) + x[:, :2]).sum(dim=0),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_agree_with_torch(name: str) -> None:
    model = written(FUNCTIONS[name])
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for n in (1, 5, 37):
        x = rows(n)
        np.testing.assert_allclose(session.run(None, {"x": x.numpy()})[0], FUNCTIONS[name](x).numpy(), rtol=2e-5, atol=2e-6)
    assert set(operators(model)) <= PORTABLE_OPERATORS | {"Identity"}
    assert not {"Shape", "Reshape", "Expand", "Gather"} & set(operators(model))


def test_same_step_is_written_once() -> None:
    model = written(lambda x: torch.sin(x) * torch.sin(x) + torch.sin(x))
    assert [node.op_type for node in model.graph.node] == ["Sin", "Mul", "Add"]


def test_unused_steps_are_left_out() -> None:
    def step(x: torch.Tensor) -> torch.Tensor:
        _ = torch.cos(x) * ROW
        return torch.sin(x)

    model = written(step)
    assert [node.op_type for node in model.graph.node] == ["Sin"]
    assert not model.graph.initializer


@pytest.mark.parametrize(
    "step",
    [
        lambda x: torch.sort(x, dim=1).values,
        lambda x: (x.double() * 2.0).float(),
        lambda x: x if bool(x.sum() > 0) else -x,
        lambda x: x - x.mean(dim=0),
        lambda x: x[1:],
        lambda x: x[:, :1] @ x[:1],
        lambda x: x[:, 0] + x[:, :1],
        lambda x: x[:, 0],
        lambda x: x > 0.0,
    ],
    ids=["operation", "type", "branch", "mean of events", "fewer events", "product", "outer sum", "one axis", "truth value"],
)
def test_steps_that_are_not_flat(step: Step) -> None:
    with pytest.raises(NotFlatError):
        written(step)


def test_exporter_of_torch_takes_the_rest(tmp_path: Path) -> None:
    def step(x: torch.Tensor) -> torch.Tensor:
        pairs = x[:, :2].reshape(-1, 2, 1) * torch.ones(1, 2, 3)
        return pairs.sum(dim=2)

    with pytest.raises(NotFlatError):
        written(step)
    path = tmp_path / "model.onnx"
    path.write_bytes(convert(NamedOutputs(Call(step), n_numerators=2), torch.zeros(1, 3), metadata=METADATA).SerializeToString())
    np.testing.assert_allclose(OnnxRatio(path, threads=1)(rows(9).numpy()), 3.0 * rows(9).numpy()[:, :2], rtol=1e-6)
