"""manifest.json: from what the files of an output folder were made, put together from the stamps of the stages."""

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
NAME = "manifest.json"
LIBRARIES = (
    *("awkward", "coffea", "hist", "iminuit", "matplotlib", "mplhep", "numpy", "onnx", "onnxruntime"),
    *("pyarrow", "pyhf", "scipy", "torch", "uproot", "vector"),
)


def write_manifest(out: Path, config: Config, stages: Sequence[str]) -> None:
    """Write manifest.json: config, versions, seeds, and inputs, outputs, keys and times of the stages that are done.

    Args:
        out: The output folder.
        config: The analysis.
        stages: Names of all stages, in order.
    """
    document: JsonObject = {
        "schema": SCHEMA,
        "config_hash": config_hash(config),
        "versions": library_versions(),
        "seeds": {"ratios": config.ratios.seed, "likelihood": config.likelihood.seed},
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
    write_json(out / NAME, document)


def portable_config(config: Config) -> JsonObject:
    """Return a config as JSON-like values, without the folders in which its files lie."""
    document: JsonObject = config.model_dump(mode="json")
    for sample in document["samples"]:
        sample["files"] = [Path(file).name for file in sample["files"]]
    return document


def config_hash(config: Config) -> str:
    """Hash a config without the folders in which its files lie: equal wherever they are, 32 hexadecimal digits."""
    return stage_key(portable_config(config))


def library_versions() -> dict[str, str]:
    """Return the versions of the toolkit, Python and the libraries that results depend on."""
    found = {"h4l-toolkit": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
