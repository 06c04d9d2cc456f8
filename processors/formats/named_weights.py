"""The generator weight of layouts that name its column and its factors."""

from __future__ import annotations

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from processors.formats.columns import product
from toolkit.config import FlatLayout, MappingLayout


class NamedWeights:
    """What readers of such layouts have in common.

    Attributes:
        layout: Names the columns.
        data: Whether these are data: every weight is 1.
    """

    layout: FlatLayout | MappingLayout
    data: bool

    def generator_branches(self) -> tuple[str, ...]:
        """Return the column of the generator weight; none for data."""
        return () if self.data or self.layout.gen_weight is None else (self.layout.gen_weight,)

    @property
    def _factors(self) -> tuple[str, ...]:
        return () if self.data else self.layout.weight_factors

    def gen_weights(self, events: ak.Array) -> NDArray[np.float64]:
        """Return generator weight times the weight factors of events, (n,); ones for data and where the layout names no column."""
        return product(events, self.generator_branches(), self._factors)
