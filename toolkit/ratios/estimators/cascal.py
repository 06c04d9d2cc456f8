"""CASCAL: CARL parameterised in theta, with the score.

The cross-entropy of `carl` between events of p(x|theta) and of the reference, with labels 0 or 1, plus
alpha E[ a |grad l - t(x, z)|^2 ], t the joint score at theta. An event enters the cross-entropy for one hypothesis only; the
score term uses its joint score.

References:
    Brehmer, Cranmer, Louppe, Pavez, arXiv:1805.00020, section IV.B (CASCAL).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from toolkit.ratios.estimators.losses import cross_entropy_loss
from toolkit.ratios.estimators.parameterised import ParameterisedEstimator, RatioLoss


@dataclass(frozen=True)
class Cascal(ParameterisedEstimator):
    """CASCAL; with `score_weight=0` it is the parameterised CARL.

    Args:
        score_weight: alpha, the weight of the score term.
    """

    score_weight: float = 1.0

    name: ClassVar[str] = "cascal"
    ratio_loss: ClassVar[RatioLoss] = staticmethod(cross_entropy_loss)
    one_label: ClassVar[bool] = True

    @property
    def alpha(self) -> float:
        """Weight of the score term."""
        return self.score_weight
