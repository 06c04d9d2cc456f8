"""ALICES: ALICE with the score.

The loss of `alice` plus  alpha E[ a |grad l - t(x, z)|^2 ], t the joint score at theta: the network also learns how the ratio changes
with theta, so that neighbouring points support each other.

References:
    Stoye, Brehmer, Louppe, Pavez, Cranmer, arXiv:1808.00973.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from toolkit.ratios.estimators.alice import Alice


@dataclass(frozen=True)
class Alices(Alice):
    """ALICES.

    Args:
        score_weight: alpha, the weight of the score term.
    """

    score_weight: float = 1.0

    name: ClassVar[str] = "alices"

    @property
    def alpha(self) -> float:
        """Weight of the score term."""
        return self.score_weight
