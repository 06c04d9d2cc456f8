"""Estimators of two coefficients in one table: areas of contours, -2 Delta lnL at a point, best fits with errors.

    python -m benchmarks.eft_estimators --data FOLDER_OF_THE_SAMPLE_FOLDERS CONFIG=RUN [CONFIG=RUN ...]

Every RUN is an output folder of `h4l train CONFIG --data FOLDER --out RUN`, such as of examples/eft.yaml with
`ratios: {estimator: ..., splits: {cross_fit: true}}`: each event is judged by members that neither trained nor were calibrated on its
fold, and rates are those of all events. Errors are standard deviations of best fits over resampled events, with the same networks.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.eft import CLOSURE, figures, unbinned
from benchmarks.measure import print_json, print_table
from toolkit.analysis.datasets import read_simulation
from toolkit.analysis.model import FitModel
from toolkit.analysis.regions import learned_events
from toolkit.config import load_config
from toolkit.likelihood import asimov_weights
from toolkit.pipeline import StageContext
from toolkit.pipeline.stages.export import load_trained
from toolkit.ratios import TrainedMixture
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents

Fits = dict[str, tuple[tuple[float, float], tuple[float, float]]]


def out_of_fold(config_file: Path, run: Path, data: str) -> tuple[SimulatedEvents, FloatArray, FitModel]:
    """Return the events of a trained cross-fit, their log nu_j p_j / p_ref, (n, n_densities), and the model."""
    config = load_config(config_file, data=data)
    context = StageContext(config=config, out=run, work=run, key="")
    training = learned_events(config, read_simulation(context)[0])
    trained = load_trained(context, training)
    if not isinstance(trained, TrainedMixture) or trained.cross_fitted is None:
        msg = f"{config_file}: give it `ratios: {{splits: {{cross_fit: true}}}}`"
        raise SystemExit(msg)
    return training, trained.cross_fitted.out_of_fold + np.log(training.yields), FitModel.of(config)


def closure(training: SimulatedEvents, log_densities: FloatArray, model: FitModel, *, replicas: int) -> Fits:
    """Fit (c_t, c_g) at every truth, and resample the events for the errors."""
    found: Fits = {}
    rng = np.random.default_rng(1)
    for truth in CLOSURE:
        point = dict(zip(model.names, truth, strict=True))
        weights = asimov_weights(training.weights, coefficients=model.coefficients, parameters=point, bounds=model.bounds)
        likelihood = unbinned(log_densities, weights, training.yields)
        best = likelihood.fit().parameters
        drawn = [likelihood.with_weights(weights * rng.poisson(1.0, len(weights))).fit().parameters for _ in range(replicas)]
        errors = [float(np.std([one[name] for one in drawn], ddof=1)) for name in model.names]
        found[str(truth)] = ((best["c_t"], best["c_g"]), (errors[0], errors[1]))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="CONFIG=RUN")
    parser.add_argument("--data", required=True, help="folder that holds ggzz4l and ggzz4l_eft")
    parser.add_argument("--replicas", type=int, default=20, help="resamplings of the events")
    options = parser.parse_args()
    rows, fits, document = [], [], {}
    for pair in options.runs:
        config, run = (Path(part) for part in pair.split("="))
        training, log_densities, model = out_of_fold(config, run, options.data)
        weights = asimov_weights(training.weights, coefficients=model.coefficients, parameters=model.truth, bounds=model.bounds)
        measured = figures(unbinned(log_densities, weights, training.yields))
        rows.append([config.stem, measured["area_68"], measured["area_95"], measured["t"][0]])  # type: ignore[index]
        closed = closure(training, log_densities, model, replicas=options.replicas)
        cells = [", ".join(f"{value:.2f} ± {error:.2f}" for value, error in zip(*both, strict=True)) for both in closed.values()]
        fits.append([config.stem, *cells])
        document[config.stem] = {**measured, "closure": closed}
        print_table(["config", "68 % area", "95 % area", "t(0, 1)"], rows)
        print_table(["best fits at", *map(str, CLOSURE)], fits)
    print_json(document)


if __name__ == "__main__":
    main()
