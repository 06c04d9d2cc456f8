"""The two leading jets of each event as regular arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np

from toolkit.errors import ShapeError
from toolkit.kinematics.fourvectors import as_cartesian
from toolkit.typing import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class LeadingJets:
    """Number of jets and the two with the highest transverse momentum.

    Attributes:
        n_jets: Number of jets, shape (n,), as floats like every other observable.
        j1: Leading jet, px, py, pz, E in GeV, shape (n, 4), NaN where there is none.
        j2: Second jet, likewise.
    """

    n_jets: FloatArray
    j1: FloatArray
    j2: FloatArray

    def __post_init__(self) -> None:
        for name, jet in (("j1", self.j1), ("j2", self.j2)):
            if jet.shape != (len(self.n_jets), 4):
                raise ShapeError(what=f"LeadingJets.{name}", got=jet.shape, expected=(len(self.n_jets), 4))

    def __len__(self) -> int:
        return len(self.n_jets)


def leading_jets(jets: Any) -> LeadingJets:
    """Pick the two jets with the highest transverse momentum.

    Args:
        jets: Jagged awkward array of selected jets, any order, with momentum fields as for `as_cartesian`.

    Returns:
        Their number and the leading two.

    Raises:
        ShapeError: The array is not jagged, one list of jets per event.

    Examples:
        >>> jets = ak.zip({"pt": [[30.0, 50.0], []], "eta": [[0.0, 0.0], []], "phi": [[0.0, 0.0], []], "mass": [[0.0, 0.0], []]})
        >>> leading = leading_jets(jets)
        >>> leading.n_jets.tolist(), leading.j1[:, 3].tolist()
        ([2.0, 0.0], [50.0, nan])
    """
    if not isinstance(jets, ak.Array) or jets.ndim != 2:
        got = str(jets.type) if isinstance(jets, ak.Array) else type(jets).__name__
        raise ShapeError(what="jets", got=got, expected="a jagged awkward array, one list of jets per event")
    return leading_of_list(np.asarray(ak.num(jets), dtype=np.int64), as_cartesian(ak.flatten(jets)))


def leading_of_list(counts: IntArray, momenta: FloatArray) -> LeadingJets:
    """Pick the two leading jets from jets in one flat list, event after event; see `leading_jets`.

    Args:
        counts: Jets of each event, shape (n,).
        momenta: px, py, pz, E in GeV of all jets, shape (sum of counts, 4).

    Examples:
        >>> leading = leading_of_list(np.array([2, 0]), np.array([[30.0, 0, 0, 30], [0, 50, 0, 50]]))
        >>> leading.j1[:, 3].tolist(), leading.j2[:, 3].tolist()
        ([50.0, nan], [30.0, nan])
    """
    first = np.cumsum(counts) - counts
    square = momenta[:, 0] ** 2 + momenta[:, 1] ** 2
    rising = square[1:] > square[:-1]
    rising[first[(first > 0) & (first < len(square))] - 1] = False
    if np.any(rising):
        momenta = momenta[np.lexsort((-square, np.repeat(np.arange(len(counts)), counts)))]
    pair = []
    for k in (0, 1):
        jet, some = np.full((len(counts), 4), np.nan), np.flatnonzero(counts > k)
        jet[some] = momenta.take(first.take(some) + k, axis=0)
        pair.append(jet)
    return LeadingJets(counts.astype(np.float64), *pair)
