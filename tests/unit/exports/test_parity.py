"""What costs digits in float32: each source made large on purpose, and found where `Parity` says it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from exports import OnnxExport, Parity
from exports.onnx_graph import NamedOutputs
from exports.parity import torch_outputs

Write = Callable[..., OnnxExport]
HALF_UNIT = 2.0**-24
"""Largest relative error of rounding to float32."""


@pytest.fixture
def measure(write: Write, events: NDArray[np.float64], tmp_path: Path) -> Callable[[nn.Module], Parity]:
    def call(model: nn.Module) -> Parity:
        return write(model, tmp_path / "ratio.onnx", rows=events[:1000], tolerance=1.0).parity

    return call


class Linear(nn.Module):
    """(m_z1 - 91) * slope: the subtraction is exact, so only the rounding of m_z1 remains."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return ((x[:, 1:2] - 91.0) * self.slope).expand(-1, 4) * 1.0


def test_steep_function_of_a_large_number_is_limited_by_its_input(measure: Callable[[nn.Module], Parity]) -> None:
    parity = measure(Linear(16.0))
    assert 0.2 * 16 * 106 * HALF_UNIT < parity.from_inputs < 16 * 128 * HALF_UNIT
    assert parity.from_parameters == 0.0
    assert parity.from_arithmetic <= 0.25 * parity.from_inputs
    assert abs(parity.log_ratio - parity.from_inputs) <= parity.from_arithmetic


class WideSum(nn.Module):
    """A sum of terms +a and -a besides the result: equal in float64 for every a, with rounding errors in proportion to a."""

    def __init__(self, amplitude: float) -> None:
        super().__init__()
        half = torch.linspace(0.5, 1.5, 64, dtype=torch.float64) * amplitude
        self.register_buffer("frequencies", torch.linspace(0.1, 3.0, 64, dtype=torch.float64).repeat(2))
        self.register_buffer("weights", torch.cat([half, -half])[:, None].expand(-1, 4).contiguous())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        angle = x[:, 3:4]
        return torch.matmul(torch.sin(angle * self.frequencies), self.weights) + angle


def test_cancelling_sums_are_limited_by_their_largest_terms(measure: Callable[[nn.Module], Parity]) -> None:
    small, large = measure(WideSum(0.01)), measure(WideSum(100.0))
    assert small.lowest == pytest.approx(large.lowest, abs=1e-9)
    assert small.log_ratio < 2e-6
    assert large.from_arithmetic > 30 * small.from_arithmetic
    sum_of_terms = 128 * 100.0
    assert 0.1 < large.from_arithmetic / (sum_of_terms * HALF_UNIT) < 10.0


class Rounded(nn.Module):
    """A bias that float32 cannot hold."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("bias", torch.tensor([1000.0 + 2.0**-15, 0.0, 0.0, 0.0], dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(x[:, :4]) + self.bias


def test_parameters_trained_in_float64_are_rounded(measure: Callable[[nn.Module], Parity]) -> None:
    parity = measure(Rounded())
    assert parity.from_parameters == parity.log_ratio == 2.0**-15
    assert (parity.from_inputs, parity.from_arithmetic, parity.between_batches) == (0.0, 0.0, 0.0)
    assert (parity.lowest, parity.highest) == (0.0, 1000.0 + 2.0**-15)


def test_parts_bound_the_whole(written: tuple[nn.Module, OnnxExport]) -> None:
    parity = written[1].parity
    assert parity.log_ratio <= parity.from_inputs + parity.from_parameters + parity.from_arithmetic + parity.between_batches
    assert parity.log_ratio < 1e-4
    assert 0.0 < parity.from_inputs < parity.log_ratio


def test_torch_outputs_do_not_depend_on_the_batches(events: NDArray[np.float64]) -> None:
    rows = np.tile(events, (4, 1))  # 12000 rows: two batches
    network = NamedOutputs(Linear(1.0), n_numerators=4)
    found = torch_outputs(network, rows)["log_ratio"]
    assert np.array_equal(found, np.repeat(rows[:, 1:2] - 91.0, 4, axis=1))
