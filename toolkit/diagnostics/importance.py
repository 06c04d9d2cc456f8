"""Permutation importance: how much of a figure of merit is lost when a feature is replaced by that of other events.

The features of the test events are shuffled one at a time (or several together, where they are correlated) and the model is evaluated
again; nothing is trained. A feature that another one can stand in for loses little although it is useful: group correlated features to
see what they are worth together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.diagnostics.inputs import check_vector
from toolkit.diagnostics.merit import Merit
from toolkit.diagnostics.serialise import jsonable
from toolkit.errors import PhysicsDomainError, SchemaError, ShapeError
from toolkit.typing import FloatArray, IntArray, Progress, silent_progress

Model = Callable[[FloatArray], FloatArray]
"""Features (n, n_features) -> score (n,) or outputs (n, n_outputs)."""
Metric = Callable[[FloatArray], Merit]
"""Outputs of the model on all events -> figure of merit."""


@dataclass(frozen=True, eq=False)
class Importance:
    """Loss of one figure of merit for every feature or group.

    Attributes:
        metric: Name of the figure of merit.
        names: Names of the features or groups, (g,).
        members: The features of each.
        baseline: Its value with all features as they are.
        baseline_error: Error of that from the finite simulation.
        shuffled: (g, repeats) value after each shuffle.
        sample_error: (g,) error of the mean loss from the finite simulation, the shuffled values held fixed.

    Examples:
        >>> shuffled = np.array([[1.9, 2.0, 1.8], [0.4, 0.6, 0.5]])
        >>> found = Importance("Z", ("phi", "m4l"), (("phi",), ("m4l",)), 2.0, 0.1, shuffled, np.array([0.02, 0.03]))
        >>> found.loss.round(3), found.error.round(3), [found.names[i] for i in found.order]
        (array([0.1, 1.5]), array([0.061, 0.065]), ['m4l', 'phi'])
    """

    metric: str
    names: tuple[str, ...]
    members: tuple[tuple[str, ...], ...]
    baseline: float
    baseline_error: float
    shuffled: FloatArray
    sample_error: FloatArray

    @property
    def loss(self) -> FloatArray:
        """Baseline minus the mean of the shuffles, (g,): large for an important feature."""
        return np.asarray(self.baseline - self.shuffled.mean(axis=1))

    @property
    def shuffle_error(self) -> FloatArray:
        """Standard error of the mean over the shuffles, (g,); NaN for a single one."""
        repeats = self.shuffled.shape[1]
        if repeats < 2:
            return np.full(len(self.names), np.nan)
        return np.asarray(self.shuffled.std(axis=1, ddof=1) / repeats**0.5)

    @property
    def error(self) -> FloatArray:
        """Standard error of the loss, (g,): shuffles and finite simulation in quadrature."""
        return np.hypot(np.nan_to_num(self.shuffle_error), self.sample_error)

    @property
    def order(self) -> IntArray:
        """Positions of the features from the most to the least important, (g,)."""
        return np.argsort(-self.loss, kind="stable").astype(np.int64)

    def to_json(self) -> dict[str, Any]:
        """Return all numbers as a JSON object."""
        names = ("metric", "names", "members", "baseline", "baseline_error", "loss", "error", "shuffle_error", "sample_error", "shuffled")
        return {name: jsonable(getattr(self, name)) for name in names}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Importance:
        """Read what `to_json` wrote."""
        shuffled, sample_error = (np.array(document[name], dtype=np.float64) for name in ("shuffled", "sample_error"))
        members = tuple(tuple(part) for part in document["members"])
        numbers = (float(document["baseline"]), float(document["baseline_error"]))
        return cls(document["metric"], tuple(document["names"]), members, *numbers, shuffled, sample_error)


def permutation_importance(
    model: Model,
    x: FloatArray,
    *,
    features: Sequence[str],
    metrics: Mapping[str, Metric],
    seed: int,
    repeats: int = 5,
    groups: Mapping[str, Sequence[str]] | None = None,
    weights: FloatArray | None = None,
    progress: Progress = silent_progress,
) -> tuple[Importance, ...]:
    """Shuffle each feature among the events and evaluate the model again.

    Args:
        model: Any function of the features, for example an `OnnxRatio`.
        x: (n, n_features) features of test events. They must not have trained the model: on training events the importance says
            what the model leans on, not what helps.
        features: Names of the columns of `x`.
        metrics: Figures of merit by name, each a function of the model's outputs on the n events; all are computed from the same
            shuffles.
        seed: Seed of the shuffles.
        repeats: Shuffles per feature.
        groups: Names and members of groups that are shuffled together, each event receiving all of them from one other event;
            None takes every feature alone.
        weights: (n,) Event weights, of which the absolute values count: values are drawn so that the shuffled feature keeps its
            weighted distribution. None counts events alike.
        progress: Told how far it is.

    Returns:
        One result per metric. Cost: 1 + repeats x groups evaluations of the model.

    Raises:
        ShapeError: `x` has not one column per feature, or the weights not one number per event.
        SchemaError: A group names an unknown feature or none, or `repeats` is not positive.
        PhysicsDomainError: All weights are zero.

    Notes:
        Shuffled events leave the region in which the model was trained if features are correlated (m4l with pt4l): what the model
        says there is arbitrary. The error from the finite simulation is that of the difference, for which the events are the
        same; the choice of the values that are drawn is part of the error over the shuffles.

    References:
        Breiman, Machine Learning 45 (2001) 5; Fisher, Rudin, Dominici, arXiv:1801.01489.

    Examples:
        A significance after a cut on a score that is m4l itself; the angle loses nothing:

        >>> from toolkit.diagnostics.merit import MeritWeights, significance
        >>> x = np.array([[200.0, 0.1], [210.0, -0.4], [600.0, 0.3], [700.0, -0.2]])
        >>> ones = np.ones(4)
        >>> weights = MeritWeights.without_interference(np.array([0.0, 0.0, 1.0, 1.0]), np.array([1.0, 1.0, 0.0, 0.0]))
        >>> found = permutation_importance(
        ...     lambda features: features[:, 0], x, features=["m4l", "cos_theta_star"], seed=1,
        ...     metrics={"Z": lambda score: significance(score, weights, kind="z", edges=np.array([0.0, 400.0, 1000.0]))},
        ... )[0]
        >>> round(found.baseline, 3), found.loss.round(3), found.order
        (1.414, array([0.166, 0.   ]), array([0, 1]))
    """
    columns = _columns(groups, features)
    _check(x, features=features, weights=weights, repeats=repeats)
    rng = np.random.default_rng(seed)
    outputs = model(x)
    base = {name: metric(outputs) for name, metric in metrics.items()}
    shuffled = {name: np.empty((len(columns), repeats)) for name in metrics}
    change = {name: np.zeros((len(columns), len(x))) for name in metrics}
    total = len(columns) * repeats
    for g, chosen in enumerate(columns.values()):
        for r in range(repeats):
            changed = x.copy()
            changed[:, chosen] = x[_draw(len(x), weights, rng)][:, chosen]
            outputs = model(changed)
            for name, metric in metrics.items():
                merit = metric(outputs)
                shuffled[name][g, r] = merit.value
                change[name][g] += (base[name].influence - merit.influence) / repeats
            progress("importance", g * repeats + r + 1, total)
    return tuple(
        Importance(
            metric=name,
            names=tuple(columns),
            members=tuple(tuple(features[j] for j in chosen) for chosen in columns.values()),
            baseline=merit.value,
            baseline_error=merit.error,
            shuffled=shuffled[name],
            sample_error=np.linalg.norm(change[name], axis=1),
        )
        for name, merit in base.items()
    )


def _draw(n: int, weights: FloatArray | None, rng: np.random.Generator) -> IntArray:
    """Draw which event gives its value to each event, (n,): a permutation, or systematic draws in proportion to |weight|.

    With equal weights the systematic draw takes every event once, so that both agree.
    """
    if weights is None:
        return rng.permutation(n)
    reach = np.cumsum(np.abs(weights))
    points = (np.arange(n) + rng.uniform()) / n * reach[-1]
    taken = np.minimum(np.searchsorted(reach, points, side="right"), n - 1)
    return rng.permutation(taken).astype(np.int64)


def _columns(groups: Mapping[str, Sequence[str]] | None, features: Sequence[str]) -> dict[str, list[int]]:
    chosen = {name: (name,) for name in features} if groups is None else groups
    place = {name: j for j, name in enumerate(features)}
    for group, members in chosen.items():
        unknown = [name for name in members if name not in place]
        if unknown or not members:
            raise SchemaError(
                f"group {group} of features",
                got=unknown or "no feature",
                expected=f"some of {list(features)}",
                remedy="name features of the model",
            )
    return {group: [place[name] for name in members] for group, members in chosen.items()}


def _check(x: FloatArray, *, features: Sequence[str], weights: FloatArray | None, repeats: int) -> None:
    if x.ndim != 2 or x.shape[1] != len(features):
        raise ShapeError("features of the importance", got=x.shape, expected=f"(n, {len(features)})", remedy="pass one column per name")
    if repeats < 1:
        raise SchemaError("repeats of the importance", got=repeats, expected="at least 1", remedy="5 is usual")
    if weights is not None:
        check_vector(weights, name="weights", size=len(x))
        if not np.abs(weights).sum() > 0:
            raise PhysicsDomainError("weights of the importance", got="all zero", expected="some weight", remedy="check the selection")
