"""Streamed batches: every event once per epoch, well mixed, in flat memory, and as good to learn from as tensors in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits

from tests.unit.ratios.toy import MODEL, toy
from toolkit.config import RatioConfig
from toolkit.errors import FitError, InputFileError, SchemaError
from toolkit.ratios.features import FeatureMap, feature_matrix
from toolkit.ratios.streaming import ParquetBatches, write_shuffled
from toolkit.ratios.targets import describe_mixture, make_targets
from toolkit.ratios.trainer import InMemoryBatches, TrainingSettings, train_network
from toolkit.ratios.training import train_member


def write_numbered(path, n, *, row_group=500, first=0):
    number = np.arange(first, first + n)
    table = pa.table({"number": number, "x": number * 2.0, "y": -number * 1.0})
    pq.write_table(table, path, row_group_size=row_group)
    return path


def stream(files, *, batch_size=100, fraction=0.1, buffer_rows=1000, columns=("number", ("x", "y"))):
    generator = torch.Generator().manual_seed(3)
    return ParquetBatches(
        files, columns=columns, batch_size=batch_size, validation_fraction=fraction, generator=generator, buffer_rows=buffer_rows
    )


def numbers(batches):
    return torch.cat([batch[0] for batch in batches])


@pytest.fixture
def files(tmp_path):
    return [write_numbered(tmp_path / "a.parquet", 7000), write_numbered(tmp_path / "b.parquet", 3000, row_group=123, first=7000)]


def test_every_event_is_visited_once_per_epoch_and_never_in_both_parts(files):
    batches, generator = stream(files), torch.Generator().manual_seed(0)
    held = numbers(batches.validation())
    assert (batches.n_training, batches.n_validation) == (9000, 1000) == (9000, len(held))
    epochs = [list(batches.training(generator)) for _ in range(3)]
    for epoch in epochs:
        assert [len(batch[0]) for batch in epoch] == [100] * 90
        assert torch.equal(torch.sort(torch.cat([numbers(epoch), held])).values, torch.arange(10_000))
    assert not torch.equal(numbers(epochs[0]), numbers(epochs[1]))
    assert torch.equal(held, numbers(batches.validation()))


def test_columns_stay_together(files):
    for number, xy in stream(files).training(torch.Generator()):
        assert (number.dtype, xy.dtype, xy.shape[1]) == (torch.int64, torch.float32, 2)
        torch.testing.assert_close(xy, torch.stack([2.0 * number, -1.0 * number], dim=1).float())


@pytest.mark.parametrize(("n", "batch_size", "fraction"), [(1007, 100, 0.1), (1007, 64, 0.25), (250, 100, 0.01)])
def test_epochs_are_as_long_as_in_memory(tmp_path, n, batch_size, fraction):
    file = write_numbered(tmp_path / "a.parquet", n, row_group=90)
    streamed = stream([file], batch_size=batch_size, fraction=fraction, buffer_rows=300)
    memory = InMemoryBatches((torch.arange(n),), batch_size=batch_size, validation_fraction=fraction, generator=torch.Generator())
    assert (streamed.n_training, streamed.n_validation) == (memory.n_training, memory.n_validation)
    lengths = [[len(batch[0]) for batch in batches.training(torch.Generator())] for batches in (streamed, memory)]
    assert lengths[0] == lengths[1]


def test_same_generator_same_batches(files):
    epochs = [numbers(stream(files).training(torch.Generator().manual_seed(seed))) for seed in (1, 1, 2)]
    assert torch.equal(epochs[0], epochs[1])
    assert not torch.equal(epochs[0], epochs[2])


def test_validation_events_beyond_the_buffer_are_read_again(files):
    small = stream(files, fraction=0.4, buffer_rows=200)
    assert small._kept is None
    parts = list(small.validation())
    assert len(torch.unique(numbers(parts))) == small.n_validation == 4000
    assert torch.equal(numbers(parts), numbers(small.validation()))


def test_batches_draw_from_several_row_groups(tmp_path):
    file = write_numbered(tmp_path / "a.parquet", 20_000)
    spread = [batch[0].double().std().item() for batch in stream([file], buffer_rows=4000).training(torch.Generator())]
    assert np.mean(spread) > 0.6 * 20_000 / np.sqrt(12.0)


def test_shuffled_file_holds_every_event_in_random_order(tmp_path):
    number = torch.arange(5000)
    columns = write_shuffled(tmp_path / "a.parquet", (number, torch.stack([number, -number], dim=1).float()), generator=torch.Generator())
    assert columns == ["t0", ("t1_0", "t1_1")]
    table = pq.read_table(tmp_path / "a.parquet")
    stored = table["t0"].to_numpy()
    np.testing.assert_array_equal(np.sort(stored), np.arange(5000))
    np.testing.assert_array_equal(table["t1_1"].to_numpy(), -stored)
    assert abs(np.corrcoef(stored, np.arange(5000))[0, 1]) < 0.06


def resident_mb():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the memory of the process from /proc")
def test_memory_stays_flat_as_files_grow(tmp_path):
    peaks = []
    for n in (200_000, 1_000_000):
        rng = np.random.default_rng(1)
        with pq.ParquetWriter(tmp_path / f"{n}.parquet", pa.schema([(f"x{j}", pa.float64()) for j in range(10)])) as writer:
            for _ in range(n // 20_000):
                writer.write_table(pa.table({f"x{j}": rng.normal(size=20_000) for j in range(10)}))
        columns = [tuple(f"x{j}" for j in range(10))]
        batches = stream([tmp_path / f"{n}.parquet"], batch_size=1000, fraction=0.2, buffer_rows=30_000, columns=columns)
        peak = 0.0
        for k, _ in enumerate(batches.training(torch.Generator())):
            peak = max(peak, resident_mb()) if k % 20 == 0 else peak
        for _ in batches.validation():
            peak = max(peak, resident_mb())
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 32.0  # half of what the larger file holds more


def test_loss_is_that_of_training_in_memory_within_noise(tmp_path):
    generator = torch.Generator().manual_seed(1)
    label = torch.cat([torch.zeros(5000), torch.ones(5000)])  # sorted: the worst order
    x = torch.randn(10_000, 2, generator=generator) + label[:, None]
    settings = TrainingSettings(epochs=5, batch_size=100, learning_rate=1e-2)
    table = pa.table({"a": x[:, 0].numpy(), "b": x[:, 1].numpy(), "label": label.numpy()})
    pq.write_table(table, tmp_path / "sorted.parquet", row_group_size=500)
    columns = write_shuffled(tmp_path / "shuffled.parquet", (x, label), generator=generator, row_group=500)
    sources = {
        "memory": lambda g: InMemoryBatches((x, label), batch_size=100, validation_fraction=0.1, generator=g),
        "sorted": lambda g: ParquetBatches(
            [tmp_path / "sorted.parquet"],
            columns=[("a", "b"), "label"],
            batch_size=100,
            validation_fraction=0.1,
            generator=g,
            buffer_rows=3000,
        ),
        "shuffled": lambda g: ParquetBatches(
            [tmp_path / "shuffled.parquet"], columns=columns, batch_size=100, validation_fraction=0.1, generator=g, buffer_rows=1000
        ),
    }
    losses = {}
    for name, source in sources.items():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Linear(2, 8), nn.SiLU(), nn.Linear(8, 1))

        def loss(net, batch):
            return binary_cross_entropy_with_logits(net(batch[0])[:, 0], batch[1])

        train_network(network, loss, source(torch.Generator().manual_seed(2)), settings=settings, name=name)
        with torch.no_grad():
            losses[name] = loss(network, (x, label)).item()
    truth = binary_cross_entropy_with_logits(x.sum(dim=1) - 1.0, label).item()
    assert abs(losses["memory"] - truth) < 0.005
    assert abs(losses["shuffled"] - losses["memory"]) < 0.005
    assert abs(losses["sorted"] - losses["memory"]) < 0.02  # batches that are mixed less well


def test_stopped_streamed_training_goes_on_to_the_same_bits(tmp_path):
    x = torch.randn(2000, 2, generator=torch.Generator().manual_seed(1))
    columns = write_shuffled(tmp_path / "a.parquet", (x, (x[:, 0] > 0).float()), generator=torch.Generator(), row_group=300)
    settings = TrainingSettings(epochs=4, batch_size=100)
    results = []
    for stop_after in (None, 2):
        for stop in [None] if stop_after is None else [stop_after, None]:
            network, calls = nn.Linear(2, 1), []
            nn.init.constant_(network.weight, 0.1)
            nn.init.zeros_(network.bias)

            def report(done, loss, calls=calls, stop=stop):
                calls.append(done)
                if len(calls) == stop:
                    raise KeyboardInterrupt

            try:
                train_network(
                    network,
                    lambda net, batch: binary_cross_entropy_with_logits(net(batch[0])[:, 0], batch[1]),
                    stream([tmp_path / "a.parquet"], columns=columns, buffer_rows=500),
                    settings=settings,
                    name="toy",
                    checkpoint=tmp_path / f"{stop_after}.unfinished",
                    on_progress=report,
                )
            except KeyboardInterrupt:
                continue
            results.append((network.weight.detach().clone(), len(calls)))
    assert torch.equal(results[0][0], results[1][0])
    assert [calls for _, calls in results] == [4, 2]


def test_members_stream_above_the_limit_of_the_config_with_the_same_loss(tmp_path):
    training = toy(4000, seed=1)
    x = torch.from_numpy(feature_matrix(training.observables, ("x", "y")))
    mixture = describe_mixture(training, MODEL)
    feature_map = FeatureMap.fitted(("x", "y"), x, fold=False)
    inputs = feature_map(x).float()
    histories = []
    for limit in (4000.0, 0.0):
        config = RatioConfig(
            features=("x", "y"),
            fold_beam_axis=False,
            hidden=(16,),
            epochs=5,
            composition_epochs=5,
            batch_size=200,
            learning_rate=2e-2,
            stream_above_mb=limit,
        )
        checkpoint = tmp_path / f"member_{limit}.pt"
        member, history = train_member(
            inputs, make_targets(training, mixture), feature_map=feature_map, mixture=mixture, config=config, seed=2, checkpoint=checkpoint
        )
        assert torch.isfinite(member(inputs[:5])).all()
        histories.append(history)
    for memory, streamed in zip(*histories, strict=True):
        assert memory.train != streamed.train
        assert streamed.train[-1] == pytest.approx(memory.train[-1], rel=0.02)
    assert {p.suffix for p in tmp_path.iterdir()} == {".unfinished"}


def test_bad_files_are_refused_before_work_starts(tmp_path):
    with pytest.raises(InputFileError, match=r"missing\.parquet"):
        stream([tmp_path / "missing.parquet"])
    file = write_numbered(tmp_path / "a.parquet", 500)
    with pytest.raises(SchemaError, match="no column z"):
        stream([file], columns=("number", "z"))
    (tmp_path / "cut.parquet").write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputFileError, match=r"cut\.parquet"):
        stream([tmp_path / "cut.parquet"])


@pytest.mark.parametrize("bad", [float("nan"), None])
def test_missing_values_are_refused_before_work_starts(tmp_path, bad):
    pq.write_table(pa.table({"number": list(range(300)), "x": [1.0] * 299 + [bad]}), tmp_path / "a.parquet")
    with pytest.raises(FitError, match=r"training x[\s\S]*nan"):
        stream([tmp_path / "a.parquet"], columns=("number", "x"))
