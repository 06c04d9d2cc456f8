"""Histogram baselines of the same physics."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import Field, model_validator

from toolkit.config.base import Section

Edges = tuple[float, ...]
METHODS = ("rate", "score", "score_2d", "nsbi")
"""Names of the methods beside the histograms of a config."""
PlaneBins = Annotated[int, Field(ge=2, le=1000)]


class HistogramConfig(Section):
    """A binned baseline on one observable, or on two, with `edges` in the unit of the observable, the last bin closed by the selection."""

    observable: str | tuple[str, str]
    """Name of an observable of the event tables, or of two, whose bins are unrolled in the fit: `[m4l, cos_theta_star]`."""
    edges: Edges | tuple[Edges, Edges] = ()
    """Bin edges, increasing; two lists of edges for two observables."""
    bins: int | None = Field(default=None, ge=2, le=10_000)
    """In place of `edges`, for one observable: so many bins, which expect the same number of events at the truth of the Asimov set; for
    scores, whose values nobody knows beforehand."""
    least_expected: float | None = Field(default=None, gt=0)
    """Only for two observables: bins that expect fewer events somewhere in the range of the parameter are merged with a neighbour, which
    the report states. `null` merges nothing and refuses bins whose expectation is not positive."""

    @property
    def observables(self) -> tuple[str, ...]:
        """The observables, one or two."""
        return (self.observable,) if isinstance(self.observable, str) else self.observable

    @property
    def axes(self) -> tuple[Edges, ...]:
        """The edges of each observable."""
        return tuple(e if isinstance(e, tuple) else () for e in self.edges) if self._nested else (self._flat,)

    @property
    def _nested(self) -> bool:
        return any(isinstance(e, tuple) for e in self.edges)

    @property
    def _flat(self) -> Edges:
        return tuple(e for e in self.edges if not isinstance(e, tuple))

    @model_validator(mode="after")
    def _consistent(self) -> HistogramConfig:
        if (self.bins is None) != bool(self.edges):
            msg = "give `edges`, or for one observable the number of `bins`, and not both"
            raise ValueError(msg)
        if self.bins is not None:
            return self._with_bins()
        if self._nested != (len(self.observables) == 2):
            msg = f"edges of {list(self.observables)}: one list of edges per observable, got {self.edges}"
            raise ValueError(msg)
        if self.least_expected is not None and len(self.observables) == 1:
            msg = "least_expected is for histograms of two observables; choose the edges of one observable by hand"
            raise ValueError(msg)
        if len(set(self.observables)) < len(self.observables):
            msg = f"the two observables are the same: {list(self.observables)}"
            raise ValueError(msg)
        for edges in self.axes:
            if len(edges) < 2 or any(b <= a for a, b in pairwise(edges)):
                msg = f"edges must increase, got {list(edges)}"
                raise ValueError(msg)
        return self

    def _with_bins(self) -> HistogramConfig:
        if len(self.observables) > 1 or self.least_expected is not None:
            msg = "bins are for one observable; give two lists of `edges`"
            raise ValueError(msg)
        return self


class ScoreHistogramConfig(Section):
    """A binned baseline on the network's own signal score log p_S / (p_B + p_background), in bins that hold equal signal."""

    bins: int = Field(default=30, ge=2, le=10_000)
    """Number of quantile bins."""


class RatioHistogramsConfig(Section):
    """Binned baselines on ln rho(x|value) - ln rho(x|truth) of the networks, one for each value of the parameter of interest.

    Each is the best histogram for its value; what the networks learned wrong costs information and moves nothing. They are methods of the
    fit of their own, called `ratio_at_VALUE`.
    """

    values: tuple[float, ...] = Field(min_length=1)
    """Values of the parameter of interest, not its truth."""
    bins: int = Field(default=30, ge=2, le=1000)
    """Bins of each, which share the expected events and what they tell about the two points evenly."""

    @property
    def names(self) -> dict[str, float]:
        """The values by the name of the method.

        Examples:
            >>> RatioHistogramsConfig(values=(0.0, 2.5)).names
            {'ratio_at_0': 0.0, 'ratio_at_2p5': 2.5}
        """
        return {ratio_histogram_name(value): value for value in self.values}

    @model_validator(mode="after")
    def _distinct(self) -> RatioHistogramsConfig:
        if len(self.names) < len(self.values):
            msg = f"values repeat: {list(self.values)}"
            raise ValueError(msg)
        return self


def ratio_histogram_name(value: float) -> str:
    """Return the name of the method of one value.

    Examples:
        >>> ratio_histogram_name(-0.5)
        'ratio_at_m0p5'
    """
    return "ratio_at_" + f"{value:g}".replace("-", "m").replace(".", "p").replace("+", "")


class ScorePlaneConfig(Section):
    """A binned baseline on two ratios of the networks, unrolled.

    They are ln rho(b)/rho(a) and ln rho(c)/rho(b) of three points a < b < c of the parameter of interest; with two parameters of interest,
    the ratio of the truth to the far end of each.
    """

    points: tuple[float, float, float] | None = None
    """The three points, for one parameter of interest; by default its lowest value, its truth, and one and a half times as far above."""
    bins: tuple[PlaneBins, PlaneBins] = (24, 12)
    """Numbers of bins of the two ratios, before poor ones are merged."""
    least_expected: float | None = Field(default=None, gt=0)
    """Bins that expect fewer events somewhere in the range of the parameters are merged with a neighbour; by default 0.5, or 0.1 % of all
    expected events if that is less, so that few expected events do not make the bins coarse."""

    @model_validator(mode="after")
    def _increasing(self) -> ScorePlaneConfig:
        if self.points is not None and not self.points[0] < self.points[1] < self.points[2]:
            msg = f"points must increase, got {list(self.points)}"
            raise ValueError(msg)
        return self
