"""ALICE: cross-entropy with soft labels, parameterised in theta.

l = log r minimises  E[ a softplus(-l) + b softplus(l) ]: the cross-entropy with the soft label a / (a + b) of every event's joint
ratio in place of a label 0 or 1. No label noise: the best general choice where events carry the weights of all benchmarks.

References:
    Stoye, Brehmer, Louppe, Pavez, Cranmer, "Likelihood-free inference with an improved cross-entropy estimator", arXiv:1808.00973.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from toolkit.ratios.estimators.losses import cross_entropy_loss
from toolkit.ratios.estimators.parameterised import ParameterisedEstimator, RatioLoss


@dataclass(frozen=True)
class Alice(ParameterisedEstimator):
    """ALICE; the settings are those of `ParameterisedEstimator`."""

    name: ClassVar[str] = "alice"
    ratio_loss: ClassVar[RatioLoss] = staticmethod(cross_entropy_loss)
