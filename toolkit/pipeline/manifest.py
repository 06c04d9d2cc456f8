"""manifest.json: from what the files of an output folder were made (inputs, hashes, versions, seeds)."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from toolkit import __version__
from toolkit.artifacts.atomic import write_json
from toolkit.artifacts.hashing import stage_key
from toolkit.config import Config
from toolkit.pipeline.stamps import read_stamp
from toolkit.typing import JsonObject

SCHEMA = 1
PACKAGES = ("awkward", "coffea", "hist", "iminuit", "numpy", "onnx", "onnxruntime", "pyarrow", "pyhf", "scipy", "torch", "uproot", "vector")


def write_manifest(out: Path, config: Config, stages: Sequence[str]) -> None:
    """Write manifest.json from the stamps of the stages that are done.

    Args:
        out: The output folder.
        config: The analysis.
        stages: Names of all stages, in order.
    """
    document: JsonObject = {
        "schema": SCHEMA,
        "name": config.name,
        "config_sha256": config_hash(config),
        "versions": versions(),
        "seeds": {"ratios": config.ratios.seed, "likelihood": config.likelihood.seed, "split_salt": config.ratios.splits.salt},
        "inputs": {},
        "stages": {},
    }
    for name in stages:
        stamp = read_stamp(out, name)
        if stamp is None or stamp.status != "done":
            continue
        document["inputs"].update(stamp.parts.get("inputs", {}))
        outputs = {path: {"size": entry.size, "sha256": entry.sha256} for path, entry in stamp.outputs.items()}
        document["stages"][name] = {"key": stamp.key, "seconds": stamp.seconds, "config": stamp.parts.get("config"), "outputs": outputs}
    write_json(out / "manifest.json", document)


def config_hash(config: Config) -> str:
    """Hash an analysis config, without the folders in which its files lie."""
    document = config.model_dump(mode="json")
    for sample in document["samples"]:
        sample["files"] = [Path(file).name for file in sample["files"]]
    return stage_key(document)


def versions() -> dict[str, str]:
    """Return the versions of the toolkit, Python and the packages that a result can depend on."""
    found = {"h4l-toolkit": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
