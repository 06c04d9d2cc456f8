"""What limits the networks of a run: exact ratios, matrix elements at the reconstructed momenta, and the networks with one part exact.

    h4l run CONFIG --data FOLDER_OF_THE_BENCHMARK_SAMPLE --out RUN      # with cross_fit, and me_gg, me_box, me_qq among the observables
    python -m benchmarks.ceiling CONFIG --data FOLDER_OF_THE_BENCHMARK_SAMPLE --run RUN

All rows are lower bounds of -2 Delta lnL, 2 sum [a ln r - b (r - 1)], over the same events. The exact densities know the true momenta of
the four leptons and nothing of the recoil; a binned model of pt4l and n_jets, of q qbar over gg, filled with the events of the other folds,
gives them that. In "exact classes" the networks say how much of an event of the gluons is signal and interference, and the exact densities
and the model say whether it comes from gluons; in "exact composition" it is the other way round.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from benchmarks.measure import print_json, print_table
from benchmarks.splits import Exact
from toolkit.analysis import MODEL
from toolkit.analysis.cross_fit import CrossFitRatio, fold_of, log_ratios_of
from toolkit.analysis.model import FitModel
from toolkit.config import load_config
from toolkit.diagnostics.information import information_bound
from toolkit.diagnostics.merit import Merit
from toolkit.likelihood.asimov import coefficient_values
from toolkit.ratios.heads import heads_of_densities
from toolkit.ratios.targets import describe_mixture
from toolkit.typing import FloatArray, IntArray
from toolkit.weights import SimulatedEvents

PAIRS = ((1.0, 0.0), (1.0, 2.5), (3.0, 0.0))
"""True hypothesis, and the one that it is told from."""
PT_BINS, MOST_JETS = 30, 3
FLOOR = 1e-7
"""Added to the probability of a bin, for those without events."""


def recoil(events: SimulatedEvents, fold: IntArray) -> FloatArray:
    """Return ln p(pt4l, n_jets | q qbar) / p(pt4l, n_jets | gg), in two bins of m4l, from the events of the other folds, (n,)."""
    pt, m4l = events.observables["pt4l"], events.observables["m4l"]
    jets = np.minimum(events.observables["n_jets"], MOST_JETS).astype(int)
    step = np.searchsorted(np.quantile(pt, np.linspace(0.0, 1.0, PT_BINS + 1)[1:-1]), pt) * (MOST_JETS + 1) + jets
    heavy = (m4l > np.median(m4l)).astype(int)
    index, n = 2 * step + heavy, 2 * PT_BINS * (MOST_JETS + 1)
    found = np.empty(len(events))
    columns = {name: events.weights[:, k] for k, name in enumerate(events.processes)}
    for k in range(int(fold.max()) + 1):
        others, own = fold != k, fold == k
        shapes = []
        for weight in (columns["qqZZ"], columns["ggF_SBI"]):
            filled = np.bincount(index[others], weight[others], n).reshape(-1, 2)
            shapes.append((filled / filled.sum(axis=0)).ravel() + FLOOR)
        found[own] = np.log(shapes[0] / shapes[1])[index[own]]
    return found


def bounds(exact: Exact, log_densities: FloatArray) -> list[Merit]:
    """Return the bound of every pair; ln of densities at a common factor per event, relative to the yields, (n, n_processes)."""
    model, yields = FitModel.of(exact.config), exact.events.yields
    found = []
    for pair in PAIRS:
        f = [coefficient_values(model.coefficients, {model.parameter: mu}) for mu in pair]
        rates = [np.exp(log_densities - log_densities.max(axis=1, keepdims=True)) @ (c * yields) for c in f]
        weights = [exact.events.weights @ c for c in f]
        found.append(information_bound(np.log(rates[0] / rates[1]), numerator_weights=weights[0], denominator_weights=weights[1]))
    return found


def share(merit: Merit, whole: Merit) -> tuple[float, float]:
    """Divide two bounds of the same events; the error is that of resampling them for both."""
    ratio = merit.value / whole.value
    return ratio, float(np.linalg.norm(merit.influence - ratio * whole.influence)) / whole.value


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of the benchmark sample")
    parser.add_argument("--run", type=Path, required=True, help="output folder of a cross-fit")
    options = parser.parse_args()
    config = load_config(options.config, data=options.data)
    exact = Exact.read(options.run, config, options.data)
    events, splits = exact.events, config.ratios.splits
    mixture = describe_mixture(events, config.model)
    further = recoil(events, fold_of(events, splits))
    column = events.processes.index("qqZZ")
    true = np.log(exact.densities / events.yields)
    complete = true.copy()
    complete[:, column] += further
    own = {name: events.observables[name] for name in ("me_gg", "me_box", "me_qq")}
    logs = {"ggF_S": np.zeros(len(events)), "ggF_SBI": own["me_gg"], "ggF_B": own["me_box"], "qqZZ": own["me_qq"] + further}
    factors = {sample.name: sample.k_factor for sample in config.simulated}
    seen = np.stack([logs[name] + np.log(factors[name]) for name in events.processes], axis=1) - np.log(events.yields)
    networks = log_ratios_of(CrossFitRatio(options.run / MODEL, splits=splits), events)
    heads = {
        name: heads_of_densities(torch.from_numpy(d), mixture) for name, d in (("true", complete), ("seen", seen), ("networks", networks))
    }

    def mixed(classes: str, composition: str) -> FloatArray:
        n = mixture.n_logits
        return np.asarray(mixture.log_ratios(torch.cat([heads[classes][:, :n], heads[composition][:, n:]], dim=1)).numpy())

    rows = {
        "exact, true momenta": true,
        "the same and recoil": complete,
        "matrix elements at the reconstructed momenta and recoil": seen,
        "the same, exact classes": mixed("true", "seen"),
        "the same, exact composition": mixed("seen", "true"),
        "networks": networks,
        "networks, exact classes": mixed("true", "networks"),
        "networks, exact composition": mixed("networks", "true"),
    }
    found = {name: bounds(exact, densities) for name, densities in rows.items()}
    reference = found["the same and recoil"]
    table = [
        [name, *(x for one, whole in zip(merits, reference, strict=True) for x in (one.value, one.error, *share(one, whole)))]
        for name, merits in found.items()
    ]
    header = [x for a, b in PAIRS for x in (f"{a:g} against {b:g}", "+-", "of exact", "+-")]
    print_table(["densities", *header], table)
    print_json({name: [[m.value, m.error] for m in merits] for name, merits in found.items()})


if __name__ == "__main__":
    main()
