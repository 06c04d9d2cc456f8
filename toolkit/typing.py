"""Types that several layers share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
JsonObject = dict[str, Any]
ExecutorName = Literal["iterative", "futures", "dask"]
"""Where the files of the ntuples are read."""

Progress = Callable[[str, float, float], None]
"""Called as progress(label, done, total) while a long step runs; a new label opens a new bar, done == total closes it. What
follows `DETAIL` in the label may change from call to call: it is shown beside the bar."""
DETAIL = " | "


def silent_progress(label: str, done: float, total: float) -> None:
    """Ignore the progress of a long step: the default wherever a `Progress` is accepted.

    Examples:
        >>> silent_progress("training", 1, 10)
    """
