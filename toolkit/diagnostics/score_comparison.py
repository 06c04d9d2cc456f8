"""Scores of the same events and classes side by side: significance at one efficiency, area under the curve, ratios in pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from toolkit.diagnostics.roc import RocCurve, roc_curve
from toolkit.diagnostics.separation import PairedRatio, paired_rate_ratios, positive_sum, rate_at_efficiency
from toolkit.typing import FloatArray

EFFICIENCIES = (0.6, 0.8, 0.9)
"""Shares of the signal above the cuts; the significance is quoted at the first."""


@dataclass(frozen=True, eq=False)
class ScoreStanding:
    """What one score is worth.

    Attributes:
        rate: N_s / sqrt(N_b) at the first efficiency, and its error from the finite simulation.
        ratios: By efficiency, N_s / sqrt(N_b) over that of the first score; of the first itself 1 without error.
        curve: Background against signal efficiency.
    """

    rate: tuple[float, float]
    ratios: Mapping[float, PairedRatio]
    curve: RocCurve

    def to_json(self) -> dict[str, Any]:
        """Return all numbers as a JSON object."""
        ratios = {f"{share:g}": [found.value, found.error] for share, found in self.ratios.items()}
        return {"rate": list(self.rate), "ratios": ratios, "curve": self.curve.to_json()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ScoreStanding:
        """Read what `to_json` wrote."""
        value, error = document["rate"]
        ratios = {float(share): PairedRatio(*found) for share, found in document["ratios"].items()}
        return cls((float(value), float(error)), ratios, RocCurve.from_json(document["curve"]))


@dataclass(frozen=True, eq=False)
class ScoreComparison:
    """Scores that answer the same question.

    Attributes:
        title: What is told from what.
        where: The condition on the events; empty for all.
        events: Simulated events with weight under signal or background.
        expected: Expected events of signal and background.
        standings: By name of the score, in the order of the config.
    """

    title: str
    where: str
    events: int
    expected: tuple[float, float]
    standings: Mapping[str, ScoreStanding]

    def to_json(self) -> dict[str, Any]:
        """Return all numbers as a JSON object."""
        standings = {name: found.to_json() for name, found in self.standings.items()}
        return {"title": self.title, "where": self.where, "events": self.events, "expected": list(self.expected), "standings": standings}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ScoreComparison:
        """Read what `to_json` wrote."""
        standings = {name: ScoreStanding.from_json(found) for name, found in document["standings"].items()}
        signal, background = document["expected"]
        return cls(document["title"], document["where"], int(document["events"]), (float(signal), float(background)), standings)


def compare_scores(
    scores: Mapping[str, FloatArray], *, signal: FloatArray, background: FloatArray, title: str = "", where: str = "", seed: int = 1
) -> ScoreComparison:
    """Compare scores on the same events.

    Args:
        scores: Each (n,), larger for the signal; the first is what the others are compared with.
        signal: (n,) expected events under the signal, either sign.
        background: (n,) under the background.
        title: What is told from what.
        where: Which events these are.
        seed: Of the resampled events.

    Returns:
        The comparison.

    Raises:
        ShapeError, PhysicsDomainError: As `rate_at_efficiency`.

    Examples:
        >>> import numpy as np
        >>> x = np.arange(60.0)
        >>> found = compare_scores({"one": x, "two": -x}, signal=1.0 + x, background=np.full(60, 2.0))
        >>> [round(found.standings[name].ratios[0.6].value, 3) for name in ("one", "two")]
        [1.0, 0.693]
    """
    first, standings = next(iter(scores.values())), {}
    for name, score in scores.items():
        merit = rate_at_efficiency(score, signal=signal, background=background, efficiency=EFFICIENCIES[0])
        found = (
            [PairedRatio(1.0, 0.0)] * len(EFFICIENCIES)
            if score is first
            else paired_rate_ratios(score, first, signal=signal, background=background, efficiencies=EFFICIENCIES, seed=seed)
        )
        ratios = dict(zip(EFFICIENCIES, found, strict=True))
        curve = roc_curve(score, signal=signal, background=background, name=name)
        standings[name] = ScoreStanding((merit.value, merit.error), ratios, curve)
    expected = positive_sum(signal, "signal"), positive_sum(background, "background")
    return ScoreComparison(title, where, int(((signal != 0) | (background != 0)).sum()), expected, standings)
