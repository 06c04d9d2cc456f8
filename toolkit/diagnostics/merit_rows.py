"""All figures of merit of one score in one row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.diagnostics.merit import FORMULAS, Merit, MeritWeights, significance
from toolkit.diagnostics.separation import auc, rate_at_efficiency
from toolkit.diagnostics.serialise import jsonable
from toolkit.typing import FloatArray

EFFICIENCY = 0.6
"""Signal efficiency of the figure N_s / sqrt(N_b)."""


@dataclass(frozen=True, eq=False)
class MeritRow:
    """Figures of merit of one score.

    Attributes:
        name: The score.
        n_bins: Bins of the significances.
        merits: By name: `z`, `interference_z`, `asimov_z`, `interference_asimov_z`, `rate_at_efficiency`, `auc`.
    """

    name: str
    n_bins: int
    merits: Mapping[str, Merit]

    def to_json(self) -> dict[str, Any]:
        """Return values and errors as a JSON object."""
        values = {name: {"value": jsonable(m.value), "error": jsonable(m.error)} for name, m in self.merits.items()}
        return {"name": self.name, "n_bins": self.n_bins, **values}


def merit_row(
    name: str,
    score: FloatArray,
    weights: MeritWeights,
    *,
    edges: FloatArray,
    ordered: bool = True,
    efficiency: float = EFFICIENCY,
) -> MeritRow:
    """Compute all figures of merit of a score on test events.

    Args:
        name: The score.
        score: (n,) values; beyond the edges they count in the end bins.
        weights: S, SVI, V and B2 of the events, at the luminosity.
        edges: (k + 1,) edges of the bins.
        ordered: Whether large values mean signal; False leaves out AUC and the rate at fixed efficiency.
        efficiency: Signal efficiency of the latter.

    Returns:
        The figures.

    Raises:
        PhysicsDomainError: A bin is empty or negative, or a value is NaN.
    """
    grid = np.asarray(edges, dtype=np.float64)
    merits: dict[str, Merit] = {kind: significance(score, weights, kind=kind, edges=grid) for kind in FORMULAS}
    if ordered:
        pair = {"signal": weights.signal, "background": weights.all_background}
        merits["rate_at_efficiency"] = rate_at_efficiency(score, **pair, efficiency=efficiency)
        merits["auc"] = auc(score, **pair)
    return MeritRow(name, grid.size - 1, merits)
