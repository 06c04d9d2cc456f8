"""The network of one systematic variation: ln(varied/nominal density) of every process that it changes, and its loss on pairs of events.

With f_j the logarithm for process j, the loss of a pair (the same event under nominal and varied conditions) is that of a classifier

    l = w_j ln(1 + exp f_j(x)) + w'_j ln(1 + exp -f_j(x'))

with both weights normalised over all events. Its expectation is least at f_j = ln p_j(x|varied) / p_j(x|nominal), for objects that move
(x' differs from x) and for weights that change (w' differs from w) alike; for the latter exp f_j is the mean of the weight ratio at x. An
event that hardly changes is on both sides, so its fluctuation cancels in the gradient, up to the difference f_j(x) - f_j(x').
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from toolkit.ratios.architectures import MLP
from toolkit.ratios.features import FeatureMap

SMALLEST_SCALE = 1e-4
"""Of an output: a variation that moves densities by less is invisible to any analysis."""
RIDGE = 1e-6


class VariationNetwork(nn.Module):
    """A small perceptron whose outputs are given in units of the expected size of the variation.

    Args:
        n_inputs: Width of the input.
        hidden: Widths of the hidden layers.
        scale: Size of the log ratio of each process, (n_processes,); see `output_scale`.
        generator: Source of the initial weights.
    """

    scale: torch.Tensor

    def __init__(self, n_inputs: int, *, hidden: Sequence[int], scale: torch.Tensor, generator: torch.Generator) -> None:
        super().__init__()
        self.layers = MLP(tuple(hidden)).stack(n_inputs, len(scale), generator=generator)
        self.register_buffer("scale", scale)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """Compute ln(varied/nominal density), shape (n, n_processes)."""
        out: torch.Tensor = self.layers(z) * self.scale
        return out


class VariationEnsemble(nn.Module):
    """Feature map, members, their mean, its slope and its normalisation: observables in, log ratios and their spread out.

    Args:
        feature_map: From observables to network inputs.
        members: Trained networks.
        slope: Factor of the mean of the members, (n_processes,).
        offset: Added after it, (n_processes,).
    """

    slope: torch.Tensor
    offset: torch.Tensor

    def __init__(self, feature_map: FeatureMap, members: Sequence[nn.Module], *, slope: torch.Tensor, offset: torch.Tensor) -> None:
        super().__init__()
        self.feature_map = feature_map
        self.members = nn.ModuleList(members)
        self.register_buffer("slope", slope)
        self.register_buffer("offset", offset)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ln(varied/nominal density) and the standard deviation of the members, each (n, n_processes)."""
        z = self.feature_map(x)
        outputs = torch.stack([member(z) for member in self.members])
        mean = outputs.mean(dim=0)
        spread = torch.sqrt(((outputs - mean) ** 2).mean(dim=0))
        return mean * self.slope + self.offset, spread * self.slope


def pair_loss(network: nn.Module, batch: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Compute the mean loss of pairs, each process in units of its squared scale.

    Args:
        network: A `VariationNetwork`.
        batch: Nominal and varied inputs, each (n, n_inputs), and the weights under both, each (n, n_processes); three tensors
            (inputs, weights, varied weights) where the inputs do not change.

    Returns:
        The mean over events and processes, less that of f = 0. Half of ln(1 + exp f) is f / 2 whatever the weights, the rest is
        ln cosh(f / 2), which `log1p` and `sinh` give to the last digit however small f is.
    """
    *inputs, nominal_weight, varied_weight = batch
    nominal = network(inputs[0])
    varied = nominal if len(inputs) == 1 else network(inputs[1])
    loss = nominal_weight * (0.5 * nominal + _log_cosh(0.5 * nominal)) + varied_weight * (_log_cosh(0.5 * varied) - 0.5 * varied)
    scaled: torch.Tensor = loss / torch.as_tensor(network.scale) ** 2
    return scaled.mean()


def _log_cosh(y: torch.Tensor) -> torch.Tensor:
    size = y.abs()
    exact = torch.log1p(2.0 * torch.sinh(0.5 * size.clamp_max(10.0)) ** 2)
    return torch.where(size < 10.0, exact, size - 0.6931471805599453)


def output_scale(nominal: torch.Tensor, varied: torch.Tensor, nominal_weight: torch.Tensor, varied_weight: torch.Tensor) -> torch.Tensor:
    """Estimate the size of ln(varied/nominal density) from means and mean squares of the inputs.

    The best quadratic approximation without mixed terms is theta phi(z) with phi = (z, z^2) and theta = C^-1 d, where d is the difference
    of the means of phi and C its covariance; its standard deviation is sqrt(d C^-1 d).

    Args:
        nominal: Nominal inputs, (n, n_inputs).
        varied: Varied inputs, the same shape.
        nominal_weight: Weights with mean 1, (n, n_processes).
        varied_weight: Varied weights with mean 1, the same shape.

    Returns:
        One number per process, (n_processes,), at least `SMALLEST_SCALE` and at most 1.
    """
    scales = []
    phi0, phi1 = (torch.cat([z, z**2], dim=1).double() for z in (nominal, varied))
    for k in range(nominal_weight.shape[1]):
        w0, w1 = nominal_weight[:, k].double() / len(phi0), varied_weight[:, k].double() / len(phi0)
        centre = w0 @ phi0
        shift = w1 @ phi1 - centre
        centred = phi0 - centre
        covariance = centred.T @ (w0[:, None] * centred)
        ridge = RIDGE * torch.diagonal(covariance).mean().clamp_min(1e-12) * torch.eye(len(shift), dtype=torch.float64)
        size = torch.sqrt((shift @ torch.linalg.solve(covariance + ridge, shift)).clamp_min(0.0))
        scales.append(size.nan_to_num(1.0).clamp(SMALLEST_SCALE, 1.0))
    return torch.stack(scales).float()
