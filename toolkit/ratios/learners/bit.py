"""BIT: boosted trees on the coefficients of the ratio, positive by construction.

The mean of a joint weight ratio at fixed observables is the marginal ratio, so that squared errors of the joint ratios, weighted with the
reference, have the ratios as their minimum. For the matrix M of interfering amplitudes (each at its yield, over the reference) the trees
give a lower triangular matrix L with M = L L^T, for a process of one amplitude the square root of its ratio:

    loss = sum over events  w_ref sum_classes || L L^T - M_joint ||^2,      d loss / d L = 4 w_ref (L L^T - M_joint) L

so that no density is negative at any parameter point. One forest of LightGBM (extra `trees`) has one tree per entry of L in every round.

When to use: tables without structure, few events, no time to tune: trees need no scaling of inputs.

References:
    Chatterjee, Frohner, Lechner, Schoefbeck, Schwarz, arXiv:2107.10859; Chatterjee, Rohshap, Schoefbeck, Schwarz, arXiv:2205.12976.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from toolkit.config.ratios import BitConfig
from toolkit.errors import FitError
from toolkit.ratios.estimators.trees import Trees, TreeSum, given_derivatives, import_lightgbm, read_forest
from toolkit.ratios.features import FeatureMap
from toolkit.ratios.heads import density_weights, heads_of_matrices
from toolkit.ratios.structure import Mixture
from toolkit.ratios.targets import Targets
from toolkit.ratios.trainer import OnEpoch
from toolkit.ratios.training import require_classes
from toolkit.ratios.training_history import TrainingHistory
from toolkit.typing import BoolArray, FloatArray

DAMPING = 0.1
"""Added to the curvature of every entry, in units of the reference weight: entries near zero have none."""
SMALLEST = 1e-3
"""Smallest root of a ratio: trees may meet zero, whose logarithm does not exist."""


class TreeHeads(nn.Module):
    """Trees of the entries of L, as heads of the mixture.

    Args:
        trees: Of every entry, the classes one after the other, rows of L one after the other.
        start: Value of every entry without trees, (n_entries,).
        mixture: Meaning of the heads.
    """

    start: torch.Tensor

    def __init__(self, trees: Sequence[Trees], start: torch.Tensor, mixture: Mixture) -> None:
        super().__init__()
        self.sums = nn.ModuleList([TreeSum(t) for t in trees])
        self.register_buffer("start", start)
        self.mixture = mixture

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the heads, shape (n, n_heads)."""
        entries = [tree_sum(x) + self.start[k] for k, tree_sum in enumerate(self.sums)]
        matrices, first = [], 0
        for c in self.mixture.classes:
            rows = []
            for k in range(c.n_amplitudes):
                rows.append(entries[first : first + k + 1])
                first += k + 1
            lengths = [torch.sqrt(sum((a * a for a in row), torch.zeros_like(row[0])).clamp_min(SMALLEST**2)) for row in rows]
            yields = dict(zip(c.pairs, c.yields, strict=True))
            squares = [2.0 * torch.log(length) + torch.log(torch.tensor(yields[k, k], dtype=x.dtype)) for k, length in enumerate(lengths)]
            coherences = {
                (m, k): sum((a * b for a, b in zip(rows[m], rows[k], strict=False)), torch.zeros_like(lengths[0]))
                / (lengths[m] * lengths[k])
                for m, k in c.pairs
                if m != k
            }
            matrices.append((squares, coherences))
        return heads_of_matrices(matrices, self.mixture)


@dataclass(frozen=True)
class BitLearner:
    """Grows a forest; see `interface.Learner`."""

    def network(self, feature_map: FeatureMap, *, mixture: Mixture, config: BitConfig) -> TreeHeads:
        """Return a module without trees."""
        del feature_map, config
        n = sum(c.n_amplitudes * (c.n_amplitudes + 1) // 2 for c in mixture.classes)
        empty = Trees(np.zeros((1, 1), dtype=np.int64), np.zeros((1, 1)), np.zeros((1, 1, 1)), np.zeros((1, 1)))
        return TreeHeads([empty] * n, torch.zeros(n, dtype=torch.float64), mixture)

    def train(
        self,
        inputs: torch.Tensor,
        targets: Targets,
        *,
        feature_map: FeatureMap,
        mixture: Mixture,
        config: BitConfig,
        seed: int,
        on_progress: OnEpoch,
        checkpoint: Path | None,
    ) -> tuple[nn.Module, tuple[TrainingHistory, ...]]:
        """Grow the forest; it takes seconds, so that nothing is kept on the way.

        Raises:
            MissingExtraError: LightGBM is not installed.
            FitError: Too few events for two leaves, or a class without weight.
        """
        del feature_map, checkpoint
        require_classes(targets, mixture)
        x = inputs.double().numpy()
        weights, joint = joint_matrices(targets, mixture)
        keep = weights > 0
        x, weights, joint = x[keep], weights[keep] / weights[keep].mean(), [m[keep] for m in joint]
        if len(x) < 4 * config.min_events:
            raise FitError("training events", got=f"{len(x)}", expected=f">= {4 * config.min_events}", remedy="lower ratios.min_events")
        held = np.random.default_rng(seed).uniform(size=len(x)) < config.validation_fraction
        forest = _Forest(weights, joint, held, start=_start(weights, joint))
        booster, history = forest.grow(x, config=config, seed=seed, on_progress=on_progress)
        trees = read_forest(booster, n_outputs=len(forest.start), rounds=history.best_epoch + 1)
        return TreeHeads(trees, torch.from_numpy(forest.start), mixture).eval(), (history,)


def joint_matrices(targets: Targets, mixture: Mixture) -> tuple[FloatArray, list[FloatArray]]:
    """Return the reference weight of every event, (n,), and for every class its joint matrix over the reference.

    Returns:
        Weights, and matrices (n, n_amplitudes, n_amplitudes), each amplitude at its yield; zero where the weight is.
    """
    weights = density_weights(targets, mixture).double().numpy()
    fractions = mixture.reference_fractions()
    reference = weights @ np.array([fractions[name] for name in mixture.processes])
    safe = np.where(reference > 0, reference, 1.0)
    matrices, start = [], 0
    for c in mixture.classes:
        yields = np.array(c.yields)
        densities = weights[:, start : start + len(yields)] * (yields / safe[:, None])
        start += len(yields)
        column = {pair: densities[:, k] for k, pair in enumerate(c.pairs)}
        scale = np.sqrt([yields[c.pairs.index((k, k))] for k in range(c.n_amplitudes)])
        matrix = np.zeros((len(weights), c.n_amplitudes, c.n_amplitudes))
        for m, k in c.pairs:
            product = column[m, k] if m == k else 0.5 * (column[m, k] - column[m, m] - column[k, k])
            matrix[:, m, k] = matrix[:, k, m] = product / (scale[m] * scale[k])
        matrices.append(matrix)
    return reference, matrices


def _start(weights: FloatArray, joint: Sequence[FloatArray]) -> FloatArray:
    """Return the entries of L that give the mean matrices, one class after the other."""
    parts = []
    for matrix in joint:
        mean = np.average(matrix, axis=0, weights=weights)
        lower = np.linalg.cholesky(mean + 1e-3 * np.trace(mean) * np.eye(len(mean)))
        parts += [lower[k, m] for k in range(len(mean)) for m in range(k + 1)]
    return np.array(parts)


@dataclass
class _Forest:
    """Loss and derivatives of the entries of L, for the library.

    Attributes:
        weights: Reference weights, (n,).
        joint: Joint matrices of every class.
        held: Validation events.
        start: Entries without trees.
    """

    weights: FloatArray
    joint: list[FloatArray]
    held: BoolArray
    start: FloatArray

    def grow(self, x: FloatArray, *, config: BitConfig, seed: int, on_progress: OnEpoch) -> tuple[Any, TrainingHistory]:
        """Boost until the validation loss stands still."""
        lightgbm = import_lightgbm("estimator bit")
        used = ~self.held
        data = lightgbm.Dataset(x[used], label=np.zeros(int(used.sum())), params={"verbosity": -1}, free_raw_data=False)
        booster = lightgbm.Booster(self._settings(config, seed), data)
        entries = np.tile(self.start, (len(x), 1))
        losses: tuple[list[float], list[float]] = ([], [])
        best = 0
        for k in range(config.trees):
            gradient, hessian = self.derivatives(entries[used], used)
            booster.update(fobj=given_derivatives(gradient, hessian))
            entries += booster.predict(x, start_iteration=k, num_iteration=1, raw_score=True).reshape(len(x), -1)
            for events, kept in zip((used, self.held), losses, strict=True):
                kept.append(self.loss(entries[events], events))
            best = k if losses[1][k] < losses[1][best] else best
            on_progress((k + 1) / config.trees, losses[1][k])
            if k - best >= config.patience:
                break
        return booster, TrainingHistory("trees", tuple(losses[0]), tuple(losses[1]), best)

    def derivatives(self, entries: FloatArray, events: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Return gradient and Gauss-Newton curvature of the loss by every entry, (n, n_entries) each."""
        gradient, hessian = np.empty_like(entries), np.empty_like(entries)
        weights, first = self.weights[events], 0
        for matrix in self.joint:
            n = matrix.shape[1]
            rows, columns = np.tril_indices(n)
            own = slice(first, first + len(rows))
            lower = np.zeros((len(entries), n, n))
            lower[:, rows, columns] = entries[:, own]
            residual = lower @ lower.transpose(0, 2, 1) - matrix[events]
            gradient[:, own] = (4.0 * residual @ lower)[:, rows, columns] * weights[:, None]
            lengths = (lower**2).sum(axis=1)  # of the columns of L
            hessian[:, own] = (4.0 * (lengths[:, columns] + entries[:, own] ** 2) + DAMPING) * weights[:, None]
            first = own.stop
        return gradient, hessian

    def loss(self, entries: FloatArray, events: BoolArray) -> float:
        """Return the mean squared error of the matrices."""
        total, first = np.zeros(len(entries)), 0
        for matrix in self.joint:
            n = matrix.shape[1]
            rows, columns = np.tril_indices(n)
            lower = np.zeros((len(entries), n, n))
            lower[:, rows, columns] = entries[:, first : first + len(rows)]
            total += ((lower @ lower.transpose(0, 2, 1) - matrix[events]) ** 2).sum(axis=(1, 2))
            first += len(rows)
        return float(np.average(total, weights=self.weights[events]))

    def _settings(self, config: BitConfig, seed: int) -> dict[str, Any]:
        return {
            "objective": "none",
            "num_class": len(self.start),
            "num_leaves": config.leaves,
            "learning_rate": config.learning_rate,
            "min_data_in_leaf": config.min_events,
            "min_sum_hessian_in_leaf": 0.0,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": config.threads,
            "seed": seed,
            "verbosity": -1,
        }
