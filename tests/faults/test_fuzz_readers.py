"""Arbitrary documents for the readers of configs and workspaces: accepted or refused with a message, never a traceback, a hang or code."""

from __future__ import annotations

import contextlib
import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toolkit.config import load_config, parse_config
from toolkit.errors import SchemaError, ToolkitError
from toolkit.likelihood import Workspace

QUICK = settings(max_examples=150, deadline=5000, derandomize=True, suppress_health_check=list(HealthCheck))
CONFIG = yaml.safe_load((Path(__file__).parents[2] / "examples" / "offshell4l.yaml").read_text(encoding="utf-8"))
MORPHING = {"name": "s", "type": "morphing", "data": {"coefficient": "sqrt(mu)"}}
LUMI = {"name": "lumi", "type": "normsys", "data": {"hi": 1.1, "lo": 0.9}}
SAMPLE = {
    "name": "signal",
    "data": [1.0, 2.0],
    "modifiers": [MORPHING, LUMI],
}
WORKSPACE: dict[str, Any] = {
    "channels": [{"name": "sr", "samples": [SAMPLE]}],
    "observations": [{"name": "sr", "data": [1.0, 2.0]}],
    "measurements": [{"name": "fit", "config": {"poi": "mu", "parameters": []}}],
    "version": "1.0.0",
    "unbinned_channels": [],
}

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
texts = st.text(max_size=8)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8)


def _places(node: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [at, *(place for key, child in children for place in _places(child, (*at, key)))]


def _with(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    changed = copy.deepcopy(document)
    node = changed
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    return changed


def _check(error: ToolkitError) -> None:
    assert "remedy" in str(error)


@QUICK
@given(place=st.sampled_from(_places(CONFIG)), value=values)
def test_a_config_with_anything_anywhere(place: tuple[Any, ...], value: Any) -> None:
    try:
        parse_config(_with(CONFIG, place, value), folder=Path(), data=".")
    except ToolkitError as error:
        _check(error)


@QUICK
@given(text=st.text(alphabet=st.sampled_from("ab:{}[]!&*-#|>%@`'\"\\,? \n\t0.~<="), max_size=60) | st.binary(max_size=40))
def test_a_config_file_of_anything(text: str | bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ToolkitError, match="remedy"):
        load_config(path)


@QUICK
@given(place=st.sampled_from(_places(WORKSPACE)), value=values)
def test_a_workspace_with_anything_anywhere(place: tuple[Any, ...], value: Any) -> None:
    with contextlib.suppress(ToolkitError):
        Workspace(document=_with(WORKSPACE, place, value)).likelihood()


@QUICK
@given(text=st.text(alphabet=st.sampled_from('{}[]":,0.eE-ntfau NIy\\'), max_size=60) | st.binary(max_size=40))
def test_a_workspace_file_of_anything(text: str | bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ToolkitError):
        Workspace.load(path)


def test_code_in_a_config_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    for tag in ("!!python/object/apply:os.mkdir", "!!python/object/new:os.mkdir"):
        path.write_text(f"name: {tag} [{tmp_path / 'made'}]\nluminosity_ifb: 1.0\n")
        with pytest.raises(SchemaError, match="valid YAML"):
            load_config(path)
    assert not (tmp_path / "made").exists()


def test_code_in_a_workspace_is_not_run(tmp_path: Path) -> None:
    code = f"__import__('os').mkdir('{tmp_path / 'made'}')"
    document = _with(WORKSPACE, ("channels", 0, "samples", 0, "modifiers", 0, "data", "coefficient"), code)
    with pytest.raises(ToolkitError):
        Workspace(document=document).likelihood()
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("key", ["name", "samples", "unknown"])
def test_a_config_of_repeated_references_does_not_hang(key: str, tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    path = tmp_path / "config.yaml"
    path.write_text("\n".join([*lines, f"{key}: *a9", "luminosity_ifb: 1.0"]))
    with pytest.raises(ToolkitError, match="remedy"):
        load_config(path)


def test_a_workspace_nested_too_deep_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text("[" * 100_000)
    with pytest.raises(ToolkitError):
        Workspace.load(path)
    path.write_text(json.dumps({"channels": []}).replace("[]", '{"a":' * 500 + "1" + "}" * 500))
    with pytest.raises(ToolkitError):
        Workspace.load(path).likelihood()
