"""The parameter of interest of the short form, and how the fit treats it and everything beside it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from toolkit.config.base import Section
from toolkit.config.names import Name, Seed
from toolkit.config.other_fits import OtherFit
from toolkit.config.toys import GoodnessConfig, ToysConfig


class ParameterConfig(Section):
    """The parameter of interest, its allowed range and the truth of the Asimov set."""

    name: Name = "mu"
    asimov: float = 1.0
    """Truth of the Asimov set; must lie inside the range."""
    range: tuple[float, float] = (0.0, 6.0)
    """Allowed range, in which scans and fits stay."""
    interval: Literal["auto", "asymptotic", "neyman"] = "auto"
    """`neyman` also constructs the intervals from toys (docs/intervals.md), which hold where Wilks' theorem does not; `auto` does so for
    all methods where that takes seconds: statistical uncertainties alone, no other free parameter, not too many events."""

    @model_validator(mode="after")
    def _inside(self) -> ParameterConfig:
        low, high = self.range
        if not low < high:
            msg = f"range [{low}, {high}] is empty; give (low, high) with low < high"
            raise ValueError(msg)
        if low < 0:
            msg = f"range starts at {low}; mu = c^2 multiplies a squared amplitude, so the lower end must be >= 0"
            raise ValueError(msg)
        if not low <= self.asimov <= high:
            msg = f"range [{low}, {high}] excludes the Asimov truth {self.asimov}; widen the range or move the truth"
            raise ValueError(msg)
        return self


class NormalisationUncertainty(Section):
    """An uncertainty of the yields of some processes that the ntuples do not hold, such as that of a cross-section."""

    processes: tuple[str, ...] = Field(min_length=1)
    """Processes that it scales together: densities, or whole processes and parts of `processes`."""
    up: float = Field(gt=0)
    """Yield at plus one standard deviation, over the nominal one."""
    down: float | None = Field(default=None, gt=0)
    """Yield at minus one standard deviation, over the nominal one; `null` means 1 / up."""


class LikelihoodConfig(Section):
    """Scan, closure, finite-simulation and systematic uncertainties."""

    systematics: bool = True
    """Whether the variations of `systematics`, the luminosity, the normalisations and the parameters of kind `nuisance` are free in the
    fit, with their constraints."""
    observed: bool = False
    """Whether the data, all samples of `kind: data`, are fitted as well (docs/observed.md). Until then the fit does not read
    them."""
    luminosity_uncertainty: float = Field(default=0.0, ge=0, lt=0.5)
    """Relative uncertainty of the luminosity; 0 leaves it out."""
    normalisations: dict[Name, NormalisationUncertainty] = Field(default={})
    """Normalisation uncertainties by name of the nuisance parameter."""
    template_statistics: bool = False
    """Whether finite simulation enters histogram fits as one nuisance parameter per bin, for the total at the Asimov truth."""
    groups: dict[Name, tuple[Name, ...]] = Field(default={})
    """Groups of nuisance parameters for the table of uncertainties; by default luminosity, normalisation, objects and weights."""

    scan_points: int = Field(default=121, ge=11, le=100_000)
    """Points of the likelihood scan over the range; intervals are refined between them."""
    ratio_uncertainty: bool | Literal["auto"] = "auto"
    """Whether the density ratios of the unbinned channel are uncertain themselves: independent nuisance parameters move all densities
    together along the scores of the calibration, by what the finite simulation and the spread of the ensemble leave undecided. `auto` where
    that makes the error of a parameter more than 5 % longer. Part of `systematics`; not for networks that read the parameter,
    and not in a cross-fit."""
    shape_only: bool = True
    """Whether every method is also fitted with a free normalisation of all processes, for the comparison with and without the rate."""
    closure_mu: tuple[float, ...] = (0.3, 1.0, 1.7)
    """Truths of the closure tests on independent events, values of the parameter of interest; of each, where there are several."""
    closure: tuple[dict[str, float], ...] = ()
    """Truths of several parameters in place of `closure_mu`: `[{mu_ggF: 0.5, mu_EW: 1.5}]`; those not named have their truth."""
    fits: dict[Name, OtherFit] = Field(default={})
    """Further fits of an analysis with `parameters` in other parameters, by name."""
    bootstrap_replicas: int = Field(default=200, ge=20, le=1_000_000)
    """Resamplings of the test events, and of the training sample, behind the standard error of a closure test."""
    seed: Seed = 7
    """Seed of the resampling."""
    toys: ToysConfig = ToysConfig()
    goodness: GoodnessConfig = GoodnessConfig()
