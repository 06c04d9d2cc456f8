"""Scores of the same events and classes side by side: significance at one efficiency, area under the curve, ratios in pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np

from toolkit.diagnostics.roc import RocCurve, roc_curve
from toolkit.diagnostics.separation import PairedRatio, PairedRatios, paired_rate_ratios, positive_sum, rate_at_efficiency
from toolkit.typing import FloatArray

EFFICIENCIES = (0.6, 0.8, 0.9)
"""Shares of the signal above the cuts; the significance is quoted at the first."""


@dataclass(frozen=True, eq=False)
class ScoreStanding:
    """What one score is worth.

    Attributes:
        rate: N_s / sqrt(N_b) at the first efficiency, and its error from the finite simulation.
        curve: Background against signal efficiency.
    """

    rate: tuple[float, float]
    curve: RocCurve

    def to_json(self) -> dict[str, Any]:
        """Return all numbers as a JSON object."""
        return {"rate": list(self.rate), "curve": self.curve.to_json()}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ScoreStanding:
        """Read what `to_json` wrote."""
        value, error = document["rate"]
        return cls((float(value), float(error)), RocCurve.from_json(document["curve"]))


@dataclass(frozen=True, eq=False)
class ScoreComparison:
    """Scores that answer the same question.

    Attributes:
        title: What is told from what.
        where: The condition on the events; empty for all.
        events: Simulated events with weight under signal or background.
        expected: Expected events of signal and background.
        standings: By name of the score, in the order of the config.
        ratios: N_s / sqrt(N_b) of every score over that of every other, in the same order, at `EFFICIENCIES`.
    """

    title: str
    where: str
    events: int
    expected: tuple[float, float]
    standings: Mapping[str, ScoreStanding]
    ratios: PairedRatios

    def ratio(self, one: str, two: str, *, efficiency: float = EFFICIENCIES[0]) -> PairedRatio:
        """Return N_s / sqrt(N_b) of one score over that of another, and the error of the pair."""
        names = list(self.standings)
        place = (EFFICIENCIES.index(efficiency), names.index(one), names.index(two))
        return PairedRatio(float(self.ratios.value[place]), float(self.ratios.error[place]))

    def to_json(self) -> dict[str, Any]:
        """Return all numbers as a JSON object; `ratios` by efficiency, score and the score that it is divided by."""
        standings = {name: found.to_json() for name, found in self.standings.items()}
        ratios = {
            f"{share:g}": {one: {two: astuple(self.ratio(one, two, efficiency=share)) for two in standings} for one in standings}
            for share in EFFICIENCIES
        }
        return {
            "title": self.title,
            "where": self.where,
            "events": self.events,
            "expected": list(self.expected),
            "standings": standings,
            "ratios": ratios,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ScoreComparison:
        """Read what `to_json` wrote."""
        standings = {name: ScoreStanding.from_json(found) for name, found in document["standings"].items()}
        signal, background = document["expected"]
        pairs = np.array(
            [[[document["ratios"][f"{share:g}"][one][two] for two in standings] for one in standings] for share in EFFICIENCIES],
            dtype=np.float64,
        )
        ratios = PairedRatios(pairs[..., 0], pairs[..., 1])
        return cls(document["title"], document["where"], int(document["events"]), (float(signal), float(background)), standings, ratios)


def compare_scores(
    scores: Mapping[str, FloatArray], *, signal: FloatArray, background: FloatArray, title: str = "", where: str = "", seed: int = 1
) -> ScoreComparison:
    """Compare scores on the same events.

    Args:
        scores: Each (n,), larger for the signal.
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
        >>> x = np.arange(60.0)
        >>> found = compare_scores({"one": x, "two": -x}, signal=1.0 + x, background=np.full(60, 2.0))
        >>> round(found.ratio("two", "one").value, 3), round(found.ratio("one", "two", efficiency=0.9).value, 3)
        (0.693, 1.173)
    """
    standings = {}
    for name, score in scores.items():
        merit = rate_at_efficiency(score, signal=signal, background=background, efficiency=EFFICIENCIES[0])
        curve = roc_curve(score, signal=signal, background=background, name=name)
        standings[name] = ScoreStanding((merit.value, merit.error), curve)
    ratios = paired_rate_ratios(list(scores.values()), signal=signal, background=background, efficiencies=EFFICIENCIES, seed=seed)
    expected = positive_sum(signal, "signal"), positive_sum(background, "background")
    return ScoreComparison(title, where, int(((signal != 0) | (background != 0)).sum()), expected, standings, ratios)
