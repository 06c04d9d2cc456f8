"""CARL: the likelihood-ratio trick. A classifier between two samples with the same total weight knows their density ratio.

l = log r minimises  E_0[softplus(-l)] + E_1[softplus(l)]; the classifier's score is s = sigmoid(l) and r = s / (1 - s), but only the logit
is ever computed. `Carl` trains one network for one pair of points, `CarlParameterised` one network with theta among its inputs. One
network per process against the reference is `per_process` of the config.

With `one_label` (the default) an event stands for one hypothesis only, as if each sample had been generated on its own:
that is what the method needs and all it uses. Without, it enters both with its weights, which is the soft label of `alice`.

References:
    Cranmer, Pavez, Louppe, "Approximating likelihood ratios with calibrated discriminative classifiers", arXiv:1506.02169.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from toolkit.ratios.batches import Batch
from toolkit.ratios.estimators.losses import cross_entropy_loss
from toolkit.ratios.estimators.models import PairModel
from toolkit.ratios.estimators.parameterised import ParameterisedEstimator, RatioLoss, labelled
from toolkit.ratios.estimators.preparation import NetworkEstimator, build_network, prepare, train
from toolkit.ratios.trainer import in_memory
from toolkit.typing import Progress, silent_progress
from toolkit.weights import SimulatedEvents
from toolkit.weights.hypotheses import Hypotheses


@dataclass(frozen=True)
class Carl(NetworkEstimator):
    """One network for the ratio of one point over the reference (a point or a mixture).

    Args:
        numerator: The point, a number or one value per parameter.
        one_label: Whether an event stands for one hypothesis only.

    Examples:
        Two Gaussians at -1 (B) and 1 (S), with the ratio 2 / (1 + exp(-2 x)) of S over the mixture of both:

        >>> import numpy as np
        >>> from toolkit.ratios.architectures import MLP
        >>> from toolkit.ratios.schedules import TrainingSettings
        >>> from toolkit.weights import Morphing
        >>> rng, n = np.random.default_rng(1), 4000
        >>> x, weights = np.concatenate([rng.normal(-1.0, size=n), rng.normal(1.0, size=n)]), np.repeat(np.eye(2), n, axis=0)
        >>> ids, sample = np.arange(2 * n, dtype=np.uint64), np.repeat([0, 1], n)
        >>> events = SimulatedEvents(("B", "S"), ids, sample, ("B", "S"), {"x": x}, weights)
        >>> line = Morphing(monomials=["1", "t"], benchmarks={"B": 0.0, "S": 1.0})
        >>> pair = Hypotheses.build(events, morphing=line, benchmarks=("B", "S"), ranges=[(0.0, 1.0)])
        >>> quick = TrainingSettings(epochs=8, batch_size=200, learning_rate=1e-2, seed=1)
        >>> model = Carl(architecture=MLP((8,)), training=quick).fit(events, features=["x"], hypotheses=pair)
        >>> at = np.array([[-0.5], [0.0], [0.5]])
        >>> bool(np.abs(np.exp(model.log_ratio(at)) - 2.0 / (1.0 + np.exp(-2.0 * at[:, 0]))).max() < 0.1)
        True
    """

    numerator: float | tuple[float, ...] = 1.0
    one_label: bool = True

    name: ClassVar[str] = "carl"

    def fit(
        self,
        events: SimulatedEvents,
        *,
        features: Sequence[str],
        hypotheses: Hypotheses,
        progress: Progress = silent_progress,
        folder: Path | None = None,
    ) -> PairModel:
        """Train the network; the arguments are those of `ParameterisedEstimator.fit`."""
        prepared = prepare(events, features=features, hypotheses=hypotheses, settings=self)
        point = hypotheses.point(self.numerator)
        f = torch.from_numpy(hypotheses.coefficients(point) * hypotheses.yields).float()
        a = prepared.processes @ (f / f.sum())
        a, b = labelled(a, prepared.reference, prepared.coin) if self.one_label else (a, prepared.reference)
        keep = (a != 0) | (b != 0)
        network = build_network(prepared, settings=self, n_outputs=1)
        batches = in_memory((prepared.inputs[keep], a[keep], b[keep]), self.training)
        history = train(network, pair_loss, batches, settings=self, name=self.name, key="cross-entropy", progress=progress, folder=folder)
        module = nn.Sequential(prepared.feature_map, network).double().eval()
        return PairModel(self.name, prepared.columns, hypotheses, (history,), module, tuple(point.tolist()))


@dataclass(frozen=True)
class CarlParameterised(ParameterisedEstimator):
    """One network with theta among its inputs; an event stands for p(x|theta) or for the reference."""

    name: ClassVar[str] = "carl_parameterised"
    ratio_loss: ClassVar[RatioLoss] = staticmethod(cross_entropy_loss)
    one_label: ClassVar[bool] = True


def pair_loss(network: nn.Module, batch: Batch) -> torch.Tensor:
    """Compute the cross-entropy of a batch (inputs, a, b)."""
    inputs, a, b = batch
    return cross_entropy_loss(network(inputs)[:, 0], a, b).mean()
