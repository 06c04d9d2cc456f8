"""Why a stage has to run: what differs between its stamp and what it would be made from now, in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from toolkit.pipeline.stamps import Stamp, damaged_outputs, read_stamp
from toolkit.typing import JsonObject

SHOWN_VALUE = 40
"""Longest text of a value that a reason repeats."""
MANY = 4
"""Names of modules or files that a reason lists before it only counts them."""


def why_run(
    out: Path, stage: str, *, key: str, parts: JsonObject, modules: Mapping[str, str], forced: bool, rerun: Sequence[str]
) -> tuple[str, ...]:
    """Return why a stage cannot be skipped.

    Args:
        out: The output folder.
        stage: Its name.
        key: Hash of what it would be made from now.
        parts: What the key is made of.
        modules: Digest of every module that does the work, by name.
        forced: Whether the user asked for it.
        rerun: Stages that it needs and that run before it.

    Returns:
        One text per reason; empty if its result is there and still true.
    """
    parts = json.loads(json.dumps(parts))
    stamp = read_stamp(out, stage)
    reasons = ["asked for"] if forced else []
    if stamp is None:
        return (*reasons, "no result yet")
    if stamp.status != "done":
        return (*reasons, "the last run died while it moved its files into place")
    reasons += [f"{name} runs before it" for name in rerun]
    if stamp.key != key:
        differences = [*_differences(stamp, parts, modules, rerun=rerun)]
        reasons += differences or ([] if rerun else ["made by another version"])
    reasons += [f"output {text}" for text in counted(damaged_outputs(out, stamp))]
    return tuple(reasons)


def _differences(stamp: Stamp, parts: JsonObject, modules: Mapping[str, str], *, rerun: Sequence[str]) -> Iterator[str]:
    before = stamp.parts
    yield from (f"config {text}" for text in changed_keys(before.get("config"), parts["config"]))
    if before.get("code") != parts["code"]:
        names = [name for name in {**stamp.modules, **modules} if stamp.modules.get(name) != modules.get(name)] if stamp.modules else []
        yield "code changed" + (f": {', '.join(counted(sorted(names)))}" if names else "")
    yield from _changed_inputs(before.get("inputs", {}), parts["inputs"])
    needs = before.get("needs", {})
    yield from (f"result of {name} changed since" for name, now in parts["needs"].items() if needs.get(name) != now and name not in rerun)


def changed_keys(before: Any, now: Any, path: str = "") -> Iterator[str]:
    """Yield the keys that differ between two configs, with old and new value where these are short.

    Examples:
        >>> list(changed_keys({"ratios": {"epochs": 14, "seed": 1}}, {"ratios": {"epochs": 20, "seed": 1}}))
        ['ratios.epochs: 14 -> 20']
        >>> list(changed_keys({"samples": [{"name": "qqZZ", "k_factor": 1.0}]}, {"samples": [{"name": "qqZZ", "k_factor": 1.3}]}))
        ['samples.qqZZ.k_factor: 1.0 -> 1.3']
    """
    old, new = _by_name(before), _by_name(now)
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys((*old, *new)):
            below = f"{path}.{name}".lstrip(".")
            if name not in old:
                yield f"{below}: new"
            elif name not in new:
                yield f"{below}: gone"
            else:
                yield from changed_keys(old[name], new[name], below)
    elif old != new:
        shown = f"{before} -> {now}"
        yield f"{path}: {shown}" if len(shown) <= SHOWN_VALUE else f"{path} changed"


def _by_name(value: Any) -> Any:
    """Turn a list of sections with names into a mapping, so that one of them can be named."""
    if isinstance(value, list) and value and all(isinstance(item, Mapping) and "name" in item for item in value):
        return {item["name"]: item for item in value}
    return value


def _digest(entry: Mapping[str, Any]) -> str:
    """Return what stands for the content of an input file, local or remote."""
    return str(entry.get("sha256") or entry["sampled"])


def _changed_inputs(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for sample in dict.fromkeys((*before, *now)):
        old = {entry["name"]: _digest(entry) for entry in before.get(sample, ())}
        new = {entry["name"]: _digest(entry) for entry in now.get(sample, ())}
        found = [f"{n} changed" if n in old and n in new else f"{n} is {'new' if n in new else 'gone'}" for n in {**old, **new}]
        names = [text for text, n in zip(found, {**old, **new}, strict=True) if old.get(n) != new.get(n)]
        yield from (f"input of {sample}: {text}" for text in counted(names))


def counted(texts: Sequence[str]) -> list[str]:
    """Return a list that is not longer than what is read: the first ones, then how many more.

    Examples:
        >>> counted(["a", "b"]), counted(["a", "b", "c", "d", "e", "f"])
        (['a', 'b'], ['a', 'b', 'c', 'and 3 more'])
    """
    return list(texts) if len(texts) <= MANY else [*texts[: MANY - 1], f"and {len(texts) - MANY + 1} more"]
