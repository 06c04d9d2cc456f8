"""manifest.json: from what the files of an output folder were made, put together from the stamps of the stages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from toolkit.analysis.layout import MANIFEST, MANIFEST_SCHEMA
from toolkit.artifacts.checksums import write_checked_json
from toolkit.config import Config
from toolkit.pipeline.stages.provenance import config_hash, library_versions, portable_config, seeds
from toolkit.pipeline.stamps import read_stamp
from toolkit.typing import JsonObject


def write_manifest(out: Path, config: Config, stages: Sequence[str]) -> None:
    """Write manifest.json: config, versions, seeds, and inputs, outputs, keys and times of the stages that are done.

    Args:
        out: The output folder.
        config: The analysis.
        stages: Names of all stages, in order.
    """
    document: JsonObject = {
        "schema": MANIFEST_SCHEMA,
        "config_hash": config_hash(config),
        "versions": library_versions(),
        "seeds": seeds(config),
        "inputs": {},
        "stages": {},
        "outputs": {},
        "config": portable_config(config),
    }
    for name in stages:
        stamp = read_stamp(out, name)
        if stamp is None or stamp.status != "done":
            continue
        document["inputs"].update(stamp.parts.get("inputs", {}))
        document["stages"][name] = {"key": stamp.key, "seconds": stamp.seconds}
        document["outputs"].update({path: entry.sha256 for path, entry in stamp.outputs.items()})
    write_checked_json(out / MANIFEST, document)
