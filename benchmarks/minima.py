"""Fits, profiles and intervals of random models with several minima against an independent search: `python -m benchmarks.minima`.

The models have one to three interfering strengths, up to six nuisance parameters with variations up to 30 %, and 3 to 30 bins or events
(`benchmarks.minima_models`). The judge evaluates its own likelihood on a dense grid of the amplitudes and polishes every local minimum
of it, from random nuisance parameters too. Aim: no minimum of a fit missed by more than 1e-3, no point of a profile high by more than 1e-3,
no piece of an interval lost, and every other minimum within 1 unit named in `advice`.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.measure import print_json, print_table
from benchmarks.minima_models import Model, judge, random_model
from toolkit.likelihood import FitResult, Likelihood, measure
from toolkit.likelihood.intervals import THRESHOLD_68, THRESHOLD_95

GRID = {1: 121, 2: 25, 3: 9}
"""Points per amplitude of the judge, by the number of amplitudes that are free."""
TOLERANCE = 1e-3
SCAN_POINTS, CHECKED_POINTS = 11, 9


@dataclass
class Outcome:
    """What is wrong with one model: heights above the judge, pieces that are missing or too many, minima that are not named."""

    seed: int
    missed: float
    high: float
    lost: int = 0
    unnamed: int = 0
    seconds: list[float] = field(default_factory=list)

    @property
    def wrong(self) -> bool:
        """Whether anything is wrong."""
        return max(self.missed, self.high) > TOLERANCE or self.lost > 0 or self.unnamed > 0


def check(seed: int) -> Outcome:
    """Fit, scan and measure one random model, and judge the results."""
    model, rng = random_model(seed), np.random.default_rng([7, seed])
    likelihood, names = model.likelihood(), names_of(model)
    poi = int(rng.integers(model.dimension))
    clock = [time.process_time()]
    fit = likelihood.fit()
    clock.append(time.process_time())
    values = np.linspace(*edges(likelihood, names[poi]), SCAN_POINTS)
    result = measure(likelihood, method="benchmark", poi=names[poi], values=values)
    clock.append(time.process_time())
    random = np.stack([rng.uniform(low, high, 8) for low, high in model.bounds], axis=1)
    random[:, model.n_signals :] = model.aux + 1.5 * rng.normal(size=(8, len(model.aux)))
    minima = judge(model, {}, np.concatenate([random, flipped(model, random)]), grid=GRID[model.n_signals])
    best = float(minima[0, 0])
    outcome = Outcome(seed, height(model, fit.parameters) - best, 0.0, unnamed=count_unnamed(model, fit, minima))
    starts = np.concatenate([minima[:6, 1:], random[:2]])
    for i in range(0, SCAN_POINTS, 2):
        lowest = judge_at(model, poi, float(values[i]), starts)
        outcome.high = max(outcome.high, float(result.scan.twice_delta_nll[i]) - (lowest - best))
    checked = np.linspace(values[0], values[-1], CHECKED_POINTS + 2)[1:-1]
    heights = [(float(v), judge_at(model, poi, float(v), starts) - best) for v in checked]
    heights += [(external(model, poi, row), float(row[0]) - best) for row in minima]
    for threshold, pieces in ((THRESHOLD_68, result.interval_68), (THRESHOLD_95, result.interval_95)):
        for value, rise in heights:
            contained = any(p.low <= value <= p.high for p in pieces)
            near = any(min(abs(value - p.low), abs(value - p.high)) < 1e-4 for p in pieces)
            if not values[0] <= value <= values[-1] or near:
                continue
            outcome.lost += (rise < threshold - 0.01 and not contained) or (rise > threshold + 0.01 and contained and value in checked)
    outcome.seconds = np.diff([*clock, time.process_time()]).tolist()
    return outcome


def names_of(model: Model) -> list[str]:
    """Name the parameters in the order of the model."""
    return [f"mu{k}" for k in range(model.n_signals)] + [f"alpha{m}" for m in range(len(model.norms))]


def edges(likelihood: Likelihood, name: str) -> tuple[float, float]:
    """Return the ends of the scan: the range of the parameter."""
    parameter = likelihood.parameters[likelihood.parameter_names.index(name)]
    return parameter.low, parameter.high


def height(model: Model, parameters: Any) -> float:
    """Evaluate the judge's likelihood at a point of the toolkit's."""
    point = np.array([parameters[n] for n in names_of(model)])
    point[: model.n_signals] = np.sqrt(point[: model.n_signals])
    return float(model.nll(point[None, :])[0][0])


def external(model: Model, k: int, row: Any) -> float:
    """Return the value of parameter k at one of the judge's minima."""
    return float(row[1 + k] ** 2 if k < model.n_signals else row[1 + k])


def flipped(model: Model, points: Any) -> Any:
    """Return points whose nuisance parameters have the opposite sign."""
    out = np.array(points)
    out[:, model.n_signals :] *= -1.0
    return out


def judge_at(model: Model, poi: int, value: float, starts: Any) -> float:
    """Return the judge's profile at one value of a parameter."""
    held = {poi: float(np.sqrt(value)) if poi < model.n_signals else value}
    free = model.n_signals - (poi < model.n_signals)
    return float(judge(model, held, starts, grid=GRID[max(free, 1)])[0, 0])


def count_unnamed(model: Model, fit: FitResult, minima: Any) -> int:
    """Count other minima within 1 unit, behind a barrier, that the fit does not list, or lists without advice."""
    best = float(minima[0, 0])
    listed = [np.array([m.parameters[n] for n in names_of(model)]) for m in fit.minima]
    for point in listed:
        point[: model.n_signals] = np.sqrt(point[: model.n_signals])
    wrong = 0
    for row in minima:
        if row[0] > best + 0.98 or not separate(model, minima[0, 1:], row[1:]):
            continue
        known = any(np.all(np.abs(point - row[1:]) < 0.02) or not separate(model, point, row[1:]) for point in listed)
        wrong += not known or "another minimum" not in fit.advice
    return wrong


def separate(model: Model, one: Any, other: Any) -> bool:
    """Whether the straight line between two points climbs by 0.01 above both."""
    line = one + np.linspace(0.0, 1.0, 41)[:, None] * (other - one)
    heights = model.nll(line)[0]
    return bool(heights.max() > max(heights[0], heights[-1]) + 0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="seed of the first model")
    options = parser.parse_args()
    outcomes = []
    for seed in range(options.first, options.first + options.models):
        outcomes.append(check(seed))
        if outcomes[-1].wrong:
            print(outcomes[-1], flush=True)
    rows = [
        ["minima of fits missed by more than 1e-3", sum(o.missed > TOLERANCE for o in outcomes), max(o.missed for o in outcomes)],
        ["models with a profile high by more than 1e-3", sum(o.high > TOLERANCE for o in outcomes), max(o.high for o in outcomes)],
        ["intervals that lose or add a piece", sum(o.lost > 0 for o in outcomes), float(max(o.lost for o in outcomes))],
        ["minima within 1 unit without advice", sum(o.unnamed > 0 for o in outcomes), float(max(o.unnamed for o in outcomes))],
    ]
    print_table([f"{len(outcomes)} models", "number", "largest"], rows)
    seconds = np.sum([o.seconds for o in outcomes], axis=0).tolist()
    print(f"CPU: fits {seconds[0]:.1f} s, measurements {seconds[1]:.1f} s, judge {seconds[2]:.1f} s")
    print_json({"models": len(outcomes), "wrong": [o.seed for o in outcomes if o.wrong], "cpu_s": seconds})


if __name__ == "__main__":
    main()
