"""Runs the stages of a graph in order, skips what is done and unchanged, and leaves no half-written result.

A stage writes below `DIR/.stages`, in `work/<stage>/`. When it has ended without an error, the former files of the stage
and of everything after it are cleared, the new files move into place, and the stamp is written. A stage that fails
leaves the output folder as it was.
"""

from __future__ import annotations

import errno
import importlib
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from toolkit.artifacts.atomic import make_folder, write_json
from toolkit.config import Config
from toolkit.errors import InputFileError, PhysicsDomainError, SchemaError, ShapeError, ToolkitError
from toolkit.pipeline.decision import Decision, Ingredients, check_needed, comes_along, decide, ingredients
from toolkit.pipeline.fingerprints import Fingerprints
from toolkit.pipeline.former import forget, former_tasks, set_aside
from toolkit.pipeline.lock import folder_lock
from toolkit.pipeline.manifest import write_manifest
from toolkit.pipeline.plan import Plan
from toolkit.pipeline.space import check_space, expected_bytes, nearest_existing
from toolkit.pipeline.stage import ExecutorOptions, Stage, StageContext
from toolkit.pipeline.stamps import FOLDER, Stamp, describe_outputs, finish_publishing, publish, read_stamp, retract
from toolkit.pipeline.unfinished import WORK_FILE, unfinished_work, work_folder
from toolkit.typing import Progress, silent_progress

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
_WRONG_CONFIG = (SchemaError, ShapeError, PhysicsDomainError)
"""Errors that another config mends: what was made with this one is of no use then."""


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
    own = {stage.name: ingredients(stage, config, fingerprints, engine.reporter.progress) for stage in plan.graph}
    existing = nearest_existing(out)
    engine.check_disk()
    make_folder(out)
    make_folder(out / FOLDER)
    try:
        with folder_lock(out / FOLDER / "lock"):
            fingerprints.save()
            return engine.run(own)
    finally:
        _remove_if_empty(out, below=existing)


@dataclass(frozen=True)
class _Engine:
    config: Config
    out: Path
    plan: Plan
    executor: ExecutorOptions
    reporter: Reporter

    def check_disk(self) -> None:
        stages = [s for s in self.plan.graph if self.plan.wants(s.name) and read_stamp(self.out, s.name) is None]
        check_space(self.out, needed_bytes=sum(expected_bytes(stage, self.config) for stage in stages))

    def run(self, own: Mapping[str, Ingredients]) -> tuple[StageOutcome, ...]:
        keys: dict[str, str] = {}
        timing: dict[str, float] = {}
        outcomes: list[StageOutcome] = []
        ran: set[str] = set()
        for number, stage in enumerate(self.plan.graph, start=1):
            decision = decide(self.out, self.plan, stage, own[stage.name], keys=keys, ran=ran)
            keys[stage.name], stamp = decision.key, decision.done
            if not self.plan.wants(stage.name) and not comes_along(self.plan, stage, decision, self.config):
                check_needed(self.out, self.plan, decision)
                timing.update({stage.name: stamp.seconds} if stamp else {})
                continue
            if stamp is None:
                self.reporter.stage_started(stage.name, number=number, of=len(self.plan.graph))
                stamp = self._run_stage(stage, decision, timing=timing)
                ran.add(stage.name)
            timing[stage.name] = stamp.seconds
            outcomes.append(StageOutcome(stage.name, "ran" if stage.name in ran else "unchanged", stamp.seconds))
            self.reporter.stage_ended(outcomes[-1])
        write_manifest(self.out, self.config, [stage.name for stage in self.plan.graph])
        return tuple(outcomes)

    def _run_stage(self, stage: Stage, decision: Decision, *, timing: Mapping[str, float]) -> Stamp:
        fresh = stage.name in self.plan.forced
        folder = work_folder(self.out, stage.name)
        moved = None if fresh else finish_publishing(folder / "files", self.out, stage=stage.name, key=decision.key)
        if moved is not None:
            shutil.rmtree(folder, ignore_errors=True)
            return moved
        work, spent = self._prepare_work(stage, decision, fresh=fresh)
        context = StageContext(
            config=self.config,
            out=self.out,
            work=work,
            key=decision.key,
            executor=self.executor,
            progress=self.reporter.progress,
            timing_s=dict(timing),
            spent_s=spent,
            former=() if fresh else former_tasks(stage, out=self.out, stamp=decision.stamp, code=decision.parts["code"]),
        )
        try:
            self._register_observables()
            stage.run(context)
            stamp = Stamp(
                stage=stage.name,
                key=decision.key,
                parts=decision.parts,
                outputs=describe_outputs(work),
                seconds=context.elapsed_s(),
                modules=decision.modules,
                finished=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            )
            self._retract_after(stage)
            retract(self.out, [stage.name])
            publish(work, self.out, stamp)
        except BaseException as error:
            self._leave_work(stage, work, decision, seconds=context.elapsed_s(), error=error)
            if is_disk_full(error) and not isinstance(error, ToolkitError):
                raise _disk_full(self.out, error) from error
            raise
        shutil.rmtree(work.parent, ignore_errors=True)
        forget(stage, out=self.out)
        return stamp

    def _register_observables(self) -> None:
        """Run the user's modules: every stage asks the registry for units, ranges and symmetry, in whichever process it runs."""
        if self.config.modules:
            importlib.import_module("processors.modules").load_modules(self.config.modules)

    def _prepare_work(self, stage: Stage, decision: Decision, *, fresh: bool) -> tuple[Path, float]:
        folder = work_folder(self.out, stage.name)
        if fresh:
            forget(stage, out=self.out)
        left = None if fresh or not stage.resumable else unfinished_work(self.out, stage.name)
        spent = left.seconds if left is not None and left.key == decision.key else 0.0
        if left is None or left.key != decision.key:
            if left is not None:
                set_aside(stage, folder / "files", left.files, out=self.out, code=left.code)
            shutil.rmtree(folder, ignore_errors=True)
        make_folder(folder / "files")
        self._note_work(folder, decision, seconds=spent)
        return folder / "files", spent

    def _note_work(self, folder: Path, decision: Decision, *, seconds: float) -> None:
        write_json(folder / WORK_FILE, {"key": decision.key, "code": decision.parts["code"], "seconds": seconds})

    def _retract_after(self, stage: Stage) -> None:
        """Clear the results that this stage makes untrue; their tasks stay at hand, unless the user wants them done again."""
        after = self.plan.after(stage.name)
        for later in (s for s in reversed(self.plan.graph) if s.name in after):
            stamp = read_stamp(self.out, later.name)
            if stamp is not None and later.name not in self.plan.forced:
                set_aside(later, self.out, stamp.outputs, out=self.out, code=str(stamp.parts.get("code", "")))
            retract(self.out, [later.name])

    def _leave_work(self, stage: Stage, work: Path, decision: Decision, *, seconds: float, error: BaseException) -> None:
        """Keep what a resumable stage has finished, unless the config must change or there is nothing."""
        useful = not isinstance(error, _WRONG_CONFIG) and any(path.is_file() and path.name != WORK_FILE for path in work.parent.rglob("*"))
        if stage.resumable and useful:
            try:
                self._note_work(work.parent, decision, seconds=seconds)
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
