"""Scans of one parameter and the pieces of its intervals, and their JSON form."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chi2

from toolkit.errors import SchemaError, ShapeError
from toolkit.typing import FloatArray


@dataclass(frozen=True, eq=False)
class Scan:
    """Profile of the test statistic over one parameter.

    Attributes:
        values: Values of the parameter, (n_points,), increasing.
        twice_delta_nll: -2 ln lambda(value) / lambda(best fit), (n_points,), >= 0; infinite at forbidden points.
        parameter: Name of the parameter.

    Examples:
        >>> scan = Scan(values=np.array([0.0, 1.0, 2.0]), twice_delta_nll=np.array([1.0, 0.0, 1.0]))
        >>> scan.to_json()
        {'mu': [0.0, 1.0, 2.0], 'twice_delta_nll': [1.0, 0.0, 1.0]}
    """

    values: FloatArray
    twice_delta_nll: FloatArray
    parameter: str = "mu"

    def __post_init__(self) -> None:
        values, delta = _read_only(self.values), _read_only(self.twice_delta_nll)
        if values.ndim != 1 or values.shape != delta.shape:
            what = "scan"
            raise ShapeError(what, got=f"values {values.shape}, twice_delta_nll {delta.shape}", expected="two arrays (n_points,)")
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "twice_delta_nll", delta)

    @property
    def p_values(self) -> FloatArray:
        """Probability of twice_delta_nll or more for one parameter, if it is distributed as for many events (Wilks), (n_points,)."""
        return np.asarray(chi2.sf(self.twice_delta_nll, 1), dtype=np.float64)

    def to_json(self) -> dict[str, list[Any]]:
        """Return {parameter: [...], "twice_delta_nll": [...]}; forbidden points, at which it is infinite, are null."""
        heights = [h if math.isfinite(h) else None for h in self.twice_delta_nll.tolist()]
        return {self.parameter: self.values.tolist(), "twice_delta_nll": heights}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Scan:
        """Read what `to_json` wrote."""
        d = json_mapping(document, "scan", ("twice_delta_nll",))
        names = [k for k in d if k != "twice_delta_nll"]
        if len(names) != 1:
            what = "scan"
            raise SchemaError(what, got=sorted(d), expected="one parameter beside twice_delta_nll")
        return cls(
            values=np.asarray(d[names[0]], dtype=np.float64),
            twice_delta_nll=np.array([math.inf if h is None else h for h in d["twice_delta_nll"]], dtype=np.float64),
            parameter=names[0],
        )


@dataclass(frozen=True)
class Interval:
    """One connected piece of a confidence interval; `at_boundary` if it reaches the edge of the allowed range."""

    low: float
    high: float
    at_boundary: bool = False


def json_mapping(document: Any, what: str, keys: Sequence[str]) -> Mapping[str, Any]:
    """Check that a document is a JSON object with some keys.

    Raises:
        SchemaError: It is not.
    """
    if not isinstance(document, Mapping):
        raise SchemaError(what, got=type(document).__name__, expected=f"an object with {list(keys)}")
    missing = [k for k in keys if k not in document]
    if missing:
        raise SchemaError(what, got=f"no {missing}", expected=f"the keys {list(keys)}", remedy="write the file with to_json")
    return document


def _read_only(values: ArrayLike) -> FloatArray:
    array = np.array(values, dtype=np.float64)
    array.setflags(write=False)
    return array


def json_number(value: float) -> float | None:
    """Return a number as JSON holds it: null if it is not finite.

    Examples:
        >>> json_number(0.5), json_number(math.inf)
        (0.5, None)
    """
    return float(value) if math.isfinite(value) else None


def from_json_number(value: float | None) -> float:
    """Read a number that `json_number` wrote: NaN for null.

    Examples:
        >>> from_json_number(None)
        nan
    """
    return math.nan if value is None else float(value)
