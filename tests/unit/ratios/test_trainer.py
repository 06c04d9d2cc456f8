"""The training loop: the same steps as a bare loop, resumable after any stop, deterministic, with errors before work starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from toolkit.errors import FitError
from toolkit.ratios.batches import InMemoryBatches
from toolkit.ratios.schedules import Schedule
from toolkit.ratios.trainer import TrainingSettings, train_network

SETTINGS = TrainingSettings(epochs=6, batch_size=100, learning_rate=1e-2, patience=6, seed=4)


def events(n=3000, negative=0.0):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(n, 3, generator=generator)
    label = (x.sum(dim=1) + torch.randn(n, generator=generator) > 0).float()
    weight = torch.where(torch.rand(n, generator=generator) < negative, -0.5, 1.0)
    return x, label, weight


def weighted_loss(network, batch):
    x, label, weight = batch
    return (weight * binary_cross_entropy_with_logits(network(x)[:, 0], label, reduction="none")).mean()


def new_network(dropout=0.0):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 16), nn.SiLU(), nn.Dropout(dropout), nn.Linear(16, 1))


def new_batches(tensors, settings=SETTINGS):
    generator = torch.Generator().manual_seed(11)
    return InMemoryBatches(tensors, batch_size=settings.batch_size, validation_fraction=settings.validation_fraction, generator=generator)


def train(tensors, settings=SETTINGS, *, network=None, **options):
    network = new_network() if network is None else network
    history = train_network(network, weighted_loss, new_batches(tensors, settings), settings=settings, name="toy", **options)
    return network, history


def assert_equal(a, b):
    for name, value in a.state_dict().items():
        assert torch.equal(value, b.state_dict()[name]), name


def bare_loop(tensors):
    """The slow twin: one function, no classes, the same draws."""
    order = torch.randperm(len(tensors[0]), generator=torch.Generator().manual_seed(11))
    held, used = order[:300], order[300:]
    network, generator = new_network(), torch.Generator().manual_seed(SETTINGS.seed)
    decays = [{"params": [network[0].weight, network[3].weight], "weight_decay": 1e-2}]
    optimiser = torch.optim.AdamW([*decays, {"params": [network[0].bias, network[3].bias], "weight_decay": 0.0}], lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=6 * 27, pct_start=0.1)
    losses, best = [], None
    for _ in range(6):
        shuffled = used[torch.randperm(len(used), generator=generator)]
        for k in range(27):
            rows = shuffled[100 * k : 100 * (k + 1)]
            loss = weighted_loss(network, [t[rows] for t in tensors])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        with torch.no_grad():
            losses.append(weighted_loss(network, [t[held] for t in tensors]).item())
        if losses[-1] == min(losses):
            best = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(best)
    return network, losses


def test_loop_is_a_bare_loop_to_the_last_bit():
    network, history = train(events())
    expected, losses = bare_loop(events())
    assert history.validation == tuple(losses)
    assert history.validation[history.best_epoch] == min(losses)
    assert_equal(network, expected)


class Stopped(Exception):
    pass


def stop_after(epochs):
    seen = []

    def on_progress(done, loss):
        seen.append((done, loss))
        if len(seen) == epochs:
            raise Stopped

    return on_progress


@pytest.mark.parametrize("optimiser", ["adamw", "nadam"])
@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "plateau", "constant"])
def test_stopped_training_goes_on_to_the_same_bits(tmp_path, optimiser, schedule):
    settings = replace(SETTINGS, optimiser=optimiser, schedule=schedule, gradient_clip=0.05, patience=3)
    data = events(negative=0.1)
    complete, history = train(data, settings, network=new_network(0.2), weights=2)
    checkpoint = tmp_path / "toy.unfinished"
    with pytest.raises(Stopped):
        train(data, settings, network=new_network(0.2), weights=2, checkpoint=checkpoint, on_progress=stop_after(2))
    calls = []
    resumed, again = train(
        data, settings, network=new_network(0.2), weights=2, checkpoint=checkpoint, on_progress=lambda *c: calls.append(c)
    )
    assert len(calls) == len(history.train) - 2
    assert again == history
    assert_equal(resumed, complete)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_trainer import events, train
seen = []
def on_progress(done, loss):
    seen.append(done)
    if len(seen) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
train(events(), checkpoint=Path(sys.argv[1]), on_progress=on_progress)
"""


def test_killed_training_goes_on_to_the_same_bits(tmp_path):
    checkpoint, here = tmp_path / "toy.unfinished", os.path.dirname(__file__)  # noqa: PTH120
    killed = subprocess.run([sys.executable, "-c", KILLED, str(checkpoint), here], capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    calls = []
    resumed, _ = train(events(), checkpoint=checkpoint, on_progress=lambda *c: calls.append(c))
    assert len(calls) == 3
    assert_equal(resumed, train(events())[0])


@pytest.mark.parametrize("change", ["events", "settings", "weights", "key", "damaged"])
def test_checkpoint_of_another_training_is_not_used(tmp_path, change):
    checkpoint = tmp_path / "toy.unfinished"
    train(events(), checkpoint=checkpoint, key="a")
    calls = []
    options = {"checkpoint": checkpoint, "key": "a", "on_progress": lambda *c: calls.append(c)}
    train(events(), **options)
    assert not calls
    data, settings, network = events(), SETTINGS, new_network()
    if change == "events":
        data[0][17, 1] += 0.5
    elif change == "settings":
        settings = replace(SETTINGS, learning_rate=2e-2)
    elif change == "weights":
        network[0].weight.data *= 2.0
    elif change == "key":
        options["key"] = "b"
    else:
        checkpoint.write_bytes(checkpoint.read_bytes()[:-20] + b"x" * 20)
    train(data, settings, network=network, **options)
    assert len(calls) == 6


def test_same_seed_same_bits_another_seed_others():
    first, again, other = (train(events(), replace(SETTINGS, seed=seed))[0] for seed in (4, 4, 5))
    assert_equal(first, again)
    assert not torch.equal(first[0].weight, other[0].weight)


def test_training_leaves_the_global_generator_and_threads_alone():
    network = new_network()
    torch.manual_seed(7)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    train(events(), replace(SETTINGS, threads=threads + 1), network=network)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_early_stopping_restores_the_best_epoch():
    settings = replace(SETTINGS, epochs=60, learning_rate=0.3, patience=3, schedule="constant")
    network, history = train(events(), settings)
    assert len(history.train) == len(history.validation) == history.best_epoch + 1 + 3 < 60
    held = next(new_batches(events()).validation())
    with torch.no_grad():
        assert weighted_loss(network, held).item() == min(history.validation)


def test_plateau_shrinks_the_step_where_the_loss_stands_still():
    settings = replace(SETTINGS, epochs=12, patience=12, learning_rate=0.3, schedule="plateau")
    plateau, constant = (train(events(), replace(settings, schedule=name))[1] for name in ("plateau", "constant"))
    assert plateau.validation[:4] == constant.validation[:4]
    assert plateau.validation != constant.validation


def test_gradients_are_shortened_and_counted():
    free, clipped = (train(events(), replace(SETTINGS, gradient_clip=clip), weights=2)[1] for clip in (1e6, 1e-2))
    assert free.clipped_steps == 0.0
    assert free.train == train(events())[1].train
    assert clipped.clipped_steps > 0.9
    assert clipped.largest_gradient > 1e-2


def test_history_says_what_signed_weights_do():
    data = events(negative=0.2)
    history = train(data, weights=2)[1]
    used = torch.cat([batch[2] for batch in new_batches(data).training(torch.Generator().manual_seed(SETTINGS.seed))])
    per_batch = used.reshape(-1, 100)
    assert history.negative_weight == pytest.approx(float(-used[used < 0].sum() / used.abs().sum()), rel=1e-6)
    assert history.smallest_effective_size == pytest.approx(float((per_batch.sum(1) ** 2 / (per_batch**2).sum(1)).min()), rel=1e-5)
    assert history.largest_gradient > 0
    assert history.warnings == ()
    bad = train(events(negative=0.7), weights=2)[1]
    assert "effective size" in "".join(bad.warnings)
    assert "do not sum to more than zero" in "".join(bad.warnings)


def test_positive_weights_have_no_negative_share():
    history = train(events(), weights=2)[1]
    assert (history.negative_weight, history.smallest_effective_size, history.largest_gradient) == (0.0, 100.0, None)


def test_divergence_is_told_with_a_remedy():
    with pytest.raises(FitError, match=r"training the toy network[\s\S]*finite losses[\s\S]*lower learning_rate"):
        train(events(), replace(SETTINGS, learning_rate=1e30))


@pytest.mark.parametrize("n", [0, 3, 200])
def test_too_few_events_are_refused_before_work_starts(n):
    with pytest.raises(FitError, match=r"2 batches of 100[\s\S]*batch_size"):
        train(events(n))


def test_values_that_are_not_finite_are_named():
    data = events()
    data[0][5, 1] = float("nan")
    with pytest.raises(FitError, match=r"tensor 0[\s\S]*nan in row 5, column 1 \(1 such"):
        train(data)


def test_batches_visit_every_event_once_per_epoch_in_another_order():
    batches = new_batches((torch.arange(3000),))
    generator = torch.Generator().manual_seed(0)
    epochs = [torch.cat([b[0] for b in batches.training(generator)]) for _ in range(2)]
    (held,) = next(batches.validation())
    for epoch in epochs:
        assert torch.equal(torch.sort(torch.cat([epoch, held])).values, torch.arange(3000))
    assert not torch.equal(*epochs)


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "plateau", "constant"])
@pytest.mark.parametrize(("steps", "epochs"), [(1, 1), (1, 2), (2, 1), (3, 1), (2, 2), (1, 3), (19, 1)])
def test_the_shortest_trainings_have_finite_steps_and_a_large_one(schedule, steps, epochs):
    parameter = nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.AdamW([parameter], lr=0.1)
    moving = Schedule(optimiser, replace(SETTINGS, epochs=epochs, schedule=schedule, learning_rate=0.1), total=steps * epochs)
    sizes = []
    for _ in range(epochs):
        for _ in range(steps):
            sizes.append(optimiser.param_groups[0]["lr"])
            optimiser.step()
            moving.after_step()
        moving.after_epoch(1.0)
    assert min(sizes) >= 0
    assert 0.05 <= max(sizes) <= 0.1 + 1e-12
