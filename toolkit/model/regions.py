"""Samples and regions of a physics model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from toolkit.errors import SchemaError
from toolkit.typing import BoolArray

RegionKind = Literal["unbinned", "histogram", "counting", "workspace"]


@dataclass(frozen=True)
class Sample:
    """Simulated events of a process.

    Attributes:
        name: Name of the sample.
        process: Process that its events belong to.
        benchmark: Benchmark that it was generated under; empty for none of them (weights to all were computed afterwards).
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


@dataclass(frozen=True)
class Partition:
    """How many events the regions of a fit take.

    Attributes:
        events: Events by region.
        left_out: Selected events that lie in none.
    """

    events: dict[str, int]
    left_out: int


def require_disjoint(regions: Sequence[Region]) -> None:
    """Refuse regions of events of which the conditions alone say that they overlap: without a condition, or with the same one.

    Raises:
        SchemaError: Two regions take the same events. Other overlaps show only at the events: `partition`.

    Examples:
        >>> require_disjoint([Region("SR", condition="d > 0"), Region("CR", "counting", "d <= 0")])
    """
    ours = [r for r in regions if r.kind != "workspace"]
    open_ones = [r.name for r in ours if not r.condition]
    if open_ones and len(ours) > 1:
        raise SchemaError(
            f"region {open_ones[0]!r}",
            got=f"no condition, so it takes all events, beside {[r.name for r in ours if r.name != open_ones[0]]}",
            expected="regions that do not overlap: events would be counted twice",
            remedy="give it a condition",
        )
    written: dict[str, str] = {}
    for region in ours:
        text = "".join(region.condition.split())
        if text in written:
            raise SchemaError(
                f"regions {written[text]!r} and {region.name!r}",
                got=f"the same condition, {region.condition!r}",
                expected="regions that do not overlap: events would be counted twice",
                remedy="change one of them",
            )
        written[text] = region.name


def partition(inside: Mapping[str, BoolArray]) -> Partition:
    """Count the events of regions, and refuse events that lie in two of them.

    Args:
        inside: Which of the selected events lie in each region of the fit, each (n,).

    Returns:
        Events by region, and how many lie in none.

    Raises:
        SchemaError: Regions overlap; names them and says how many events they share.

    Examples:
        >>> partition({"SR": np.array([True, False, False]), "CR": np.array([False, True, False])})
        Partition(events={'SR': 1, 'CR': 1}, left_out=1)
    """
    names = list(inside)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            shared = int(np.count_nonzero(inside[first] & inside[second]))
            if shared:
                raise SchemaError(
                    f"regions {first!r} and {second!r}",
                    got=f"{shared} events in both",
                    expected="regions that do not overlap: events would be counted twice",
                    remedy="make their conditions exclude each other",
                )
    events = {name: int(np.count_nonzero(mask)) for name, mask in inside.items()}
    n = len(next(iter(inside.values()))) if inside else 0
    return Partition(events, n - sum(events.values()))
