"""What a method says about every parameter of interest, and about pairs of them; their JSON form (contract: results.json)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from toolkit.likelihood.scans import Interval, Scan

Pieces = tuple[Interval, ...]
Point = tuple[float, float]


@dataclass(frozen=True)
class ParameterInfo:
    """A parameter of the analysis: the entry of results.json's `parameters`.

    Attributes:
        kind: `interest` is measured and reported, `normalisation` floats without a constraint, `nuisance` has one.
        range: The allowed range.
        truth: Its value in the Asimov set, around which a nuisance parameter is constrained.
        constraint: Of a nuisance parameter, "gaussian" or "poisson"; empty of a free one.
        width: Standard deviation of what is known about a nuisance parameter.

    Examples:
        >>> ParameterInfo("interest", (0.0, 6.0), 1.0).to_json()
        {'kind': 'interest', 'range': [0.0, 6.0], 'truth': 1.0}
    """

    kind: Literal["interest", "normalisation", "nuisance"]
    range: tuple[float, float]
    truth: float
    constraint: str = ""
    width: float = math.nan

    def to_json(self) -> dict[str, Any]:
        """Return the entry; an end that is not finite is null."""
        known = {"constraint": self.constraint, "width": self.width} if self.constraint else {}
        return {"kind": self.kind, "range": [v if math.isfinite(v) else None for v in self.range], "truth": self.truth, **known}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ParameterInfo:
        """Read what `to_json` wrote."""
        low, high = document["range"]
        allowed = (-math.inf if low is None else low, math.inf if high is None else high)
        return cls(document["kind"], allowed, document["truth"], document.get("constraint", ""), document.get("width", math.nan))


@dataclass(frozen=True)
class CoveragePoint:
    """How often asymptotic intervals hold a truth.

    Attributes:
        at: The truth.
        coverage: Fraction of toys at this truth whose asymptotic interval holds it.
        error: Standard error from the number of toys.
    """

    at: float
    coverage: float
    error: float


LEVELS: Mapping[str, float] = {"68": 0.6826894921370859, "95": 0.95}
"""Levels of the intervals by name."""
MAX_MISS = 0.03
"""Largest accepted distance of the coverage of an asymptotic interval from its level."""


@dataclass(frozen=True, eq=False)
class ParameterResult:
    """One parameter of interest.

    Attributes:
        best_fit: Its value at the global best fit.
        interval_68: Where twice_delta_nll <= 1, all other parameters profiled.
        interval_95: Where twice_delta_nll <= 3.8415, likewise.
        fixed_others_68: The same with the other parameters of interest at their truth; normalisations and nuisance parameters profiled.
        fixed_others_95: Likewise.
        scan: The profile.
        interval_kind: How the intervals were found: "asymptotic" by the thresholds above, "neyman" by toys.
        twice_nll_at_0: -2 ln lambda(0) / lambda(best fit); None if 0 is outside the allowed range, or the data forbid it.
        uncertainties: Pulls, impacts on this parameter and its table of uncertainties as JSON objects; None without systematic ones.
        asymptotic_68: Beside an interval from toys, the one by the threshold.
        asymptotic_95: Likewise.
        coverage: From the same toys, that of asymptotic intervals at the best fit and where the ones here end, by name of the level.

    Examples:
        >>> import numpy as np
        >>> scan = Scan(values=np.array([0.0, 1.0]), twice_delta_nll=np.array([1.0, 0.0]), parameter="mu_EW")
        >>> one = ParameterResult(1.0, (Interval(0.0, 1.0),), (), (), (), scan)
        >>> ParameterResult.from_json(one.to_json()).interval_68
        (Interval(low=0.0, high=1.0, at_boundary=False),)
    """

    best_fit: float
    interval_68: Pieces
    interval_95: Pieces
    fixed_others_68: Pieces
    fixed_others_95: Pieces
    scan: Scan
    interval_kind: str = "asymptotic"
    twice_nll_at_0: float | None = None
    uncertainties: Mapping[str, Any] | None = None
    asymptotic_68: Pieces = ()
    asymptotic_95: Pieces = ()
    coverage: Mapping[str, tuple[CoveragePoint, ...]] = field(default_factory=dict)

    def worst(self, level: str) -> CoveragePoint | None:
        """Return where the coverage of the asymptotic interval of a level is furthest from it; None without toys."""
        return max(self.coverage.get(level, ()), key=lambda point: abs(point.coverage - LEVELS[level]), default=None)

    @property
    def off(self) -> tuple[str, ...]:
        """Levels at which the coverage of the asymptotic interval is off by more than `MAX_MISS`."""
        worst = {level: self.worst(level) for level in LEVELS}
        return tuple(level for level, point in worst.items() if point is not None and abs(point.coverage - LEVELS[level]) > MAX_MISS)

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `method["parameters"]`; intervals are lists of [low, high], each with flags at the edge of the range."""
        pieces = {name: getattr(self, name) for name in _INTERVALS}
        return {
            "best_fit": self.best_fit,
            **{name: [[i.low, i.high] for i in own] for name, own in pieces.items()},
            **{f"{name}_at_boundary": [i.at_boundary for i in own] for name, own in pieces.items()},
            "interval_kind": self.interval_kind,
            "twice_nll_at_0": self.twice_nll_at_0,
            "scan": self.scan.to_json(),
            **({"uncertainties": dict(self.uncertainties)} if self.uncertainties is not None else {}),
            **(self._beside_toys() if self.interval_kind == "neyman" else {}),
        }

    def _beside_toys(self) -> dict[str, Any]:
        pieces = {"asymptotic_68": self.asymptotic_68, "asymptotic_95": self.asymptotic_95}
        return {
            **{name: [[i.low, i.high] for i in own] for name, own in pieces.items()},
            **{f"{name}_at_boundary": [i.at_boundary for i in own] for name, own in pieces.items()},
            "asymptotic_coverage": {level: [vars(point).copy() for point in own] for level, own in self.coverage.items()},
            "asymptotic_off": list(self.off),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ParameterResult:
        """Read what `to_json` wrote."""
        pieces = {name: _pieces(document[name], document[f"{name}_at_boundary"]) for name in _INTERVALS}
        scan = Scan.from_json(document["scan"])
        at_0 = document.get("twice_nll_at_0")
        return cls(
            float(document["best_fit"]),
            **pieces,
            scan=scan,
            interval_kind=document["interval_kind"],
            twice_nll_at_0=None if at_0 is None else float(at_0),
            uncertainties=document.get("uncertainties"),
            **{n: _pieces(document[n], document[f"{n}_at_boundary"]) for n in ("asymptotic_68", "asymptotic_95") if n in document},
            coverage={k: tuple(CoveragePoint(**p) for p in own) for k, own in document.get("asymptotic_coverage", {}).items()},
        )


@dataclass(frozen=True)
class OtherParameters:
    """The parameters of a further fit: the entry of results.json's `fit_parameters`.

    Attributes:
        parameters: The new parameters by name.
        express: Expressions of these in the place of parameters of the analysis, by name.

    Examples:
        >>> common = OtherParameters({"mu": ParameterInfo("interest", (0.0, 6.0), 1.0)}, {"mu_ggF": "mu", "mu_EW": "mu"})
        >>> OtherParameters.from_json(common.to_json()) == common
        True
    """

    parameters: Mapping[str, ParameterInfo]
    express: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return the entry."""
        return {"parameters": {name: p.to_json() for name, p in self.parameters.items()}, "express": dict(self.express)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> OtherParameters:
        """Read what `to_json` wrote."""
        return cls({name: ParameterInfo.from_json(p) for name, p in document["parameters"].items()}, dict(document["express"]))


_INTERVALS = ("interval_68", "interval_95", "fixed_others_68", "fixed_others_95")


@dataclass(frozen=True)
class Contour:
    """Where twice_delta_nll of two parameters equals the quantile of chi-squared with two degrees of freedom.

    Attributes:
        parameters: Their names.
        level: Probability content, 0.68 or 0.95.
        area: Area of the allowed set, in the units of the parameters, inside their ranges.
        lines: Its edge, each a line of points; open where it meets the edge of the range.
        best_fit: The best fit.
    """

    parameters: tuple[str, str]
    level: float
    area: float
    lines: tuple[tuple[Point, ...], ...]
    best_fit: Point

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `method["contours"]`."""
        return {
            "parameters": list(self.parameters),
            "level": self.level,
            "area": self.area,
            "best_fit": list(self.best_fit),
            "lines": [[list(point) for point in line] for line in self.lines],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Contour:
        """Read what `to_json` wrote."""
        first, second = document["parameters"]
        lines = tuple(tuple((float(x), float(y)) for x, y in line) for line in document["lines"])
        x, y = document["best_fit"]
        return cls((first, second), float(document["level"]), float(document["area"]), lines, (float(x), float(y)))


def _pieces(pairs: Sequence[Sequence[float]], flags: Sequence[bool]) -> Pieces:
    return tuple(Interval(float(p[0]), float(p[1]), bool(flag)) for p, flag in zip(pairs, flags, strict=True))
