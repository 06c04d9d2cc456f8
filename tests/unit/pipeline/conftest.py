"""A tiny analysis of two fake stages that read one input file and count their runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from toolkit.config import Config, parse_config
from toolkit.pipeline import Plan, Stage, StageContext, StageOutcome, run_pipeline

Hook = Callable[[StageContext], None]


@dataclass
class Fake:
    """Three stages a -> b -> c that copy a number.

    `calls` lists those that ran, `hooks` lets a test interfere, `tasks` names those whose number is a task,
    `idle` those that have nothing to do.
    """

    folder: Path
    calls: list[str] = field(default_factory=list)
    hooks: dict[str, Hook] = field(default_factory=dict)
    resumable: bool = True
    tasks: str = ""
    idle: str = ""

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def graph(self) -> tuple[Stage, ...]:
        return (
            self._stage("a", lambda c: {"lumi": c.luminosity_ifb}, inputs=self._inputs),
            self._stage("b", lambda c: {"seed": c.ratios.seed}, after="a"),
            self._stage("c", lambda c: {"name": c.name}, after="b"),
        )

    def _stage(self, name: str, config_part: Callable[[Config], dict[str, object]], *, after: str | None = None, **keys: Any) -> Stage:
        needs, tasks = (after,) if after else (), (f"{name}/number.txt",) if name in self.tasks else ()
        common = {
            "config_part": config_part,
            "resumable": self.resumable,
            "disk_bytes": lambda size: size,
            "idle": lambda _: name in self.idle,
        }
        return Stage(name, self._copy(name, after), needs=needs, tasks=tasks, **common, **keys)

    def config(self, **changes: object) -> Config:
        sample = {"name": "ggF_S", "files": ["input.txt"], "benchmarks": ["ggF_S", "ggF_B", "ggF_SBI"]}
        return parse_config({"luminosity_ifb": 140.0, "samples": [sample], **changes}, folder=self.folder)

    def run(self, *, force_from: str | None = None, only: str | None = None, **changes: object) -> tuple[StageOutcome, ...]:
        self.calls.clear()
        return run_pipeline(self.config(**changes), out=self.out, plan=Plan(self.graph, force_from=force_from, only=only))

    def files(self) -> set[str]:
        """All files of the output folder that a user sees."""
        paths = (p.relative_to(self.out) for p in self.out.rglob("*") if p.is_file())
        return {p.as_posix() for p in paths if p.parts[0] != ".stages"}

    def _inputs(self, config: Config) -> dict[str, list[Path]]:
        return {s.name: [Path(f) for f in s.files] for s in config.samples}

    def _copy(self, name: str, source: str | None) -> Hook:
        def run(context: StageContext) -> None:
            self.calls.append(name)
            read = Path(context.config.samples[0].files[0]) if source is None else context.out / source / "number.txt"
            (context.work / name).mkdir(exist_ok=True)
            (context.work / name / "number.txt").write_text(read.read_text() + name)
            self.hooks.get(name, lambda _: None)(context)

        return run


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    (tmp_path / "input.txt").write_text("7")
    return Fake(tmp_path)
