"""What an estimator returns: log ratios (or scores) of observables, and their ONNX form.

Every model computes log p(x|theta) / p(x|reference) with `log_ratio(x, theta)`; with `denominator` the ratio of two points, whose sign
changes exactly when they are exchanged. Everything is evaluated in float64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from toolkit.artifacts.onnx_metadata import Feature
from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.ratios.estimators.combination import combine_log_ratios
from toolkit.ratios.estimators.preparation import as_batch
from toolkit.ratios.estimators.theta import Terms
from toolkit.ratios.features import FeatureMap
from toolkit.ratios.training_history import TrainingHistory
from toolkit.typing import FloatArray
from toolkit.weights.hypotheses import Hypotheses
from toolkit.weights.morphing import Point

ROWS = 20_000
"""Rows per evaluation: memory stays bounded."""

Writer = Any
"""`exports.write_onnx`: passed by the caller, because this layer does not know the exports."""


class RatioModel(Protocol):
    """What every trained estimator of a ratio offers."""

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the input columns."""
        ...

    def log_ratio(self, x: FloatArray, theta: Point, *, denominator: Point | None = None) -> FloatArray:
        """Compute log p(x|theta) / p(x|denominator), by default over the reference, (n,)."""
        ...

    def to_onnx(self, path: str | Path, *, writer: Writer, reference_rows: FloatArray) -> Any:
        """Write the model as an ONNX file."""
        ...


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """What all models know.

    Attributes:
        estimator: Name of the method.
        columns: Input columns.
        hypotheses: Processes, parameters, reference.
        history: Losses of the trainings.
    """

    estimator: str
    columns: tuple[Feature, ...]
    hypotheses: Hypotheses
    history: tuple[TrainingHistory, ...]

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the input columns."""
        return tuple(column.name for column in self.columns)

    @property
    def reference(self) -> str:
        """The reference density in words."""
        return describe_reference(self.hypotheses)

    def rows(self, x: FloatArray) -> torch.Tensor:
        """Check observables (n, n_features) and return them as a tensor."""
        values = np.asarray(x, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != len(self.columns):
            raise ShapeError("observables", got=f"shape {values.shape}", expected=f"(n, {len(self.columns)}): {', '.join(self.features)}")
        for row, column in np.argwhere(~np.isfinite(values))[:1]:
            raise PhysicsDomainError(f"{self.features[column]} in row {row}", got=values[row, column], expected="a finite number")
        return as_batch(values)


class ParameterisedNetwork(nn.Module):
    """Observables and theta in physical units -> log ratio, (n, n_features + n_parameters) -> (n, 1).

    Args:
        feature_map: Observables to inputs.
        terms: Standardises theta.
        network: (n, n_inputs + n_parameters) -> (n, 1).
    """

    def __init__(self, feature_map: FeatureMap, terms: Terms, network: nn.Module) -> None:
        super().__init__()
        self.feature_map = feature_map
        self.terms = terms
        self.network = network
        self.n_features = len(feature_map.features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute log p(x|theta) / p_ref(x), (n, 1)."""
        z, v = self.feature_map(x[:, : self.n_features]), self.terms.from_theta(x[:, self.n_features :])
        out: torch.Tensor = self.network(torch.cat([z, v], dim=1))
        return out


@dataclass(frozen=True, eq=False)
class ParameterisedModel(TrainedModel):
    """A network that takes theta as an input.

    Attributes:
        network: (n, n_features + n_parameters) -> (n, 1), float64, physical units.
    """

    network: nn.Module

    @torch.no_grad()
    def log_ratio(self, x: FloatArray, theta: Point | FloatArray, *, denominator: Point | None = None) -> FloatArray:
        """Compute log p(x|theta) / p(x|denominator).

        Args:
            x: Observables, (n, n_features).
            theta: One point, or one per row (n, n_parameters).
            denominator: A point; None is the reference of the training.

        Returns:
            Log ratios, (n,).

        Raises:
            PhysicsDomainError: theta is outside the range of the training; x is not finite.
        """
        rows = self._with_theta(x, theta)
        out = torch.cat([self.network(part)[:, 0] for part in torch.split(rows, ROWS)]).numpy()
        return out if denominator is None else np.asarray(out - self.log_ratio(x, denominator))

    def score(self, x: FloatArray, theta: Point) -> FloatArray:
        """Compute d log p(x|theta) / d theta of the network, (n, n_parameters); infinite derivatives at 0 under a root are refused."""
        self.hypotheses.gradient(theta)
        n_features, parts = len(self.columns), []
        for rows in torch.split(self._with_theta(x, theta), ROWS):
            part = rows.clone().requires_grad_(True)
            (gradient,) = torch.autograd.grad(self.network(part).sum(), part)
            parts.append(gradient[:, n_features:])
        return torch.cat(parts).numpy()

    def to_onnx(self, path: str | Path, *, writer: Writer, reference_rows: FloatArray, **more: Any) -> Any:
        """Write the network with theta as further input columns.

        Args:
            path: The file.
            writer: `exports.write_onnx`.
            reference_rows: Observables to verify on, (n, n_features); theta is spread over its range.
            more: Further arguments of the writer (hashes).
        """
        return write_parameterised(self, self.network, path, writer=writer, reference_rows=reference_rows, more=more)

    def _with_theta(self, x: FloatArray, theta: Point | FloatArray) -> torch.Tensor:
        rows = self.rows(x)
        if isinstance(theta, np.ndarray) and theta.ndim == 2:
            self.hypotheses.require_inside(theta)
            points = as_batch(theta)
        else:
            points = as_batch(np.broadcast_to(self.hypotheses.point(theta), (len(rows), len(self.hypotheses.parameters))))
        return torch.cat([rows, points], dim=1)


@dataclass(frozen=True, eq=False)
class ProcessModel(TrainedModel):
    """Log ratios of every process over the reference; the ratio at theta is their combination.

    Attributes:
        network: (n, n_features) -> log p_j / p_ref, (n, n_processes), float64.
    """

    network: nn.Module

    @property
    def numerators(self) -> tuple[str, ...]:
        """Names of the columns of `log_ratios`."""
        return self.hypotheses.processes

    @torch.no_grad()
    def log_ratios(self, x: FloatArray) -> FloatArray:
        """Compute log p_j(x) / p_ref(x) of every process, (n, n_processes)."""
        return torch.cat([self.network(part) for part in torch.split(self.rows(x), ROWS)]).numpy()

    def log_ratio(self, x: FloatArray, theta: Point, *, denominator: Point | None = None, floor: float | None = None) -> FloatArray:
        """Compute log p(x|theta) / p(x|denominator), (n,); `floor` as in `combine_log_ratios`.

        Raises:
            PhysicsDomainError: The combination is not positive at an event: the processes do not fit each other there.
        """
        processes = self.log_ratios(x)
        out = combine_log_ratios(processes, self.hypotheses, theta, floor=floor)
        return out if denominator is None else np.asarray(out - combine_log_ratios(processes, self.hypotheses, denominator, floor=floor))

    def score(self, x: FloatArray, theta: Point) -> FloatArray:
        """Compute d log p(x|theta) / d theta, (n, n_parameters)."""
        return self.hypotheses.joint_score(np.exp(self.log_ratios(x)) * self.hypotheses.yields, theta)

    def discriminant(self, x: FloatArray, *, signal: Sequence[str], background: Sequence[str]) -> FloatArray:
        """Compute D_pre = log(sum of signal scores / sum of background scores) with every process equally frequent, (n,).

        Args:
            x: Observables, (n, n_features).
            signal: Processes of the numerator.
            background: Processes of the denominator.

        References:
            ATLAS, arXiv:2412.01600: the preselection discriminant, signal region D_pre > -0.85.
        """
        log_ratios, names = self.log_ratios(x), self.numerators
        unknown = sorted({*signal, *background} - set(names))
        if unknown or not signal or not background:
            raise SchemaError("processes of the discriminant", got=[*signal, *background], expected=f"at least one of {list(names)} each")
        top, bottom = ([names.index(p) for p in group] for group in (signal, background))
        return np.asarray(np.logaddexp.reduce(log_ratios[:, top], axis=1) - np.logaddexp.reduce(log_ratios[:, bottom], axis=1))

    def to_onnx(self, path: str | Path, *, writer: Writer, reference_rows: FloatArray, **more: Any) -> Any:
        """Write the log ratios of all processes; `writer` is `exports.write_onnx`."""
        return _write(self, self.network, path, writer=writer, rows=reference_rows, numerators=self.numerators, more=more)


@dataclass(frozen=True, eq=False)
class PairModel(TrainedModel):
    """The ratio of one point over the reference.

    Attributes:
        network: (n, n_features) -> (n, 1), float64.
        numerator: The point.
    """

    network: nn.Module
    numerator: tuple[float, ...]

    @torch.no_grad()
    def log_ratio(self, x: FloatArray, theta: Point | None = None, *, denominator: Point | None = None) -> FloatArray:
        """Compute log p(x|numerator) / p_ref(x), (n,).

        Raises:
            SchemaError: theta is another point than that of the training, or a denominator is asked for.
        """
        if (theta is not None and not np.array_equal(self.hypotheses.point(theta), self.numerator)) or denominator is not None:
            remedy = "train one network per pair, or a parameterised estimator"
            raise SchemaError(
                "theta of a pairwise ratio", got=(theta, denominator), expected=f"{self.numerator} over the reference", remedy=remedy
            )
        return torch.cat([self.network(part)[:, 0] for part in torch.split(self.rows(x), ROWS)]).numpy()

    def to_onnx(self, path: str | Path, *, writer: Writer, reference_rows: FloatArray, **more: Any) -> Any:
        """Write the network; `writer` is `exports.write_onnx`."""
        name = describe_point(self.hypotheses.parameters, self.numerator)
        return _write(self, self.network, path, writer=writer, rows=reference_rows, numerators=(name,), more=more)


@dataclass(frozen=True, eq=False)
class ScoreModel(TrainedModel):
    """The score at one point: a locally optimal observable, to be histogrammed.

    Attributes:
        network: (n, n_features) -> (n, n_parameters), float64.
        theta: The point.
    """

    network: nn.Module
    theta: tuple[float, ...]

    @torch.no_grad()
    def score(self, x: FloatArray) -> FloatArray:
        """Compute d log p(x|theta) / d theta at the point of the training, (n, n_parameters)."""
        return torch.cat([self.network(part) for part in torch.split(self.rows(x), ROWS)]).numpy()

    def to_onnx(self, path: str | Path, *, writer: Writer, reference_rows: FloatArray, **more: Any) -> Any:
        """Write the network; its columns are scores, named score_PARAMETER, in place of log ratios."""
        names = tuple(f"score_{name}" for name in self.hypotheses.parameters)
        return _write(self, self.network, path, writer=writer, rows=reference_rows, numerators=names, more=more)


def describe_point(parameters: Sequence[str], point: Sequence[float]) -> str:
    """Write a point as text.

    Examples:
        >>> describe_point(("mu",), (1.5,))
        'mu=1.5'
    """
    return ",".join(f"{name}={value:g}" for name, value in zip(parameters, point, strict=True))


def describe_reference(hypotheses: Hypotheses) -> str:
    """Write the reference density as text."""
    if hypotheses.reference_theta is not None:
        return describe_point(hypotheses.parameters, hypotheses.reference_theta)
    return "mixture of " + ", ".join(f"{100 * share:.4g}% {name}" for name, share in hypotheses.reference_fractions.items() if share)


def write_parameterised(
    model: TrainedModel, network: nn.Module, path: str | Path, *, writer: Writer, reference_rows: FloatArray, more: Mapping[str, Any]
) -> Any:
    """Write a network of observables and theta; theta is spread over its range in the rows to verify on."""
    low, high = np.array(model.hypotheses.ranges).T
    theta = low + (high - low) * np.random.default_rng(0).uniform(size=(len(reference_rows), len(low)))
    rows = np.concatenate([np.asarray(reference_rows, dtype=np.float64), theta], axis=1)
    numerator = f"p(x|{','.join(model.hypotheses.parameters)})"
    return _write(model, network, path, writer=writer, rows=rows, numerators=(numerator,), parameters=True, more=more)


def _write(
    model: TrainedModel,
    network: nn.Module,
    path: str | Path,
    *,
    writer: Writer,
    rows: FloatArray,
    numerators: tuple[str, ...],
    parameters: bool = False,
    more: Mapping[str, Any],
) -> Any:
    h = model.hypotheses
    columns = tuple(Feature(n, "", low, high) for n, (low, high) in zip(h.parameters, h.ranges, strict=True)) if parameters else ()
    return writer(
        network,
        path,
        features=model.columns,
        numerators=numerators,
        reference=model.reference,
        estimator=model.estimator,
        reference_rows=rows,
        parameters=columns,
        reference_mixture=h.reference_fractions,
        **more,
    )
