"""Digits of a density that nearly vanishes, as where interference is nearly total: judged in the density, not in its logarithm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from exports import write_onnx
from toolkit.artifacts.onnx_metadata import Feature
from toolkit.errors import ArtifactMismatchError
from toolkit.likelihood import OnnxRatio
from toolkit.likelihood.reference_rows import density_difference

NEAR = 1.0 - 10.0 ** np.linspace(-6.0, -0.5, 400)
"""Rows at which 1 - x keeps fewer and fewer digits in single precision."""


class Total(nn.Module):
    """ln of |1 - x|^2 times e^offset: two amplitudes that cancel at x = 1."""

    def __init__(self, offset: float) -> None:
        super().__init__()
        self.offset = offset

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (n, 1)."""
        return 2.0 * torch.log(1.0 - x) + self.offset


def write(folder: Path, offset: float) -> Path:
    settings = {"features": [Feature("x", "", 0.0, 1.0)], "numerators": ("p",), "reference": "q", "estimator": "closed_form"}
    return write_onnx(Total(offset), folder / "total.onnx", reference_rows=NEAR[:, None], **settings).path


def test_an_event_without_density_does_not_stop_the_export(tmp_path: Path) -> None:
    ratio = OnnxRatio(write(tmp_path, 0.0))
    exact = 2.0 * np.log(1.0 - NEAR)
    difference = ratio(NEAR[:, None])[:, 0] - exact
    assert np.abs(difference).max() > 1e-2  # in the logarithm the limit of 1e-4 is missed by far
    assert np.abs(density_difference(ratio(NEAR[:, None])[:, 0], exact, log_ratio=exact)).max() < 1e-4
    assert ratio.check_reference().log_ratio < 1e-4


def test_the_same_error_where_there_is_density_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactMismatchError):
        write(tmp_path, 27.0)
    assert not list(tmp_path.iterdir())
