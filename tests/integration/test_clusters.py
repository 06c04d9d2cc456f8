"""Processing on a dask cluster: bit by bit what one process gives, also when a worker dies."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from processors import run
from processors.histograms import read_histograms
from tests.servers import LOCAL, free_port
from toolkit.artifacts import read_events
from toolkit.config import Config
from toolkit.errors import InputFileError, WorkerLostError

distributed = pytest.importorskip("distributed", reason="the dask extra is not installed")

from processors.cluster import dask_executor  # noqa: E402

# Sockets of a cluster that is shut down or killed are collected late.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory, ntuples: ModuleType) -> Config:
    data = tmp_path_factory.mktemp("data")
    for i in range(2):
        ntuples.write_nano(data / f"signal_{i}.root", ntuples.make_events(60, seed=i, first=1 + 60 * i))
    ntuples.write_nano(data / "qqZZ.root", ntuples.make_events(50, seed=5, first=1000), benchmarks=False)
    samples = [ntuples.signal_sample("signal_*.root"), {"name": "qqZZ", "files": ["qqZZ.root"]}]
    return ntuples.make_config(data, samples)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def reference(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reference")
    run(config, out, chunksize=25)
    return out


def _check_equal(one: Path, other: Path) -> None:
    assert (one / "cutflow.json").read_bytes() == (other / "cutflow.json").read_bytes()
    for sample in ("ggF_SBI", "qqZZ"):
        a, b = read_events(one / "events", sample), read_events(other / "events", sample)
        np.testing.assert_array_equal(a.event_id, b.event_id)
        np.testing.assert_array_equal(a.benchmark_weights, b.benchmark_weights)
        for name, values in a.observables.items():
            np.testing.assert_array_equal(values, b.observables[name], err_msg=name)
        left, right = (read_histograms(out / "histograms" / f"{sample}.json") for out in (one, other))
        assert left == right
        assert len(left) > 20


def test_a_local_cluster_gives_the_same_bits(config: Config, reference: Path, tmp_path: Path) -> None:
    calls: list[tuple[str, float, float]] = []
    with dask_executor(workers=2) as executor:
        result = run(config, tmp_path / "out", executor=executor, chunksize=25, progress=lambda *call: calls.append(call))
    assert result.chunks == 6
    assert [call for call in calls if call[0] == "process"][-1] == ("process", 170.0, 170.0)
    _check_equal(reference, tmp_path / "out")


def test_an_existing_scheduler_is_used_and_a_dead_worker_replaced(config: Config, reference: Path, tmp_path: Path) -> None:
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        killed: list[Any] = []

        def kill(_label: str, done: float, _total: float) -> None:
            if done >= 40 and not killed:
                killed.append(cluster.workers[0].pid)
                os.kill(killed[0], signal.SIGKILL)

        with dask_executor(scheduler=cluster.scheduler_address) as executor:
            run(config, tmp_path / "out", executor=executor, chunksize=25, progress=kill)
    assert killed
    _check_equal(reference, tmp_path / "out")


def test_an_executor_of_parsl_gives_the_same_tables(config: Config, reference: Path, tmp_path: Path) -> None:
    parsl = pytest.importorskip("parsl", reason="parsl is not installed")
    from coffea.processor import ParslExecutor
    from parsl.config import Config as ParslConfig
    from parsl.executors import ThreadPoolExecutor

    threads = ParslConfig(executors=[ThreadPoolExecutor(max_threads=2)], run_dir=str(tmp_path / "parsl"), initialize_logging=False)
    with parsl.load(threads):
        run(config, tmp_path / "out", executor=ParslExecutor(status=False, compression=None, retries=0), chunksize=25)
    for sample in ("ggF_SBI", "qqZZ"):
        a, b = (read_events(out / "events", sample) for out in (reference, tmp_path / "out"))
        np.testing.assert_array_equal(a.event_id, b.event_id)
        np.testing.assert_array_equal(a.benchmark_weights, b.benchmark_weights)


def test_errors_keep_their_type_and_a_silent_scheduler_is_named(config: Config, tmp_path: Path) -> None:
    from toolkit.errors import PhysicsDomainError

    nothing = config.model_copy(update={"selection": config.selection.model_copy(update={"m4l": (1900.0, 2000.0)})})
    with dask_executor(workers=1) as executor, pytest.raises(PhysicsDomainError, match="m4l"):
        run(nothing, tmp_path / "out", executor=executor)


def test_a_dead_address_fails_within_twenty_seconds() -> None:
    began = time.monotonic()
    with pytest.raises(InputFileError, match="--scheduler"), dask_executor(scheduler=f"tcp://{LOCAL}:{free_port()}"):
        pass
    assert time.monotonic() - began < 20


def test_a_scheduler_without_workers_says_so_and_gives_up() -> None:
    calls: list[tuple[str, float, float]] = []
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=None) as cluster,
        pytest.raises(WorkerLostError, match=r"(?s)0 workers for 2 s.*start workers"),
        dask_executor(scheduler=cluster.scheduler_address, progress=lambda *call: calls.append(call), wait_s=2),
    ):
        pass
    assert [label for label, _, _ in calls][:2] == ["0 workers, waiting | 0 of 2 s", "0 workers, waiting | 1 of 2 s"]
    assert all(total == 2 for _, _, total in calls)


def test_a_run_whose_last_worker_leaves_gives_up(config: Config, tmp_path: Path) -> None:
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:

        def leave(label: str, done: float, _total: float) -> None:
            if label == "process" and done >= 40 and cluster.workers:
                cluster.scale(0)

        executor = dask_executor(scheduler=cluster.scheduler_address, wait_s=2)
        with pytest.raises(WorkerLostError, match="0 workers"), executor as own:
            run(config, tmp_path / "out", executor=own, chunksize=10, progress=leave)
