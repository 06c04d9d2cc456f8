"""Toys behind a Neyman construction."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from pydantic import Field, model_validator

from toolkit.config.base import Section
from toolkit.config.names import Seed


class GoodnessConfig(Section):
    """Goodness of every fit: docs/intervals.md."""

    toys: int = Field(default=0, ge=0, le=10_000_000)
    """Toys per method, drawn at its best fit and fitted like the data; 0 leaves the asymptotic p-values alone."""
    seed: Seed = 21
    """Seed of these toys."""


class ToysConfig(Section):
    """Toys behind the intervals of a parameter whose `interval` is `neyman` or `auto`; see docs/intervals.md."""

    grid_points: int = Field(default=17, ge=5, le=10_000)
    """Values of the parameter at which toys are drawn; the critical values are interpolated between them."""
    per_point: int = Field(default=1000, ge=100, le=10_000_000)
    """Toys per value. The error of an end of a 95 % interval is about 5 % of half its length at 1000."""
    methods: tuple[str, ...] = ("nsbi",)
    """Methods whose intervals `neyman` constructs: `nsbi`, `score`, `rate`, and the names of the histograms."""
    draw: Literal["model", "simulation"] = "model"
    """`model` draws from the densities that are fitted, `simulation` from the simulated test events at the truth, which then
    also corrects what networks and templates get wrong, noise of the test events included."""
    nuisances: Literal["profiled", "fixed"] = "profiled"
    """`profiled` draws the auxiliary measurements of all systematic uncertainties and fits their parameters in every toy; the truth at
    each value is their conditional best fit to the data. `fixed` keeps them nominal: intervals of the statistical uncertainty alone."""
    negative: Literal["error", "drop"] = "error"
    """Events whose expected weight is negative: an error, or left out, with the total kept."""
    coverage_at: tuple[float, ...] = ()
    """Truths at which independent toys check the coverage of the intervals."""
    coverage_toys: int = Field(default=1000, ge=100, le=10_000_000)
    """Toys per truth of that check."""
    seed: Seed = 11
    """Seed of the construction; the coverage check takes the next one."""

    @model_validator(mode="after")
    def _has_methods(self) -> ToysConfig:
        if not self.methods or len(set(self.methods)) != len(self.methods):
            msg = f"methods {list(self.methods)} must name one or more different methods"
            raise ValueError(msg)
        return self

    def check(self, known: Collection[str], *, allowed: tuple[float, float]) -> None:
        """Refuse methods that do not run, and truths outside the allowed range.

        Raises:
            ValueError: There are some.
        """
        unknown = sorted(set(self.methods) - set(known))
        if unknown:
            msg = f"likelihood.toys.methods {unknown} do not run; the methods are {sorted(known)}"
            raise ValueError(msg)
        outside = [value for value in self.coverage_at if not allowed[0] <= value <= allowed[1]]
        if outside:
            msg = f"likelihood.toys.coverage_at {outside} lie outside the range of the parameter, [{allowed[0]}, {allowed[1]}]"
            raise ValueError(msg)
