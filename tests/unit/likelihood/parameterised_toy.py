"""Densities whose ratio at any theta is known in closed form, as functions and as networks that read theta."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from exports import write_onnx
from toolkit.artifacts.onnx_metadata import Feature
from toolkit.likelihood import Parameter, make_document, write_observation
from toolkit.likelihood.workspace_schema import parse_channel
from toolkit.typing import FloatArray

LOW, HIGH = -1.0, 3.0


class Shifted(torch.nn.Module):
    """ln of a unit Gaussian around theta over the one around 0."""

    def forward(self, x: Any) -> Any:
        """Return (n, 1) of observables and theta (n, 2)."""
        return x[:, 1:2] * (x[:, 0:1] - 0.5 * x[:, 1:2])


class Interfering(torch.nn.Module):
    """ln p(x|mu) / p(x|1) of amplitudes sqrt(mu) s(x) + b(x) with s = x and b = 1 - x on 0 < x < 1: yields S, I, B of 1/3, 1/6 and 1/3."""

    def forward(self, x: Any) -> Any:
        """Return (n, 1) of observables and mu (n, 2)."""
        root, z = torch.sqrt(x[:, 1:2]), x[:, 0:1]
        nu = (x[:, 1:2] + root + 1.0) / 3.0
        return torch.log((root * z + 1.0 - z) ** 2 / nu)


def interfering_likelihood(x: FloatArray, root: FloatArray) -> FloatArray:
    """Return -2 ln L of 60 events per unit, (n_points,), of events x (n,) at sqrt(mu) (n_points,)."""
    density = 60.0 * (root[:, None] * x + 1.0 - x) ** 2
    return np.asarray(2.0 * (60.0 * (root**2 + root + 1.0) / 3.0 - np.log(density).sum(axis=1)))


def write_shifted(folder: Path, x: FloatArray, **changes: Any) -> Any:
    """Write network and events, and return the document of a channel that expects 40 signal and 60 other events."""
    (folder / "models").mkdir(exist_ok=True)
    rows = np.stack([x, np.resize(np.linspace(LOW, HIGH, 41), len(x))], axis=1)
    write_onnx(
        Shifted(),
        folder / "models" / "shifted.onnx",
        features=[Feature("x", "", -10.0, 10.0)],
        parameters=[Feature("theta", "", LOW, HIGH)],
        numerators=("density",),
        reference="theta = 0",
        estimator="closed_form",
        reference_rows=rows,
    )
    write_observation(folder / "data.parquet", {"x": x})
    raw = {
        "name": "sr",
        "observables": ["x"],
        "reference": "theta = 0",
        "model": "models/shifted.onnx",
        "output": "density",
        "inputs": {"theta": "theta"},
        "samples": [
            {"name": "S", "yield": 40.0, "modifiers": [{"type": "morphing", "data": {"coefficient": "1 + 0.1 * theta"}}]},
            {"name": "B", "yield": 60.0},
        ],
        "observation": {"file": "data.parquet", "weight": None},
        **changes,
    }
    return make_document(parameters=[Parameter("theta", 0.5, LOW, HIGH)], unbinned=[parse_channel(raw, where="test")])


def shifted_likelihood(x: FloatArray, theta: FloatArray) -> FloatArray:
    """Return -2 ln L of events x (n,) at theta (n_points,), without the reference density."""
    nu = 100.0 + 4.0 * theta
    return np.asarray(2.0 * (nu - len(x) * np.log(nu) - (theta[:, None] * (x - 0.5 * theta[:, None])).sum(axis=1)))
