"""Coverage of Neyman and asymptotic intervals of mu with the exact likelihood ratio of the benchmark sample at generator level.

    python -m benchmarks.coverage --data FOLDER_OF_THE_BENCHMARK_SAMPLE [--toys 2000] [--points 17] [--workers 1]
    python -m benchmarks.coverage --run FOLDER_OF_A_RUN --config ITS_CONFIG --truths 0 0.3 1 2 4 --check-toys 1000 --toys 1000

Aim: the Neyman intervals at 68 % and 95 % cover the truths within two binomial standard deviations. The events are those of
`benchmarks.exact`; toys are drawn from them at the luminosity, the toys of the check are not those of the construction. With --run
the intervals are those of every method of a run, statistical uncertainties alone, and toys are drawn from the densities that are fitted.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks.exact import TruthEvents, read_truth
from benchmarks.measure import print_table
from toolkit.analysis.build import build_methods, open_ratio, read_out_of_bag
from toolkit.analysis.datasets import read_simulation
from toolkit.analysis.experiments import Experiment, toy_source
from toolkit.analysis.layout import MODEL, OUT_OF_BAG
from toolkit.analysis.session import Folder
from toolkit.config import load_config
from toolkit.likelihood import UnbinnedLikelihood, asimov_weights, morphing_expressions
from toolkit.likelihood.coverage import CoverageCheck, check_coverage
from toolkit.likelihood.neyman import NeymanBands, NeymanResult, construct_bands, grid_points, neyman_intervals
from toolkit.likelihood.toy_sources import UnbinnedToys
from toolkit.likelihood.toy_workers import local_processes
from toolkit.plots import PlotStyle, plot_critical_values, save_figure

COEFFICIENTS = morphing_expressions("ggF", parameter="mu", n_backgrounds=1)
BOUNDS = {"mu": (0.0, 6.0)}
TRUTHS = (0.5, 1.0, 2.0)
SEED = 20


def exact_toys(events: TruthEvents, *, mu: float = 1.0) -> UnbinnedToys:
    """Return the experiment; the likelihood's own weights are the Asimov set at mu."""
    yields = events.weights.sum(axis=0)
    likelihood = UnbinnedLikelihood.from_ratios(
        ratios=events.density / yields,
        weights=asimov_weights(events.weights, coefficients=COEFFICIENTS, parameters={"mu": mu}, bounds=BOUNDS),
        yields=yields,
        coefficients=COEFFICIENTS,
        parameters=("mu",),
        bounds=BOUNDS,
    )
    return UnbinnedToys(likelihood, events.weights)


def run(source: UnbinnedToys, options: argparse.Namespace) -> tuple[NeymanBands, tuple[CoverageCheck, ...]]:
    """Make the construction and check it."""
    workers = local_processes(options.workers)
    files = [None if options.keep is None else options.keep / f"{name}.jsonl" for name in ("construction", "coverage")]
    points = grid_points(source.likelihood, points=options.points)
    toys, seeds = options.toys, (options.seed, options.seed + 1)
    bands = construct_bands(source, points, poi="mu", toys=toys, seed=seeds[0], root=True, workers=workers, file=files[0])
    truths = [{"mu": mu} for mu in options.truths]
    checks = check_coverage(source, bands, truths, toys=options.check_toys, seed=seeds[1], workers=workers, file=files[1])
    return bands, checks


def of_run(options: argparse.Namespace) -> None:
    """Make the construction of every method of a run, and check it."""
    session = Folder(load_config(options.config), options.run)
    training, test = read_simulation(session)
    ratio = open_ratio(options.run / MODEL, session.config)
    out_of_bag = read_out_of_bag(options.run / OUT_OF_BAG, training)
    methods = build_methods(session.config, training=training, test=test, ratio=ratio, out_of_bag=out_of_bag)
    rows = []
    for method in methods:
        _, checks = run(toy_source(Experiment(session.config, test, ratio), method), options)  # type: ignore[arg-type]
        for c in checks:
            shown = (f"{c.coverage:.3f}", f"{c.binomial_error:.3f}", f"{c.construction_error:.3f}", f"{c.asymptotic_coverage:.3f}")
            rows.append([f"{method.name}, mu = {c.truth:g}, {c.name} %", *shown])
    print_table(["method, truth, level", "from toys", "binomial error", "error of construction", "asymptotic"], rows)


def report(bands: NeymanBands, checks: tuple[CoverageCheck, ...], result: NeymanResult) -> None:
    rows = []
    for c in checks:
        sigma, asymptotic = f"{c.deviations:+.2f}", f"{c.asymptotic_deviations:+.2f}"
        shown = (f"{c.level:.4f}", f"{c.coverage:.4f}", f"{c.binomial_error:.4f}", sigma, f"{c.construction_error:.4f}")
        rows.append([f"mu = {c.truth:g}, {c.name} %", *shown, f"{c.asymptotic_coverage:.4f}", asymptotic])
    head = ["truth, level", "nominal", "Neyman", "binomial error", "deviations", "error of construction", "asymptotic", "deviations"]
    print_table(head, rows)
    for name, curve in bands.curves.items():
        print(f"critical values at {name} %:")
        at = curve.points
        shown_points = [[f"mu = {m:.3g}", *map(float, v)] for m, v in zip(at, np.stack([curve(at), curve.error(at)], 1), strict=True)]
        print_table(["", "critical value", "error"], shown_points)
        pieces = [f"[{i.low:.3f} +- {i.low_error:.3f}, {i.high:.3f} +- {i.high_error:.3f}]" for i in result.intervals[name]]
        plain = [f"[{i.low:.3f}, {i.high:.3f}]" for i in result.asymptotic[name]]
        print(f"Asimov set at mu = 1, {name} %: Neyman {' or '.join(pieces)}, asymptotic {' or '.join(plain)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--data", type=Path, help="folder of the benchmark sample")
    given.add_argument("--run", type=Path, help="folder of a finished run")
    parser.add_argument("--config", type=Path, help="config of that run")
    parser.add_argument("--luminosity", type=float, default=140.0, help="1/fb")
    parser.add_argument("--truths", type=float, nargs="+", default=TRUTHS)
    parser.add_argument("--points", type=int, default=17, help="grid points of the construction")
    parser.add_argument("--toys", type=int, default=2000, help="toys per grid point")
    parser.add_argument("--check-toys", type=int, default=2000, help="toys per truth")
    parser.add_argument("--seed", type=int, default=SEED, help="of the construction; the check takes the next one")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder that keeps finished toys, so that a stopped run goes on")
    parser.add_argument("--json", type=Path, help="write everything here")
    parser.add_argument("--plot", type=Path, help="folder for the plot of the critical values")
    options = parser.parse_args()
    wall, cpu = time.perf_counter(), time.process_time()
    if options.run is not None:
        of_run(options)
        return
    source = exact_toys(read_truth(options.data, luminosity_ifb=options.luminosity))
    bands, checks = run(source, options)
    result = neyman_intervals(bands, source.likelihood, values=np.linspace(*BOUNDS["mu"], 121))
    report(bands, checks, result)
    print(f"{time.perf_counter() - wall:.0f} s wall, {time.process_time() - cpu:.0f} s CPU of this process, {options.workers} workers")
    if options.json:
        document = {"coverage": [c.to_json() for c in checks], "asimov": result.to_json()}
        options.json.write_text(json.dumps(document), encoding="utf-8")
    if options.plot:
        style = PlotStyle(luminosity_ifb=options.luminosity)
        save_figure(plot_critical_values(result, style=style), options.plot, "critical_values")


if __name__ == "__main__":
    main()
