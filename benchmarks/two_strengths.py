"""Coverage of Neyman intervals with two interfering strengths, one of them profiled: `python -m benchmarks.two_strengths`.

Ten bins with two amplitudes, each with its own interfering background: up to four minima. The bands are made at points where the
other strength has its conditional best fit to the Asimov set; the toys of the check are others. Aim: 68.27 % within two binomial standard
deviations, those of the construction included, at three points.
"""

from __future__ import annotations

import argparse
import math
import time

import numpy as np

from benchmarks.measure import print_json, print_table
from toolkit.likelihood import BinnedLikelihood, morphing_expressions
from toolkit.likelihood.coverage import CoverageCheck, check_coverage
from toolkit.likelihood.neyman import construct_bands, grid_points
from toolkit.likelihood.toy_sources import BinnedToys

TRUTHS = ({"mu": 0.3, "nu": 1.0}, {"mu": 1.0, "nu": 1.0}, {"mu": 3.0, "nu": 1.0})
HIGH = 6.0


def experiment() -> BinnedLikelihood:
    """Return the likelihood of two strengths; its data are replaced."""
    x = (np.arange(10) + 0.5) / 10.0
    pairs = ((30.0 * x**2 + 1.0, 40.0 * np.exp(-2.0 * x)), (20.0 * (1.0 - x) + 2.0, 25.0 * x + 5.0))
    templates = [t for s, b in pairs for t in (s, s + b - 1.6 * np.sqrt(s * b), b)]
    texts = [text for name in ("mu", "nu") for text in morphing_expressions(parameter=name)]
    bounds = {"mu": (0.0, HIGH), "nu": (0.0, HIGH)}
    return BinnedLikelihood(templates=templates, data=np.ones(10), coefficients=texts, parameters=("mu", "nu"), bounds=bounds)


def run(*, points: int, toys: int, check_toys: int, seed: int) -> tuple[CoverageCheck, ...]:
    """Make the construction and check it at 68.27 %."""
    likelihood = experiment()
    asimov = likelihood.with_data(likelihood.expected(TRUTHS[1]))
    source = BinnedToys(likelihood)
    bands = construct_bands(source, grid_points(asimov, points=points, poi="mu"), poi="mu", toys=toys, seed=seed, root=True)
    return tuple(c for c in check_coverage(source, bands, TRUTHS, toys=check_toys, seed=seed + 1) if c.name == "68")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=7, help="grid points of the construction")
    parser.add_argument("--toys", type=int, default=250, help="toys per grid point")
    parser.add_argument("--check-toys", type=int, default=400, help="toys per truth")
    parser.add_argument("--seed", type=int, default=20, help="of the construction; the check takes the next one")
    options = parser.parse_args()
    clock = time.process_time()
    checks = run(points=options.points, toys=options.toys, check_toys=options.check_toys, seed=options.seed)
    rows = []
    for c in checks:
        sigma = math.hypot(c.binomial_error, c.construction_error)
        rows.append(
            [f"mu = {c.truth:g}", c.coverage, c.binomial_error, c.construction_error, (c.coverage - c.level) / sigma, c.asymptotic_coverage]
        )
    print_table(["truth", "coverage", "binomial error", "error of construction", "deviations", "asymptotic"], rows)
    print(f"{time.process_time() - clock:.0f} s of CPU")
    print_json({"coverage": [c.to_json() for c in checks]})


if __name__ == "__main__":
    main()
