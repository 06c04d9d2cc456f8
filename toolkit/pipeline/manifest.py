"""manifest.json of a run, put together from the stamps of its stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from toolkit.artifacts.manifest import build_manifest, write_manifest
from toolkit.config import Config
from toolkit.pipeline.stamps import read_stamp

NAME = "manifest.json"


def write_run_manifest(out: Path, config: Config, stages: Sequence[str]) -> None:
    """Write manifest.json: inputs, outputs, keys and times of the stages that are done.

    Args:
        out: The output folder.
        config: The analysis.
        stages: Names of all stages, in order.
    """
    inputs: dict[str, list[dict[str, Any]]] = {}
    outputs: dict[str, str] = {}
    facts: dict[str, dict[str, Any]] = {}
    for name in stages:
        stamp = read_stamp(out, name)
        if stamp is None or stamp.status != "done":
            continue
        inputs.update(stamp.parts.get("inputs", {}))
        outputs.update({path: entry.sha256 for path, entry in stamp.outputs.items()})
        facts[name] = {"key": stamp.key, "seconds": stamp.seconds}
    manifest = replace(build_manifest(config, files={}), inputs=inputs, outputs=outputs, stages=facts)
    write_manifest(out / NAME, manifest)
