"""Expected events by region of the fit, as numbers to be shown."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class RegionYields:
    """Expected events by region.

    Attributes:
        regions: Names, kinds and conditions.
        processes: Names of the densities.
        yields: Expected events of every density at a coefficient of 1 in every region, n_regions rows of n_densities.
        events: Simulated test events in every region.
        expected: Expected events of every region at the Asimov truth, from the test events.
        outside_events: Simulated test events in no region.
        outside_expected: What they stand for at the Asimov truth.
    """

    regions: tuple[tuple[str, str, str], ...]
    processes: tuple[str, ...]
    yields: tuple[tuple[float, ...], ...]
    events: tuple[int, ...]
    expected: tuple[float, ...]
    outside_events: int
    outside_expected: float

    def to_json(self) -> dict[str, Any]:
        """Return the object `regions` of results.json."""
        return asdict(self)
