"""Learning curve: what the unbinned fit gains over a histogram against the number of simulated events that its networks learn from.

    h4l process CONFIG --data FOLDER --out RUN
    python -m benchmarks.learning_curve CONFIG --data FOLDER --run RUN --work WORK [--shares 0.125 0.25 0.5 1] [--against 0]

Each share of the training events trains, calibrates and gives the yields of one ensemble, with the settings of the config. On the test
events, which are the same for all, stands the lower bound of the expected -2 Delta lnL of the truth against another value of the
parameter, 2 sum [a ln r - b (r - 1)], over that of the first histogram of the config with templates from all training events. Errors are
paired: those of resampling the test events for both. A curve that still climbs at 1 says that more simulation is worth its price.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.measure import print_json, print_table
from toolkit.analysis import Folder
from toolkit.analysis.build import configured_histogram
from toolkit.analysis.datasets import read_simulation
from toolkit.analysis.model import FitModel
from toolkit.config import Config, load_config
from toolkit.diagnostics.information import information_bound, log_rate_ratio
from toolkit.diagnostics.merit import Merit
from toolkit.ratios import feature_matrix, fit_ratios
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents, hash_uniform


def bound_of(rates: tuple[FloatArray, FloatArray], truth: tuple[FloatArray, FloatArray]) -> Merit:
    """Return the bound of estimated rates under both hypotheses, with the true weights of the events, (n,) each."""
    return information_bound(np.log(rates[0] / rates[1]), numerator_weights=truth[0], denominator_weights=truth[1])


def gain(first: Merit, second: Merit) -> tuple[float, float]:
    """Divide two bounds of the same events; the error is that of resampling them for both.

    Examples:
        >>> gain(Merit(4.0, np.array([2.0, 2.0])), Merit(2.0, np.array([1.0, 1.0])))
        (2.0, 0.0)
    """
    ratio = first.value / second.value
    return ratio, float(np.linalg.norm(first.influence - ratio * second.influence)) / second.value


def learn(pool: SimulatedEvents, test: SimulatedEvents, f: FloatArray, *, config: Config, folder: Path) -> Merit:
    """Train on some events; `f` are the coefficients under both hypotheses, (2, n_processes)."""
    trained = fit_ratios(pool, config=config.ratios, model=config.model, folder=folder)
    log_ratios = trained.log_ratio(feature_matrix(test.observables, config.ratios.features))
    log_ratio = log_rate_ratio(log_ratios, numerator=f[0] * pool.yields, denominator=f[1] * pool.yields)
    return information_bound(log_ratio, numerator_weights=test.weights @ f[0], denominator_weights=test.weights @ f[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True, help="output folder with its event tables")
    parser.add_argument("--work", type=Path, required=True, help="where trainings are kept")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.125, 0.25, 0.5, 1.0])
    parser.add_argument("--against", type=float, default=0.0, help="value that the truth is told from")
    parser.add_argument("--epochs", type=int, help="of the classes, in place of those of the config")
    options = parser.parse_args()
    config = load_config(options.config, data=options.data)
    if options.epochs:
        config = config.model_copy(update={"ratios": config.ratios.model_copy(update={"epochs": options.epochs})})
    pool, test = read_simulation(Folder(config, options.run))
    model, began = FitModel.of(config), time.process_time()
    f = np.stack([model.at(model.truth), model.at({**model.truth, model.parameter: options.against})])
    name, section = next(iter(config.histograms.items()))
    histogram = configured_histogram(name, section, model, pool=pool, test=test)
    expected = f @ histogram.templates.values[:, histogram.index]
    reference = bound_of((expected[0], expected[1]), (test.weights @ f[0], test.weights @ f[1]))
    rows = []
    for share in options.shares:
        part = pool.select(hash_uniform(pool.event_id, salt="learning") < share).scaled(1.0 / share)
        found = learn(part, test, f, config=config, folder=options.work / f"share_{share:g}")
        rows.append([len(part), found.value, found.error, *gain(found, reference)])
        print(f"{len(part)} events: bound {found.value:.3f}, {rows[-1][3]:.2f} +- {rows[-1][4]:.2f} times {name}", flush=True)
    print_table(["training events", "bound", "+-", f"gain over {name}", "+-"], rows)
    print_json({"rows": rows, name: [reference.value, reference.error], "cpu_s": time.process_time() - began})


if __name__ == "__main__":
    main()
