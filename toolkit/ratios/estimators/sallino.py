"""SALLINO: SALLY's scores projected on the direction from theta_0 to theta, one observable per tested point.

h(x | theta) = t(x | theta_0) . (theta - theta_0) is, up to a function of theta, the log ratio of the locally equivalent exponential
family; its histogram has one dimension however many parameters there are. With one parameter it is SALLY times a constant.

References:
    Brehmer, Cranmer, Louppe, Pavez, arXiv:1805.00020, section IV.C (SALLINO).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from toolkit.ratios.estimators.sally import Sally


@dataclass(frozen=True)
class Sallino(Sally):
    """SALLINO: trains like `Sally`; use the model's `projection(x, theta)`."""

    name: ClassVar[str] = "sallino"
