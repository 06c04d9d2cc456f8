"""Runs the command line in this process, on fake stages."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from toolkit import pipeline
from toolkit.cli import main
from toolkit.pipeline import GRAPH, Stage, StageContext

RESULTS = {
    "schema": 1,
    "poi": "mu",
    "asimov": {"mu": 1.0},
    "luminosity_ifb": 140.0,
    "yields": {"ggF_S": 20.0},
    "methods": {
        "rate": {
            "mu_hat": 1.0,
            "twice_nll_at_0": 0.3,
            "interval_68": [[0.0, 4.2]],
            "interval_95": [[0.0, 6.0]],
            "at_boundary": True,
            "interval_95_at_boundary": [True],
            "scan": {"mu": [0.0, 1.0], "twice_delta_nll": [0.3, 0.0]},
        },
        "nsbi": {
            "mu_hat": 0.98,
            "twice_nll_at_0": 1.1,
            "interval_68": [[0.0, 0.4], [0.61, 1.85]],
            "interval_95": [[0.0, 2.6]],
            "scan": {"mu": [0.0, 1.0], "twice_delta_nll": [1.1, 0.0]},
        },
    },
    "closure": [{"mu": 0.3, "mu_hat": 0.35, "method": "nsbi", "standard_error": 0.12}],
    "timing_s": {},
}


@dataclass
class Outcome:
    code: int
    stdout: str
    stderr: str


@dataclass
class CommandLine:
    """`h4l` in a temporary folder; `ran` lists the stages that ran, `hooks` lets a test interfere with one."""

    folder: Path
    capsys: pytest.CaptureFixture[str]
    ran: list[str] = field(default_factory=list)
    hooks: dict[str, Callable[[StageContext], None]] = field(default_factory=dict)
    contexts: list[StageContext] = field(default_factory=list)

    def __call__(self, *words: str) -> Outcome:
        self.ran.clear()
        with pytest.raises(SystemExit) as stop:
            main(words)
        captured = self.capsys.readouterr()
        return Outcome(int(stop.value.code or 0), captured.out, captured.err)

    def config(self, **changes: object) -> str:
        """Write a config and return its path."""
        sample = {"name": "ggF_SBI", "files": ["input.root"], "benchmarks": ["ggF_S", "ggF_B", "ggF_SBI"]}
        path = self.folder / "analysis.yaml"
        path.write_text(yaml.safe_dump({"name": "tiny", "luminosity_ifb": 140.0, "samples": [sample], **changes}))
        return str(path)

    @staticmethod
    def write_results(context: StageContext) -> None:
        """Do what the report stage does, for those that only look at its files."""
        (context.work / "results.json").write_text(json.dumps(RESULTS))
        (context.work / "report.html").write_text("<html></html>")

    def graph(self) -> tuple[Stage, ...]:
        return tuple(Stage(s.name, self._fake(s.name), needs=s.needs, resumable=s.resumable, disk_bytes=lambda size: size) for s in GRAPH)

    def _fake(self, name: str) -> Callable[[StageContext], None]:
        def run(context: StageContext) -> None:
            self.ran.append(name)
            self.contexts.append(context)
            (context.work / f"{name}.txt").write_text(name)
            if name in self.hooks:
                self.hooks[name](context)

        return run


@pytest.fixture
def h4l(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.chdir(tmp_path)
    command = CommandLine(tmp_path, capsys)
    monkeypatch.setattr(pipeline, "GRAPH", command.graph())
    return command
