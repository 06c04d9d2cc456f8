"""The manifest of an output folder: which inputs, which versions, which seeds, which config made it."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from toolkit import __version__
from toolkit.artifacts.atomic import write_json
from toolkit.artifacts.hashing import file_sha256, stage_key
from toolkit.config import Config
from toolkit.errors import InputFileError, SchemaError

SCHEMA = 1
LIBRARIES = ("awkward", "coffea", "hist", "numpy", "onnx", "onnxruntime", "pyarrow", "pyhf", "scipy", "torch", "uproot", "vector")


@dataclass(frozen=True)
class Manifest:
    """Provenance of an output folder.

    Args:
        config: The config as parsed, defaults filled in.
        config_hash: `stage_key` of it without the file paths: equal on every machine.
        inputs: Per sample, the files with name, size and SHA-256.
        versions: Toolkit, Python and libraries.
        seeds: Every seed that was used, by name.
        outputs: Files written, relative to the folder, with their SHA-256.
        stages: Per finished stage, its key and the seconds it took.
    """

    config: dict[str, Any]
    config_hash: str
    inputs: dict[str, list[dict[str, Any]]]
    versions: dict[str, str]
    seeds: dict[str, int]
    outputs: dict[str, str] = field(default_factory=dict)
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    schema: int = SCHEMA


def config_hash(config: Config) -> str:
    """Hash a config without the places of its files.

    Returns:
        32 hexadecimal digits.
    """
    return stage_key(_portable(config))


def library_versions() -> dict[str, str]:
    """Return the versions of the toolkit, Python and the libraries that influence results."""
    versions = {"h4l-toolkit": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def build_manifest(
    config: Config, *, files: Mapping[str, Sequence[str | Path]], out: str | Path | None = None, outputs: Sequence[str] = ()
) -> Manifest:
    """Collect the provenance of a run; reads every input file once to hash it.

    Args:
        config: The analysis.
        files: Input files per sample.
        out: The output folder, needed to hash `outputs`.
        outputs: Files in `out` to hash, relative.

    Returns:
        The manifest.

    Raises:
        InputFileError: A file cannot be read.
    """
    inputs = {
        sample: [{"name": Path(p).name, "size": _size(Path(p)), "sha256": file_sha256(p)} for p in paths] for sample, paths in files.items()
    }
    return Manifest(
        config=_portable(config),
        config_hash=config_hash(config),
        inputs=inputs,
        versions=library_versions(),
        seeds={"ratios": config.ratios.seed, "likelihood": config.likelihood.seed},
        outputs={name: file_sha256(Path(out or ".") / name) for name in outputs},
    )


def write_manifest(path: str | Path, manifest: Manifest) -> None:
    """Write ``manifest.json`` in one step."""
    write_json(path, asdict(manifest))


def read_manifest(path: str | Path) -> Manifest:
    """Read a manifest back.

    Raises:
        InputFileError: The file is missing or damaged.
        SchemaError: It is not a manifest of this version.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputFileError(f"manifest {path}", got=str(error), expected="a complete manifest.json", remedy="run again") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        got = document.get("schema") if isinstance(document, dict) else type(document).__name__
        raise SchemaError(f"manifest {path}", got=f"schema {got}", expected=f"schema {SCHEMA}", remedy="run again with this version")
    return Manifest(**document)


def _portable(config: Config) -> dict[str, Any]:
    document: dict[str, Any] = config.model_dump(mode="json")
    for section in document["samples"]:
        section["files"] = [Path(f).name for f in section["files"]]
    return document


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise InputFileError(f"input file {path}", got=error.strerror, expected="an existing file", remedy="check the path") from error
