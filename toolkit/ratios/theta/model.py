"""A trained ensemble of networks that read theta, as the stages know an estimator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from toolkit.artifacts.onnx_metadata import Feature
from toolkit.config import ThetaConfig
from toolkit.model.theta_points import ThetaPoints, even_mixture
from toolkit.ratios.features import feature_matrix
from toolkit.ratios.interface import Inspection
from toolkit.ratios.plan import Member, plan_ensemble
from toolkit.ratios.theta.ensemble import ThetaEnsemble, ThetaMember
from toolkit.ratios.training_history import TrainingHistory
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents, assign_fold

ROWS = 20_000
"""Events per evaluation: memory stays bounded."""


@dataclass(frozen=True, eq=False)
class TrainedTheta:
    """See `toolkit.ratios.interface.RatioModel`; its numerators are the densities at the values of `ThetaPoints`.

    Attributes:
        ensemble: Observables and theta -> normalised log ratio and spread.
        points: The values at which it is looked at like a network of densities.
        history: Losses of the networks of each member.
        out_of_bag: Log ratios of the training events at the values from those members that did not train on them, (n_training, n_values).
        before_calibration: The same without the calibration.
        nodes: Values of the parameter over its range, (n_nodes,), and normalised log ratios of the training events there, from the same
            members as `out_of_bag`, (n_training, n_nodes).
        config: How it was trained.
    """

    ensemble: ThetaEnsemble
    points: ThetaPoints
    history: tuple[tuple[TrainingHistory, ...], ...]
    out_of_bag: NDArray[np.float64]
    before_calibration: NDArray[np.float64]
    nodes: tuple[NDArray[np.float64], NDArray[np.float64]]
    config: ThetaConfig

    @property
    def cross_fitted(self) -> None:
        """Nothing: test events are set aside."""
        return

    @property
    def estimator(self) -> str:
        """Its name in the config."""
        return self.config.estimator

    @property
    def module(self) -> nn.Module:
        """The ensemble."""
        return self.ensemble

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the observables that it reads."""
        return self.ensemble.feature_map.features

    @property
    def numerators(self) -> tuple[str, ...]:
        """Names of the densities at the values."""
        return self.points.names

    @property
    def reference(self) -> str:
        """The reference density in words."""
        return "even mixture of " + ", ".join(self.points.names)

    @property
    def reference_mixture(self) -> Mapping[str, float]:
        """Probability of the density at each value in the reference density."""
        return even_mixture(self.points.names)

    def log_ratio(self, x: FloatArray) -> FloatArray:
        """Compute log p(x|theta_k) / p_ref in float64 at the values, (n, n_features) -> (n, n_values)."""
        return evaluate(self.ensemble, x, self.points.values)

    def member(self, index: int) -> nn.Module:
        """Return one member with the calibration of the ensemble, observables and theta -> log ratio."""
        return ThetaMember(self.ensemble, index)

    def inspect(self, *, training: SimulatedEvents, test: SimulatedEvents) -> Inspection:
        """Evaluate it for the comparison of training and test events, and of before and after the calibration."""
        splits, plan = self.config.splits, plan_ensemble(self.config)
        x = {name: feature_matrix(events.observables, self.features) for name, events in (("test", test), ("training", training))}
        folds = {
            name: assign_fold(events.event_id, n_folds=splits.folds, salt=splits.salt).astype(np.int64)
            for name, events in (("test", test), ("training", training))
        }
        values = self.points.values
        seen = {name: calibrated(self.ensemble, x[name], values, plan, folds[name], trained=True) for name in x}
        return Inspection(self._before(x["test"]), seen["test"], seen["training"])

    @torch.no_grad()
    def _before(self, x: FloatArray) -> FloatArray:
        """Average all members at the values, without calibration, (n, n_values)."""
        z = self.ensemble.feature_map(torch.from_numpy(np.ascontiguousarray(x, dtype=np.float64)))
        v = standardised(self.ensemble, self.points.values)
        columns = [torch.cat([self.ensemble.each(p, one.expand(len(p), 1)).mean(dim=0) for p in torch.split(z, ROWS)]) for one in v]
        return np.asarray(torch.cat(columns, dim=1).numpy())

    def to_onnx(self, path: Path, *, writer: Callable[..., Any], reference_rows: FloatArray, member: int | None = None, **more: Any) -> Any:
        """Write it as one file that reads theta after the observables; see `interface.RatioModel.to_onnx`."""
        low, high = self.points.range
        theta = low + (high - low) * np.random.default_rng(0).uniform(size=len(reference_rows))
        theta[: len(self.points.values)] = self.points.values[: len(theta)]
        alone = member is not None
        return writer(
            self.ensemble if member is None else self.member(member),
            path,
            parameters=(Feature(self.points.parameter, "", low, high),),
            numerators=(f"p(x|{self.points.parameter})",),
            reference=self.reference,
            estimator=f"{self.estimator}, member {member} of {len(self.history)}" if alone else self.estimator,
            reference_rows=np.concatenate([np.asarray(reference_rows, dtype=np.float64), theta[:, None]], axis=1),
            ensemble_size=1 if alone else len(self.history),
            reference_mixture=self.reference_mixture,
            **more,
        )


@torch.no_grad()
def evaluate(ensemble: ThetaEnsemble, x: FloatArray, values: Sequence[float]) -> FloatArray:
    """Compute the normalised log ratios of observables (n, n_features) at some values, (n, n_values), in float64."""
    rows = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float64))
    out = np.empty((len(rows), len(values)))
    for k, value in enumerate(values):
        theta = torch.full((len(rows), 1), float(value), dtype=rows.dtype)
        parts = [ensemble(part)[0] for part in torch.split(torch.cat([rows, theta], dim=1), ROWS)]
        out[:, k] = torch.cat(parts)[:, 0].numpy()
    return out


@torch.no_grad()
def average(
    ensemble: ThetaEnsemble,
    x: FloatArray,
    values: Sequence[float],
    plan: Sequence[Member],
    fold: NDArray[np.int64],
    *,
    trained: bool,
) -> FloatArray:
    """Average the log ratios of some members, for every event others, without normalisation.

    Args:
        ensemble: The members, in the order of the plan.
        x: Observables, (n, n_features).
        values: Values of the parameter.
        plan: What each member trained on.
        fold: Fold of each event, (n,).
        trained: Take the members that train on the event, else those that do not.

    Returns:
        (n, n_values).
    """
    z = ensemble.feature_map(torch.from_numpy(np.ascontiguousarray(x, dtype=np.float64)))
    v = standardised(ensemble, values)
    total, counts = torch.zeros(len(z), len(values), dtype=z.dtype), torch.zeros(len(z), 1, dtype=z.dtype)
    for network, member in zip(ensemble.members, plan, strict=True):
        saw = member.saw(len(fold), fold=fold)
        rows = torch.from_numpy(np.flatnonzero(saw if trained else ~saw))
        for part in torch.split(rows, ROWS):
            for k in range(len(values)):
                total[part, k] += network(torch.cat([z[part], v[k].expand(len(part), 1)], dim=1))[:, 0]
        counts[rows] += 1.0
    return np.asarray((total / counts).numpy())


def standardised(ensemble: ThetaEnsemble, values: Sequence[float]) -> torch.Tensor:
    """Return values of the parameter as the networks read them, (n_values,)."""
    found: torch.Tensor = ensemble.terms.from_theta(torch.tensor(list(values), dtype=torch.float64)[:, None])[:, 0]
    return found


@torch.no_grad()
def calibrated(
    ensemble: ThetaEnsemble,
    x: FloatArray,
    values: Sequence[float],
    plan: Sequence[Member],
    fold: NDArray[np.int64],
    *,
    trained: bool,
) -> FloatArray:
    """Compute the calibrated log ratios of some members, for every event others; arguments and result are those of `average`."""
    terms = ensemble.terms
    anchors = (terms.to_u(ensemble.tilt.anchors[:, None]) ** (1.0 / terms.roots[0]))[:, 0].tolist()
    found, at_anchors = (average(ensemble, x, chosen, plan, fold, trained=trained) for chosen in (values, anchors))
    return add_calibration(ensemble, values, found, at_anchors)


@torch.no_grad()
def add_calibration(ensemble: ThetaEnsemble, values: Sequence[float], found: FloatArray, at_anchors: FloatArray) -> FloatArray:
    """Tilt and normalise log ratios at values, (n, n_values), with those at the anchors, (n, n_anchors)."""
    columns = []
    for k, one in enumerate(standardised(ensemble, values)):
        v = one.expand(len(found), 1)
        change = ensemble.tilt(torch.from_numpy(at_anchors), v) - ensemble.log_mean(v)
        columns.append(found[:, k] + change[:, 0].numpy())
    return np.stack(columns, axis=1)
