"""What a run would do, found out without doing or writing anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from toolkit.config import Config
from toolkit.locations import file_state
from toolkit.pipeline.decision import Decision, check_needed, comes_along, decide, ingredients
from toolkit.pipeline.fingerprints import Fingerprints
from toolkit.pipeline.former import count_tasks, former_tasks
from toolkit.pipeline.lock import LockState, lock_state
from toolkit.pipeline.plan import Plan
from toolkit.pipeline.space import expected_bytes, free_bytes
from toolkit.pipeline.stage import Stage
from toolkit.pipeline.stamps import FOLDER
from toolkit.pipeline.unfinished import unfinished_work
from toolkit.typing import Progress, silent_progress


@dataclass(frozen=True)
class StagePreview:
    """What would become of one stage.

    Args:
        stage: Its name.
        action: `run`, `resume` what an interrupted run left, or `skip`.
        reasons: Why it would run; empty if it would be skipped.
        reads: The user's files, and the stages whose results it reads.
        input_bytes: Sizes of the user's files, summed.
        writes: Files and folders below the output folder.
        disk_bytes: Space that the result takes: that of the former result, or else an estimate; 0 if it would be skipped.
        seconds: Time that the former result took to make; None where there is none.
        kept_files: Files of an interrupted run that it would go on from.
        former_tasks: Event tables or networks of former results of the same code, of which it takes over those that are still true.
    """

    stage: str
    action: Literal["run", "resume", "skip"]
    reasons: tuple[str, ...]
    reads: tuple[str, ...]
    input_bytes: int
    writes: tuple[str, ...]
    disk_bytes: int
    seconds: float | None
    kept_files: int
    former_tasks: int


@dataclass(frozen=True)
class RunPreview:
    """What a run would do.

    Args:
        out: The output folder.
        stages: Those that were asked for, in order.
        free_bytes: Free space on the disk of the output folder.
        lock: Who runs in it; None where nobody does.
    """

    out: str
    stages: tuple[StagePreview, ...]
    free_bytes: int
    lock: LockState | None

    @property
    def disk_bytes(self) -> int:
        """Space that all stages that would run take."""
        return sum(stage.disk_bytes for stage in self.stages)


def preview_pipeline(config: Config, *, out: Path, plan: Plan, progress: Progress = silent_progress) -> RunPreview:
    """Find out which stages a run would do, and why.

    Args:
        config: The analysis.
        out: The output folder; it need not exist.
        plan: What would be asked for.
        progress: Called while input files are hashed.

    Returns:
        One entry per stage of the plan, in order.

    Raises:
        InputFileError: An input file is missing.
        ArtifactMismatchError: A single stage was asked for, and one that it needs would have to run.
    """
    fingerprints = Fingerprints(out / FOLDER / "inputs.json")
    keys: dict[str, str] = {}
    would_run: set[str] = set()
    found = []
    for stage in plan.graph:
        decision = decide(out, plan, stage, ingredients(stage, config, fingerprints, progress), keys=keys, ran=would_run)
        keys[stage.name] = decision.key
        if not plan.wants(stage.name) and not comes_along(plan, stage, decision, config):
            check_needed(out, plan, decision)
            continue
        if decision.reasons:
            would_run.add(stage.name)
        found.append(_preview(stage, decision, config, out, resumable=stage.resumable and stage.name not in plan.forced))
    return RunPreview(str(out), tuple(found), free_bytes(out), lock_state(out / FOLDER / "lock"))


def _preview(stage: Stage, decision: Decision, config: Config, out: Path, *, resumable: bool) -> StagePreview:
    stamp, left = decision.stamp, unfinished_work(out, stage.name) if resumable else None
    kept = len(left.files) if left is not None and left.key == decision.key else 0
    files = [path for paths in stage.inputs(config).values() for path in paths]
    former = sum(entry.size for entry in stamp.outputs.values()) if stamp is not None else 0
    at_hand = former_tasks(stage, out=out, stamp=stamp, code=decision.parts["code"]) if resumable else ()
    action: Literal["run", "resume", "skip"] = "skip"
    if decision.reasons:
        action = "resume" if kept else "run"
    return StagePreview(
        stage=stage.name,
        action=action,
        reasons=decision.reasons,
        reads=(*(str(path) for path in files), *(f"result of {name}" for name in stage.needs)),
        input_bytes=sum(file_state(path).size for path in files),
        writes=_top_level(stamp.outputs) if stamp is not None else stage.writes,
        disk_bytes=0 if action == "skip" else former or expected_bytes(stage, config),
        seconds=None if stamp is None else stamp.seconds,
        kept_files=kept,
        former_tasks=0 if action == "skip" else count_tasks(stage, at_hand),
    )


def _top_level(names: Iterable[str]) -> tuple[str, ...]:
    """Return the folders and files of the output folder that hold these files.

    Examples:
        >>> _top_level(["events/a.parquet", "events/b.parquet", "cutflow.json"])
        ('events/', 'cutflow.json')
    """
    return tuple(dict.fromkeys(f"{head}/" if below else head for head, _, below in (name.partition("/") for name in names)))
