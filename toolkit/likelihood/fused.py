"""The compiled sums over events, where they can be had: numba is imported, and kernels are compiled or read from its cache, once.

What to use when: `kernels` before sums over events with per-event variations; None means the NumPy twin. Compiling takes some seconds
and its result is kept beside the module, or in the user's cache folder where the package cannot be written to.
"""

from __future__ import annotations

import importlib
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolkit.likelihood.fused_kernels import Kernels


@lru_cache(maxsize=2)
def kernels(dtype: str) -> Kernels | None:
    """Return the compiled functions for logarithms of a type, "float64" or "float32"; None, with one warning, where there are none."""
    try:
        found: Kernels = importlib.import_module("toolkit.likelihood.fused_kernels").compiled(dtype)
    except (ImportError, RuntimeError) as error:
        warnings.warn(
            f"likelihoods with per-event variations are evaluated by NumPy, which is slower: {error}; install numba, or set NUMBA_CACHE_DIR"
            " to a folder that can be written to",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    return found
