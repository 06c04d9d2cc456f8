"""RASCAL: ROLR with the score.

The loss of `rolr` plus  alpha E[ a |grad l - t(x, z)|^2 ], t the joint score at theta.

References:
    Brehmer, Cranmer, Louppe, Pavez, arXiv:1805.00020, section IV.B (RASCAL).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from toolkit.ratios.estimators.rolr import Rolr


@dataclass(frozen=True)
class Rascal(Rolr):
    """RASCAL.

    Args:
        score_weight: alpha, the weight of the score term.
    """

    score_weight: float = 1.0

    name: ClassVar[str] = "rascal"

    @property
    def alpha(self) -> float:
        """Weight of the score term."""
        return self.score_weight
