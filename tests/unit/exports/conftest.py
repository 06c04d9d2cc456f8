"""Small ratio networks with four-lepton inputs, and a writer that knows their names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from exports import Feature, OnnxExport, write_onnx

FEATURES = (
    Feature("m4l", "GeV", 220.0, 2000.0),
    Feature("m_z1", "GeV", 50.0, 106.0),
    Feature("cos_theta_star", "", -1.0, 1.0),
    Feature("phi", "rad", -np.pi, np.pi),
    Feature("pt4l", "GeV", 0.0, 5000.0),
)
NUMERATORS = ("ggF_S", "ggF_SBI", "ggF_B", "qqZZ")

Events = NDArray[np.float64]


def make_events(n: int, seed: int) -> Events:
    """Draw columns with the shapes of the real ones: falling mass, a resonance, flat angles, a heavy tail."""
    generator = np.random.default_rng(seed)
    m4l = np.minimum(220.0 * (1.0 - generator.random(n)) ** (-1 / 3), 2000.0)
    m_z1 = np.clip(91.19 + 1.5 * generator.standard_t(2, n), 50.0, 106.0)
    pt4l = np.minimum(np.exp(generator.normal(3.2, 1.2, n)), 5000.0)
    return np.stack([m4l, m_z1, generator.uniform(-1, 1, n), generator.uniform(-np.pi, np.pi, n), pt4l], axis=1)


class Ensemble(nn.Module):
    """Standardisation, multilayer perceptrons, their mean and spread."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, x: Events, *, n_members: int, width: int = 32) -> None:
        super().__init__()
        inputs = self.transform(torch.from_numpy(x))
        self.register_buffer("mean", inputs.mean(dim=0))
        self.register_buffer("scale", inputs.std(dim=0))
        self.members = nn.ModuleList(
            nn.Sequential(nn.Linear(5, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 4)) for _ in range(n_members)
        )
        self.double()

    @staticmethod
    def transform(x: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.log((x[:, :1] / 220.0).clamp_min(1e-30)), x[:, 1:4], torch.log(1.0 + x[:, 4:] / 20.0)], dim=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        z = ((self.transform(x) - self.mean) / self.scale).clamp(-6.0, 6.0)
        outputs = torch.stack([member(z) for member in self.members])
        mean = outputs.mean(dim=0)
        return (mean, torch.sqrt(((outputs - mean) ** 2).mean(dim=0))) if len(self.members) > 1 else mean

    @torch.no_grad()
    def stretch(self, x: Events, *, low: float, high: float) -> None:
        """Scale the last layers so that every output of every member spans low ... high on x."""
        z = ((self.transform(torch.from_numpy(x)) - self.mean) / self.scale).clamp(-6.0, 6.0)
        for member in self.members:
            outputs, last = member(z), member[-1]
            lowest, highest = outputs.min(dim=0).values, outputs.max(dim=0).values
            factor = (high - low) / (highest - lowest)
            last.weight.mul_(factor[:, None])
            last.bias.copy_((last.bias - lowest) * factor + low)


@pytest.fixture(scope="session")
def events() -> Events:
    return make_events(3000, seed=1)


@pytest.fixture(scope="session")
def make_ensemble(events: Events) -> Callable[..., Ensemble]:
    def make(*, n_members: int = 2, seed: int = 3) -> Ensemble:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return Ensemble(events, n_members=n_members)

    return make


@pytest.fixture(scope="session")
def write() -> Callable[..., OnnxExport]:
    """Call write_onnx with the names above; keywords replace them."""

    def call(model: nn.Module, path: Path, *, rows: Any, **changes: Any) -> OnnxExport:
        options: dict[str, Any] = {"features": FEATURES, "numerators": NUMERATORS, "reference": "mixture", "estimator": "multiclass"}
        return write_onnx(model, path, reference_rows=rows, **(options | changes))

    return call


@pytest.fixture(scope="session")
def written(
    make_ensemble: Callable[..., Ensemble], write: Callable[..., OnnxExport], events: Events, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Ensemble, OnnxExport]:
    """An ensemble of two with log ratios in -15 ... 15, written once for all tests that only read it."""
    ensemble = make_ensemble()
    ensemble.stretch(events, low=-15.0, high=15.0)
    path = tmp_path_factory.mktemp("models") / "ratio.onnx"
    facts = {"config_hash": "c0ffee", "training_data_hash": "da7a", "reference_mixture": {"ggF_S": 0.25, "qqZZ": 0.75}}
    return ensemble, write(ensemble, path, rows=events, ensemble_size=2, **facts)
