"""A whole analysis in miniature, and a server that runs it in processes which can be disturbed.

The ntuples are the first events of the example of the package. The server imports everything once and forks a process per run, so
that a run costs seconds and can be killed, or be given a full disk, at a chosen moment of a chosen stage.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import yaml

EVENTS = {"ggF_SBI": 900, "qqZZ": 900}
BENCHMARKS = ["ggF_S", "ggF_B", "ggF_SBI"]
SMALL: dict[str, Any] = {
    "name": "small",
    "luminosity_ifb": 140.0,
    "samples": [
        {"name": "ggF_SBI", "files": ["ggF_SBI_*.root"], "k_factor": 1.8, "benchmarks": BENCHMARKS},
        {"name": "qqZZ", "files": ["qqZZ_*.root"], "k_factor": 1.3},
    ],
    "observables": ["m4l", "cos_theta_star"],
    "ratios": {
        "features": ["m4l", "cos_theta_star"],
        "hidden": [16, 16],
        "epochs": 3,
        "composition_epochs": 4,
        "batch_size": 128,
        "calibration_mu": [1.0],
    },
    "parameter": {"interval": "asymptotic"},
    "likelihood": {"ratio_uncertainty": False, "closure_mu": [1.0], "bootstrap_replicas": 20, "scan_points": 21},
    "score_histogram": {"bins": 4},
    "score_plane": {"bins": [4, 3]},
    "report": {"importance_events": 0},
}
KEPT = ("events/*/*.parquet", "models/members/member_*.pt", "models/systematics/*/member_*.pt", "plots/*.png")
"""Finished tasks that a later run must take as they are."""


def write_config(folder: Path, **sections: dict[str, Any]) -> Path:
    """Write the config beside the ntuples; `sections` has keys of sections that are added or changed."""
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**SMALL, **{name: {**SMALL.get(name, {}), **keys} for name, keys in sections.items()}}))
    return path


def results_of(out: Path) -> dict[str, Any]:
    """Return results.json without the seconds that the stages took."""
    document: dict[str, Any] = json.loads((out / "results.json").read_text(encoding="utf-8"))
    del document["timing_s"]
    return document


def finished_tasks(out: Path) -> dict[str, tuple[int, int]]:
    """Return time of change and size of every finished task, in place or still in work."""
    found = {}
    records = [json.loads(path.read_text(encoding="utf-8"))["task"] for path in (out / ".stages" / "work").glob("*/tasks/*.json")]
    for folder in (out, *(out / ".stages" / "work").glob("*/files")):
        for pattern in KEPT:
            for path in folder.glob(pattern):
                if folder != out and path.parent.name == "plots" and path.stem != "cutflow" and f"plot {path.stem}" not in records:
                    continue  # drawn, but not on record when the run died: the task in hand
                status = path.stat()
                found[path.relative_to(folder).as_posix()] = (status.st_mtime_ns, status.st_size)
    return found


@dataclass(frozen=True)
class Fault:
    """What happens to a run.

    Args:
        stage: The stage in which it happens.
        kind: `kill` or `terminate` the run after some time, `kill_in_write`, `kill_worker` after some time, let the disk be `full` or
            `read_only` from some write on, or turn the `clock` back.
        after_s: The time, seconds after the start of the stage.
        write: The number of the write, from 0.
    """

    stage: str
    kind: str
    after_s: float = 0.0
    write: int = 0


@dataclass
class Run:
    """A run that the server has started."""

    log: Path

    def wait(self, *, timeout_s: float = 900.0) -> int:
        """Wait for the end; return the exit code, or minus the number of the signal."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.status.is_file() and (text := self.status.read_text()):
                return int(text)
            time.sleep(0.01)
        msg = f"{self.log} has not ended in {timeout_s} s"
        raise TimeoutError(msg)

    @property
    def status(self) -> Path:
        """File that holds the exit code in the end."""
        return self.log.with_suffix(".status")

    @property
    def message(self) -> str:
        """What the run wrote on the screen."""
        return self.log.read_text(encoding="utf-8", errors="replace")


@dataclass
class Server:
    """Starts runs; use `serve`."""

    process: subprocess.Popen[str]
    folder: Path
    runs: list[Run] = field(default_factory=list)

    def start(self, *arguments: str | Path, fault: Fault | None = None, pictures: bool = False) -> Run:
        """Start `h4l ARGUMENTS`. Without `pictures` the plots have one pixel each, and no other processes draw them."""
        run = Run(self.folder / f"run_{len(self.runs)}.log")
        self.runs.append(run)
        order = {"arguments": [str(a) for a in arguments], "log": str(run.log), "fault": fault and vars(fault), "pictures": pictures}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return run

    def run(self, *arguments: str | Path, fault: Fault | None = None, pictures: bool = False) -> tuple[int, str]:
        """Run `h4l ARGUMENTS` to its end; return exit code and what it wrote."""
        run = self.start(*arguments, fault=fault, pictures=pictures)
        return run.wait(), run.message


@contextmanager
def serve(folder: Path) -> Iterator[Server]:
    """Give a server that keeps its logs in a folder."""
    environment = {**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    with (folder / "server.log").open("w") as errors:
        process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stderr=errors, text=True, env=environment)
    try:
        yield Server(process, folder)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=60)


@dataclass(frozen=True)
class Campaign:
    """An analysis, what an undisturbed run of it gives, and the server that runs it."""

    server: Server
    config: Path
    undisturbed: Path

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds that each stage took when nothing disturbed it."""
        manifest = json.loads((self.undisturbed / "manifest.json").read_text(encoding="utf-8"))
        return {name: stage["seconds"] for name, stage in manifest["stages"].items()}

    def same_results(self, out: Path) -> bool:
        """Whether results.json is that of the undisturbed run."""
        return results_of(out) == results_of(self.undisturbed)

    def run(
        self,
        out: Path,
        *options: str,
        fault: Fault | None = None,
        config: Path | None = None,
        command: str = "run",
        pictures: bool = False,
    ) -> tuple[int, str]:
        """Run into a folder to the end; return exit code and message."""
        return self.server.run(command, config or self.config, "--out", out, *options, fault=fault, pictures=pictures)

    def refused(self, out: Path, *options: str, **keys: Any) -> str:
        """Run into a folder, check that it ends with exit code 2 and a message with a remedy, and return the message."""
        code, message = self.run(out, *options, **keys)
        if code != 2 or "remedy:" not in message or "Traceback" in message:
            raise AssertionError((code, message))
        return message

    def completes(self, out: Path, *options: str, keeps: bool = True) -> str:
        """Run into a folder without a fault, check the results, and that finished tasks stay as they are; return the message."""
        kept = finished_tasks(out) if keeps else {}
        code, message = self.run(out, *options)
        if code != 0 or not self.same_results(out):
            raise AssertionError((code, message, "other results" if code == 0 else "no results"))
        if lost := lost_tasks(kept, out):
            raise AssertionError((sorted(lost), "done again"))
        return message


@contextmanager
def campaign(folder: Path, *, pictures: bool = False, **sections: dict[str, Any]) -> Iterator[Campaign]:
    """Make an analysis in a folder, with `sections` of the config changed, and run it once without a fault."""
    from tests.example_slice import write_first_events  # not for the server, a script that has no such package

    write_first_events(folder, EVENTS, files=2)
    config = write_config(folder, **sections)
    with serve(folder) as server:
        code, message = server.run("run", config, "--out", folder / "undisturbed", pictures=pictures)
        if code != 0:
            raise AssertionError(message)
        yield Campaign(server, config, folder / "undisturbed")


def lost_tasks(before: dict[str, tuple[int, int]], out: Path) -> set[str]:
    """Return the finished tasks of before that were done again, or are gone."""
    now = finished_tasks(out)
    return {name for name in before if now.get(name) != before[name]}


def cut(path: Path) -> None:
    """Keep the first half of a file."""
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    """Turn the bits of the byte in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(bytes(content))


def lengthen(path: Path) -> None:
    """Add two bytes to a file."""
    with path.open("ab") as handle:
        handle.write(b"\0\n")


def main(orders: TextIO) -> None:
    """Read orders, one JSON object a line, and fork a process for each."""
    from disturbed import run_disturbed, warm_up  # beside this script

    warm_up()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in orders:
        if os.fork() == 0:
            run_disturbed(json.loads(line))


if __name__ == "__main__":
    main(sys.stdin)
