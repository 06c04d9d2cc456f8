"""The quoted error of the networks against trainings on independent halves of the simulation.

    h4l process CONFIG --data FOLDER --out RUN
    python -m benchmarks.retraining CONFIG --data FOLDER --run RUN --work WORK [--divisions 10] [--share 1] [--epochs 20]

Every division cuts the events that a model is made of in two halves. Each half trains an ensemble, calibrates it and gives the yields, at
twice its weights; the Asimov set of the test events is fitted with the result. Half of the squared difference between the halves of a
division is an estimate of the variance of a training on independent events, without the test events, which are the same for all.

Quoted is what `likelihood.ratio_uncertainty` brings into the fit: the same differences between two draws of the shifts of `targeted_spread`
from unit Gaussians, added to one training. Two quantities are compared at every truth:

- the slope of the expected likelihood at the truth over its fluctuation in the data, e / sqrt(I). This is what the shifts are made for, a
  number of every training whatever the likelihood looks like elsewhere;
- the best fit, the lowest point of the range. Where there are two minima, or the fit ends at a boundary, a few trainings that end elsewhere
  make up the standard deviation; beside it stands the length that 68 % of the differences stay below, which equals it for a Gaussian.

Aim: 0.75 to 1.25 times the spread of the trainings. With n divisions that spread is known to 1 / sqrt(2 n). Finished halves are kept in
WORK.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
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
from toolkit.artifacts.atomic import make_folder, write_json
from toolkit.config import Config, load_config
from toolkit.likelihood.asimov import coefficient_values
from toolkit.likelihood.bootstrap import lowest_points
from toolkit.ratios import TrainedMixture, feature_matrix, fit_ratios
from toolkit.ratios.targeted_spread import targeted_spread
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents, hash_uniform

MU = (0.3, 1.0, 3.0)
POINTS = 81
"""Points of the scan, at equal steps of sqrt(mu)."""
DRAWS = 40
"""Draws of the shifts per training; even, they are compared in pairs."""
STEP = 1e-4
"""Relative step of the derivative of the coefficients."""
QUANTITIES = ("slope", "best fit")


@dataclass(frozen=True, eq=False)
class Scan:
    """The test events and the points at which they are fitted.

    Attributes:
        x: What the networks read of them, (n_test, n_features).
        root: sqrt(mu), (POINTS,).
        coefficients: Of the densities there, (POINTS, n_processes).
        at_truth, derivative: The same at the truths, and d/dmu, (n_truths, n_processes).
        truths: Weights of the Asimov sets, (n_truths, n_test).
    """

    x: FloatArray
    root: FloatArray
    coefficients: FloatArray
    at_truth: FloatArray
    derivative: FloatArray
    truths: FloatArray

    @classmethod
    def of(cls, config: Config, test: SimulatedEvents) -> Scan:
        """Lay the points over the range of the parameter."""
        model = FitModel.of(config)
        root = np.linspace(*np.sqrt(model.range), POINTS)

        def coefficients(values: Sequence[float]) -> FloatArray:
            return np.array([coefficient_values(model.coefficients, {model.parameter: mu}) for mu in values])

        up, down = (coefficients([mu * (1.0 + sign * STEP) for mu in MU]) for sign in (1.0, -1.0))
        return cls(
            x=feature_matrix(test.observables, config.ratios.features),
            root=root,
            coefficients=coefficients((root**2).tolist()),
            at_truth=coefficients(MU),
            derivative=(up - down) / (2.0 * STEP * np.array(MU)[:, None]),
            truths=np.array([truth_weights(test, model, {model.parameter: mu}) for mu in MU]),
        )

    def measure(self, log_ratios: FloatArray, yields: FloatArray) -> FloatArray:
        """Return e / sqrt(I) and the best fit at every truth, (2, n_truths)."""
        densities = np.exp(log_ratios) * yields
        scores = (densities @ self.derivative.T) / np.maximum(densities @ self.at_truth.T, 1e-300)
        slope = np.einsum("ln,nl->l", self.truths, scores) - self.derivative @ yields
        information = np.einsum("ln,nl->l", self.truths, scores**2)
        return np.stack([slope / np.sqrt(information), self._best_fits(densities, yields)])

    def _best_fits(self, densities: FloatArray, yields: FloatArray) -> FloatArray:
        """Return the lowest points of the scans of all Asimov sets, (n_truths,)."""
        nll = self.coefficients @ yields - self.truths @ np.log(np.maximum(densities @ self.coefficients.T, 1e-300))
        return np.asarray(np.clip(lowest_points(self.root, nll.T), self.root[0], self.root[-1]) ** 2)


def train(half: SimulatedEvents, scan: Scan, *, config: Config, folder: Path, seed: int) -> tuple[FloatArray, FloatArray]:
    """Train on a half.

    Returns:
        What is measured with the training, (2, n_truths), and with every draw of its shifts, (DRAWS, 2, n_truths).
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
        of_half = module(torch.from_numpy(feature_matrix(half.observables, ratios.features))).numpy().reshape(-1, *spread.yields.shape)
    drawn, rng = [], np.random.default_rng(seed)
    for alpha in rng.normal(size=(DRAWS, len(spread.yields))):
        moved, pool = (np.einsum("a,naj->nj", alpha, s) for s in (shifts, of_half))
        log_mean = np.log((half.weights * np.exp(pool)).sum(axis=0) / half.weights.sum(axis=0))
        drawn.append(scan.measure(log_ratios + moved - log_mean, half.yields * np.exp(alpha @ spread.yields)))
    return scan.measure(log_ratios, half.yields), np.array(drawn)


def spreads(differences: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return standard deviation and 68 % length of one value from the differences of two, (n, ...) -> (...) each.

    Examples:
        >>> [float(round(s, 6)) for s in spreads(np.array([2.0, -2.0, 2.0]))]
        [1.414214, 1.414214]
    """
    return np.sqrt(np.mean(differences**2, axis=0) / 2.0), np.quantile(np.abs(differences), 0.6827, axis=0) / np.sqrt(2.0)


def summarise(halves: Sequence[tuple[FloatArray, FloatArray]]) -> list[list[Any]]:
    """Return the rows of the table from the two halves of every division."""
    values = np.array([value for value, _ in halves])
    found = spreads(values[0::2] - values[1::2])
    quoted = spreads(np.concatenate([drawn[0::2] - drawn[1::2] for _, drawn in halves]))
    rows: list[list[Any]] = []
    for q, quantity in enumerate(QUANTITIES):
        for k, mu in enumerate(MU):
            own = [float(s[q, k]) for pair in zip(found, quoted, strict=True) for s in pair]
            rows.append([quantity, mu, float(values[:, q, k].mean()), *own[:2], own[1] / own[0], *own[2:], own[3] / own[2]])
    return rows


def main() -> None:
    """Train on halves, or read what earlier calls kept, and print the table after every division."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True, help="output folder with its event tables")
    parser.add_argument("--work", type=Path, required=True, help="where trainings and results are kept")
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
    scan, work, halves = Scan.of(config, test), make_folder(options.work), []
    key = {"ratios": config.ratios.model_dump(mode="json"), "events": [len(pool), len(test)], "draws": DRAWS, "points": POINTS}
    head = ["", "mu", "mean", "s.d. of the trainings", "quoted s.d.", "ratio", "68 % of the trainings", "quoted 68 %", "ratio of these"]
    for division in range(options.divisions):
        first = hash_uniform(pool.event_id, salt=f"division-{division}") < 0.5
        for k, mask in enumerate((first, ~first)):
            path, seed = work / f"half_{division}_{k}.json", 2 * division + k + 1
            stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
            if stored.get("key") != key:
                began = time.process_time()
                value, drawn = train(pool.select(mask).scaled(2.0), scan, config=config, folder=work / f"half_{division}_{k}", seed=seed)
                stored = {"key": key, "value": value.tolist(), "drawn": drawn.tolist(), "cpu_s": time.process_time() - began}
                write_json(path, stored)
            halves.append((np.array(stored["value"]), np.array(stored["drawn"])))
            print(
                f"division {division}, half {k}: best fits {halves[-1][0][1].round(3).tolist()}, {stored['cpu_s']:.0f} s of CPU", flush=True
            )
        print_table(head, summarise(halves))
    print_json({"table": [dict(zip(head, row, strict=True)) for row in summarise(halves)], "events": [len(pool), len(test)]})


if __name__ == "__main__":
    main()
