"""Bias and error of the closure over many splits of the simulation, with exact ratios in place of trained networks.

    h4l process CONFIG --data FOLDER_OF_THE_BENCHMARK_SAMPLE --out RUN
    python -m benchmarks.splits CONFIG --data FOLDER_OF_THE_BENCHMARK_SAMPLE --run RUN [--splits 10]

The truth tables of the sample give the ratios of all densities at the true phase-space point of every selected event. They take the place
of the outputs of the networks, which costs no training; targeted calibration, yields and fit are those of the product. Both ways to divide
the events into those that a model is made of and those that it is fitted to are tried for every split:

    hold-out    a share of the events is data; the others calibrate, and give the yields
    cross-fit   every event is data once: fold k is fitted with a model that the other folds calibrate and give the yields of, and

                    -2 ln L(mu) = sum_k [ 2 nu_k(mu) / K - 2 sum_{i in k} w_i ln q_k(x_i | mu) ]

                with nu_k the yield at K / (K - 1) times the weights of the other folds, and q_k its density.

In a cross-fit an event is data of one model and part of the K - 1 others, so that its fluctuation enters twice, with opposite signs. If
it happens n times in place of once, the slope of -2 ln L at the truth changes, to first order, by

    -2 (n - 1) w [ s_k(x) - mean over the other models of s_j(x) ],     s = d ln q / d sqrt(mu),

because the calibration of a model reproduces the expectation of its own score on its events. The quoted error is the spread of best fits
over the Poisson numbers n of all events.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from benchmarks.measure import print_json, print_table
from toolkit.analysis.model import FitModel
from toolkit.artifacts.events import read_events
from toolkit.config import Config, load_config
from toolkit.likelihood.asimov import coefficient_values
from toolkit.ratios import fit_calibration, score_directions
from toolkit.ratios.heads import heads_of_densities
from toolkit.ratios.targets import describe_mixture, make_targets
from toolkit.typing import FloatArray, IntArray
from toolkit.weights import SimulatedEvents, hash_uniform
from toolkit.weights.processes import combine_processes

MU = (0.3, 0.6, 1.0, 1.7, 3.0, 5.0)
POINTS = 81
"""Points of the scan, at equal steps of sqrt(mu)."""
REPLICAS = 4000


@dataclass(frozen=True, eq=False)
class Exact:
    """Simulated events with their exact densities.

    Attributes:
        config: The analysis.
        events: All simulated events.
        densities: Differential cross-sections at the true phase-space point, up to a common factor, (n, n_processes).
        root: sqrt(mu) at the points of the scan, (POINTS,).
        scan: Coefficients of the densities there, (POINTS, n_processes).
        truths: Coefficients at the truths, (n_truths, n_processes).
    """

    config: Config
    events: SimulatedEvents
    densities: FloatArray
    root: FloatArray
    scan: FloatArray
    truths: FloatArray

    @classmethod
    def read(cls, run: Path, config: Config, folder: Path) -> Exact:
        """Read the event tables of a run, and the truth tables beside the ntuples."""
        tables = [read_events(run / "events", sample.name) for sample in config.simulated]
        events = combine_processes(tables, config.model)
        factors = {sample.name: sample.k_factor for sample in config.simulated}
        columns = [_truth(folder / "truth" / f"{t.sample}.parquet", t.event_id, events.processes, factors) for t in tables]
        model = FitModel.of(config)
        root = np.linspace(0.0, model.bounds[model.parameter][1] ** 0.5, POINTS)
        scan, truths = (
            np.array([coefficient_values(model.coefficients, {model.parameter: mu}) for mu in values]) for values in (root**2, MU)
        )
        return cls(config, events, np.concatenate(columns), root, scan, truths)

    def model_of(self, weights: FloatArray) -> tuple[NDArray[np.float32], FloatArray]:
        """Calibrate the exact densities with the events that have weights, (n, n_processes).

        Returns:
            ln of the expected density of every event at the points of the scan, (n, POINTS), up to a number per event, and the yield
            there, (POINTS,).
        """
        inside = np.flatnonzero(weights.any(axis=1))
        training = replace(self.events.select(inside), weights=weights[inside], share=None)
        mixture = describe_mixture(training, self.config.model)
        yields = np.array(mixture.yields)
        heads = heads_of_densities(torch.from_numpy(np.log(self.densities / yields)), mixture)
        directions = score_directions(self.config.model, self.config.ratios.calibration_mu)
        calibration = fit_calibration(heads[inside], make_targets(training, mixture), mixture=mixture, directions=directions)
        with torch.no_grad():
            densities = np.exp(mixture.log_ratios(calibration(heads)).numpy()) * yields
        return np.log(densities @ self.scan.T).astype(np.float32), self.scan @ yields


def _truth(path: Path, event_id: NDArray[np.uint64], names: Sequence[str], factors: dict[str, float]) -> FloatArray:
    table = pq.read_table(path)
    known = table["event"].to_numpy().astype(np.uint64)
    order = np.argsort(known)
    rows = order[np.searchsorted(known[order], event_id)]
    return np.stack([table[f"density_{name}"].to_numpy()[rows].astype(np.float64) * factors[name] for name in names], axis=1)


@dataclass(frozen=True, eq=False)
class Curves:
    """A fit at every truth.

    Attributes:
        heights: -2 ln L, (n_truths, POINTS).
        changes: What an event adds to -2 ln L if it happens once more, over its weight: lists of (n, POINTS) with the weights
            (n, n_truths) of the same events, independent of each other.
    """

    heights: FloatArray
    changes: tuple[tuple[NDArray[np.float32], FloatArray], ...]

    def best(self, root: FloatArray) -> FloatArray:
        """Return the best fit of mu at every truth, (n_truths,)."""
        return lowest(self.heights, root)

    def errors(self, root: FloatArray, *, seed: int) -> FloatArray:
        """Return half of the central 68.27 % of the best fits when all events fluctuate, (n_truths,); see the docstring of the module.

        Sums over many events are Gaussian, so that the curves are drawn with the covariance of the changes.
        """
        rng, widths = np.random.default_rng(seed), []
        for t, heights in enumerate(self.heights):
            scaled = [change * weights[:, t, None].astype(np.float32) for change, weights in self.changes]
            covariance = sum((rows.T @ rows).astype(np.float64) for rows in scaled)
            drawn = rng.multivariate_normal(heights, covariance, size=REPLICAS, method="eigh", check_valid="ignore")
            low, high = np.quantile(lowest(drawn, root), [0.158655, 0.841345])
            widths.append(0.5 * (high - low))
        return np.array(widths)


def lowest(heights: FloatArray, root: FloatArray) -> FloatArray:
    """Return mu at the lowest point of curves (..., POINTS), by a parabola in sqrt(mu) through three points."""
    k = np.clip(np.argmin(heights, axis=-1), 1, len(root) - 2)
    a, b, c = (np.take_along_axis(heights, (k + d)[..., None], axis=-1)[..., 0] for d in (-1, 0, 1))
    step = root[1] - root[0]
    found = root[k] + 0.5 * step * np.clip((a - c) / np.maximum(a - 2.0 * b + c, 1e-12), -2.0, 2.0)
    return np.asarray(np.clip(found, 0.0, root[-1]) ** 2)


def hold_out(exact: Exact, *, share: float, salt: str) -> Curves:
    """Fit a share of the events with the model of the others; the two fluctuate independently."""
    test = hash_uniform(exact.events.event_id, salt=salt) < share
    logs, expected = exact.model_of(np.where(test[:, None], 0.0, exact.events.weights) / (1.0 - share))
    weights = exact.events.weights @ exact.truths.T
    data, training = weights[test] / share, weights[~test] / (1.0 - share)
    heights = 2.0 * (expected - data.T @ logs[test])
    return Curves(heights, ((-2.0 * logs[test], data), (2.0 * logs[~test], training)))


def cross_fit(exact: Exact, *, folds: int, salt: str) -> Curves:
    """Fit every event with the model of the folds that it is not in."""
    fold: IntArray = (hash_uniform(exact.events.event_id, salt=f"{salt}/fold") * folds).astype(np.int64)
    weights = exact.events.weights @ exact.truths.T
    heights = np.zeros((len(MU), POINTS))
    change = np.zeros((len(fold), POINTS), dtype=np.float32)
    for k in range(folds):
        inside = fold == k
        logs, expected = exact.model_of(np.where(inside[:, None], 0.0, exact.events.weights) * folds / (folds - 1))
        heights += 2.0 * (expected / folds - weights[inside].T @ logs[inside])
        change += 2.0 * logs * np.where(inside, -1.0, 1.0 / (folds - 1)).astype(np.float32)[:, None]
    return Curves(heights, ((change, weights),))


def main() -> None:
    """Try all splits, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of the benchmark sample")
    parser.add_argument("--run", type=Path, required=True, help="run directory whose events/ are finished")
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--folds", type=int, default=4, help="of a cross-fit")
    options = parser.parse_args()
    config = load_config(options.config, data=options.data)
    exact = Exact.read(options.run, config, options.data)
    found: dict[str, list[tuple[FloatArray, FloatArray, FloatArray]]] = {"hold-out": [], "cross-fit": []}
    for split in range(options.splits):
        salt = f"split-{split}"
        share = config.ratios.splits.test
        ways = (("hold-out", partial(hold_out, share=share)), ("cross-fit", partial(cross_fit, folds=options.folds)))
        for name, divide in ways:
            curves = divide(exact, salt=salt)
            t_0 = curves.heights[:, 0] - curves.heights.min(axis=1)
            best, errors = curves.best(exact.root), curves.errors(exact.root, seed=split)
            found[name].append((best, errors, t_0))
            print(f"split {split}, {name}: {best.round(3).tolist()} +- {errors.round(3).tolist()}", flush=True)
    rows = []
    for name, results in found.items():
        best, errors, t_0 = (np.array(values) for values in zip(*results, strict=True))
        spread = best.std(axis=0, ddof=1)
        columns = (best.mean(axis=0), spread / len(best) ** 0.5, spread, errors.mean(axis=0), t_0.mean(axis=0), t_0.std(axis=0, ddof=1))
        rows += [[name, mu, *(float(c[k]) for c in columns)] for k, mu in enumerate(MU)]
    print_table(["events", "mu", "mean", "+-", "spread", "quoted", "t(0)", "spread of t(0)"], rows)
    print_json({name: [[v.tolist() for v in result] for result in results] for name, results in found.items()})


if __name__ == "__main__":
    main()
