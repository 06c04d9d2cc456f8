"""The real stages on a small analysis under faults: the results of an undisturbed run, no finished work lost, a remedy named.

`python -m benchmarks.faults` does the same at many more random moments, and to every output file.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.faults import analysis
from toolkit.pipeline import STAGE_NAMES

pytestmark = pytest.mark.slow
SKIPPED = "unchanged, skipped"


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with analysis.campaign(tmp_path_factory.mktemp("small")) as campaign:
        yield campaign


@pytest.fixture
def finished(campaign: Any, tmp_path: Path) -> Path:
    """A copy of the undisturbed run."""
    shutil.copytree(campaign.undisturbed, tmp_path / "out")
    return tmp_path / "out"


WRITES = {"process": 6, "train": 7, "export": 2, "fit": 12, "report": 30}
"""So many files at least are written in each stage by the process that runs it, also where others draw the plots."""


def test_killed_in_every_stage_in_a_random_write(campaign: Any, tmp_path: Path) -> None:
    rng, out = random.Random(5), tmp_path / "out"
    for stage, writes in WRITES.items():
        before = analysis.finished_tasks(out)
        fault = analysis.Fault(stage, "kill_in_write", write=rng.randrange(writes))
        code, message = campaign.run(out, fault=fault, pictures=stage == "report")  # which other processes are drawing
        assert code == -signal.SIGKILL, message
        assert f"] {stage}\n" in message
        assert analysis.lost_tasks(before, out) == set()
    campaign.completes(out)


def test_killed_at_a_random_time(campaign: Any, tmp_path: Path) -> None:
    """A run that is faster than the undisturbed one may end before it is hit; its results count all the same."""
    rng, out = random.Random(7), tmp_path / "out"
    for stage in ("train", "fit"):
        campaign.run(out, fault=analysis.Fault(stage, "kill", after_s=rng.uniform(0.1, 0.6) * campaign.seconds[stage]))
    campaign.completes(out)


def test_terminated_at_a_random_time(campaign: Any, tmp_path: Path) -> None:
    """SIGTERM says what Ctrl-C says, and finished work is kept."""
    rng, out = random.Random(9), tmp_path / "out"
    for stage in ("train", "fit"):
        before = analysis.finished_tasks(out)
        code, message = campaign.run(out, fault=analysis.Fault(stage, "terminate", after_s=rng.uniform(0.1, 0.4) * campaign.seconds[stage]))
        assert code in {0, 143}, message
        assert code == 0 or "interrupted. Finished stages are kept: run the same command again to go on." in message
        assert "Traceback" not in message
        assert analysis.lost_tasks(before, out) == set()
    campaign.completes(out)


FULL = {"process": 2, "train": 3, "export": 0, "fit": 4, "report": 30}
"""The write that fails in each stage."""


@pytest.mark.parametrize(
    ("kind", "words", "stages"), [("full", "No space left on device", FULL), ("read_only", "Read-only file system", ["train"])]
)
def test_a_disk_that_refuses_a_write(kind: str, words: str, stages: Collection[str], campaign: Any, tmp_path: Path) -> None:
    for stage in stages:
        message = campaign.refused(tmp_path / "out", fault=analysis.Fault(stage, kind, write=FULL[stage]))
        assert words in message
        assert f"] {stage}\n" in message
    if kind == "full":
        campaign.completes(tmp_path / "out")


DAMAGES: dict[str, dict[str, Callable[[Path], Any]]] = {
    "process": {"events/qqZZ/*.parquet": analysis.flip, "histograms/qqZZ.json": analysis.cut},
    "train": {"models/members/member_*.pt": analysis.flip, "models/out_of_bag.npz": analysis.lengthen},
    "export": {"models/mixture.onnx": analysis.flip, "models/inspection.npz": analysis.cut, "workspace/fit.json": analysis.flip},
    "report": {"results.json": analysis.cut, "report.html": Path.unlink},
}


@pytest.mark.parametrize("stage", list(DAMAGES))
def test_damaged_outputs_are_made_again(stage: str, campaign: Any, finished: Path) -> None:
    time.sleep(0.01)  # a new time of change
    for pattern, damage in DAMAGES[stage].items():
        damage(next(finished.glob(pattern)))
    message = campaign.completes(finished, keeps=False)
    assert message.count(SKIPPED) == STAGE_NAMES.index(stage)
    assert SKIPPED not in message.partition(f"] {stage}\n")[2]


def test_a_single_stage_refuses_damaged_needs(campaign: Any, finished: Path) -> None:
    analysis.flip(finished / "models" / "mixture.onnx")
    assert "h4l export" in campaign.refused(finished, command="fit")


def test_work_that_is_damaged_between_two_runs_is_done_again(campaign: Any, tmp_path: Path) -> None:
    """Bits that turn in what an interrupted run kept: event tables, trained members, records of fits."""
    out = tmp_path / "out"
    kept = {"process": (3, "files/events/*/*.parquet"), "train": (5, "files/models/members/member_*.pt"), "fit": (4, "tasks/*.json")}
    for stage, (write, pattern) in kept.items():
        campaign.refused(out, fault=analysis.Fault(stage, "full", write=write))
        files = sorted((out / ".stages" / "work" / stage).glob(pattern))
        assert files
        for path in files:
            analysis.flip(path)
    campaign.completes(out, keeps=False)


def test_damaged_removed_and_changed_inputs(campaign: Any, finished: Path) -> None:
    victim = campaign.config.parent / "qqZZ_1.root"
    original, status = victim.read_bytes(), victim.stat()
    try:
        analysis.cut(victim)
        assert "qqZZ_1.root" in campaign.refused(finished)
        assert campaign.same_results(finished)
        victim.write_bytes((campaign.config.parent / "qqZZ_0.root").read_bytes())
        campaign.refused(finished)  # the same events twice
        victim.unlink()
        code, message = campaign.run(finished, command="process")
        assert code == 0, message  # the pattern finds one file less
        assert not (finished / "results.json").exists()
        assert not (finished / "models" / "mixture.onnx").exists()
    finally:
        victim.write_bytes(original)
        os.utime(victim, ns=(status.st_atime_ns, status.st_mtime_ns))
    campaign.completes(finished, keeps=False)


def test_a_changed_config_uses_nothing_of_an_interrupted_run(campaign: Any, tmp_path: Path) -> None:
    document = yaml.safe_load(campaign.config.read_text())
    document["ratios"]["seed"] = 2
    other = campaign.config.with_name("other.yaml")
    other.write_text(yaml.safe_dump(document))
    campaign.refused(tmp_path / "out", config=other, fault=analysis.Fault("train", "full", write=9))
    campaign.completes(tmp_path / "out", keeps=False)


def test_a_changed_config_takes_over_the_tasks_that_are_still_true(campaign: Any, finished: Path) -> None:
    """Another sample leaves the tables and networks of the others true; everything after them is made again."""
    document = yaml.safe_load(campaign.config.read_text())
    document["samples"].append({"name": "data", "kind": "data", "files": ["ggF_SBI_0.root"]})
    document["allow_duplicates"] = True
    more = campaign.config.with_name("more.yaml")
    more.write_text(yaml.safe_dump(document))
    networks_and_tables = {name: found for name, found in analysis.finished_tasks(finished).items() if not name.startswith("plots/")}
    assert {name.partition("/")[0] for name in networks_and_tables} == {"events", "models"}
    campaign.refused(finished, config=more, fault=analysis.Fault("train", "full", write=2))
    code, message = campaign.run(finished, config=more)
    assert code == 0, message
    assert {n: found for n, found in analysis.finished_tasks(finished).items() if n in networks_and_tables} == networks_and_tables
    assert campaign.same_results(finished)  # the data stay blinded


def test_a_clock_that_goes_backwards(campaign: Any, tmp_path: Path) -> None:
    code, message = campaign.run(tmp_path / "out", fault=analysis.Fault("process", "clock"))
    assert code == 0, message
    assert campaign.same_results(tmp_path / "out")


def test_two_runs_at_once(campaign: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = campaign.server.start("run", campaign.config, "--out", out)
    while not (out / ".stages" / "work").exists():
        assert not first.status.exists(), first.message
        time.sleep(0.01)
    assert "is in use" in campaign.refused(out)
    assert first.wait() == 0
    assert campaign.same_results(out)


@pytest.mark.parametrize("executor", ["futures", "dask"])
def test_killed_workers(executor: str, campaign: Any, tmp_path: Path) -> None:
    """A lost worker is replaced, or named with a remedy; the same command then completes the run."""
    pytest.importorskip("distributed" if executor == "dask" else "toolkit")
    options = ("--executor", executor, "--workers", "1")
    for stage in ("process", "train") if executor == "futures" else ("train",):
        code, message = campaign.run(tmp_path / "out", *options, fault=analysis.Fault(stage, "kill_worker", after_s=0.3))
        assert code == 0 or (code == 2 and "run again" in message), message
    campaign.completes(tmp_path / "out", *options)
