"""Electroweak ZZ + 2 jets: what each method says of the signal strength, at two luminosities, with and without the rate.

    python -m benchmarks.vbf --data FOLDER_OF_EW_SBI --work WORK [--methods m4l alices mixture ...] [--trainings 2] [--epochs 60]

Methods: histograms of m4l, delta_eta_jj, pt_j1 and of m4l and delta_eta_jj together; a histogram of the score (SALLY, trained at
mu = 1); the unbinned likelihood of a network that reads mu (ALICES: 28 values of mu, one layer of 300 tanh nodes), of quasi-parametric
and of mixture networks. Events have two jets.

The test events are the Asimov set of every truth. The training sample gives yields and templates; three quarters of it train ALICES and
SALLY, the rest measures E_ref[r] = 1 and fills the templates of the score. Quasi-parametric and mixture networks train and calibrate on
it out of fold. For every training: best fit (its error from a bootstrap of the test events, at 139/fb), intervals, p-values of all values
of mu (in the file of `--json`). Finished trainings are kept in WORK.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter
from scipy.stats import chi2

from benchmarks.measure import print_json, print_table
from processors import run
from toolkit.analysis import Folder
from toolkit.analysis.datasets import read_simulation
from toolkit.analysis.measurements import truth_weights
from toolkit.analysis.methods import BinnedMethod, histogram_method, plane_method, rate_method
from toolkit.analysis.model import FitModel
from toolkit.artifacts.atomic import make_folder, write_json
from toolkit.config import AnyRatioConfig, Config, load_config
from toolkit.likelihood import (
    BinnedLikelihood,
    ParameterisedLikelihood,
    RatioMean,
    ThetaAxis,
    ThetaSeries,
    UnbinnedLikelihood,
    bootstrap_parameterised,
    bootstrap_unbinned,
    measure,
    quantile_edges,
)
from toolkit.likelihood.free_normalisation import without_rate
from toolkit.likelihood.planes import Plane
from toolkit.ratios import feature_matrix, fit_ratios
from toolkit.ratios.architectures import MLP
from toolkit.ratios.estimators import Alices, ListedTheta, Sally
from toolkit.ratios.schedules import TrainingSettings
from toolkit.typing import FloatArray
from toolkit.weights import Hypotheses, SimulatedEvents, basis, hash_uniform

EXAMPLE = Path(__file__).parent.parent / "examples" / "vbf4ljj.yaml"
TRUTHS = (1.0, 2.0, 4.0)
LUMINOSITIES = (36.0, 139.0)
DENSITIES = ("EW_S", "EW_SBI", "EW_B")
FEATURES = (
    "m4l",
    "m_z1",
    "m_z2",
    "cos_theta_star",
    "cos_theta_1",
    "cos_theta_2",
    "phi",
    "phi_1",
    "pt4l",
    "m_jj",
    "delta_eta_jj",
    "delta_phi_jj",
    "pt_j1",
)
EDGES = {
    "m4l": (220.0, 260.0, 300.0, 400.0, 500.0, 700.0, 1000.0, 2001.0),
    "delta_eta_jj": (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 10.0),
    "pt_j1": (0.0, 60.0, 90.0, 120.0, 160.0, 220.0, 320.0, 10_000.0),
}
RANGE = (0.0, 16.0)
N_THETAS = 28
WIDTH = 300
CALIBRATION = 0.25
BINS = 12
REPLICAS = 200
SCAN_POINTS = 61
Likelihoods = BinnedLikelihood | UnbinnedLikelihood | ParameterisedLikelihood
Build = Callable[[FloatArray, float], Likelihoods]
"""Builds the likelihood of the test events with weights (n_test,), for yields times a factor."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Events of two jets by purpose, each at the luminosity of the config."""

    config: Config
    model: FitModel
    training: SimulatedEvents
    train: SimulatedEvents
    calibration: SimulatedEvents
    test: SimulatedEvents
    hypotheses: Hypotheses


def read(data: Path, work: Path) -> Samples:
    """Process the ntuples unless that is done, select two jets, and divide the events."""
    config = load_config(EXAMPLE, data=data)
    config = config.model_copy(update={"parameter": config.parameter.model_copy(update={"range": RANGE})})
    if not (work / "events" / "index.json").exists():
        run(config, work)
    training, test = (e.select(e.observables["n_jets"] >= 2) for e in read_simulation(Folder(config, work)))
    calibrates = hash_uniform(training.event_id, salt="calibration") < CALIBRATION
    model = FitModel.of(config)
    hypotheses = Hypotheses.build(training, morphing=basis("ggF"), benchmarks=DENSITIES, ranges=[model.range], reference=1.0)
    train, calibration = (
        training.select(~calibrates).scaled(1.0 / (1.0 - CALIBRATION)),
        training.select(calibrates).scaled(1.0 / CALIBRATION),
    )
    return Samples(config, model, training, train, calibration, test, hypotheses)


def binned(method: BinnedMethod) -> Build:
    """Return how the likelihood of a histogram is built."""

    def build(weights: FloatArray, factor: float) -> BinnedLikelihood:
        scaled = replace(method.templates, values=method.templates.values * factor)
        return replace(method, templates=scaled).likelihood(weights)

    return build


def histograms(samples: Samples) -> Iterator[tuple[str, Build]]:
    """Yield the methods that need no training, with templates from the whole training sample."""
    settings: Any = {"training": samples.training, "test": samples.test}
    yield "rate", binned(rate_method(samples.model, **settings))
    for name, edges in EDGES.items():
        values = (samples.training.observables[name], samples.test.observables[name])
        yield name, binned(histogram_method(name, samples.model, values=values, edges=edges, clip=True, **settings))
    plane = Plane.of(("m4l", "delta_eta_jj"), (EDGES["m4l"], EDGES["delta_eta_jj"]))
    yield "m4l x delta_eta_jj", binned(plane_method("plane", samples.model, plane, least=0.2, **settings))


def settings_of(options: argparse.Namespace, seed: int) -> Any:
    """Return the settings that SALLY and ALICES share."""
    training = TrainingSettings(epochs=options.epochs, batch_size=options.batch_size, learning_rate=options.learning_rate, seed=seed)
    return {"architecture": MLP((WIDTH,), activation="tanh"), "training": training, "allow_few_events": True}


def sally(samples: Samples, options: argparse.Namespace, seed: int, folder: Path) -> Build:
    """Train the score at mu = 1 and histogram it, with templates from the calibration events."""
    trained = Sally(**settings_of(options, seed)).fit(samples.train, features=FEATURES, hypotheses=samples.hypotheses, folder=folder)
    values = tuple(trained.score(feature_matrix(e.observables, FEATURES))[:, 0] for e in (samples.calibration, samples.test))
    expected = samples.calibration.weights[:, DENSITIES.index("EW_SBI")]
    edges = quantile_edges(values[0], expected, bins=BINS)
    settings: Any = {"training": samples.calibration, "test": samples.test}
    return binned(histogram_method("sally", samples.model, values=(values[0], values[1]), edges=edges, clip=True, **settings))


def alices(samples: Samples, options: argparse.Namespace, seed: int, folder: Path) -> Build:
    """Train ALICES, and divide its ratio by the mean over the reference on the calibration events."""
    low, high = np.sqrt(samples.model.range)
    thetas = tuple((np.linspace(low, high, N_THETAS) ** 2).tolist())
    estimator = Alices(theta=ListedTheta(thetas), **settings_of(options, seed))
    trained = estimator.fit(samples.train, features=FEATURES, hypotheses=samples.hypotheses, folder=folder)
    axes = [ThetaAxis("mu", *samples.model.range, root=True)]
    x = {name: feature_matrix(getattr(samples, name).observables, FEATURES) for name in ("calibration", "test")}
    reference = samples.calibration.weights @ samples.hypotheses.reference
    mean = RatioMean.measure(lambda theta: trained.log_ratio(x["calibration"], theta), reference, axes)
    print(f"  alices {seed}: E_ref[r] from {mean.mean.min():.4f} to {mean.mean.max():.4f}, known to {mean.error.max():.4f}", flush=True)
    series, log_mean = ThetaSeries.of(lambda theta: trained.log_ratio(x["test"], theta), axes), mean.series(axes)

    def build(weights: FloatArray, factor: float) -> ParameterisedLikelihood:
        return ParameterisedLikelihood(
            log_ratios=series,
            log_mean=log_mean,
            weights=weights,
            yields=samples.training.yields * factor,
            coefficients=samples.model.coefficients,
            parameters=samples.model.used,
        )

    return build


def densities(estimator: str, samples: Samples, options: argparse.Namespace, seed: int, folder: Path) -> Build:
    """Train an estimator of the densities on the training sample, out of fold."""
    splits = {"salt": f"vbf-{seed}"}
    section: dict[str, Any] = {"features": FEATURES, "fold_beam_axis": False, "seed": 7919 * seed, "splits": splits}
    section |= {"estimator": estimator, "epochs": options.mixture_epochs}
    section |= {"composition_epochs": 3 * options.mixture_epochs} if estimator == "mixture" else {}
    ratios: AnyRatioConfig = TypeAdapter(AnyRatioConfig).validate_python(section)
    trained = fit_ratios(samples.training, config=ratios, model=samples.config.model, folder=folder)
    log_ratios = trained.log_ratio(feature_matrix(samples.test.observables, FEATURES))

    def build(weights: FloatArray, factor: float) -> UnbinnedLikelihood:
        return UnbinnedLikelihood(
            log_ratios=log_ratios,
            weights=weights,
            yields=samples.training.yields * factor,
            coefficients=samples.model.coefficients,
            parameters=samples.model.used,
        )

    return build


TRAINED: dict[str, Callable[[Samples, argparse.Namespace, int, Path], Build]] = {
    "sally": sally,
    "alices": alices,
    "quasi_parametric": partial(densities, "quasi_parametric"),
    "mixture": partial(densities, "mixture"),
}


def rows(name: str, build: Build, samples: Samples) -> list[dict[str, Any]]:
    """Measure one method at every luminosity and truth, with and without the rate."""
    found = []
    for luminosity in LUMINOSITIES:
        factor = luminosity / samples.config.luminosity_ifb
        for truth in TRUTHS:
            weights = truth_weights(samples.test, samples.model, {"mu": truth}) * factor
            likelihood = build(weights, factor)
            for rate in (True, False):
                if name == "rate" and not rate:
                    continue
                result = measure(
                    likelihood if rate else without_rate(likelihood), method=name, values=np.linspace(*samples.model.range, SCAN_POINTS)
                )
                wanted = rate and luminosity == LUMINOSITIES[-1]
                row = {
                    "luminosity": luminosity,
                    "truth": truth,
                    "rate": rate,
                    "mu_hat": result.mu_hat,
                    "test_error": bootstrap_error(likelihood, result.mu_hat) if wanted else None,
                }
                row |= {
                    f"interval_{n}": [[i.low, i.high] for i in own] for n, own in (("68", result.interval_68), ("95", result.interval_95))
                }
                row["p_values"] = chi2.sf(np.clip(result.scan.twice_delta_nll, 0.0, None), 1).tolist()
                found.append({**row, "t_0": result.twice_nll_at_0})
    return found


def bootstrap_error(likelihood: Likelihoods, best_fit: float) -> float | None:
    """Return the error of the best fit from the finite test events, of an unbinned method."""
    if isinstance(likelihood, ParameterisedLikelihood):
        return bootstrap_parameterised(likelihood, replicas=REPLICAS, seed=1).error(best_fit)
    return None if isinstance(likelihood, BinnedLikelihood) else bootstrap_unbinned(likelihood, replicas=REPLICAS, seed=1).error(best_fit)


def train_and_measure(name: str, seed: int, samples: Samples, options: argparse.Namespace) -> dict[str, Any]:
    """Train once, or read what an earlier call kept."""
    settings = {k: getattr(options, k) for k in ("epochs", "batch_size", "learning_rate", "mixture_epochs")}
    path, key = options.work / "results" / f"{name}_{seed}.json", {"method": name, "seed": seed, **settings}
    if path.exists() and (stored := json.loads(path.read_text(encoding="utf-8")))["key"] == key:
        return dict(stored)
    began = time.process_time()
    build = TRAINED[name](samples, options, seed, options.work / "trainings" / f"{name}_{seed}")
    result = {"key": key, "cpu_s": time.process_time() - began, "rows": rows(name, build, samples)}
    write_json(path, result)
    return result


def table(runs: Sequence[tuple[str, Sequence[Sequence[dict[str, Any]]]]]) -> list[list[Any]]:
    """Return one row per method, luminosity, truth and use of the rate: best fit with its spread, total lengths of the intervals, t(0)."""
    out = []
    for name, trainings in runs:
        for k, first in enumerate(trainings[0]):
            own = [t[k] for t in trainings]
            fitted = np.array([r["mu_hat"] for r in own])
            spread = f"{fitted.std(ddof=1):.3f}" if len(own) > 1 else "-"
            lengths = [float(np.mean([sum(b - a for a, b in r[f"interval_{n}"]) for r in own])) for n in ("68", "95")]
            error = "-" if first["test_error"] is None else f"{np.mean([r['test_error'] for r in own]):.3f}"
            label = "rate and shape" if first["rate"] else "shape"
            out.append(
                [
                    name,
                    first["luminosity"],
                    first["truth"],
                    label,
                    float(fitted.mean()),
                    spread,
                    error,
                    *lengths,
                    float(np.mean([r["t_0"] for r in own])),
                ]
            )
    return out


def main() -> None:
    """Train, measure, print the table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--methods", nargs="+", choices=list(TRAINED), default=list(TRAINED), help="trained methods")
    parser.add_argument("--trainings", type=int, default=2, help="trainings of each, on the same events")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--mixture-epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    make_folder(options.work / "results")
    samples = read(options.data, options.work)
    print(
        ", ".join(f"{name} {len(getattr(samples, name))}" for name in ("train", "calibration", "training", "test")) + " events", flush=True
    )
    found: list[tuple[str, list[list[dict[str, Any]]]]] = [(name, [rows(name, build, samples)]) for name, build in histograms(samples)]
    for name in options.methods:
        trainings = []
        for seed in range(1, options.trainings + 1):
            result = train_and_measure(name, seed, samples, options)
            trainings.append(result["rows"])
            print(f"{name}, training {seed}: {result['cpu_s']:.0f} s of CPU", flush=True)
        found.append((name, trainings))
    head = ["method", "1/fb", "mu", "uses", "best fit", "spread", "test error", "length 68 %", "length 95 %", "t(0)"]
    print_table(head, table(found))
    print_json({"table": [dict(zip(head, row, strict=True)) for row in table(found)]})
    if options.json:
        write_json(options.json, dict(found))


if __name__ == "__main__":
    main()
