"""Coverage of profiled Neyman intervals for a counting experiment with a measured background, against closed forms.

    python -m benchmarks.counting [--toys 1000] [--check-toys 1000] [--points 13] [--background 400] [--error 0.05]

Aim: the intervals cover the truths within two binomial standard deviations, whatever the true background is. A count n is Poisson
distributed around 40 mu + B b; an auxiliary measurement of b = 1 is normally distributed with the relative error. For mu >= 0 the
construction is exact only at the background that it profiled; the check also takes truths with another one.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.measure import print_json, print_table
from toolkit.likelihood import BinnedLikelihood, CombinedLikelihood, Constraint, ConstraintTerm, Parameter
from toolkit.likelihood.coverage import check_coverage
from toolkit.likelihood.neyman import construct_bands, grid_points
from toolkit.likelihood.toy_sources import BinnedToys, CombinedToys

SIGNAL = 40.0
TRUTHS = ({"mu": 0.3, "b": 1.0}, {"mu": 1.5, "b": 1.0}, {"mu": 0.3, "b": 1.05}, {"mu": 1.5, "b": 0.95})


def counting_toys(*, background: float, error: float, high: float = 4.0) -> CombinedToys:
    """Return the experiment; its data are the expectation at mu = 1, b = 1.

    Args:
        background: Expected background events.
        error: Relative standard deviation of its measurement.
        high: Upper end of the range of mu.
    """
    b = Parameter("b", init=1.0, low=max(1.0 - 6.0 * error, 0.01), high=1.0 + 6.0 * error)
    count = BinnedLikelihood(
        templates=[[SIGNAL], [background]],
        data=[SIGNAL + background],
        coefficients=("mu", "b"),
        parameters=("mu", "b"),
        bounds={"mu": (0.0, high), "b": (b.low, b.high)},
        init={"mu": 1.0, "b": 1.0},
    )
    likelihood = CombinedLikelihood([count, ConstraintTerm([Constraint("b", observed=1.0, scale=error)], [b])], poi="mu")
    return CombinedToys((BinnedToys(count), None), likelihood)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--toys", type=int, default=1000, help="per grid point")
    parser.add_argument("--check-toys", type=int, default=1000, help="per truth")
    parser.add_argument("--points", type=int, default=13)
    parser.add_argument("--background", type=float, default=400.0)
    parser.add_argument("--error", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=20)
    options = parser.parse_args()
    cpu = time.process_time()
    source = counting_toys(background=options.background, error=options.error)
    points = grid_points(source.likelihood, points=options.points)
    bands = construct_bands(source, points, poi="mu", toys=options.toys, seed=options.seed)
    checks = check_coverage(source, bands, TRUTHS, toys=options.check_toys, seed=options.seed + 1)
    names = [f"mu = {t['mu']:g}, b = {t['b']:g}, {level} %" for t in TRUTHS for level in bands.curves]
    rows = []
    for name, c in zip(names, checks, strict=True):
        numbers = (c.coverage, c.binomial_error, c.deviations, c.construction_error, c.asymptotic_coverage)
        rows.append([name, *(f"{number:.4f}" for number in numbers)])
    print_table(["truth, level", "Neyman", "binomial error", "deviations", "error of construction", "asymptotic"], rows)
    total = options.toys * options.points + options.check_toys * len(TRUTHS)
    cpu = time.process_time() - cpu
    print(f"{total} toys, {cpu:.0f} s CPU, {bands.not_converged} fits of the construction without a minimum")
    print_json({"coverage": [c.to_json() for c in checks], "cpu_s": cpu})


if __name__ == "__main__":
    main()
