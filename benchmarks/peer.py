"""The same carl training by a minimal script: five layers of 128, SiLU, binary cross-entropy, Adam, as other packages recommend.

    python -m benchmarks.peer --data FOLDER --work WORK [--numerator 0.0]

Both see the same training events with the same labels (p(x|mu) or the reference) and keep their best validation epoch. They are
compared by the cross-entropy of independent test events, with the error of the difference event by event. The script below uses
nothing of the toolkit but the arrays.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import softplus

from benchmarks.estimator_choices import FEATURES
from benchmarks.estimators import Samples, make_config, read
from benchmarks.measure import print_json, print_table
from toolkit.ratios import feature_matrix
from toolkit.ratios.architectures import MLP
from toolkit.ratios.estimators import Carl
from toolkit.ratios.schedules import TrainingSettings
from toolkit.typing import FloatArray
from toolkit.weights import SimulatedEvents, hash_uniform


def labels(events: SimulatedEvents, samples: Samples, mu: float) -> tuple[FloatArray, FloatArray]:
    """Return the weights (a, b) of every event in p(x|mu) and in the reference, both with mean 1."""
    h = samples.hypotheses
    a, b = events.weights @ h.coefficients(mu), events.weights @ h.reference
    return np.asarray(a / a.mean()), np.asarray(b / b.mean())


def peer(x: FloatArray, a: FloatArray, b: FloatArray, *, epochs: int, seed: int) -> nn.Module:
    """Train the minimal script: standardised inputs, 5 x 128 SiLU, Adam 1e-3, batches of 512, patience of 10 epochs."""
    torch.manual_seed(seed)
    mean, std = torch.from_numpy(x.mean(axis=0)).float(), torch.from_numpy(x.std(axis=0)).float()
    layers: list[nn.Module] = []
    for n_in in (x.shape[1], 128, 128, 128, 128):
        layers += [nn.Linear(n_in, 128), nn.SiLU()]
    network = nn.Sequential(*layers, nn.Linear(128, 1))
    inputs = (torch.from_numpy(x).float() - mean) / std
    weights = torch.from_numpy(np.stack([a, b], axis=1)).float()
    order = torch.randperm(len(x))
    held, used = order[: len(x) // 10], order[len(x) // 10 :]

    def loss(rows: torch.Tensor) -> torch.Tensor:
        logit = network(inputs[rows])[:, 0]
        return (weights[rows, 0] * softplus(-logit) + weights[rows, 1] * softplus(logit)).mean()

    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    best, state, waited = np.inf, {}, 0
    for _ in range(epochs):
        for batch in torch.split(used[torch.randperm(len(used))], 512):
            optimiser.zero_grad()
            loss(batch).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        with torch.no_grad():
            validation = loss(held).item()
        waited = waited + 1
        if validation < best:
            best, state, waited = validation, {k: v.clone() for k, v in network.state_dict().items()}, 0
        if waited >= 10:
            break
    network.load_state_dict(state)
    return nn.Sequential(_Standardise(mean, std), network).eval()


class _Standardise(nn.Module):
    def __init__(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        super().__init__()
        self.mean, self.std = mean, std

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x - self.mean) / self.std


def main() -> None:
    """Train both, and print their losses on the test events."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="processed events are kept here (shared with benchmarks.estimators)")
    parser.add_argument("--numerator", type=float, default=0.0)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=2)
    options = parser.parse_args()
    samples = read(make_config(options.data), options.work, fraction=1.0, split=0)
    x, x_test = (feature_matrix(events.observables, FEATURES) for events in (samples.train, samples.test))
    a, b = labels(samples.train, samples, options.numerator)
    coin = hash_uniform(samples.train.event_id, salt="label").astype(np.float32) * (a + b) < a
    a, b = np.where(coin, a + b, 0.0), np.where(coin, 0.0, a + b)
    test = labels(samples.test, samples, options.numerator)
    rows, losses = [], {}
    for seed in range(1, options.seeds + 1):
        training = TrainingSettings(epochs=8, seed=seed)
        network = MLP((64, 64, 64))
        carl = Carl(numerator=options.numerator, architecture=network, training=training, fold_beam_axis=True, harmonics=False)
        began = time.process_time()
        ours = carl.fit(samples.train, features=FEATURES, hypotheses=samples.hypotheses).log_ratio(x_test, options.numerator)
        middle = time.process_time()
        script = peer(x, a, b, epochs=options.epochs, seed=seed)
        with torch.no_grad():
            theirs = script(torch.from_numpy(x_test).float())[:, 0].double().numpy()
        ended = time.process_time()
        both = [test[0] * np.logaddexp(0, -logit) + test[1] * np.logaddexp(0, logit) for logit in (ours, theirs)]
        difference = both[0] - both[1]
        error = difference.std() / len(difference) ** 0.5
        rows.append(
            [seed, both[0].mean(), both[1].mean(), f"{difference.mean():+.5f} +- {error:.5f}", middle - began, ended - middle],
        )
        losses[seed] = {"toolkit": float(both[0].mean()), "peer": float(both[1].mean()), "error_of_difference": float(error)}
    print_table(["seed", "test loss, toolkit", "test loss, peer", "difference", "CPU s", "CPU s, peer"], rows)
    print_json({"numerator": options.numerator, "losses": losses})


if __name__ == "__main__":
    main()
