"""Turn arrays into JSON values: NaN and infinities, which JSON does not know, become null."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def jsonable(value: Any) -> Any:
    """Convert numbers, arrays, sequences and mappings into what the json module writes portably.

    Args:
        value: Number, string, None, array, sequence or mapping of these.

    Returns:
        The same data as dict, list, float, int, bool, str or None; a number that is not finite is None.

    Examples:
        >>> import numpy as np
        >>> jsonable({"x": np.array([1.0, np.nan]), "n": np.int64(3)})
        {'x': [1.0, None], 'n': 3}
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [jsonable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
