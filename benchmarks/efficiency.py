"""What benchmark weights are worth: how many events an estimator needs to be as accurate as carl is with all of them.

    python -m benchmarks.efficiency --data FOLDER_OF_THE_BENCHMARK_SAMPLE [--work WORK]

gg -> (H* ->) ZZ -> 4l at generator level, where the exact ratio is known: every estimator trains on 1, 1/4, 1/16, ... of one half of the
simulation with the same network and the same loop, and is compared with the exact log p(x|mu) / p_ref(x) on the other half.
carl learns from the label of an event (numerator or reference), the others also from its joint ratio or score.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.exact import PROCESSES, TruthEvents, read_truth
from benchmarks.generator import FEATURES, GROUPS, simulated
from benchmarks.measure import print_json, print_table
from toolkit.ratios import feature_matrix
from toolkit.ratios.architectures import MLP
from toolkit.ratios.estimators import Alice, Alices, CarlParameterised, QuasiParametric, Rolr
from toolkit.ratios.estimators.parameterised import ParameterisedEstimator
from toolkit.ratios.schedules import TrainingSettings
from toolkit.typing import BoolArray, FloatArray
from toolkit.weights import SimulatedEvents, basis, hash_uniform
from toolkit.weights.hypotheses import Hypotheses, mixture_reference

GG = PROCESSES[:3]
MU = (0.0, 0.3, 1.0, 2.0, 5.0)
ESTIMATORS: dict[str, type[ParameterisedEstimator] | type[QuasiParametric]] = {
    "carl": CarlParameterised,
    "rolr": Rolr,
    "alice": Alice,
    "alices": Alices,
    "quasi_parametric": QuasiParametric,
}
STEPS = 3000
"""Fewest steps of a training: a small sample is seen more often."""


@dataclass(frozen=True, eq=False)
class Judge:
    """Exact log ratios of test events, and the error of estimated ones.

    Args:
        x: Observables, (n, n_features).
        exact: log p(x|mu) / p_ref(x) at every mu of MU, (n_mu, n).
        share: Weight of the events in the reference density, (n,).
    """

    x: FloatArray
    exact: FloatArray
    share: FloatArray

    @classmethod
    def build(cls, truth: TruthEvents, events: SimulatedEvents, hypotheses: Hypotheses, rows: BoolArray) -> Judge:
        """Take the exact densities of the rows."""
        density = truth.density[:, :3][rows]
        exact = [np.log(hypotheses.joint_ratio(density, mu)) for mu in MU]
        judged = events.select(rows)
        share = judged.weights @ hypotheses.reference
        return cls(feature_matrix(judged.observables, FEATURES), np.array(exact), share / share.sum())

    def error(self, log_ratios: FloatArray) -> float:
        """Compute the root mean square difference over the reference and all mu."""
        return float(np.sqrt(np.mean((log_ratios - self.exact) ** 2 @ self.share)))


def needed(sizes: Sequence[int], errors: Sequence[float], goal: float) -> float:
    """Interpolate, in logarithms, the number of events at which an error reaches the goal; 0 if the fewest do better, else infinity."""
    if errors[-1] <= goal:
        return 0.0
    for k in range(len(sizes) - 1):
        if errors[k] <= goal < errors[k + 1]:
            share = np.log(goal / errors[k]) / np.log(errors[k + 1] / errors[k])
            return float(np.exp(np.log(sizes[k]) + share * np.log(sizes[k + 1] / sizes[k])))
    return float("inf")


def main() -> None:
    """Train every estimator on every size, and print errors and equivalent numbers of events."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, help="finished trainings are kept here and not repeated")
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--levels", type=int, default=4, help="sizes are 1, 1/4, 1/16, ... of the training sample")
    parser.add_argument("--estimators", nargs="+", choices=list(ESTIMATORS), default=list(ESTIMATORS))
    options = parser.parse_args()
    truth = read_truth(options.data, luminosity_ifb=140.0, shared=GROUPS["samples"])
    everything = simulated(truth)
    gg = truth.sample < len(GG)
    events = replace(everything.select(gg), processes=GG, weights=everything.weights[gg][:, : len(GG)])
    number = hash_uniform(events.event_id, salt="efficiency")
    reference = mixture_reference(GG, signal="ggF_S", background="ggF_B", interfering="ggF_SBI")
    hypotheses = Hypotheses.build(events, morphing=basis("ggF"), benchmarks=GG_BENCHMARKS, ranges=[(0.0, 6.0)], reference=reference)
    test = number >= 0.5
    judge = Judge.build(replace_rows(truth, gg), events, hypotheses, test)
    sizes: list[int] = []
    table: dict[str, list[float]] = {name: [] for name in options.estimators}
    for level in range(options.levels):
        fraction = 0.5 / 4**level
        training = events.select(number < fraction).scaled(1.0 / fraction)
        sizes.append(len(training))
        for name in options.estimators:
            model = estimator(name, n=len(training), epochs=options.epochs).fit(
                training, features=FEATURES, hypotheses=hypotheses, folder=options.work and options.work / f"{name}_{level}"
            )
            table[name].append(judge.error(np.array([model.log_ratio(judge.x, mu) for mu in MU])))
            print(f"{name} with {len(training)} events: error {table[name][-1]:.4f}", flush=True)
    goal = table["carl"][0] if "carl" in table else float("nan")
    rows = [[name, *errors, needed(sizes, errors, goal)] for name, errors in table.items()]
    print_table(["estimator", *(f"{n} events" for n in sizes), "as good as carl at"], rows)
    print_json({"mu": MU, "sizes": sizes, "errors": table})


GG_BENCHMARKS = ("ggF_S", "ggF_SBI", "ggF_B")
"""In the order of `basis("ggF")`: S, SBI, B."""


def replace_rows(truth: TruthEvents, rows: BoolArray) -> TruthEvents:
    """Return some of the events."""
    names = ("event_id", "sample", "leptons", "m4l", "density", "weights")
    return TruthEvents(*(getattr(truth, name)[rows] for name in names))


def estimator(name: str, *, n: int, epochs: int) -> ParameterisedEstimator | QuasiParametric:
    """Build an estimator whose training takes at least `STEPS` steps."""
    batch = 512
    epochs = max(epochs, round(STEPS * batch / (0.9 * n)))
    training = TrainingSettings(epochs=epochs, batch_size=batch, patience=max(10, epochs // 4))
    return ESTIMATORS[name](architecture=MLP(hidden=(64, 64, 64)), training=training, fold_beam_axis=True, allow_few_events=True)


if __name__ == "__main__":
    main()
