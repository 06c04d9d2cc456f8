"""A density ratio of two samples in the manner of scikit-learn: arrays in, `fit`, `decision_function`, `predict_proba`.

When to use: two samples as a matrix (or a pandas DataFrame) with labels and weights, no parameter, no configuration. It is CARL with the
networks, training loop and loss of `Carl`, which takes simulated events and hypotheses.

Parameters are data of the object, `get_params` and `set_params` see them, and everything that a fit learns ends in an underscore; so
scikit-learn's `clone`, pipelines and searches accept it, without scikit-learn being needed here.

References:
    Cranmer, Pavez, Louppe, arXiv:1506.02169.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from toolkit.errors import FitError, PhysicsDomainError, SchemaError, ShapeError
from toolkit.ratios.architectures import MLP, Architecture
from toolkit.ratios.estimators.carl import pair_loss
from toolkit.ratios.features import FeatureMap
from toolkit.ratios.schedules import TrainingSettings
from toolkit.ratios.trainer import in_memory, train_network
from toolkit.typing import FloatArray

ROWS = 20_000
"""Rows per evaluation: memory stays bounded."""


@dataclass(eq=False)
class RatioClassifier:
    """Estimate log p(x | 1) / p(x | 0) of two samples.

    Args:
        architecture: The network.
        training: The training loop.

    Attributes:
        classes_: The two labels in increasing order, (2,); the second is on top of the ratio.
        n_features_in_: Number of columns of the fit.
        feature_names_in_: Their names, where the fit saw a DataFrame.
        network_: Module that takes the columns in their units, (n, n_features) -> log ratio (n, 1), float64; `exports.write_onnx`
            writes it.
        history_: Losses of the training.

    Notes:
        Both samples count with the same total weight whatever their sizes, so that `decision_function` is the ratio of
        normalised densities and `predict_proba` holds at equal odds. Weights may be negative. Columns of a DataFrame that are named like an
        observable of the toolkit are transformed like it (logarithms of masses, harmonics of angles).

    Examples:
        Two Gaussians at -1 and 1, whose log ratio is 2 x:

        >>> rng = np.random.default_rng(1)
        >>> x = np.concatenate([rng.normal(-1.0, size=4000), rng.normal(1.0, size=4000)])[:, None]
        >>> quick = TrainingSettings(epochs=8, batch_size=200, learning_rate=1e-2, seed=1)
        >>> model = RatioClassifier(architecture=MLP((8,)), training=quick).fit(x, np.repeat([0, 1], 4000))
        >>> bool(np.abs(model.decision_function([[-0.5], [0.0], [0.5]]) - [-1.0, 0.0, 1.0]).max() < 0.2)
        True
    """

    architecture: Architecture = field(default_factory=MLP)
    training: TrainingSettings = field(default_factory=TrainingSettings)

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> RatioClassifier:
        """Train the network on two samples.

        Args:
            X: Columns in physical units, (n, n_features), finite; a DataFrame gives them names.
            y: Label of the sample of each row, (n,), two different values.
            sample_weight: Event weights, (n,), either sign, positive sum in each sample; 1 if not given.

        Returns:
            This object.

        Raises:
            ShapeError: Arrays do not belong together.
            SchemaError: Not two labels, or names that repeat.
            PhysicsDomainError: A number is not finite, a column is constant, or a sample has no positive sum of weights.
            FitError: Too few events, or the loss is not finite.
        """
        names = _names(X)
        x, labels = _matrix(X), np.asarray(y)
        weights = np.ones(len(x)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        for what, values in (("labels", labels), ("weights", weights)):
            if values.shape != (len(x),):
                raise ShapeError(what, got=f"shape {values.shape}", expected=f"({len(x)},), one per row of the features")
        classes = np.unique(labels)
        if len(classes) != 2:
            raise SchemaError("labels", got=f"{len(classes)} different values", expected="two, one per sample")
        features = names or tuple(f"column_{k}" for k in range(x.shape[1]))
        a, b = (_share(weights, labels == label, name=str(label)) for label in classes[::-1])
        rows = torch.from_numpy(x)
        feature_map = self.architecture.adapt(FeatureMap.fitted(features, rows, fold=False))
        generator = torch.Generator().manual_seed(self.training.seed)
        network = self.architecture.build(feature_map, n_outputs=1, n_context=0, generator=generator)
        batches = in_memory((feature_map(rows).float(), a, b), self.training)
        self.history_ = train_network(network, pair_loss, batches, settings=self.training, name="ratio", key="cross-entropy")
        self.network_: nn.Module = nn.Sequential(feature_map, network.cpu()).double().eval()
        self.classes_, self.n_features_in_ = classes, x.shape[1]
        if names:
            self.feature_names_in_ = np.array(names, dtype=object)
        return self

    @torch.no_grad()
    def decision_function(self, X: ArrayLike) -> FloatArray:
        """Compute log p(x | second label) / p(x | first label), (n,), of columns (n, n_features).

        Raises:
            FitError: There was no fit.
            ShapeError, SchemaError: Other columns than those of the fit.
            PhysicsDomainError: A number is not finite.
        """
        if not hasattr(self, "network_"):
            raise FitError("RatioClassifier", got="no network", expected="a fit before an evaluation", remedy="call fit first")
        names, x = _names(X), _matrix(X)
        known = tuple(getattr(self, "feature_names_in_", names))
        if names and names != known:
            raise SchemaError(
                "columns of the features", got=list(names), expected=list(known), remedy="take those of the fit in their order"
            )
        if x.shape[1] != self.n_features_in_:
            raise ShapeError("features", got=f"{x.shape[1]} columns", expected=f"{self.n_features_in_}, as in the fit")
        parts = torch.split(torch.from_numpy(x), ROWS)
        return np.asarray(torch.cat([self.network_(part)[:, 0] for part in parts]).numpy())

    def predict_proba(self, X: ArrayLike) -> FloatArray:
        """Compute the probability of each label at equal odds, (n, 2), in the order of `classes_`; see `decision_function`."""
        log_ratio = self.decision_function(X)
        return np.stack([np.exp(-np.logaddexp(0.0, log_ratio)), np.exp(-np.logaddexp(0.0, -log_ratio))], axis=1)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the more probable label of each row at equal odds, (n,)."""
        chosen: NDArray[Any] = self.classes_[(self.decision_function(X) > 0.0).astype(np.intp)]
        return chosen

    def __sklearn_tags__(self) -> Any:
        """Say to scikit-learn, which alone asks and is there when it does, that this is a classifier."""
        from sklearn.utils import ClassifierTags, Tags, TargetTags  # noqa: PLC0415

        return Tags(estimator_type="classifier", target_tags=TargetTags(required=True), classifier_tags=ClassifierTags())

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name; they hold no estimators of their own, so that `deep` changes nothing."""
        del deep
        return {part.name: getattr(self, part.name) for part in fields(self)}

    def set_params(self, **params: Any) -> RatioClassifier:
        """Set parameters by name.

        Raises:
            SchemaError: There is no such parameter.
        """
        known = [part.name for part in fields(self)]
        for name, value in params.items():
            if name not in known:
                raise SchemaError("parameter of RatioClassifier", got=name, expected=f"one of {known}")
            setattr(self, name, value)
        return self


def _names(table: ArrayLike) -> tuple[str, ...]:
    """Return the names of the columns of a DataFrame, none of other matrices."""
    columns = getattr(table, "columns", None)
    names = () if columns is None else tuple(str(name) for name in columns)
    if len(set(names)) != len(names):
        raise SchemaError("columns of the features", got=list(names), expected="different names")
    return names


def _matrix(table: ArrayLike) -> FloatArray:
    x = np.array(table, dtype=np.float64)
    if x.ndim != 2:
        raise ShapeError("features", got=f"shape {x.shape}", expected="(n, n_features)")
    for row, column in np.argwhere(~np.isfinite(x))[:1]:
        raise PhysicsDomainError(f"feature {column} in row {row}", got=x[row, column], expected="a finite number")
    return x


def _share(weights: FloatArray, chosen: NDArray[np.bool_], *, name: str) -> torch.Tensor:
    """Return the weights of one sample with mean 1 over all events, (n,), 0 for the others."""
    own = np.where(chosen, weights, 0.0)
    if not (np.all(np.isfinite(own)) and own.sum() > 0.0):
        raise PhysicsDomainError(f"weights of sample {name}", got=f"sum {own.sum():g}", expected="finite weights with a positive sum")
    return torch.from_numpy(own * (len(own) / own.sum())).float()
