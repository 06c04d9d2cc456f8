"""Fitted toys per second, without and with nuisance parameters, and how far the fast fits are from the full ones.

    python -m benchmarks.toys [--data FOLDER_OF_THE_BENCHMARK_SAMPLE] [--toys 400] [--workers 2]

Aim: at least 20 fitted toys per second on 2 cores at 140/fb (about 3000 events each), correct to 1e-4. Without --data the
events are made up: 300,000 with interference in one observable and the yields of the benchmark sample.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks.coverage import BOUNDS, COEFFICIENTS, exact_toys
from benchmarks.exact import read_truth
from benchmarks.measure import print_json, print_table
from toolkit.likelihood import (
    Constraint,
    NormSys,
    Parameter,
    ShapeReference,
    Shapes,
    UnbinnedLikelihood,
    Workspace,
    make_document,
)
from toolkit.likelihood.grid_fit import fit_on_grid
from toolkit.likelihood.toy_factory import toys_of
from toolkit.likelihood.toy_sources import UnbinnedToys
from toolkit.likelihood.toy_workers import local_processes
from toolkit.likelihood.toys import BLOCK, ToyRequest, ToySource, fit_toy, guide_of, run_toys, toy_generator

TRUTHS = (0.0, 0.5, 1.0, 2.0)


def made_up_toys(events: int) -> UnbinnedToys:
    """Return an experiment with interference in one observable."""
    x = np.random.default_rng(1).uniform(0.0, 1.0, events)
    a_s, a_b = 0.3 + 0.9 * x**3, -1.2 * np.exp(-2.0 * x) - 0.5
    s, b = a_s**2, a_b**2
    scale, q = 48.1 / s.mean(), 4.0 * np.exp(-3.0 * x) + 0.1
    weights = np.stack([s * scale, (s + b + 1.2 * a_s * a_b) * scale, b * scale, q * 2412.0 / q.mean()], axis=1) / events
    yields = weights.sum(axis=0)
    likelihood = UnbinnedLikelihood.from_ratios(
        ratios=weights * events / yields,
        weights=weights[:, 1] + weights[:, 3],
        yields=yields,
        coefficients=COEFFICIENTS,
        parameters=("mu",),
        bounds=BOUNDS,
    )
    return UnbinnedToys(likelihood, weights)


def compare(source: UnbinnedToys, *, toys: int) -> dict[str, float]:
    """Return the largest differences between the fast and the full fit over toys at every truth."""
    best, height, boundary, two = 0.0, 0.0, 0, 0
    for mu in TRUTHS:
        for index in range(toys):
            theta = {"mu": mu}
            likelihood = source.likelihood_of(source.sample(theta, toy_generator(5, theta, index)))
            quick, full = fit_on_grid(likelihood), likelihood.fit()
            best = max(best, abs(quick.value - full.parameters["mu"]))
            height = max(height, abs(quick.twice_nll - full.twice_nll))
            boundary, two = boundary + quick.at_boundary, two + (len(full.minima) > 1)
    return {"best_fit": best, "twice_nll": height, "at_boundary": boundary, "two_minima": two, "toys": toys * len(TRUTHS)}


def with_nuisances(source: UnbinnedToys) -> dict[str, ToySource]:
    """Return two experiments with three yields and a tilt of one observable as nuisance parameters: 15 bins, and events."""
    base = source.likelihood
    share = np.argsort(np.argsort(base.densities[:, 0] / base.densities[:, 3])) / len(base.densities)
    index = np.minimum((share * 15).astype(int), 14)
    templates = np.stack([np.bincount(index, weights=w, minlength=15) for w in source.expected.T])
    slope = 0.03 * (np.arange(15) / 7.0 - 1.0)
    norms = {"lumi": (0, 1, 2, 3), "gg": (0, 1, 2), "qq": (3,)}
    names = ("mu", *norms, "tilt")
    parameters = [Parameter("mu", init=1.0, low=0.0, high=6.0), *(Parameter(n, init=0.0, low=-5.0, high=5.0) for n in names[1:])]
    processes = [{"tilt": (slope[index], -slope[index])}] * 4
    bins = Shapes.of([{"tilt": (slope, -slope)}] * 4, n_events=15)
    unbinned = base.with_systematics(
        parameters=parameters,
        coefficients=COEFFICIENTS,
        systematics=[NormSys(j, n, 1.05, 0.95) for n, own in norms.items() for j in own],
        shapes=Shapes.of(processes, n_events=len(index)),
        reference=ShapeReference(templates.T, bins),
        constraints=[Constraint(n) for n in names[1:]],
    )
    samples = []
    for j, row in enumerate(templates):
        modifiers: list[dict[str, Any]] = [{"name": f"f{j}", "type": "morphing", "data": {"coefficient": COEFFICIENTS[j]}}]
        modifiers += [{"name": n, "type": "normsys", "data": {"hi": 1.05, "lo": 0.95}} for n, own in norms.items() if j in own]
        tilted = {"hi_data": (row * (1.0 + slope)).tolist(), "lo_data": (row * (1.0 - slope)).tolist()}
        samples.append(
            {"name": f"p{j}", "data": row.tolist(), "modifiers": [*modifiers, {"name": "tilt", "type": "histosys", "data": tilted}]}
        )
    document = make_document(parameters=parameters[:1], channels=[({"name": "bins", "samples": samples}, [1.0] * 15)])
    binned = Workspace(document).likelihood()
    return {"15 bins": toys_of(binned, asimov={}), "events": UnbinnedToys(unbinned, source.expected)}


def time_profiled(source: ToySource, *, toys: int) -> tuple[float, float, float]:
    """Return milliseconds of CPU per toy of the fast and the full fit, and the largest difference of t."""
    spent, worst = [0.0, 0.0], 0.0
    for mu in (0.5, 2.0):
        theta = {"mu": mu, "lumi": 0.0, "gg": 0.0, "qq": 0.0, "tilt": 0.0}
        clock = time.process_time()
        guide = guide_of(source, theta, poi="mu", seed=1)
        spent[0] += (time.process_time() - clock) * toys / BLOCK
        for index in range(toys):
            likelihood = source.likelihood_of(source.sample(theta, toy_generator(1, theta, index)))
            found = []
            for k, chosen in enumerate((guide, None)):
                clock = time.process_time()
                found.append(fit_toy(likelihood, poi="mu", truth=mu, guide=chosen)[1])
                spent[k] += time.process_time() - clock
            worst = max(worst, abs(found[0] - found[1]))
    return 500.0 * spent[0] / toys, 500.0 * spent[1] / toys, worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--toys", type=int, default=400, help="per truth")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--profiled", type=int, default=20, help="toys with nuisance parameters per truth")
    parser.add_argument("--events", type=int, default=300_000, help="simulated events without --data")
    options = parser.parse_args()
    source = made_up_toys(options.events) if options.data is None else exact_toys(read_truth(options.data, luminosity_ifb=140.0))
    requests = [ToyRequest({"mu": mu}, options.toys) for mu in TRUTHS]
    cpu = time.process_time()
    here = run_toys(source, requests, poi="mu", seed=1)
    cpu = time.process_time() - cpu
    wall = time.perf_counter()
    there = run_toys(source, requests, poi="mu", seed=1, workers=local_processes(options.workers))
    wall = time.perf_counter() - wall
    total = options.toys * len(TRUTHS)
    same = all(np.array_equal(a.t, b.t) and np.array_equal(a.best_fit, b.best_fit) for a, b in zip(here, there, strict=True))
    differences = compare(source, toys=15)
    print_table(
        ["", "toys / s"],
        [
            ["per second of CPU, one process", total / cpu],
            [f"per second of wall time, {options.workers} processes, their start included", total / wall],
        ],
    )
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    print(f"{len(source.expected)} simulated events, {total} toys, {load}; the same bits in {options.workers} processes: {same}")
    print(
        f"largest differences to the full fit in {differences['toys']} toys ({differences['at_boundary']} at the boundary, "
        f"{differences['two_minima']} with two minima): best fit {differences['best_fit']:.1e}, twice_nll {differences['twice_nll']:.1e}"
    )
    profiled = {name: time_profiled(one, toys=options.profiled) for name, one in with_nuisances(source).items()}
    rows = [[f"{name}, 4 nuisance parameters", *numbers] for name, numbers in profiled.items()]
    print_table(["", "ms per toy", "full fit, ms", "largest difference of t"], rows)
    print_json({"profiled": profiled, "per_cpu_second": total / cpu, "per_second": total / wall, "same": same, "differences": differences})


if __name__ == "__main__":
    main()
