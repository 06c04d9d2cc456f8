"""Samples and regions of a physics model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RegionKind = Literal["unbinned", "histogram", "counting", "workspace"]


@dataclass(frozen=True)
class Sample:
    """Simulated events of a process.

    Attributes:
        name: Name of the sample.
        process: Process that its events belong to.
        benchmark: Benchmark that it was generated under.
        carried: Benchmarks whose weights every event carries, its own included.
    """

    name: str
    process: str
    benchmark: str
    carried: tuple[str, ...]


@dataclass(frozen=True)
class Region:
    """A selection of events that enters the fit in one way.

    Attributes:
        name: Its name.
        kind: `unbinned` (density ratios), `histogram` (bins of observables), `counting` (one number) or `workspace` (a file of others).
        condition: Which events, of the grammar of `toolkit.expressions.conditions`; empty takes all.
        observables: Axes of a histogram.
        edges: Bin edges, one tuple per observable.
        file: A pyhf workspace, kind `workspace`.
    """

    name: str
    kind: RegionKind = "unbinned"
    condition: str = ""
    observables: tuple[str, ...] = ()
    edges: tuple[tuple[float, ...], ...] = ()
    file: str = ""
