"""Decides whether a stage runs: what it would be made from now, beside what its stamp says. Running and rehearsing both ask here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from toolkit.artifacts.hashing import stage_key
from toolkit.config import Config
from toolkit.errors import ArtifactMismatchError
from toolkit.pipeline.code import code_digest, module_digests
from toolkit.pipeline.fingerprints import Fingerprints
from toolkit.pipeline.plan import Plan
from toolkit.pipeline.reasons import why_run
from toolkit.pipeline.stage import Stage
from toolkit.pipeline.stamps import Stamp, read_stamp
from toolkit.typing import JsonObject, Progress


@dataclass(frozen=True)
class Ingredients:
    """What a stage is made from, the results of earlier stages excepted.

    Args:
        parts: Name, part of the config, digest of the code, name, size and hash of every input file.
        modules: Digest of every module that does the work, by name.
    """

    parts: JsonObject
    modules: dict[str, str]


@dataclass(frozen=True)
class Decision:
    """Whether a stage runs.

    Args:
        stage: Its name.
        key: Hash of `parts`.
        parts: What it is made from, the keys of earlier stages included.
        modules: Digest of every module that does the work, by name.
        reasons: Why it runs; empty if it is done and unchanged.
        stamp: What it left before, if anything.
    """

    stage: str
    key: str
    parts: JsonObject
    modules: dict[str, str]
    reasons: tuple[str, ...]
    stamp: Stamp | None

    @property
    def done(self) -> Stamp | None:
        """The stamp of a result that is there and still true."""
        return None if self.reasons else self.stamp


def ingredients(stage: Stage, config: Config, fingerprints: Fingerprints, progress: Progress) -> Ingredients:
    """Collect what a stage is made from; hashes the input files that are not known yet.

    Args:
        stage: The stage.
        config: The analysis.
        fingerprints: Known hashes.
        progress: Called after every file.

    Returns:
        Its ingredients.

    Raises:
        InputFileError: An input file is missing.
    """
    files = [(sample, path) for sample, paths in stage.inputs(config).items() for path in paths]
    inputs: dict[str, list[JsonObject]] = {}
    for done, (sample, path) in enumerate(files, start=1):
        inputs.setdefault(sample, []).append(fingerprints.describe(path))
        progress("hashes of the input files", done, len(files))
    modules = module_digests(stage.modules)
    parts = {"stage": stage.name, "config": stage.config_part(config), "code": code_digest(modules), "inputs": inputs}
    return Ingredients(parts, modules)


def decide(out: Path, plan: Plan, stage: Stage, own: Ingredients, *, keys: Mapping[str, str], ran: Collection[str]) -> Decision:
    """Decide whether a stage runs.

    Args:
        out: The output folder.
        plan: What was asked for.
        stage: The stage.
        own: Its ingredients.
        keys: Keys of the stages before it.
        ran: Stages before it that ran, or would run.

    Returns:
        The decision, with its reasons.
    """
    parts = {**own.parts, "needs": {name: keys[name] for name in stage.needs}}
    key = stage_key(parts)
    rerun = [name for name in stage.needs if name in ran]
    reasons = why_run(out, stage.name, key=key, parts=parts, modules=own.modules, forced=stage.name in plan.forced, rerun=rerun)
    return Decision(stage.name, key, parts, own.modules, reasons, read_stamp(out, stage.name))


def comes_along(plan: Plan, stage: Stage, decision: Decision, config: Config) -> bool:
    """Whether a stage that was not asked for runs: it has nothing to do for this config, and the one asked for needs it."""
    return bool(decision.reasons) and plan.only in plan.after(stage.name) and stage.idle(config)


def check_needed(out: Path, plan: Plan, decision: Decision) -> None:
    """Refuse to run a single stage on results that are not there or no longer true.

    Raises:
        ArtifactMismatchError: The stage that was asked for needs this one, which would have to run.
    """
    if plan.only is None or not decision.reasons or plan.only not in plan.after(decision.stage):
        return
    raise ArtifactMismatchError(
        f"stage {plan.only} needs stage {decision.stage}",
        got=f"{decision.stage} in {out}: {'; '.join(decision.reasons)}",
        expected=f"an up-to-date result of {decision.stage}",
        remedy=f"run `h4l {decision.stage}` first, or `h4l run`, which runs what is needed",
    )
