"""Every estimator and architecture on the benchmark sample at detector level: closure, spread over retrainings, sensitivity, time.

    python -m benchmarks.estimators --data FOLDER --work WORK [--estimators alice quasi_parametric ...] [--architectures mlp deep_set]
        [--seeds 3] [--epochs 20]

Half of the simulation tests; the other half, the training sample, gives the yields and is cut once more: most of it trains, the rest
calibrates (templates of histograms, normalisation). The Asimov set of every truth consists of the test events; its likelihood knows
nothing of them. For every training: the best fit, with the error from a bootstrap of the test events, and -2 ln lambda(0) at mu = 1,
before and after the normalisation E_ref[r] = 1 on the calibration events. Events are processed once, and finished trainings kept, in WORK.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.estimator_choices import ESTIMATORS, FILLS, FROM_CONFIG, OBSERVABLES, features_of, make_estimator
from benchmarks.grid_likelihood import GridLikelihood
from benchmarks.measure import print_json, print_table
from processors import run
from toolkit.analysis.methods import BinnedMethod, histogram_method, rate_method
from toolkit.analysis.model import FitModel
from toolkit.artifacts.atomic import make_folder, write_json
from toolkit.artifacts.events import read_events
from toolkit.config import Config, parse_config
from toolkit.config.analysis import M4L_EDGES
from toolkit.likelihood import quantile_edges
from toolkit.ratios import feature_matrix
from toolkit.ratios.estimators import ProcessModel, QuasiParametricModel, ScoreModel
from toolkit.typing import FloatArray
from toolkit.weights import Hypotheses, SimulatedEvents, basis, combine_samples, hash_uniform, mixture_reference
from toolkit.weights.missing import fill_missing

MU = (0.3, 0.6, 1.0, 1.7, 3.0)
RANGE = (0.0, 6.0)
INTERFERING = ("ggF_S", "ggF_SBI", "ggF_B")
REPLICAS = 200
BINS = 30
FLOOR = 1e-3
"""Smallest ratio over the reference where an estimator does not keep it positive."""
CALIBRATION = 0.25
"""Share of the training sample."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Events by purpose, each at the full luminosity, and the hypotheses with the yields of the training sample."""

    train: SimulatedEvents
    calibration: SimulatedEvents
    training: SimulatedEvents
    test: SimulatedEvents
    hypotheses: Hypotheses


def make_config(data: Path) -> Config:
    """Return the analysis of the benchmark sample with leptons and jets among the observables."""
    gg = [{"name": n, "files": [f"{n}_*.root"], "k_factor": 1.8, "benchmarks": ["ggF_S", "ggF_B", "ggF_SBI"]} for n in INTERFERING]
    samples = [*gg, {"name": "qqZZ", "files": ["qqZZ_*.root"], "k_factor": 1.3}]
    document = {"luminosity_ifb": 140.0, "samples": samples, "observables": OBSERVABLES, "fills": FILLS}
    return parse_config(document, folder=data.resolve())


def read(config: Config, work: Path, *, fraction: float, split: int) -> Samples:
    """Process the ntuples unless that is done, and divide the events."""
    if not (work / "events" / "index.json").exists():
        run(config, work)
    tables = [read_events(work / "events", sample.name) for sample in config.simulated]
    events = combine_samples(tables, processes=config.densities, benchmarks=config.morphing.benchmarks)
    events = replace(events, observables=fill_missing(events.observables, config.fills))
    if fraction < 1.0:
        events = events.select(hash_uniform(events.event_id, salt="fewer") < fraction).scaled(1.0 / fraction)
    test = hash_uniform(events.event_id, salt=f"estimators-{split}") < 0.5
    training, calibrates = events.select(~test).scaled(2.0), hash_uniform(events.event_id[~test], salt="calibration") < CALIBRATION
    reference = mixture_reference(events.processes, signal="ggF_S", interfering="ggF_SBI", background="ggF_B")
    hypotheses = Hypotheses.build(training, morphing=basis("ggF"), benchmarks=INTERFERING, ranges=[RANGE], reference=reference)
    train = training.select(~calibrates).scaled(1.0 / (1.0 - CALIBRATION))
    calibration = training.select(calibrates).scaled(1.0 / CALIBRATION)
    return Samples(train, calibration, training, events.select(test).scaled(2.0), hypotheses)


def evaluate(model: Any, samples: Samples, features: Sequence[str]) -> dict[str, list[dict[str, float]]]:
    """Measure one trained model; keys are `score histogram`, or `plain` and `normalised`."""
    x = {name: feature_matrix(getattr(samples, name).observables, features) for name in ("test", "calibration")}
    if isinstance(model, ScoreModel):
        scores = [model.score(x[n])[:, 0] for n in ("calibration", "test")]
        return {"histogram": binned_rows(in_bins("score", scores[0], scores[1], samples), samples)}
    results: dict[str, list[dict[str, float]]] = {}
    if model.estimator in FROM_CONFIG:  # the calibration events belong to its own training and calibration
        return {"plain": unbinned_rows(GridLikelihood.build(model, x["test"], samples.hypotheses, floor=FLOOR), samples)}
    if isinstance(model, ProcessModel | QuasiParametricModel):
        by_process = model if isinstance(model, ProcessModel) else model.by_process
        d = [by_process.discriminant(x[n], signal=("ggF_S",), background=("ggF_B", "qqZZ")) for n in ("calibration", "test")]
        results["S / (B + qqZZ) histogram"] = binned_rows(in_bins("discriminant", d[0], d[1], samples), samples)
    plain, calibration = (GridLikelihood.build(model, x[n], samples.hypotheses, floor=FLOOR) for n in ("test", "calibration"))
    if plain.n_floored:
        print(f"  the ratio is below {FLOOR:g} at {plain.n_floored} test events and set to it there", flush=True)
    weights = samples.calibration.weights @ samples.hypotheses.reference
    results["plain"] = unbinned_rows(plain, samples)
    results["normalised"] = unbinned_rows(plain.normalised(calibration, weights), samples)
    return results


def unbinned_rows(likelihood: GridLikelihood, samples: Samples) -> list[dict[str, float]]:
    """Fit the Asimov set of every truth."""
    rows = []
    for mu in MU:
        weights = samples.test.weights @ samples.hypotheses.coefficients(mu)
        mu_hat, t_0 = likelihood.fit(weights)
        error = likelihood.bootstrap(weights, replicas=REPLICAS, seed=1)
        rows.append({"mu": mu, "mu_hat": mu_hat, "standard_error": error, "t_0": t_0})
    return rows


def binned_rows(method: BinnedMethod, samples: Samples) -> list[dict[str, float]]:
    """Fit the Asimov set of every truth in bins."""
    rows = []
    for mu in MU:
        weights = samples.test.weights @ samples.hypotheses.coefficients(mu)
        likelihood = method.likelihood(weights)
        fit = likelihood.fit()
        error = method.bootstrap(weights, replicas=REPLICAS, seed=1).standard_error
        t_0 = likelihood.twice_nll({"mu": 0.0}) - fit.twice_nll
        rows.append({"mu": mu, "mu_hat": fit.parameters["mu"], "standard_error": error, "t_0": t_0})
    return rows


def in_bins(name: str, calibration: FloatArray, test: FloatArray, samples: Samples) -> BinnedMethod:
    """Histogram a learned observable: templates from the calibration events, the same signal in every bin."""
    edges = quantile_edges(calibration, samples.calibration.weights[:, 0], bins=BINS)
    return histogram_method(
        name, the_model(samples), training=samples.calibration, test=samples.test, values=(calibration, test), edges=edges, clip=True
    )


def the_model(samples: Samples) -> FitModel:
    """Return the coefficients of the processes as expressions."""
    texts = ("mu - sqrt(mu)", "sqrt(mu)", "1 - sqrt(mu)", "1")
    return FitModel.of_one(samples.hypotheses.processes, texts, range=RANGE)


def histograms(samples: Samples) -> dict[str, list[dict[str, float]]]:
    """Measure the baselines that need no training, with templates from the whole training sample."""
    model, values = the_model(samples), (samples.training.observables["m4l"], samples.test.observables["m4l"])
    m4l = histogram_method("m4l", model, training=samples.training, test=samples.test, values=values, edges=M4L_EDGES)
    return {
        "rate": binned_rows(rate_method(model, training=samples.training, test=samples.test), samples),
        "m4l": binned_rows(m4l, samples),
    }


def train_and_measure(name: str, architecture: str, seed: int, samples: Samples, options: argparse.Namespace) -> dict[str, Any]:
    """Train once, or read what an earlier call kept."""
    settings = {k: getattr(options, k) for k in ("epochs", "batch_size", "learning_rate", "hidden", "fraction", "split")}
    label = f"{name}_{architecture}_{options.split}_{seed}"
    path, key = options.work / "results" / f"{label}.json", {"estimator": name, "architecture": architecture, "seed": seed, **settings}
    if path.exists() and (stored := json.loads(path.read_text(encoding="utf-8")))["key"] == key:
        return dict(stored)
    features = features_of(architecture)
    estimator = make_estimator(
        name, architecture, seed=seed, **{k: settings[k] for k in ("epochs", "batch_size", "learning_rate", "hidden")}
    )
    began = time.process_time()
    events = samples.training if name in FROM_CONFIG else samples.train
    model = estimator.fit(events, features=features, hypotheses=samples.hypotheses, folder=options.work / "trainings" / label)
    cpu = time.process_time() - began
    result = {"key": key, "cpu_s": cpu, "methods": evaluate(model, samples, features)}
    write_json(path, result)
    return result


def table(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[list[Any]]:
    """Return one row per method: best fit and its spread over the trainings at every truth, test error, t(0) at mu = 1, CPU seconds."""
    rows = []
    for label, runs in results.items():
        for method in sorted({m for r in runs for m in r["methods"]}):
            done = [{p["mu"]: p for p in r["methods"][method]} for r in runs if method in r["methods"]]
            cells: list[Any] = []
            for mu in MU:
                fitted = np.array([d[mu]["mu_hat"] for d in done])
                spread = f" ({fitted.std(ddof=1):.3f})" if len(done) > 1 else ""
                cells.append(f"{fitted.mean():.3f}{spread} +- {np.mean([d[mu]['standard_error'] for d in done]):.3f}")
            t_0 = np.array([d[1.0]["t_0"] for d in done])
            seconds = float(np.mean([r["cpu_s"] for r in runs]))
            rows.append([f"{label}, {method}" if label else method, *cells, float(t_0.mean()), len(done), seconds])
    return rows


def main() -> None:
    """Train, measure, print the table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--estimators", nargs="+", choices=list(ESTIMATORS), default=list(ESTIMATORS))
    parser.add_argument("--architectures", nargs="+", choices=["mlp", "residual", "deep_set", "recurrent"], default=["mlp"])
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each, on the same events")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--hidden", type=int, nargs="+", default=[64, 64, 64])
    parser.add_argument("--fraction", type=float, default=1.0, help="use a part of the events only")
    parser.add_argument("--split", type=int, default=0, help="another number divides the events anew")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    make_folder(options.work / "results")
    samples = read(make_config(options.data), options.work, fraction=options.fraction, split=options.split)
    print(", ".join(f"{name} {len(getattr(samples, name))}" for name in ("train", "calibration", "test")) + " events", flush=True)
    results: dict[str, list[dict[str, Any]]] = {"": [{"cpu_s": 0.0, "methods": histograms(samples)}]}
    for architecture in options.architectures:
        for name in options.estimators:
            if name in FROM_CONFIG and architecture != "mlp":
                continue
            label = name if name in FROM_CONFIG else f"{name}, {architecture}"
            for seed in range(1, options.seeds + 1):
                result = train_and_measure(name, architecture, seed, samples, options)
                results.setdefault(label, []).append(result)
                print(f"{label}, seed {seed}: {result['cpu_s']:.0f} s of CPU", flush=True)
    print("best fit, in brackets its spread over the trainings, and the error from the finite test events")
    print_table(["method", *(f"mu = {mu:g}" for mu in MU), "t(0)", "trainings", "CPU s"], table(results))
    print_json(results)
    if options.json:
        write_json(options.json, results)


if __name__ == "__main__":
    main()
