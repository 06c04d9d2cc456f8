"""The quoted error of the networks against trainings on independent halves of the simulation.

    h4l process CONFIG --data FOLDER --out RUN
    python -m benchmarks.retraining CONFIG --data FOLDER --run RUN --work WORK [--divisions 10] [--share 1] [--epochs 20]

Every division cuts the events that a model is made of in two halves. Each half trains an ensemble, calibrates it and gives the yields, at
twice its weights; the Asimov set of the test events is fitted with the result. Half of the squared difference between the halves of a
division is an estimate of the variance of a training on independent events, without the test events, which are the same for all.

Quoted is what `likelihood.ratio_uncertainty` brings into the fit: the spread of best fits when the shifts of `targeted_spread` are drawn
from unit Gaussians. Aim: 0.75 to 1.25 times the spread of the trainings. With n divisions that spread is known to 1 / sqrt(2 n).
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measure import print_json, print_table
from toolkit.analysis import Folder
from toolkit.analysis.datasets import read_simulation
from toolkit.analysis.measurements import truth_weights
from toolkit.analysis.model import FitModel
from toolkit.config import Config, load_config
from toolkit.likelihood.asimov import coefficient_values
from toolkit.ratios import TrainedMixture, feature_matrix, fit_ratios
from toolkit.ratios.targeted_spread import targeted_spread
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents, hash_uniform

MU = (0.3, 1.0, 3.0)
POINTS = 161
"""Points of the scan, at equal steps of sqrt(mu)."""
DRAWS = 100
"""Draws of the shifts per training."""


@dataclass(frozen=True, eq=False)
class Scan:
    """The test events and the points at which they are fitted.

    Attributes:
        test: Test events.
        x: What the networks read of them, (n_test, n_features).
        root: sqrt(mu), (POINTS,).
        coefficients: Of the densities there, (POINTS, n_processes).
        truths: Weights of the Asimov sets, (n_truths, n_test).
    """

    test: SimulatedEvents
    x: FloatArray
    root: FloatArray
    coefficients: FloatArray
    truths: FloatArray

    @classmethod
    def of(cls, config: Config, test: SimulatedEvents) -> Scan:
        """Lay the points over the range of the parameter."""
        model = FitModel.of(config)
        root = np.linspace(*np.sqrt(model.range), POINTS)
        coefficients = np.array([coefficient_values(model.coefficients, {model.parameter: mu}) for mu in root**2])
        truths = np.array([truth_weights(test, model, {model.parameter: mu}) for mu in MU])
        return cls(test, feature_matrix(test.observables, config.ratios.features), root, coefficients, truths)

    def best_fits(self, log_ratios: FloatArray, yields: FloatArray) -> FloatArray:
        """Fit mu to every Asimov set, with a parabola through the lowest points of the scan, (n_truths,)."""
        density = np.maximum((np.exp(log_ratios) * yields) @ self.coefficients.T, 1e-300)
        nll = self.coefficients @ yields - self.truths @ np.log(density)
        k = np.clip(nll.argmin(axis=1), 1, POINTS - 2)
        left, middle, right = (nll[np.arange(len(k)), k + step] for step in (-1, 0, 1))
        step = np.clip(0.5 * (left - right) / np.maximum(left - 2.0 * middle + right, 1e-12), -1.0, 1.0)
        return np.asarray(np.maximum(self.root[k] + step * (self.root[1] - self.root[0]), 0.0) ** 2)


def train(half: SimulatedEvents, scan: Scan, *, config: Config, folder: Path, seed: int) -> tuple[FloatArray, FloatArray]:
    """Train on a half.

    Returns:
        Best fits, and the quoted error of each, (n_truths,) both.
    """
    ratios = config.ratios.model_copy(update={"seed": seed, "splits": config.ratios.splits.model_copy(update={"salt": f"half-{seed}"})})
    trained = fit_ratios(half, config=ratios, model=config.model, folder=folder)
    if not isinstance(trained, TrainedMixture):
        msg = f"estimator {ratios.estimator} reads the parameter; take one of densities"
        raise SystemExit(msg)
    spread, module = targeted_spread(trained, half, model=config.model)
    log_ratios = trained.log_ratio(scan.x)
    with torch.no_grad():
        shifts = module(torch.from_numpy(scan.x)).numpy().reshape(len(scan.x), *spread.yields.shape)
        of_pool = module(torch.from_numpy(feature_matrix(half.observables, ratios.features))).numpy().reshape(-1, *spread.yields.shape)
    drawn, rng = [], np.random.default_rng(seed)
    for alpha in rng.normal(size=(DRAWS, len(spread.yields))):
        moved, pool = (np.einsum("a,naj->nj", alpha, s) for s in (shifts, of_pool))
        log_mean = np.log((half.weights * np.exp(pool)).sum(axis=0) / half.weights.sum(axis=0))
        drawn.append(scan.best_fits(log_ratios + moved - log_mean, half.yields * np.exp(alpha @ spread.yields)))
    return scan.best_fits(log_ratios, half.yields), np.std(drawn, axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True, help="output folder with its event tables")
    parser.add_argument("--work", type=Path, required=True, help="where trainings are kept")
    parser.add_argument("--divisions", type=int, default=10)
    parser.add_argument("--share", type=float, default=1.0, help="of the simulated events")
    parser.add_argument("--epochs", type=int, help="of the classes; three times as many of the compositions")
    options = parser.parse_args()
    config = load_config(options.config, data=options.data)
    if options.epochs:
        changes: dict[str, Any] = {"epochs": options.epochs}
        changes |= {"composition_epochs": 3 * options.epochs} if config.ratios.estimator == "mixture" else {}
        config = config.model_copy(update={"ratios": config.ratios.model_copy(update=changes)})
    pool, test = (
        events.select(hash_uniform(events.event_id, salt="share") < options.share).scaled(1.0 / options.share)
        for events in read_simulation(Folder(config, options.run))
    )
    scan, began, halves, quoted = Scan.of(config, test), time.process_time(), [], []
    for division in range(options.divisions):
        first = hash_uniform(pool.event_id, salt=f"division-{division}") < 0.5
        for k, mask in enumerate((first, ~first)):
            folder = options.work / f"half_{division}_{k}"
            fitted, errors = train(pool.select(mask).scaled(2.0), scan, config=config, folder=folder, seed=2 * division + k + 1)
            halves.append(fitted)
            quoted.append(errors)
            print(f"division {division}, half {k}: {fitted.round(3).tolist()} +- {errors.round(3).tolist()}", flush=True)
    pairs = np.array(halves).reshape(options.divisions, 2, len(MU))
    spread = np.sqrt(np.mean((pairs[:, 0] - pairs[:, 1]) ** 2, axis=0) / 2.0)
    error = np.sqrt(np.mean(np.square(quoted), axis=0))
    table = [
        [mu, float(np.mean(halves, axis=0)[k]), float(spread[k]), float(error[k]), float(error[k] / spread[k])] for k, mu in enumerate(MU)
    ]
    print_table(["mu", "mean best fit", "spread of the trainings", "quoted", "quoted / spread"], table)
    print_json({"table": table, "events": [len(pool), len(test)], "cpu_s": time.process_time() - began})


if __name__ == "__main__":
    main()
