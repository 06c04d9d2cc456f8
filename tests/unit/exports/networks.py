"""Small ratio networks with four-lepton inputs."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from exports import Feature

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
