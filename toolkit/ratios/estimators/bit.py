"""BIT: boosted trees on the polynomial coefficients of the ratio.

    r(x|theta) = sum_k t_k(theta) q_k(x) * nu_ref / nu(theta),      q_k(x) = E[ W_k / W_ref | x ]

The mean of the joint weight ratio at fixed observables is the marginal ratio, so that every coefficient q_k is a weighted
least-squares regression: trees that minimise  E_ref[ (W_k / W_ref - q_k(x))^2 ]. The theta dependence is exact. Trees are quick on
tables, need no scaling of inputs and are robust; positivity is not built in, and a density that is not positive is an error
that names the event.

The trees are LightGBM's (`pip install h4l-toolkit[trees]`), with its squared-error objective and event weights.

References:
    Chatterjee, Frohner, Lechner, Schoefbeck, Schwarz, "Tree boosting for learning EFT parameters", arXiv:2107.10859;
    Chatterjee, Rohshap, Schoefbeck, Schwarz, "Learning the EFT likelihood with tree boosting", arXiv:2205.12976.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from toolkit.errors import FitError, MissingExtraError
from toolkit.ratios.estimators.combination import require_positive
from toolkit.ratios.estimators.models import TrainedModel, Writer, write_parameterised
from toolkit.ratios.estimators.preparation import describe_columns
from toolkit.ratios.estimators.theta import Terms
from toolkit.ratios.estimators.trees import TreeRatio, read_trees
from toolkit.ratios.features import feature_matrix
from toolkit.ratios.training_history import TrainingHistory
from toolkit.typing import FloatArray, Progress, silent_progress
from toolkit.weights import SimulatedEvents
from toolkit.weights.hypotheses import Hypotheses
from toolkit.weights.morphing import Point

MOST_ROWS = 5_000
"""Rows per pass of the tree module, whose memory grows with rows times leaves."""


@dataclass(frozen=True)
class Bit:
    """Boosted trees.

    Args:
        trees: Most trees per coefficient; fewer if the validation events stop improving.
        leaves: Leaves per tree.
        learning_rate: Shrinkage of every tree.
        min_events: Fewest events in a leaf.
        validation_fraction: Share of the events that decide the number of trees.
        patience: Trees without a better validation loss after which boosting stops.
        threads: Processor threads.
        seed: Of the validation events.
    """

    trees: int = 300
    leaves: int = 16
    learning_rate: float = 0.1
    min_events: int = 100
    validation_fraction: float = 0.1
    patience: int = 30
    threads: int = 1
    seed: int = 1

    name: ClassVar[str] = "bit"

    def fit(
        self,
        events: SimulatedEvents,
        *,
        features: Sequence[str],
        hypotheses: Hypotheses,
        progress: Progress = silent_progress,
        folder: Path | None = None,
    ) -> BitModel:
        """Boost one set of trees per coefficient.

        Args:
            events: Simulated events of the pool.
            features: Names of the observables that the trees read.
            hypotheses: Processes, parameters with ranges, reference.
            progress: Called after every coefficient.
            folder: Not used: boosting takes seconds.

        Raises:
            MissingExtraError: LightGBM is not installed.
            FitError: Too few events for two leaves.
            SchemaError, PhysicsDomainError: A feature, a weight or the reference is unusable.
        """
        lightgbm = _import()
        hypotheses.require_support(events)
        x = feature_matrix(events.observables, features).astype(np.float32).astype(np.float64)
        reference = events.weights @ hypotheses.reference
        keep = reference > 0
        x, reference, terms = x[keep], reference[keep], hypotheses.terms(events.weights)[keep]
        if len(x) < 4 * self.min_events:
            raise FitError("training events", got=f"{len(x)} events", expected=f">= {4 * self.min_events}", remedy="lower min_events")
        targets = terms / reference[:, None]
        weight = reference / reference.mean()
        held = np.random.default_rng(self.seed).uniform(size=len(x)) < self.validation_fraction
        boosters, histories = [], []
        for k in range(terms.shape[1]):
            booster, history = self._boost(lightgbm, x, targets[:, k], weight, held=held, name=f"{self.name}_{k}")
            boosters.append(booster)
            histories.append(history)
            progress(self.name, k + 1.0, float(terms.shape[1]))
        return BitModel(self.name, describe_columns(events, features), hypotheses, tuple(histories), tuple(boosters))

    def _boost(
        self, lightgbm: Any, x: FloatArray, target: FloatArray, weight: FloatArray, *, held: Any, name: str
    ) -> tuple[Any, TrainingHistory]:
        settings = {
            "objective": "l2",
            "num_leaves": self.leaves,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.min_events,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": self.threads,
            "seed": self.seed,
            "verbosity": -1,
        }
        scale = float(np.sqrt(np.average(target**2, weights=weight))) or 1.0
        train = lightgbm.Dataset(x[~held], target[~held] / scale, weight=weight[~held], params={"verbosity": -1})
        watch = lightgbm.Dataset(x[held], target[held] / scale, weight=weight[held], reference=train, params={"verbosity": -1})
        losses: dict[str, Any] = {}
        stop = [lightgbm.early_stopping(self.patience, verbose=False), lightgbm.record_evaluation(losses)]
        booster = lightgbm.train(
            settings, train, num_boost_round=self.trees, valid_sets=[train, watch], valid_names=["train", "validation"], callbacks=stop
        )
        best = max(booster.best_iteration - 1, 0)
        history = TrainingHistory(name, tuple(losses["train"]["l2"]), tuple(losses["validation"]["l2"]), best)
        return _Scaled(booster, scale), history


@dataclass(frozen=True, eq=False)
class _Scaled:
    """A booster whose targets were divided by `scale`."""

    booster: Any
    scale: float

    def predict(self, x: FloatArray) -> FloatArray:
        return np.asarray(self.booster.predict(x), dtype=np.float64) * self.scale


@dataclass(frozen=True, eq=False)
class BitModel(TrainedModel):
    """Trees for every coefficient; the ratio at theta is their combination.

    Attributes:
        boosters: One per term of the hypotheses.
    """

    boosters: tuple[_Scaled, ...]

    def coefficients(self, x: FloatArray) -> FloatArray:
        """Compute q_k(x), the density of every term over that of the reference (in expected events), (n, n_terms).

        Notes:
            Observables are rounded to single precision, in which the trees were grown and in which ONNX evaluates them.
        """
        rows = self.rows(x).numpy().astype(np.float32).astype(np.float64)
        return np.stack([booster.predict(rows) for booster in self.boosters], axis=1)

    def log_ratio(self, x: FloatArray, theta: Point, *, denominator: Point | None = None, floor: float | None = None) -> FloatArray:
        """Compute log p(x|theta) / p(x|denominator), by default over the reference, (n,).

        Args:
            x: Observables, (n, n_features).
            theta: Numerator.
            denominator: A point; None is the reference.
            floor: Smallest ratio over the reference: smaller and negative ones are set to it. None refuses what is not positive.

        Raises:
            PhysicsDomainError: The density is not positive at an event.
        """
        q = self.coefficients(x)
        out = self.combine(q, theta, floor=floor)
        return out if denominator is None else np.asarray(out - self.combine(q, denominator, floor=floor))

    def combine(self, q: FloatArray, theta: Point, *, floor: float | None = None) -> FloatArray:
        """Compute the log ratio over the reference from `coefficients` of events, (n, n_terms) -> (n,)."""
        h = self.hypotheses
        ratio = q @ h.term_values(h.point(theta)[None, :])[0] * (h.reference_yield / h.expected(theta))
        return np.asarray(np.log(require_positive(ratio if floor is None else np.maximum(ratio, floor), theta)))

    def score(self, x: FloatArray, theta: Point) -> FloatArray:
        """Compute d log p(x|theta) / d theta, (n, n_parameters)."""
        return self.hypotheses.joint_score(self.coefficients(x) @ self.hypotheses.rows.T, theta)

    def to_onnx(self, path: str | Path, *, writer: Writer, reference_rows: FloatArray, **more: Any) -> Any:
        """Write the trees as matrix products, with theta as further input columns; `writer` is `exports.write_onnx`.

        Notes:
            The file grows with trees times leaves squared, and its memory with rows times trees times leaves: meant for some hundred
            trees of up to 32 leaves.
        """
        trees = [read_trees(b.booster, scale=b.scale) for b in self.boosters]
        network = TreeRatio(trees, Terms(self.hypotheses), n_features=len(self.columns)).double().eval()
        rows = np.asarray(reference_rows, dtype=np.float32).astype(np.float64)[:MOST_ROWS]
        return write_parameterised(self, network, path, writer=writer, reference_rows=rows, more=more)


def _import() -> Any:
    try:
        import lightgbm  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError(
            "estimator bit", got="LightGBM is not installed", expected="the extra `trees`", remedy="pip install 'h4l-toolkit[trees]'"
        ) from error
    return lightgbm
