"""Read the YAML file and turn pydantic's complaints into one readable message."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from toolkit.config.analysis import Config
from toolkit.config.base import Section
from toolkit.config.combination import CombinationPart, CombineConfig
from toolkit.config.document import read_document
from toolkit.config.hints import hint
from toolkit.errors import SchemaError
from toolkit.locations import is_url, locate
from toolkit.text import visible

S = TypeVar("S", bound=Section)
MOST_COMPLAINTS = 20
LONGEST_SHOWN = 80
_SHOWN = (str, int, float, type(None))
"""What a message repeats. Not lists: references to references can make one that no memory holds."""


def load_config(path: str | Path, *, data: str | Path | None = None) -> Config:
    """Read and validate an analysis config.

    Args:
        path: YAML file.
        data: Folder, of this machine or a URL, that replaces `{data}` in the sample files.

    Returns:
        The frozen config, with the sample files resolved to absolute patterns.

    Raises:
        InputFileError: The file cannot be read.
        SchemaError: The file is not YAML, a key stands twice, or a key or value is wrong.
    """
    path = Path(path)
    raw = read_document(path)
    return parse_config(raw, folder=path.resolve().parent, data=data, source=str(path))


def parse_config(raw: Any, *, folder: Path, data: str | Path | None = None, source: str = "config") -> Config:
    """Validate a parsed YAML document; see `load_config`."""
    _require_kind(raw, source, key="samples", other="parts", expected="the config of an analysis, with `samples`", remedy="use h4l combine")
    config = _validated(Config, raw, source=source, example="examples/offshell4l.yaml")
    return config.model_copy(update=_resolved_files(config, folder, data))


def load_combination(path: str | Path, *, runs: str | Path | None = None) -> CombineConfig:
    """Read and validate the config of a combination.

    Args:
        path: YAML file.
        runs: Folder that replaces `{runs}` in the names of runs and files; by default the current one.

    Returns:
        The frozen config, with absolute paths.

    Raises:
        InputFileError, SchemaError: See `load_config`.
    """
    path = Path(path)
    raw = read_document(path)
    _require_kind(raw, str(path), key="parts", other="samples", expected="the config of a combination, with `parts`", remedy="use h4l run")
    config = _validated(CombineConfig, raw, source=str(path), example="examples/width.yaml")
    folder, base = path.resolve().parent, Path.cwd() if runs is None else Path(runs).resolve()
    return config.model_copy(update={"parts": {name: _resolved_part(part, folder, base) for name, part in config.parts.items()}})


def _resolved_part(part: CombinationPart, folder: Path, runs: Path) -> CombinationPart:
    def resolved(name: str) -> str:
        return str(folder / name.replace("{runs}", str(runs))) if name else ""

    events = part.events
    if events is not None:
        events = events.model_copy(update={"folder": resolved(events.folder)})
    beside = {name: resolved(run) for name, run in part.runs.items()}
    return part.model_copy(update={"run": resolved(part.run), "runs": beside, "workspace": resolved(part.workspace), "events": events})


def _require_kind(raw: Any, source: str, *, key: str, other: str, expected: str, remedy: str) -> None:
    """Refuse the config of another command by its main key."""
    if isinstance(raw, dict) and other in raw and key not in raw:
        raise SchemaError(source, got=f"a config with `{other}`", expected=expected, remedy=remedy)


def _validated(model: type[S], raw: Any, *, source: str, example: str) -> S:
    """Validate a document, and say in one message what is wrong with it."""
    if not isinstance(raw, dict):
        got = "nothing: the file is empty" if raw is None else f"a {type(raw).__name__}"
        raise SchemaError(source, got=got, expected="a mapping of config keys", remedy=f"start from {example}")
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        remedy = "correct the keys above; docs/config.md lists them all"
        raise SchemaError(f"{source}\n{_explain(error, raw, model)}", remedy=remedy) from error


def _resolved_files(config: Config, folder: Path, data: str | Path | None) -> dict[str, Any]:
    """Return the sections that name files, with absolute paths and patterns."""
    samples = tuple(
        s.model_copy(update={"files": tuple(_resolve(f, folder, data, f"samples.{s.name}.files") for f in s.files)}) for s in config.samples
    )
    shifts = {}
    for name, shift in config.systematics.objects.items():
        if shift.file is not None:
            path = _resolve(shift.file.path, folder, data, f"systematics.objects.{name}.file.path")
            shifts[name] = shift.model_copy(update={"file": shift.file.model_copy(update={"path": path})})
    others = {
        name: section.model_copy(
            update={
                key: {
                    n: tuple(_resolve(f, folder, data, f"systematics.samples.{name}.{key}.{n}") for f in files) for n, files in of.items()
                }
                for key, of in (("files_up", section.files_up), ("files_down", section.files_down))
            }
        )
        for name, section in config.systematics.samples.items()
    }
    systematics = config.systematics.model_copy(update={"objects": {**config.systematics.objects, **shifts}, "samples": others})
    corrections = {
        name: section.model_copy(update={"file": _resolve(section.file, folder, data, f"corrections.{name}.file")})
        if section.file
        else section
        for name, section in config.corrections.items()
    }
    scores = {
        name: score.model_copy(update={"model": _resolve(score.model, folder, data, f"scores.{name}.model")})
        for name, score in config.scores.items()
    }
    regions = {
        name: region.model_copy(update={"file": _resolve(region.file, folder, data, f"regions.{name}.file")}) if region.file else region
        for name, region in config.regions.items()
    }
    modules = tuple(_resolve(path, folder, data, "modules") for path in config.modules)
    k_factors = {
        process: {
            name: c.model_copy(update={"file": _resolve(c.file, folder, data, f"k_factors.{process}.{name}.file") if c.file else ""})
            for name, c in of.items()
        }
        for process, of in config.k_factors.items()
    }
    sections = {"samples": samples, "systematics": systematics, "corrections": corrections, "k_factors": k_factors}
    return {**sections, "scores": scores, "regions": regions, "modules": modules}


def _resolve(pattern: str, folder: Path, data: str | Path | None, key: str) -> str:
    if "{data}" in pattern:
        if data is None:
            raise SchemaError(key, got=pattern, expected="a data folder for {data}", remedy="pass --data FOLDER")
        pattern = pattern.replace("{data}", str(locate(data).resolve()).rstrip("/"))
    if is_url(pattern):
        if not key.startswith(("samples.", "systematics.samples.")):
            raise SchemaError(key, got=pattern, expected="a file of this machine", remedy="download it; only events are read from servers")
        return str(locate(pattern))
    return str(folder / pattern)


def _explain(error: ValidationError, raw: Any, model: type[BaseModel]) -> str:
    lines, found = [], error.errors()
    for item in found[:MOST_COMPLAINTS]:
        place = _place(item["loc"], raw)
        if item["type"] == "extra_forbidden":
            lines.append(f"  {place}unknown key{hint(model, item['loc'])}")
        else:
            got = item.get("input")
            shown = f" (got {got!r})" if isinstance(got, _SHOWN) and len(repr(got)) < 80 else ""
            lines.append(f"  {place}{_complaint(item)}{shown}")
    if len(found) > MOST_COMPLAINTS:
        lines.append(f"  and {len(found) - MOST_COMPLAINTS} more")
    return "\n".join(lines)


def _place(location: tuple[int | str, ...], raw: Any) -> str:
    """Write where a value stands; entries of a list that have a name are called by it. Nothing for the document itself."""
    parts: list[str] = []
    here: Any = raw
    for step in location:
        part = str(step)
        if isinstance(step, int) and isinstance(here, (list, tuple)) and 0 <= step < len(here):
            here = here[step]
            name = here.get("name") if isinstance(here, dict) else None
            part = name if isinstance(name, str) and 0 < len(name) < 40 else part
        elif isinstance(here, dict) and step in here:
            here = here[step]
        elif location[:1] == ("ratios",) and len(parts) == 1:  # the estimator, which is a value and no key
            continue
        parts.append(part)
    return visible(".".join(part if len(part) <= LONGEST_SHOWN else f"{part[:LONGEST_SHOWN]}..." for part in parts)) + ": " if parts else ""


def _complaint(item: Any) -> str:
    """Write one complaint of pydantic in the words of a config."""
    kind, least = item["type"], item.get("ctx", {}).get("min_length")
    if kind == "too_short" and least is not None:
        return f"at least {least} {'entry is' if least == 1 else 'entries are'} needed"
    words = {"missing": "missing", "tuple_type": "a list is expected, for example [a, b]", "dict_type": "a mapping of keys is expected"}
    return words.get(kind) or item["msg"].removeprefix("Value error, ").replace("Input should be", "should be")
