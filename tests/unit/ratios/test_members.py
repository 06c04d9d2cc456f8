"""Ensembles: the same bits whatever executes them, resumable, surviving lost workers; members that see the events they should."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

import toolkit.ratios.workers as module
from toolkit.config import EnsembleConfig, RatioConfig
from toolkit.errors import FitError, SchemaError, WorkerLostError
from toolkit.ratios.members import Member, TrainedMembers, plan_members, train_ensemble
from toolkit.ratios.plan import plan_ensemble
from toolkit.ratios.trainer import InMemoryBatches, TrainingSettings, train_network

SETTINGS = TrainingSettings(epochs=4, batch_size=100, learning_rate=1e-2)


def loss(network, batch):
    x, label, weight = batch
    return (weight * binary_cross_entropy_with_logits(network(x)[:, 0], label, reduction="none")).mean()


@dataclass(frozen=True)
class Task:
    """A small member; `kill` members kill their process in the second epoch, `marker` remembers that they did."""

    kill: tuple[int, ...] = ()
    marker: Path = Path()
    batch_size: int = 100
    delay_s: float = 0.0

    def network(self):
        return nn.Linear(3, 1)

    def key(self, member):
        return f"{member} {self.batch_size}"

    def train(self, member, *, checkpoint, on_progress):
        x = torch.randn(2000, 3, generator=torch.Generator().manual_seed(5))
        part = member.subset(2000, fold=np.arange(2000) % 4)
        x, weight = x[part.rows], torch.from_numpy(part.counts).float()
        generator = torch.Generator().manual_seed(member.seed)
        network = self.network()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
        tensors = x, (x[:, 0] > 0).float(), weight
        batches = InMemoryBatches(tensors, batch_size=self.batch_size, validation_fraction=0.1, generator=generator)
        report = self._killing(member, on_progress)
        unfinished = checkpoint.with_suffix(".toy.unfinished")
        history = train_network(
            network, loss, batches, settings=SETTINGS, name="toy", generator=generator, on_progress=report, checkpoint=unfinished
        )
        return network, (history,)

    def _killing(self, member, on_progress):
        def report(done, value):
            time.sleep(self.delay_s)
            on_progress(done, value)
            marker = self.marker / f"killed-{member.index}"
            if member.index in self.kill and done > 0.3 and not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)

        return report


def states(trained):
    return [{name: value.clone() for name, value in network.state_dict().items()} for network in trained.networks]


def assert_same(a, b):
    assert a.history == b.history
    for one, other in zip(states(a), states(b), strict=True):
        for name, value in one.items():
            assert torch.equal(value, other[name])


@pytest.fixture(scope="module")
def sequential(tmp_path_factory):
    return train_ensemble(Task(), 3, subsets="fraction", folder=tmp_path_factory.mktemp("sequential"))


@pytest.fixture(autouse=True)
def _importable_in_workers(monkeypatch):
    """Workers unpickle `Task` from this module, under a name that they can import."""
    here = str(Path(__file__).parent)
    monkeypatch.syspath_prepend(here)
    module = sys.modules[Task.__module__]
    monkeypatch.setitem(sys.modules, "test_members", module)
    monkeypatch.setattr(Task, "__module__", "test_members")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([here, os.environ.get("PYTHONPATH", "")]))


def test_processes_give_the_same_bits_also_when_workers_are_lost(sequential, tmp_path):
    calls = []
    task, plan = Task(kill=(1,), marker=tmp_path), plan_members(3, subsets="fraction")[1:]
    trained = train_ensemble(task, plan, folder=tmp_path / "members", executor="processes", workers=1, progress=lambda *c: calls.append(c))
    assert (tmp_path / "killed-1").exists()
    assert_same(trained, TrainedMembers(sequential.networks[1:], sequential.history[1:]))
    assert sorted(p.name for p in (tmp_path / "members").iterdir()) == ["member_01.pt", "member_02.pt"]
    assert calls[-1] == ("training", 2.0, 2.0)


def test_dask_client_gives_the_same_bits(sequential, tmp_path):
    distributed = pytest.importorskip("distributed", reason="the dask extra is not installed")
    cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client:
        trained = train_ensemble(Task(), 3, subsets="fraction", folder=tmp_path, executor=client)
    assert_same(trained, sequential)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_cluster_that_loses_its_only_worker_goes_on(sequential, tmp_path):
    pytest.importorskip("distributed", reason="the dask extra is not installed")
    task, plan = Task(kill=(2,), marker=tmp_path), plan_members(3, subsets="fraction")[2:]
    trained = train_ensemble(task, plan, folder=tmp_path / "members", executor="dask", workers=1)
    assert (tmp_path / "killed-2").exists()
    assert_same(trained, TrainedMembers(sequential.networks[2:], sequential.history[2:]))


@pytest.fixture
def in_threads(monkeypatch):
    """Let threads stand for worker processes; those that train a member of the returned set die."""
    doomed = set()

    @contextlib.contextmanager
    def fake(payload, workers):
        with ThreadPoolExecutor(workers) as training:

            def run(member, *rest):
                if member.index in doomed:
                    raise BrokenProcessPool("killed")
                module._train_in_worker(payload, member, *rest)

            yield module._Pool(lambda *arguments: training.submit(run, *arguments), lambda: None, (BrokenProcessPool,))

    monkeypatch.setattr(module, "_processes", fake)
    return doomed


def test_workers_that_always_die_end_the_training_and_keep_what_is_finished(sequential, tmp_path, in_threads):
    in_threads.add(2)
    with pytest.raises(WorkerLostError, match=r"4 times[\s\S]*fewer --workers"):
        train_ensemble(Task(), 3, subsets="fraction", folder=tmp_path, executor="processes", workers=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["member_00.pt", "member_01.pt"]
    in_threads.clear()
    assert_same(train_ensemble(Task(), 3, subsets="fraction", folder=tmp_path, executor="processes", workers=1), sequential)


@pytest.mark.parametrize("executor", ["sequential", "processes"])
@pytest.mark.usefixtures("in_threads")
def test_errors_of_a_member_come_back_as_they_are(tmp_path, executor):
    with pytest.raises(FitError, match="2 batches of 5000"):
        train_ensemble(Task(batch_size=5000), 2, subsets="fraction", folder=tmp_path, executor=executor, workers=1)
    assert list(tmp_path.iterdir()) == []


def test_interrupted_caller_calls_its_workers_back(tmp_path, in_threads):
    def interrupt(label, done, total):
        if done > 0.2:
            raise KeyboardInterrupt

    slow = Task(marker=tmp_path, delay_s=0.3)
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        train_ensemble(slow, 2, subsets="fraction", folder=tmp_path, executor="processes", workers=2, progress=interrupt)
    assert time.monotonic() - began < 10.0
    assert {p.suffix for p in tmp_path.iterdir()} == {".unfinished"}


def test_finished_members_are_not_trained_again(sequential, tmp_path, monkeypatch):
    train_ensemble(Task(), 3, subsets="fraction", folder=tmp_path)
    (tmp_path / "member_01.pt").write_bytes(b"damaged")
    trained, original = [], Task.train
    monkeypatch.setattr(Task, "train", lambda self, member, **options: trained.append(member.index) or original(self, member, **options))
    again = train_ensemble(Task(), 3, subsets="fraction", folder=tmp_path)
    assert trained == [1]
    assert_same(again, sequential)


def test_members_of_a_former_training_are_taken_over_by_their_key(sequential, tmp_path, monkeypatch):
    former, other, folder = tmp_path / "former", tmp_path / "other", tmp_path / "now"
    train_ensemble(Task(), 3, subsets="fraction", folder=former)
    train_ensemble(Task(), 3, subsets="fraction", seed=7, folder=other)
    (former / "member_02.pt").write_bytes(b"damaged")
    trained, original = [], Task.train
    monkeypatch.setattr(Task, "train", lambda self, member, **options: trained.append(member.index) or original(self, member, **options))
    again = train_ensemble(Task(), 3, subsets="fraction", folder=folder, former=[other, tmp_path / "nothing", former])
    assert trained == [2]
    assert_same(again, sequential)
    assert (folder / "member_00.pt").read_bytes() == (former / "member_00.pt").read_bytes()


def test_mean_and_spread(sequential):
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        mean, spread = sequential.mean()(x)
        outputs = np.stack([network(x).numpy() for network in sequential.networks])
    np.testing.assert_allclose(mean.numpy(), outputs.mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(spread.numpy(), outputs.std(axis=0), rtol=1e-4, atol=1e-6)
    assert spread.min() > 0


def test_fraction_draws_without_and_bootstrap_with_replacement():
    one, other = (Member(m, 1 + 1000 * m, "fraction").subset(1000).rows for m in range(2))
    assert len(one) == len(np.unique(one)) == 800
    assert 550 < len(np.intersect1d(one, other)) < 730
    drawn = Member(0, 1, "bootstrap").subset(10_000)
    assert drawn.counts.sum() == 10_000
    assert np.all(np.diff(drawn.rows) > 0)
    assert len(drawn.rows) / 10_000 == pytest.approx(0.8 * (1.0 - np.exp(-1.0 / 0.8)), abs=0.015)
    assert drawn.counts.max() > 3


def test_every_fold_trains_half_of_the_members():
    fold = np.arange(1200) % 4
    plan = plan_members(n_folds=4)
    seen = np.zeros(1200)
    for member in plan:
        rows = member.subset(1200, fold=fold).rows
        assert set(fold[rows]) == set(member.folds)
        seen[rows] += 1
    assert np.all(seen == 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plan_members(n_folds=14), "train_folds"),
        (lambda: plan_members(subsets="bootstrap"), ">= 1"),
        (lambda: plan_members(3, subsets="fraction", fraction=1.5), "at most 1"),
        (lambda: Member(0, 1, "folds", folds=(0, 1)).subset(10), "the fold of 10 events"),
        (lambda: train_ensemble(Task(), 1, subsets="fraction", folder=Path("unused"), executor="threads"), "'threads'"),
    ],
)
def test_wrong_plans_and_executors_are_refused(call, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SchemaError, match=message):
        call()


@pytest.mark.parametrize(("subsets", "fraction"), [("fraction", 0.8), ("fraction", 0.3), ("bootstrap", 0.8)])
def test_the_spread_of_a_mean_is_that_of_new_samples(subsets, fraction):
    """The estimate of a member is the mean of its events: its error is known."""
    ensemble = EnsembleConfig(subsets=subsets, fraction=fraction, members=400)
    x = np.random.default_rng(1).normal(size=2000)
    parts = [member.subset(2000) for member in plan_ensemble(RatioConfig(ensemble=ensemble))]
    means = [np.average(x[part.rows], weights=part.counts) for part in parts]
    factor = RatioConfig(ensemble=ensemble).spread_factor
    assert factor * np.std(means) == pytest.approx(x.std() / 2000**0.5, rel=0.1)


@pytest.mark.parametrize(
    "ensemble",
    [
        {"subsets": "fraction", "fraction": 0.8, "members": 5},
        {"subsets": "fraction", "fraction": 0.3, "members": 2},
        {"subsets": "bootstrap", "fraction": 0.9, "members": 13},
        {"members": 2},
        {"train_folds": 3},
        {"train_folds": 3, "members": 9},
        {"train_folds": 1, "members": 2},
    ],
)
def test_every_event_is_left_out_by_a_member(ensemble):
    config = RatioConfig(ensemble=EnsembleConfig(**ensemble))
    plan, fold = plan_ensemble(config), np.arange(1001) % 4
    assert len(plan) == config.n_members
    assert not np.all([member.saw(1001, fold=fold) for member in plan], axis=0).any()
    assert len({member.seed for member in plan}) == len(plan)
