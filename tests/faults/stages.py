"""Small stages on the real engine, each after the one before; run as a script they can kill themselves.

    python stages.py FOLDER STAGE

runs them in FOLDER and sends itself SIGKILL in the middle of STAGE.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from toolkit.artifacts.atomic import write_json
from toolkit.config import Config, parse_config
from toolkit.pipeline import STAGE_NAMES, Plan, Stage, StageContext, StageOutcome, run_pipeline

TASKS = 3
RESUMABLE = ("process", "train")
Hook = Callable[[str, int], None]
"""Called with the stage and the task before each task."""


def target(name: str) -> str:
    """Return the file in which a stage leaves its result."""
    return f"{name}/result.json"


def make_stage(name: str, hook: Hook) -> Stage:
    """Return a stage of three tasks; a task that an interrupted run finished is not done again."""
    before = STAGE_NAMES[: STAGE_NAMES.index(name)][-1:]

    def run(context: StageContext) -> None:
        done = []
        for task in range(TASKS):
            part = context.work / f"{name}/task_{task}.json"
            if not part.is_file():
                hook(name, task)
                part.parent.mkdir(exist_ok=True)
                source = context.out / target(before[0]) if before else Path(context.config.samples[0].files[0])
                text = source.read_text(encoding="utf-8")
                write_json(part, {"stage": name, "task": task, "seed": context.config.ratios.seed, "from": text})
                with (context.out.parent / "tasks.log").open("a") as log:
                    log.write(f"{name} {task}\n")
            done.append(json.loads(part.read_text(encoding="utf-8")))
        write_json(context.work / target(name), {"tasks": done})

    def inputs(config: Config) -> dict[str, list[Path]]:
        return {s.name: [Path(f) for f in s.files] for s in config.samples} if not before else {}

    return Stage(name, run, needs=before, inputs=inputs, resumable=name in RESUMABLE, disk_bytes=lambda size: size)


def run_stages(folder: Path, *, hook: Hook = lambda _stage, _task: None, seed: int = 1) -> tuple[StageOutcome, ...]:
    """Run all stages on FOLDER/input.json into FOLDER/out."""
    sample = {"name": "ggF_S", "files": ["input.json"], "benchmarks": ["ggF_S", "ggF_B", "ggF_SBI"]}
    config = parse_config({"luminosity_ifb": 140.0, "samples": [sample], "ratios": {"seed": seed}}, folder=folder)
    return run_pipeline(config, out=folder / "out", plan=Plan(tuple(make_stage(name, hook) for name in STAGE_NAMES)))


def main() -> None:
    """Run the stages and die in one of them."""
    victim = sys.argv[2]

    def die(stage: str, task: int) -> None:
        if (stage, task) == (victim, TASKS - 1):
            os.kill(os.getpid(), signal.SIGKILL)

    run_stages(Path(sys.argv[1]), hook=die)


if __name__ == "__main__":
    main()
