"""The quoted error of the networks against trainings on independent halves of the simulation.

    h4l process CONFIG --data FOLDER --out RUN
    python -m benchmarks.retraining CONFIG --data FOLDER --run RUN --work WORK [--divisions 10] [--share 1] [--epochs 20]

Every division cuts the events that a model is made of in two halves. Each half trains an ensemble, calibrates it and gives the yields, at
twice its weights; the Asimov set of the test events is fitted with the result. Half of the squared difference between the halves of a
division is an estimate of the variance of a training on independent events, without the test events, which are the same for all.

Quoted is what `likelihood.ratio_uncertainty` brings into the fit, the shifts of `targeted_spread` times unit Gaussians. Two halves of one
sample lie on both sides of what they have in common, each 1 / sqrt(2) of its error away. So the mean density of both halves is moved by
a draw over sqrt(2), once to each side, and these two are compared like the halves. Two quantities are compared at every truth:

- the slope of the expected likelihood at the truth over its fluctuation in the data, e / sqrt(I). This is what the shifts are made for, a
  number of every training whatever the likelihood looks like elsewhere;
- the best fit, the lowest point of the range. Where there are two minima, or the fit ends at a boundary, a few trainings that end elsewhere
  make up the standard deviation; beside it stands the length that 68 % of the differences stay below, which equals it for a Gaussian.

Aim: 0.75 to 1.25 times the spread of the trainings. With n divisions that spread is known to 1 / sqrt(2 n). Finished divisions are kept
in WORK.
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
"""Draws of the shifts of each half."""
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

    def measure(self, densities: FloatArray, yields: FloatArray) -> FloatArray:
        """Return e / sqrt(I) and the best fit at every truth, (2, n_truths).

        Args:
            densities: nu_j p_j / p_ref of the test events, (n_test, n_processes).
            yields: nu_j, (n_processes,).
        """
        scores = (densities @ self.derivative.T) / np.maximum(densities @ self.at_truth.T, 1e-300)
        slope = np.einsum("ln,nl->l", self.truths, scores) - self.derivative @ yields
        information = np.einsum("ln,nl->l", self.truths, scores**2)
        return np.stack([slope / np.sqrt(information), self._best_fits(densities, yields)])

    def _best_fits(self, densities: FloatArray, yields: FloatArray) -> FloatArray:
        """Return the lowest points of the scans of all Asimov sets, (n_truths,)."""
        nll = self.coefficients @ yields - self.truths @ np.log(np.maximum(densities @ self.coefficients.T, 1e-300))
        return np.asarray(np.clip(lowest_points(self.root, nll.T), self.root[0], self.root[-1]) ** 2)


@dataclass(frozen=True, eq=False)
class Half:
    """What a training on half of the events says of the test events.

    Attributes:
        densities: nu_j p_j / p_ref, (n_test, n_processes).
        yields: nu_j, (n_processes,).
        shifts: Change of ln p_j by every shift, (n_test, n_shifts, n_processes).
        of_half: The same at the events of the half, (n_half, n_shifts, n_processes).
        weights: Weights of these, (n_half, n_processes).
        of_yields: Relative change of the yields, (n_shifts, n_processes).
    """

    densities: FloatArray
    yields: FloatArray
    shifts: FloatArray
    of_half: FloatArray
    weights: FloatArray
    of_yields: FloatArray

    def move(self, densities: FloatArray, yields: FloatArray, alpha: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Move densities and yields by shifts times alpha, (n_shifts,), normalised on the events of the half."""
        moved, own = (np.exp(np.einsum("a,naj->nj", alpha, s)) for s in (self.shifts, self.of_half))
        factor = np.exp(alpha @ self.of_yields)
        return densities * moved * factor / ((self.weights * own).sum(axis=0) / self.yields), yields * factor


def train(half: SimulatedEvents, scan: Scan, *, config: Config, folder: Path, seed: int) -> Half:
    """Train on a half, or read what an earlier call trained."""
    ratios = config.ratios.model_copy(update={"seed": seed, "splits": config.ratios.splits.model_copy(update={"salt": f"half-{seed}"})})
    trained = fit_ratios(half, config=ratios, model=config.model, folder=folder)
    if not isinstance(trained, TrainedMixture):
        msg = f"estimator {ratios.estimator} reads the parameter; take one of densities"
        raise SystemExit(msg)
    spread, module = targeted_spread(trained, half, model=config.model)
    x = (scan.x, feature_matrix(half.observables, ratios.features))
    with torch.no_grad():
        shifts, of_half = (module(torch.from_numpy(own)).numpy().reshape(len(own), *spread.yields.shape) for own in x)
    return Half(np.exp(trained.log_ratio(scan.x)) * half.yields, half.yields, shifts, of_half, half.weights, spread.yields)


def divide(training: SimulatedEvents, scan: Scan, *, config: Config, work: Path, division: int) -> tuple[FloatArray, FloatArray]:
    """Train on both halves of a division.

    Returns:
        What is measured with each half, (2, 2, n_truths), and with every draw on both sides of their mean, (2 * DRAWS, 2, 2, n_truths).
    """
    first, halves = hash_uniform(training.event_id, salt=f"division-{division}") < 0.5, []
    for k, mask in enumerate((first, ~first)):
        half = training.select(mask).scaled(2.0)
        halves.append(train(half, scan, config=config, folder=work / f"half_{division}_{k}", seed=2 * division + k + 1))
    densities, yields = (0.5 * sum(getattr(half, name) for half in halves) for name in ("densities", "yields"))
    drawn, rng = [], np.random.default_rng(division)
    for half in halves:
        for alpha in rng.normal(size=(DRAWS, len(half.of_yields))) / np.sqrt(2.0):
            drawn.append([scan.measure(*half.move(densities, yields, sign * alpha)) for sign in (1.0, -1.0)])
    return np.array([scan.measure(half.densities, half.yields) for half in halves]), np.array(drawn)


def spreads(pairs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return standard deviation and 68 % length of one value from pairs of values, (n, 2, ...) -> (...) each.

    Examples:
        >>> [float(round(s, 6)) for s in spreads(np.array([[2.0, 0.0], [0.0, 2.0], [1.0, -1.0]]))]
        [1.414214, 1.414214]
    """
    differences = pairs[:, 0] - pairs[:, 1]
    return np.sqrt(np.mean(differences**2, axis=0) / 2.0), np.quantile(np.abs(differences), 0.6827, axis=0) / np.sqrt(2.0)


def summarise(divisions: Sequence[tuple[FloatArray, FloatArray]]) -> list[list[Any]]:
    """Return the rows of the table."""
    values = np.array([value for value, _ in divisions])
    found, quoted = spreads(values), spreads(np.concatenate([drawn for _, drawn in divisions]))
    rows: list[list[Any]] = []
    for q, quantity in enumerate(QUANTITIES):
        for k, mu in enumerate(MU):
            own = [float(s[q, k]) for pair in zip(found, quoted, strict=True) for s in pair]
            rows.append([quantity, mu, float(values[:, :, q, k].mean()), *own[:2], own[1] / own[0], *own[2:], own[3] / own[2]])
    return rows


def main() -> None:
    """Train on halves, or read what earlier calls kept, and print the table after every division."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True, help="output folder with its event tables")
    parser.add_argument("--work", type=Path, required=True, help="where trainings and results are kept")
    parser.add_argument("--divisions", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="division to begin with, where several calls share WORK")
    parser.add_argument("--share", type=float, default=1.0, help="of the simulated events")
    parser.add_argument("--epochs", type=int, help="of the classes; three times as many of the compositions")
    options = parser.parse_args()
    config = load_config(options.config, data=options.data)
    if options.epochs:
        changes: dict[str, Any] = {"epochs": options.epochs}
        changes |= {"composition_epochs": 3 * options.epochs} if config.ratios.estimator == "mixture" else {}
        config = config.model_copy(update={"ratios": config.ratios.model_copy(update=changes)})
    training, test = (
        events.select(hash_uniform(events.event_id, salt="share") < options.share).scaled(1.0 / options.share)
        for events in read_simulation(Folder(config, options.run))
    )
    scan, work, divisions = Scan.of(config, test), make_folder(options.work), []
    key = {"ratios": config.ratios.model_dump(mode="json"), "events": [len(training), len(test)], "draws": DRAWS, "points": POINTS}
    head = ["", "mu", "mean", "s.d. of the trainings", "quoted s.d.", "ratio", "68 % of the trainings", "quoted 68 %", "ratio of these"]
    for division in range(options.first, options.divisions):
        path = work / f"division_{division}.json"
        stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if stored.get("key") != key:
            began = time.process_time()
            values, drawn = divide(training, scan, config=config, work=work, division=division)
            stored = {"key": key, "values": values.tolist(), "drawn": drawn.tolist(), "cpu_s": time.process_time() - began}
            write_json(path, stored)
        divisions.append((np.array(stored["values"]), np.array(stored["drawn"])))
        print(f"division {division}: best fits {divisions[-1][0][:, 1].round(3).tolist()}, {stored['cpu_s']:.0f} s of CPU", flush=True)
        print_table(head, summarise(divisions))
    print_json({"table": [dict(zip(head, row, strict=True)) for row in summarise(divisions)], "events": [len(training), len(test)]})


if __name__ == "__main__":
    main()
