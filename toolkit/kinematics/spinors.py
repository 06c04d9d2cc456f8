"""Spinor products of massless momenta, the letters in which helicity amplitudes are written."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.typing import FloatArray

ComplexArray = NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class SpinorProducts:
    """Products <i j> and [i j] of massless momenta with <i j> [j i] = 2 p_i . p_j = s_ij.

    Attributes:
        momenta: px, py, pz, E with E = |p|, components (4, n) of each momentum, all with positive energy.

    Notes:
        The phase of a spinor is arbitrary and drops out of every squared amplitude. Here it is singular for a momentum along -x, not for
        the beams.

    Examples:
        >>> one, two = np.array([[0.0], [0.0], [3.0], [3.0]]), np.array([[0.0], [0.0], [-2.0], [2.0]])
        >>> products = SpinorProducts((one, two))
        >>> (products.angle(0, 1) * products.square(1, 0)).real.round(9).tolist(), products.invariant(0, 1).round(9).tolist()
        ([24.0], [24.0])
    """

    momenta: tuple[FloatArray, ...]

    def __post_init__(self) -> None:
        spinors = []
        for p in self.momenta:
            plus = np.sqrt(p[3] + p[0])
            spinors.append((plus, (p[1] + 1j * p[2]) / plus))
        labels = range(len(spinors))
        angles = {(i, j): spinors[i][0] * spinors[j][1] - spinors[i][1] * spinors[j][0] for i in labels for j in labels if i != j}
        object.__setattr__(self, "_angles", angles)
        object.__setattr__(self, "_squares", {(j, i): np.conj(angle) for (i, j), angle in angles.items()})

    def angle(self, i: int, j: int) -> ComplexArray:
        """Return <i j>, shape (n,)."""
        return self._angles[i, j]  # type: ignore[attr-defined, no-any-return]

    def square(self, i: int, j: int) -> ComplexArray:
        """Return [i j] = <j i>*, shape (n,)."""
        return self._squares[i, j]  # type: ignore[attr-defined, no-any-return]

    def sandwich(self, i: int, between: tuple[int, ...], j: int) -> ComplexArray:
        """Compute [i| k + l + ... |j> = [i k] <k j> + [i l] <l j> + ..., shape (n,)."""
        terms = [self.square(i, k) * self.angle(k, j) for k in between]
        return sum(terms[1:], start=terms[0])

    def invariant(self, *labels: int) -> FloatArray:
        """Compute the squared mass of two or three momenta in GeV^2, shape (n,)."""
        pairs = [(i, j) for k, i in enumerate(labels) for j in labels[k + 1 :]]
        terms: list[FloatArray] = [(self.angle(i, j) * self.square(j, i)).real for i, j in pairs]
        return sum(terms[1:], start=terms[0])
