"""Quasi-parametric: the network gives the coefficients of the exact theta dependence.

    r(x|theta) = sum_k t_k(theta) q_k(x) * nu_ref / nu(theta),      q_k(x) = (density of term k) / (density of the reference),

with the terms t_k of the hypotheses: only the q_k are learned, at random theta with the loss of `alice`, and the dependence on theta is
exact between and beyond the points that were drawn. They are drawn such that every term dominates in some of the mixtures that
the network has to tell from the reference: a one-per-cent signal would otherwise be learned as badly as it is seen.

The interfering terms come from squared amplitudes: with the amplitudes' powers u_a(theta) they form a quadratic form u^T M(x) u whose
matrix is positive, M_ab = sqrt(d_a d_b) R_ab with d = exp(outputs) and a correlation matrix R (rows of a triangular matrix, normalised).
Backgrounds are exponentials. The density is thus positive at every theta and every event, and the interference an output of its
own. While learning, the yield of every background is drawn too, which tells it from a constant term of the interfering
processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from toolkit.errors import SchemaError
from toolkit.ratios.batches import Batch
from toolkit.ratios.estimators.losses import cross_entropy_loss
from toolkit.ratios.estimators.models import ParameterisedModel, ProcessModel
from toolkit.ratios.estimators.parameterised import require_positive_yield
from toolkit.ratios.estimators.preparation import NetworkEstimator, build_network, prepare, train
from toolkit.ratios.estimators.squares import SumOfSquares
from toolkit.ratios.estimators.theta import BalancedTheta, Terms, ThetaBatches, ThetaPrior
from toolkit.ratios.features import FeatureMap
from toolkit.ratios.trainer import in_memory
from toolkit.typing import FloatArray, Progress, silent_progress
from toolkit.weights import SimulatedEvents
from toolkit.weights.hypotheses import Hypotheses


@dataclass(frozen=True)
class QuasiParametric(NetworkEstimator):
    """Coefficients of the exact theta dependence.

    Args:
        theta: Where theta is drawn from during the training; may reach beyond the ranges, because the dependence is exact.
        background_range: Lowest and highest yield of each background while learning, relative to that of the interfering
            processes at the drawn theta, uniform in the logarithm.
    """

    theta: ThetaPrior = field(default_factory=BalancedTheta)
    background_range: tuple[float, float] = (0.1, 10.0)

    name: ClassVar[str] = "quasi_parametric"

    def fit(
        self,
        events: SimulatedEvents,
        *,
        features: Sequence[str],
        hypotheses: Hypotheses,
        progress: Progress = silent_progress,
        folder: Path | None = None,
    ) -> QuasiParametricModel:
        """Train the network; the arguments are those of `ParameterisedEstimator.fit`.

        Raises:
            SchemaError: The monomials of the morphing are not those of squared amplitudes, or `background_range` is not a range.
        """
        low, high = self.background_range
        if not 0.0 < low <= high:
            raise SchemaError("background_range", got=self.background_range, expected="0 < low <= high")
        prepared = prepare(events, features=features, hypotheses=hypotheses, settings=self)
        terms, squares = Terms(hypotheses), SumOfSquares.build(hypotheses)
        require_positive_yield(self.theta, hypotheses, terms)
        network = build_network(prepared, settings=self, n_outputs=squares.n_outputs)
        n_backgrounds = len(hypotheses.backgrounds)
        batches = ThetaBatches(
            in_memory(prepared.context, self.training),
            prior=self.theta,
            hypotheses=hypotheses,
            terms=terms,
            seed=self.training.seed,
            n_extra=n_backgrounds,
        )
        device = self.training.device
        loss = QuasiParametricLoss(Terms(hypotheses).float().to(device), SumOfSquares.build(hypotheses).float().to(device), low, high)
        history = train(network, loss, batches, settings=self, name=self.name, key=f"{low} {high}", progress=progress, folder=folder)
        at_theta = AtTheta(prepared.feature_map, terms, squares, network).double().eval()
        processes = ByProcess(prepared.feature_map, squares, network, hypotheses).double().eval()
        by_process = ProcessModel(self.name, prepared.columns, hypotheses, (history,), processes)
        return QuasiParametricModel(self.name, prepared.columns, hypotheses, (history,), at_theta, by_process)


@dataclass(frozen=True, eq=False)
class QuasiParametricModel(ParameterisedModel):
    """A network of coefficients: the ratio at any theta, and the ratios of all processes.

    Attributes:
        by_process: The same network as log p_j / p_ref of every process.
    """

    by_process: ProcessModel

    @property
    def numerators(self) -> tuple[str, ...]:
        """Names of the columns of `log_ratios`."""
        return self.by_process.numerators

    def log_ratios(self, x: FloatArray) -> FloatArray:
        """Compute log p_j(x) / p_ref(x) of every process, (n, n_processes)."""
        return self.by_process.log_ratios(x)

    def to_onnx(self, path: str | Path, *, writer: Any, reference_rows: FloatArray, by_process: bool = True, **more: Any) -> Any:
        """Write the ratios of all processes, or with `by_process=False` the ratio with theta as further input columns."""
        target: Any = self.by_process.to_onnx if by_process else super().to_onnx
        return target(path, writer=writer, reference_rows=reference_rows, **more)


@dataclass(frozen=True, eq=False)
class QuasiParametricLoss:
    """The loss of `alice` for a network of coefficients, on a batch (inputs, terms, reference, coin, v, extra)."""

    terms: Terms
    squares: SumOfSquares
    low: float
    high: float

    def __call__(self, network: nn.Module, batch: Batch) -> torch.Tensor:
        """Return the mean over the events of the batch."""
        inputs, weights, b, _, v, extra = batch
        n_monomials = weights.shape[1] - extra.shape[1]
        monomials, share = self.terms(v)[:, :n_monomials], self.terms.share
        interfering = (monomials @ share[:n_monomials])[:, None]
        factors = self.low * (self.high / self.low) ** extra * interfering / share[n_monomials:]
        t = torch.cat([monomials, factors], dim=1)
        total = t @ self.terms.share
        a = (weights * t).sum(dim=1) / total
        density = self.squares(network(inputs), self.terms.to_u(v), factors)
        return cross_entropy_loss(torch.log(density) - torch.log(total), a, b).mean()


class AtTheta(nn.Module):
    """Observables and theta -> log ratio, (n, n_features + n_parameters) -> (n, 1)."""

    def __init__(self, feature_map: FeatureMap, terms: Terms, squares: SumOfSquares, network: nn.Module) -> None:
        super().__init__()
        self.feature_map, self.terms, self.squares, self.network = feature_map, terms, squares, network
        self.n_features = len(feature_map.features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute log p(x|theta) / p_ref(x), (n, 1)."""
        v = self.terms.from_theta(x[:, self.n_features :])
        outputs = self.network(self.feature_map(x[:, : self.n_features]))
        factors = torch.ones_like(outputs[:, : self.squares.n_backgrounds])
        density = self.squares(outputs, self.terms.to_u(v), factors)
        out = torch.log(density) - torch.log(self.terms(v) @ self.terms.share)
        return out.reshape(-1, 1)


class ByProcess(nn.Module):
    """Observables -> log p_j / p_ref of every process, (n, n_features) -> (n, n_processes)."""

    rows: torch.Tensor
    offset: torch.Tensor

    def __init__(self, feature_map: FeatureMap, squares: SumOfSquares, network: nn.Module, hypotheses: Hypotheses) -> None:
        super().__init__()
        self.feature_map, self.squares, self.network = feature_map, squares, network
        self.register_buffer("rows", torch.from_numpy(np.ascontiguousarray(hypotheses.rows)))
        self.register_buffer("offset", torch.from_numpy(np.log(hypotheses.yields / hypotheses.reference_yield)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the log ratios; NaN where the combination of terms of a process is not positive."""
        terms = self.squares.terms(self.network(self.feature_map(x)))
        return torch.log(terms @ self.rows.T) - self.offset
