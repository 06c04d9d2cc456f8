"""Runs the stages of a graph in order, skips what is done and unchanged, and leaves no half-written result.

A stage writes below `DIR/.stages`, in `work/<stage>/`. When it has ended without an error, the former files of the stage
and of everything after it are cleared, the new files move into place, and the stamp is written. A stage that fails
leaves the output folder as it was.
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from toolkit.artifacts.atomic import make_folder, write_json
from toolkit.artifacts.hashing import stage_key
from toolkit.config import Config
from toolkit.errors import ArtifactMismatchError, InputFileError, SchemaError, ToolkitError
from toolkit.pipeline.code import code_digest
from toolkit.pipeline.fingerprints import Fingerprints
from toolkit.pipeline.lock import folder_lock
from toolkit.pipeline.manifest import write_manifest
from toolkit.pipeline.space import check_space, nearest_existing
from toolkit.pipeline.stage import ExecutorOptions, Stage, StageContext
from toolkit.pipeline.stamps import FOLDER, Stamp, describe_outputs, outputs_intact, publish, read_stamp, retract
from toolkit.typing import JsonObject, Progress, silent_progress

_WORK_FILE = "work.json"
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True)
class StageOutcome:
    """What became of one stage: run or skipped, and the seconds that its result took to make."""

    stage: str
    status: Literal["ran", "unchanged"]
    seconds: float


class Reporter(Protocol):
    """Told what the engine does; the command line draws it."""

    def stage_started(self, name: str, *, number: int, of: int) -> None:
        """Announce a stage that runs now."""

    def stage_ended(self, outcome: StageOutcome) -> None:
        """Announce what became of a stage."""

    def progress(self, label: str, done: float, total: float) -> None:
        """Show how far a long step is."""


class SilentReporter:
    """A reporter that shows nothing."""

    def stage_started(self, name: str, *, number: int, of: int) -> None:
        """Ignore it."""

    def stage_ended(self, outcome: StageOutcome) -> None:
        """Ignore it."""

    progress: Progress = staticmethod(silent_progress)


@dataclass(frozen=True)
class Plan:
    """The stages that were asked for, and what was asked of them.

    Args:
        graph: All stages, each after those that it needs.
        force_from: Run this stage and everything after it, whatever the stamps say.
        only: Run this stage alone; those that it needs must be done and unchanged.
    """

    graph: Sequence[Stage]
    force_from: str | None = None
    only: str | None = None

    def __post_init__(self) -> None:
        """Refuse stages that the graph does not have."""
        names = [stage.name for stage in self.graph]
        for asked in (self.force_from, self.only):
            if asked is not None and asked not in names:
                raise SchemaError("stage", got=asked, expected=f"one of {', '.join(names)}", remedy="name one of these stages")

    def after(self, name: str) -> tuple[str, ...]:
        """Return the stages that depend on `name`, directly or through others, in order."""
        found = {name}
        for stage in self.graph:
            if found & set(stage.needs):
                found.add(stage.name)
        return tuple(stage.name for stage in self.graph if stage.name in found - {name})


def run_pipeline(
    config: Config,
    *,
    out: Path,
    plan: Plan,
    executor: ExecutorOptions | None = None,
    reporter: Reporter | None = None,
) -> tuple[StageOutcome, ...]:
    """Run the stages of a plan.

    Args:
        config: The analysis.
        out: The output folder; created if needed.
        plan: What to run.
        executor: Where ntuples are processed and networks trained.
        reporter: Told what happens.

    Returns:
        One outcome per stage of the plan, in order.

    Raises:
        InputFileError: An input is missing, or the output folder cannot be written, is too full or is in use.
        ArtifactMismatchError: A single stage was asked for, and one that it needs is not done.
    """
    engine = _Engine(config, out, plan, executor or ExecutorOptions(), reporter or SilentReporter())
    fingerprints = Fingerprints(out / FOLDER / "inputs.json")
    parts = {stage.name: _own_parts(stage, config, fingerprints, engine.reporter.progress) for stage in plan.graph}
    existing = nearest_existing(out)
    engine.check_disk()
    make_folder(out)
    make_folder(out / FOLDER)
    try:
        with folder_lock(out / FOLDER / "lock"):
            fingerprints.save()
            return engine.run(parts)
    finally:
        _remove_if_empty(out, below=existing)


def _own_parts(stage: Stage, config: Config, fingerprints: Fingerprints, progress: Progress) -> JsonObject:
    files = [(sample, path) for sample, paths in stage.inputs(config).items() for path in paths]
    inputs: dict[str, list[JsonObject]] = {}
    for done, (sample, path) in enumerate(files, start=1):
        inputs.setdefault(sample, []).append(fingerprints.describe(path))
        progress("hashes of the input files", done, len(files))
    return {"stage": stage.name, "config": stage.config_part(config), "code": code_digest(stage.modules), "inputs": inputs}


@dataclass(frozen=True)
class _Engine:
    config: Config
    out: Path
    plan: Plan
    executor: ExecutorOptions
    reporter: Reporter

    def check_disk(self) -> None:
        stages = [s for s in self.plan.graph if self.plan.only in (None, s.name) and not self._has_stamp(s)]
        needed = sum(stage.disk_bytes(sum(p.stat().st_size for ps in stage.inputs(self.config).values() for p in ps)) for stage in stages)
        check_space(self.out, needed_bytes=needed)

    def _has_stamp(self, stage: Stage) -> bool:
        return read_stamp(self.out, stage.name) is not None

    def run(self, own_parts: Mapping[str, JsonObject]) -> tuple[StageOutcome, ...]:
        keys: dict[str, str] = {}
        timing: dict[str, float] = {}
        outcomes: list[StageOutcome] = []
        forced = self._forced()
        ran: set[str] = set()
        for number, stage in enumerate(self.plan.graph, start=1):
            parts = {**own_parts[stage.name], "needs": {name: keys[name] for name in stage.needs}}
            key = keys[stage.name] = stage_key(parts)
            stamp = self._current(stage.name, key)
            must_run = stamp is None or stage.name in forced or bool(ran & set(stage.needs))
            if self.plan.only is not None and stage.name != self.plan.only:
                if must_run and self.plan.only in self.plan.after(stage.name):
                    raise self._not_done(stage.name)
                timing.update({stage.name: stamp.seconds} if stamp else {})
                continue
            if must_run or stamp is None:
                self.reporter.stage_started(stage.name, number=number, of=len(self.plan.graph))
                stamp = self._run_stage(stage, key=key, parts=parts, timing=timing, fresh=stage.name in forced)
                ran.add(stage.name)
            timing[stage.name] = stamp.seconds
            outcomes.append(StageOutcome(stage.name, "ran" if stage.name in ran else "unchanged", stamp.seconds))
            self.reporter.stage_ended(outcomes[-1])
        write_manifest(self.out, self.config, [stage.name for stage in self.plan.graph])
        return tuple(outcomes)

    def _forced(self) -> set[str]:
        first = self.plan.force_from
        return set() if first is None else {first, *self.plan.after(first)}

    def _current(self, name: str, key: str) -> Stamp | None:
        stamp = read_stamp(self.out, name)
        if stamp is None or stamp.status != "done" or stamp.key != key or not outputs_intact(self.out, stamp):
            return None
        return stamp

    def _not_done(self, needed: str) -> ArtifactMismatchError:
        return ArtifactMismatchError(
            f"stage {self.plan.only} needs stage {needed}",
            got=f"{needed} is not done in {self.out}, or its config, code or inputs have changed since",
            expected=f"an up-to-date result of {needed}",
            remedy=f"run `h4l {needed}` first, or `h4l run`, which runs what is needed",
        )

    def _run_stage(self, stage: Stage, *, key: str, parts: JsonObject, timing: Mapping[str, float], fresh: bool) -> Stamp:
        work, spent = self._prepare_work(stage, key=key, fresh=fresh)
        context = StageContext(
            config=self.config,
            out=self.out,
            work=work,
            key=key,
            executor=self.executor,
            progress=self.reporter.progress,
            timing_s=dict(timing),
            spent_s=spent,
        )
        try:
            stage.run(context)
            stamp = Stamp(stage=stage.name, key=key, parts=parts, outputs=describe_outputs(work), seconds=context.elapsed_s())
            retract(self.out, [*reversed(self.plan.after(stage.name)), stage.name])
            publish(work, self.out, stamp)
        except BaseException as error:
            self._leave_work(stage, work, key=key, seconds=context.elapsed_s(), error=error)
            if is_disk_full(error) and not isinstance(error, ToolkitError):
                raise _disk_full(self.out, error) from error
            raise
        shutil.rmtree(work.parent, ignore_errors=True)
        return stamp

    def _prepare_work(self, stage: Stage, *, key: str, fresh: bool) -> tuple[Path, float]:
        folder = self.out / FOLDER / "work" / stage.name
        spent = 0.0
        try:
            left = json.loads((folder / _WORK_FILE).read_text(encoding="utf-8"))
            usable = stage.resumable and not fresh and left["key"] == key
            spent = float(left["seconds"]) if usable else 0.0
        except (OSError, ValueError, KeyError, TypeError):
            usable = False
        if not usable:
            shutil.rmtree(folder, ignore_errors=True)
        make_folder(folder / "files")
        write_json(folder / _WORK_FILE, {"key": key, "seconds": spent})
        return folder / "files", spent

    def _leave_work(self, stage: Stage, work: Path, *, key: str, seconds: float, error: BaseException) -> None:
        wrong_input = isinstance(error, ToolkitError) and not is_disk_full(error)
        if stage.resumable and not wrong_input:
            try:
                write_json(work.parent / _WORK_FILE, {"key": key, "seconds": seconds})
            except InputFileError:
                return
        else:
            shutil.rmtree(work.parent, ignore_errors=True)


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error, or one that it was raised from, says that no space was left on the disk."""
    while error is not None:
        if isinstance(error, OSError) and (error.errno in _DISK_FULL or "No space left" in str(error)):
            return True
        error = error.__cause__
    return False


def _disk_full(out: Path, error: BaseException) -> InputFileError:
    return InputFileError(
        f"the disk of {out} filled up",
        got=str(error),
        expected="free disk space",
        remedy="free disk space and run the same command again: finished stages are kept",
    )


def _remove_if_empty(out: Path, *, below: Path) -> None:
    """Delete what a run that wrote nothing left: its own folder, the output folder and the parents it made below `below`."""
    folder = out / FOLDER
    work = folder / "work"
    if work.is_dir() and not any(work.iterdir()):
        work.rmdir()
    left = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if left <= {"inputs.json"}:
        shutil.rmtree(folder, ignore_errors=True)
        for made in (out.absolute(), *out.absolute().parents):
            if made == below or not made.is_dir() or any(made.iterdir()):
                return
            made.rmdir()
