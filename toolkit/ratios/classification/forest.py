"""Boosted trees of a softmax over classes, on events that count for several classes and may lack features.

LightGBM (extra `trees`) knows one class per event; here an event has a weight w_k under each. With p the softmax of the scores F and
W = sum_k w_k the loss is - sum_k w_k ln p_k, and the trees of every round get

    d loss / d F_k = W p_k - w_k,      d2 loss / d F_k2 = |W| p_k (1 - p_k) K / (K - 1)

with the factor that makes up for the freedom of a common shift (Friedman, Ann. Statist. 29 (2001) 1189, section 4.6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.config import TreesClassifierConfig
from toolkit.errors import FitError
from toolkit.ratios.estimators.trees import TreeOutputs, given_derivatives, import_lightgbm, read_forest
from toolkit.ratios.trainer import OnEpoch
from toolkit.ratios.training_history import TrainingHistory
from toolkit.typing import BoolArray, FloatArray

VALIDATION = 0.1
"""Share of the events that decide how many rounds are kept."""
SMALLEST_CURVATURE = 1e-6
"""Of an event whose class is certain: a leaf of such events stays where it is."""


def grow_forest(
    x: FloatArray, weights: FloatArray, *, config: TreesClassifierConfig, seed: int, threads: int, name: str, on_progress: OnEpoch
) -> tuple[TreeOutputs, TrainingHistory]:
    """Boost until the validation loss stands still.

    Args:
        x: Features as they are, (n, n_features), NaN where missing.
        weights: Of every event under each class, (n, n_classes), either sign, about 1 per event.
        config: Rounds, leaves, shrinkage.
        seed: Of the validation events and of the library.
        threads: Processor threads.
        name: Of what is trained.
        on_progress: Called after every round.

    Returns:
        The logits as a module, (n, n_features) -> (n, n_classes), and the losses.

    Raises:
        MissingExtraError: LightGBM is not installed.
        FitError: Too few events.
    """
    lightgbm = import_lightgbm("architecture boosted_trees")
    if len(x) < 4 * config.min_events:
        raise FitError(f"training events of {name}", got=f"{len(x)}", expected=f">= {4 * config.min_events}", remedy="lower `min_events`")
    held = np.random.default_rng(seed).uniform(size=len(x)) < VALIDATION
    target, used = _Softmax(weights), ~held
    data = lightgbm.Dataset(x[used], label=np.zeros(int(used.sum())), params={"verbosity": -1}, free_raw_data=False)
    booster = lightgbm.Booster(_settings(config, n_classes=weights.shape[1], seed=seed, threads=threads), data)
    scores = np.zeros_like(weights)
    losses: tuple[list[float], list[float]] = ([], [])
    best = 0
    for k in range(config.trees):
        booster.update(fobj=given_derivatives(*target.derivatives(scores, used)))
        scores += booster.predict(x, start_iteration=k, num_iteration=1, raw_score=True).reshape(weights.shape)
        for events, kept in zip((used, held), losses, strict=True):
            kept.append(target.loss(scores, events))
        best = k if losses[1][k] < losses[1][best] else best
        on_progress((k + 1) / config.trees, losses[1][k])
        if k - best >= config.patience:
            break
    trees = read_forest(booster, n_outputs=weights.shape[1], rounds=best + 1, missing=True)
    return TreeOutputs(trees).eval(), TrainingHistory(name, tuple(losses[0]), tuple(losses[1]), best)


@dataclass(frozen=True, eq=False)
class _Softmax:
    """Loss and derivatives of a softmax, of weights (n, n_classes)."""

    weights: FloatArray

    def derivatives(self, scores: FloatArray, events: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Return gradient and curvature by every score, (n, n_classes) each."""
        weights, p = self.weights[events], np.exp(_log_softmax(scores[events]))
        total, n = weights.sum(axis=1, keepdims=True), weights.shape[1]
        return total * p - weights, np.maximum(np.abs(total) * p * (1.0 - p) * n / (n - 1), SMALLEST_CURVATURE)

    def loss(self, scores: FloatArray, events: BoolArray) -> float:
        """Return the cross-entropy per event."""
        return float(-(self.weights[events] * _log_softmax(scores[events])).sum(axis=1).mean())


def _log_softmax(scores: FloatArray) -> FloatArray:
    return np.asarray(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))


def _settings(config: TreesClassifierConfig, *, n_classes: int, seed: int, threads: int) -> dict[str, Any]:
    return {
        "objective": "none",
        "num_class": n_classes,
        "num_leaves": config.leaves,
        "learning_rate": config.learning_rate,
        "min_data_in_leaf": config.min_events,
        "min_sum_hessian_in_leaf": 0.0,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads,
        "seed": seed,
        "verbosity": -1,
    }
