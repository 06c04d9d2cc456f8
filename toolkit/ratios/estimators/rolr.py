"""ROLR: regression on the joint ratio, parameterised in theta.

e^l minimises  E[ b (r(x, z) - e^l)^2 + a (1 / r(x, z) - e^-l)^2 ], r(x, z) = a / b: squared errors of the ratio under the reference
and of its inverse under the numerator. Dominated by the largest ratios: `alice` usually needs fewer events.

References:
    Brehmer, Cranmer, Louppe, Pavez, arXiv:1805.00020, section IV.B (ROLR).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from toolkit.ratios.estimators.losses import squared_ratio_loss
from toolkit.ratios.estimators.parameterised import ParameterisedEstimator, RatioLoss


@dataclass(frozen=True)
class Rolr(ParameterisedEstimator):
    """ROLR; the settings are those of `ParameterisedEstimator`."""

    name: ClassVar[str] = "rolr"
    ratio_loss: ClassVar[RatioLoss] = staticmethod(squared_ratio_loss)
