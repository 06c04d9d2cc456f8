"""Calibration curves as a torch module, to be exported together with the network that they calibrate."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import nn

from toolkit.ratios.curves import MixtureCurves


class CurvesModule(nn.Module):
    """Calibrate log p_j / p_ref, (n, n_processes), exactly as `MixtureCurves` does.

    Only sums, products, minima and comparisons are used, so that every ONNX runtime has the operators.

    Args:
        curves: The fitted curves.
        dtype: Type of the buffers.
    """

    base: torch.Tensor
    log_reference: torch.Tensor

    def __init__(self, curves: MixtureCurves, *, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        self.n_processes = len(curves.processes)
        base = np.array([curve.base for curve in curves.curves]) + curves.shift
        self.register_buffer("base", torch.tensor(base, dtype=dtype))
        self.in_reference = [j for j, share in enumerate(curves.reference) if share > 0]
        self.register_buffer("log_reference", torch.tensor(np.log(curves.reference[self.in_reference]), dtype=dtype))
        for j, curve in enumerate(curves.curves):
            self.register_buffer(f"knots_{j}", torch.tensor(curve.knots, dtype=dtype))
            self.register_buffer(f"widths_{j}", torch.tensor(np.diff(curve.knots), dtype=dtype))
            self.register_buffer(f"coefficients_{j}", torch.tensor(curve.coefficients.T.copy(), dtype=dtype))
            self.register_buffer(f"thresholds_{j}", torch.tensor(curve.thresholds, dtype=dtype))
            self.register_buffer(f"jumps_{j}", torch.tensor(curve.jumps, dtype=dtype))

    def forward(self, log_ratios: torch.Tensor) -> torch.Tensor:
        """Return the calibrated log ratios, shape (n, n_processes)."""
        columns = [self._curve(j, log_ratios[:, j : j + 1]) for j in range(self.n_processes)]
        shares = torch.stack([columns[j] for j in self.in_reference], dim=1) + self.log_reference
        calibrated: torch.Tensor = torch.stack(columns, dim=1) - torch.logsumexp(shares, dim=1, keepdim=True)
        return calibrated

    def _buffer(self, name: str, j: int) -> torch.Tensor:
        return cast("torch.Tensor", getattr(self, f"{name}_{j}"))

    def _curve(self, j: int, x: torch.Tensor) -> torch.Tensor:
        """One column (n, 1) -> (n,)."""
        knots, thresholds = self._buffer("knots", j), self._buffer("thresholds", j)
        y = self.base[j] + torch.zeros_like(x[:, 0])
        if len(knots):
            y = y + torch.relu(x[:, 0] - knots[-1]) - torch.relu(knots[0] - x[:, 0])
        if len(knots) > 1:
            c1, c2, c3 = self._buffer("coefficients", j)
            d = torch.minimum(torch.relu(x - knots[:-1]), self._buffer("widths", j))
            y = y + (d * (c1 + d * (c2 + d * c3))).sum(dim=1)
        if len(thresholds):
            y = y + ((x >= thresholds).to(x.dtype) * self._buffer("jumps", j)).sum(dim=1)
        return y


class CalibratedRatio(nn.Module):
    """A network followed by calibration curves: what is exported.

    Args:
        network: Observables (n, n_features) -> log p_j / p_ref (n, n_processes), or that and its spread.
        curves: The fitted curves.
    """

    def __init__(self, network: nn.Module, curves: MixtureCurves) -> None:
        super().__init__()
        self.network = network
        self.curves = CurvesModule(curves)

    def forward(self, x: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """Return the calibrated log ratios, and the spread (uncalibrated) if the network gives one."""
        out = self.network(x)
        if isinstance(out, tuple):
            return self.curves(out[0]), out[1]
        return cast("torch.Tensor", self.curves(out))
