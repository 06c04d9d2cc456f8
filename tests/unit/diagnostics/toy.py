"""The densities of the world in which every density is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def densities(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Normalised densities on 0 < x < 1, (n, 4): |c x|^2, |1 - c x|^2 (destructive interference), 1 and 4 (1 - x)^3."""
    amplitude = 0.9 * x
    signal, both = amplitude**2, 1 - amplitude + amplitude**2
    return np.stack([signal / 0.27, both / (1 - 0.45 + 0.27), np.ones_like(x), 4 * (1 - x) ** 3], axis=1)
