"""From what a result was made: config without folders, versions, seeds."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from toolkit import __version__
from toolkit.artifacts.hashing import stage_key
from toolkit.config import Config
from toolkit.locations import locate
from toolkit.typing import JsonObject

LIBRARIES = (
    *("awkward", "coffea", "hist", "matplotlib", "mplhep", "numpy", "onnx", "onnxruntime"),
    *("pyarrow", "pyhf", "scipy", "torch", "uproot", "vector"),
)


def portable_config(config: Config) -> JsonObject:
    """Return a config as JSON-like values, without the folders in which its files lie, and without how samples look in plots."""
    document: JsonObject = config.model_dump(mode="json")
    for sample in document["samples"]:
        sample["files"] = [locate(file).name for file in sample["files"]]
        del sample["label"], sample["color"]
    for shift in document["systematics"]["objects"].values():
        if shift["file"] is not None:
            shift["file"]["path"] = Path(shift["file"]["path"]).name
    for other in document["systematics"]["samples"].values():
        for key in ("files_up", "files_down"):
            other[key] = {name: [locate(file).name for file in files] for name, files in other[key].items()}
    for correction in document["corrections"].values():
        correction["file"] = Path(correction["file"]).name
    for components in document["k_factors"].values():
        for correction in components.values():
            correction["file"] = Path(correction["file"]).name
    for score in document["scores"].values():
        score["model"] = Path(score["model"]).name
    for region in document["regions"].values():
        region["file"] = Path(region["file"]).name
    document["modules"] = [Path(path).name for path in document["modules"]]
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


def seeds(config: Config) -> dict[str, int]:
    """Return every seed that was used, by name."""
    return {"ratios": config.ratios.seed, "likelihood": config.likelihood.seed, "report": config.report.seed}
