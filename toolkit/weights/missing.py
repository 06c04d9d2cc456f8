"""Missing values of observables as network inputs: a stated fill, and a flag that says whether the value is there.

Event tables keep missing values missing (an event with one jet has no m_jj), and histograms leave such events out. A
network needs a number: `fill_missing` adds, per observable with a fill, the columns NAME_filled and has_NAME beside NAME.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from toolkit.errors import SchemaError
from toolkit.typing import FloatArray


def filled_name(name: str) -> str:
    """Return the name of the filled column.

    Examples:
        >>> filled_name("m_jj")
        'm_jj_filled'
    """
    return f"{name}_filled"


def flag_name(name: str) -> str:
    """Return the name of the presence flag.

    Examples:
        >>> flag_name("m_jj")
        'has_m_jj'
    """
    return f"has_{name}"


def source_of(name: str, fills: Mapping[str, float]) -> str:
    """Return the observable that a column is made of: NAME for NAME_filled and has_NAME, other names themselves.

    Examples:
        >>> [source_of(n, {"m_jj": 0.0}) for n in ("m_jj_filled", "has_m_jj", "m4l", "has_m4l")]
        ['m_jj', 'm_jj', 'm4l', 'has_m4l']
    """
    made = {made_name: source for source in fills for made_name in (filled_name(source), flag_name(source))}
    return made.get(name, name)


def fill_missing(observables: Mapping[str, FloatArray], fills: Mapping[str, float]) -> dict[str, FloatArray]:
    """Add filled columns and presence flags.

    Args:
        observables: Each (n,), NaN where missing.
        fills: What stands for a missing value, by observable, in its unit.

    Returns:
        All observables unchanged, and per fill `NAME_filled` (value or fill) and `has_NAME` (1.0 or 0.0), each (n,).

    Raises:
        SchemaError: An observable with a fill does not exist, or the name of a new column is taken.

    Examples:
        >>> columns = fill_missing({"m_jj": np.array([500.0, np.nan])}, {"m_jj": 0.0})
        >>> columns["m_jj_filled"].tolist(), columns["has_m_jj"].tolist(), columns["m_jj"].tolist()
        ([500.0, 0.0], [1.0, 0.0], [500.0, nan])
    """
    out = dict(observables)
    for name, fill in fills.items():
        if name not in observables:
            known = sorted(observables)
            raise SchemaError(f"fill of {name}", got="no such observable", expected=f"one of {known}", remedy="correct `fills`")
        present = ~np.isnan(observables[name])
        for new, values in ((filled_name(name), np.where(present, observables[name], fill)), (flag_name(name), present.astype(np.float64))):
            if new in out:
                raise SchemaError(f"fill of {name}", got=f"an observable {new}", expected="a free name", remedy=f"rename {new}")
            out[new] = values
    return out
