"""Member-events per second of the training loop, against a bare torch loop over tensors in memory with the same network.

    python -m benchmarks.training [--events 100000] [--batch-size 1024] [--epochs 3] [--repeat 5]

Both loops take turns in one process, so that whatever else the machine does slows both. The bare loop only steps: no schedule, no
validation, no checkpoint, no look at the losses. Aim: at least 0.9 of its rate, with the validation and the checkpoint of the epoch.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch.nn.functional import cross_entropy

from benchmarks.measure import print_json, print_table
from toolkit.ratios.architectures import MLP
from toolkit.ratios.losses import class_loss
from toolkit.ratios.structure import EventClass, Mixture
from toolkit.ratios.targets import Targets
from toolkit.ratios.trainer import InMemoryBatches, TrainingSettings, train_network

N_INPUTS, HIDDEN = 19, (64, 64, 64)
MIXTURE = Mixture((EventClass("gg", ("S", "SBI", "B"), (1.0, 1.5, 10.0), (3.0, 1.0), 1), EventClass("b", ("b",), (100.0,))))


def make_tensors(n: int) -> tuple[torch.Tensor, ...]:
    """Inputs, label, weight and the two targets that the class network does not use."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(n, N_INPUTS, generator=generator)
    label = (inputs[:, 0] + torch.randn(n, generator=generator) > 0).long()
    return inputs, label, torch.rand(n, generator=generator) + 0.5, torch.zeros(n), torch.zeros(n)


def new_network() -> torch.nn.Module:
    return MLP(HIDDEN).stack(N_INPUTS, MIXTURE.n_logits, generator=torch.Generator().manual_seed(2))


def bare_loop(tensors: tuple[torch.Tensor, ...], batch_size: int, epochs: int) -> int:
    """The loop that everybody writes first; returns the events that it stepped over."""
    inputs, label, weight = tensors[:3]
    network = new_network()
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-2)
    steps = len(inputs) // batch_size
    for _ in range(epochs):
        order = torch.randperm(len(inputs))
        for k in range(steps):
            rows = order[k * batch_size : (k + 1) * batch_size]
            logits = network(inputs[rows])
            padded = torch.cat([torch.zeros_like(logits), logits], dim=1)
            loss = (weight[rows] * cross_entropy(padded, label[rows], reduction="none")).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
    return epochs * steps * batch_size


def our_loop(tensors: tuple[torch.Tensor, ...], settings: TrainingSettings, checkpoint: Path | None) -> int:
    """The toolkit's loop, events divided and validated as in a training; returns the events that it stepped over."""
    batches = InMemoryBatches(
        tensors,
        batch_size=settings.batch_size,
        validation_fraction=settings.validation_fraction,
        generator=torch.Generator().manual_seed(3),
    )
    history = train_network(
        new_network(),
        lambda network, batch: class_loss(network(batch[0]), Targets(*batch[1:])),
        batches,
        settings=settings,
        name="classes",
        weights=2,
        checkpoint=checkpoint,
    )
    return len(history.train) * (batches.n_training // settings.batch_size) * settings.batch_size


def rate(call: Callable[[], int]) -> float:
    """Events per second of CPU time: what other processes take does not count."""
    began = time.process_time()
    n = call()
    return n / (time.process_time() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    tensors = make_tensors(options.events)
    settings = TrainingSettings(epochs=options.epochs, batch_size=options.batch_size)
    with tempfile.TemporaryDirectory() as folder:
        loops: dict[str, Callable[[], int]] = {
            "bare loop": lambda: bare_loop(tensors, options.batch_size, options.epochs),
            "train_network": lambda: our_loop(tensors, settings, None),
            "with checkpoint": lambda: our_loop(tensors, settings, Path(folder) / "network.unfinished"),
        }
        rates: dict[str, list[float]] = {name: [] for name in loops}
        bare_loop(tensors, options.batch_size, 1)  # the first steps of a process are slow
        for _ in range(options.repeat):
            for name, call in loops.items():
                rates[name].append(rate(call))
                (Path(folder) / "network.unfinished").unlink(missing_ok=True)
    ratios = {name: statistics.median(a / b for a, b in zip(values, rates["bare loop"], strict=True)) for name, values in rates.items()}
    size = f"{options.events} events, {N_INPUTS} inputs, {HIDDEN}, batches of {options.batch_size}"
    print(f"{size}; {options.epochs} epochs, {options.repeat} repeats; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    rows = [[name, statistics.median(values), ratios[name]] for name, values in rates.items()]
    print_table(["loop", "member-events / CPU s", "of the bare loop"], rows)
    print_json({"events": options.events, "rates": {n: statistics.median(v) for n, v in rates.items()}, "ratios": ratios})


if __name__ == "__main__":
    main()
