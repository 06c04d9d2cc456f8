"""Coverage of confidence intervals: how often they hold the truth in toys that had no part in the construction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import chi2

from toolkit.errors import SchemaError
from toolkit.likelihood.neyman import NeymanBands
from toolkit.likelihood.toy_workers import Workers, run_here
from toolkit.likelihood.toys import ToyRequest, ToySource, run_toys
from toolkit.typing import Progress, silent_progress


@dataclass(frozen=True)
class CoverageCheck:
    """Coverage at one truth and one level.

    Attributes:
        truth: True value of the parameter of interest.
        name: Name of the level.
        level: Nominal coverage.
        toys: Number of toys.
        covered: Toys whose interval of the construction holds the truth.
        asymptotic_covered: Toys whose asymptotic interval (t <= chi-square quantile) does.
        construction_error: Standard error of the coverage from the finite number of toys behind the construction.

    Examples:
        >>> check = CoverageCheck(0.0, "68", 0.683, toys=1000, covered=690, asymptotic_covered=620, construction_error=0.005)
        >>> check.coverage, round(check.deviations, 2), round(check.asymptotic_deviations, 2)
        (0.69, 0.48, -4.28)
    """

    truth: float
    name: str
    level: float
    toys: int
    covered: int
    asymptotic_covered: int
    construction_error: float

    @property
    def coverage(self) -> float:
        """Fraction of intervals of the construction that hold the truth."""
        return self.covered / self.toys

    @property
    def asymptotic_coverage(self) -> float:
        """Fraction of asymptotic intervals that hold the truth."""
        return self.asymptotic_covered / self.toys

    @property
    def binomial_error(self) -> float:
        """Standard deviation of the fraction if the coverage is nominal."""
        return float(np.sqrt(self.level * (1.0 - self.level) / self.toys))

    @property
    def deviations(self) -> float:
        """(coverage - level) in binomial standard deviations."""
        return (self.coverage - self.level) / self.binomial_error

    @property
    def asymptotic_deviations(self) -> float:
        """The same for the asymptotic interval."""
        return (self.asymptotic_coverage - self.level) / self.binomial_error

    def to_json(self) -> dict[str, Any]:
        """Return all numbers."""
        names = ("truth", "name", "level", "toys", "covered", "coverage", "binomial_error", "deviations", "construction_error")
        asymptotic = ("asymptotic_covered", "asymptotic_coverage", "asymptotic_deviations")
        return {name: getattr(self, name) for name in (*names, *asymptotic)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> CoverageCheck:
        """Read what `to_json` wrote."""
        return cls(**{name: document[name] for name in cls.__dataclass_fields__})


def check_coverage(
    source: ToySource,
    bands: NeymanBands,
    truths: Sequence[Mapping[str, float]],
    *,
    toys: int,
    seed: int,
    workers: Workers = run_here,
    file: str | Path | None = None,
    progress: Progress = silent_progress,
) -> tuple[CoverageCheck, ...]:
    """Count how often the intervals hold the truth.

    A truth is inside the interval exactly if t(truth) <= c(truth), so no interval needs to be found.

    Args:
        source: The experiment; it may differ from that of the construction (wider systematics, say).
        bands: The construction.
        truths: Full parameter points inside the range of the construction, on its grid or between.
        toys: Toys per truth.
        seed: Seed of these toys; not that of the construction.
        workers: Where the toys run.
        file: Keeps finished toys.
        progress: Told how many toys are done.

    Returns:
        One check per truth and level.

    Raises:
        SchemaError: The seed is that of the construction: the toys would check themselves.
    """
    if seed == bands.seed:
        what = "coverage check"
        raise SchemaError(what, got=f"seed {seed}, that of the construction", expected="independent toys", remedy="take another seed")
    requests = [ToyRequest(theta, toys) for theta in truths]
    samples = run_toys(
        source, requests, poi=bands.parameter, seed=seed, workers=workers, file=file, progress=progress, label="toys of the coverage"
    )
    checks = []
    for sample in samples:
        for name, curve in bands.curves.items():
            critical, error = float(curve(sample.truth)), float(curve.error(sample.truth))
            inside = {c: int(np.sum(sample.t <= c)) for c in (critical - error, critical, critical + error, chi2.ppf(curve.level, 1))}
            checks.append(
                CoverageCheck(
                    truth=sample.truth,
                    name=name,
                    level=curve.level,
                    toys=len(sample),
                    covered=inside[critical],
                    asymptotic_covered=inside[chi2.ppf(curve.level, 1)],
                    construction_error=(inside[critical + error] - inside[critical - error]) / (2.0 * len(sample)),
                )
            )
    return tuple(checks)
