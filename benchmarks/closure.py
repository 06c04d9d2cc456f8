"""Bias and uncertainty of the fit over many retrainings, each on another half of the simulation and tested on the other half.

    h4l process CONFIG --data FOLDER --out RUN
    python -m benchmarks.closure CONFIG --data FOLDER --run RUN --work WORK [--splits 5]

Every split cuts the simulated events into two halves by a hash and is used both ways round: train on A, test on B, and the other
way. To first order the error of a best fit is (fluctuation of the test half) - (fluctuation of the training half), so
the mean over the two ways is free of it and shows what is left: the bias of the method. The spread over all
retrainings is the true uncertainty of one closure test; beside it stands the estimate that a single run can make of itself: a
bootstrap of the test events and one of the training events (through networks that did not see them), in quadrature.

The two ways of a split together are a cross-fit: every event is data once, under networks, calibration and mixing that never saw it, with
the rate of all events. There the fluctuations of the halves cancel event by event and the best fit shows the bias alone.
Its t(0) stands beside that of a histogram of the estimated ln p(mu)/p(0) of the same events, filled with their true weights, which
no error of the networks can inflate.

Each finished retraining is kept in WORK; the command resumes there.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import print_json, print_table
from toolkit.analysis.measurements import close, truth_weights
from toolkit.analysis.methods import Method, UnbinnedMethod, histogram_method, rate_method, score_columns, score_method
from toolkit.analysis.model import FitModel
from toolkit.artifacts.atomic import make_folder, write_json
from toolkit.artifacts.events import read_events
from toolkit.config import Config, load_config
from toolkit.likelihood import Likelihood, UnbinnedLikelihood, asimov_weights
from toolkit.likelihood.asimov import coefficient_values
from toolkit.ratios import feature_matrix, fit_ratios
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents, combine_samples, hash_uniform
from toolkit.weights.missing import fill_missing

MU = (0.3, 0.6, 1.0, 1.7, 3.0)
REPLICAS = 200
BINS = 60
"""Bins of the estimated log ratio, of equal signal."""


def read_simulation(run: Path, config: Config) -> SimulatedEvents:
    """Read all simulated events of a run that has been processed."""
    tables = [read_events(run / "events", sample.name) for sample in config.simulated]
    events = combine_samples(tables, processes=config.densities, benchmarks=config.morphing.benchmarks)
    return replace(events, observables=fill_missing(events.observables, config.fills))


def halves(events: SimulatedEvents, *, salt: str, swap: bool) -> tuple[SimulatedEvents, SimulatedEvents]:
    """Cut the events into two halves, (training, test), both at the full luminosity."""
    test = (hash_uniform(events.event_id, salt=salt) < 0.5) ^ swap
    return events.select(~test).scaled(2.0), events.select(test).scaled(2.0)


def retrain(events: SimulatedEvents, config: Config, *, split: int, swap: bool, work: Path, workers: int) -> dict[str, Any]:
    """Train on one half, fit the other at every truth by every method."""
    salt = f"closure-{split}"
    training, test = halves(events, salt=salt, swap=swap)
    splits = config.ratios.splits.model_copy(update={"salt": f"{salt}-{int(swap)}"})
    ratios = config.ratios.model_copy(update={"splits": splits, "seed": config.ratios.seed + 7919 * (2 * split + swap)})
    began = time.perf_counter()
    executor, folder = "processes" if workers > 1 else "sequential", work / f"members_{split}_{int(swap)}"
    trained = fit_ratios(training, config=ratios, model=config.model, folder=folder, executor=executor, workers=workers)
    seconds = time.perf_counter() - began
    log_ratios = trained.log_ratio(feature_matrix(test.observables, ratios.features))
    np.savez(work / f"ratios_{split}_{int(swap)}.npz", test=log_ratios.astype(np.float32), out_of_bag=trained.out_of_bag.astype(np.float32))
    model = FitModel.of(config)
    edges = config.histograms["m4l"].edges
    m4l = histogram_method(
        "m4l", model, training=training, test=test, values=(training.observables["m4l"], test.observables["m4l"]), edges=edges
    )
    bins = config.score_histogram.bins
    score = score_method(
        model, training=training, test=test, log_ratios=(trained.out_of_bag, log_ratios), bins=bins, columns=score_columns(config.model)
    )
    methods: list[Method] = [rate_method(model, training=training, test=test), m4l, score]
    methods.append(
        UnbinnedMethod("nsbi", unbinned(log_ratios, test, training, model), unbinned(trained.out_of_bag, training, training, model))
    )
    points = [measure(method, training, test, model, mu=mu) for method in methods for mu in MU]
    return {"split": split, "swap": swap, "training_s": seconds, "points": points}


def unbinned(log_ratios: FloatArray, events: SimulatedEvents, training: SimulatedEvents, model: FitModel) -> UnbinnedLikelihood:
    """Build the unbinned likelihood of some events with the yields of the training sample."""
    return UnbinnedLikelihood(
        log_ratios=log_ratios,
        weights=np.ones(len(events)),
        yields=training.yields,
        coefficients=model.coefficients,
        parameters=(model.parameter,),
        bounds=model.bounds,
        event_ids=events.event_id,
    )


def measure(method: Method, training: SimulatedEvents, test: SimulatedEvents, model: FitModel, *, mu: float) -> dict[str, Any]:
    """Fit the Asimov set of the test events at a truth."""
    likelihood: Likelihood = method.likelihood(truth_weights(test, model, {model.parameter: mu}))
    fit = likelihood.fit()
    at_zero, at_truth = (likelihood.twice_nll({model.parameter: value}) - fit.twice_nll for value in (0.0, mu))
    point = close(method, training, test, model, mu=mu, replicas=REPLICAS, seed=1)
    return {**point.to_json(), "t_0": at_zero, "t_truth": at_truth}


def cross_fit(events: SimulatedEvents, config: Config, *, split: int, work: Path) -> list[dict[str, float]]:
    """Fit all events at once, each half with the networks of the other."""
    model, log_densities, weights = FitModel.of(config), [], []
    for swap in (False, True):
        training, test = halves(events, salt=f"closure-{split}", swap=swap)
        with np.load(work / f"ratios_{split}_{int(swap)}.npz") as stored:
            log_densities.append(stored["test"].astype(np.float64) + np.log(training.yields))
        weights.append(test.weights / 2.0)
    q, w = np.concatenate(log_densities), np.concatenate(weights)
    yields = w.sum(axis=0)
    rows = []
    for mu in MU:
        likelihood = UnbinnedLikelihood(
            log_ratios=q - np.log(yields),
            weights=asimov_weights(w, coefficients=model.coefficients, parameters={model.parameter: mu}, bounds=model.bounds),
            yields=yields,
            coefficients=model.coefficients,
            parameters=(model.parameter,),
            bounds=model.bounds,
        )
        fit = likelihood.fit()
        t_0, t_truth = (likelihood.twice_nll({model.parameter: value}) - fit.twice_nll for value in (0.0, mu))
        histogram = certified(q, w, *(coefficient_values(model.coefficients, {model.parameter: value}) for value in (mu, 0.0)))
        rows.append({"mu": mu, "mu_hat": fit.parameters[model.parameter], "t_0": t_0, "t_truth": t_truth, "t_0_histogram": histogram})
    return rows


def certified(log_densities: FloatArray, weights: FloatArray, numerator: FloatArray, denominator: FloatArray) -> float:
    """Compute t of one hypothesis against another from a histogram of their estimated log ratio with the true weights of the events.

    Args:
        log_densities: Estimated log nu_j p_j / p_ref, (n, n_processes).
        weights: True weights, (n, n_processes).
        numerator: Coefficients of the hypothesis that is true, (n_processes,).
        denominator: Those of the other.
    """
    d = np.exp(log_densities)
    order = np.argsort((d @ numerator) / (d @ denominator))
    signal = np.cumsum(weights[order, 0])
    bins = np.minimum((signal / signal[-1] * BINS).astype(int), BINS - 1)
    a, b = (np.bincount(bins, weights=(weights @ f)[order], minlength=BINS) for f in (numerator, denominator))
    return float(2.0 * np.sum(a * np.log(a / b) - a + b))


def summarise(runs: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    """Return the rows of the table: method, mu, mean best fit and its error, spread, quoted error, mean t(0), mean t(0) - t(truth)."""
    rows = []
    keys = [(p["method"], p["mu"]) for p in runs[0]["points"]]
    for method, mu in keys:
        points = [next(p for p in r["points"] if (p["method"], p["mu"]) == (method, mu)) for r in runs]
        fitted = np.array([p["mu_hat"] for p in points])
        pairs = np.array([fitted[i : i + 2].mean() for i in range(0, len(fitted) - 1, 2)])
        spread = fitted.std(ddof=1) if len(fitted) > 1 else np.nan
        estimate = np.sqrt(np.mean([p["standard_error"] ** 2 for p in points]))
        error = pairs.std(ddof=1) / len(pairs) ** 0.5 if len(pairs) > 1 else np.nan
        gain = np.array([p["t_0"] - p["t_truth"] for p in points])
        t_0 = np.array([p["t_0"] for p in points])
        rows.append([method, mu, float(fitted.mean()), float(error), float(spread), float(estimate), float(t_0.mean()), float(gain.mean())])
    return rows


def main() -> None:
    """Retrain, and print the table over all finished retrainings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of the ntuples")
    parser.add_argument("--run", type=Path, required=True, help="run directory whose events/ are finished")
    parser.add_argument("--work", type=Path, required=True, help="where finished retrainings are kept")
    parser.add_argument("--splits", type=int, default=5, help="each is used both ways round")
    parser.add_argument("--workers", type=int, default=1, help="processes that train the members of an ensemble")
    options = parser.parse_args()
    config = load_config(options.config, data=options.data)
    events, work = read_simulation(options.run, config), make_folder(options.work)
    runs = []
    for split in range(options.splits):
        for swap in (False, True):
            path = work / f"retraining_{split}_{int(swap)}.json"
            if not path.is_file():
                write_json(path, retrain(events, config, split=split, swap=swap, work=work, workers=options.workers))
            runs.append(json.loads(path.read_text(encoding="utf-8")))
            print(f"retraining {len(runs)} of {2 * options.splits}: {runs[-1]['training_s']:.0f} s of training", flush=True)
    head = ["method", "mu", "mean", "+-", "spread", "estimated", "t(0)", "t(0) - t(truth)"]
    print_table(head, summarise(runs))
    crossed = [cross_fit(events, config, split=split, work=work) for split in range(options.splits)]
    print("\nnsbi, both ways of a split together")
    print_table(["split", *crossed[0][0]], [[split, *row.values()] for split, rows in enumerate(crossed) for row in rows])
    print_json({"retrainings": runs, "cross_fits": crossed})


if __name__ == "__main__":
    main()
