"""Bundles with odd entries, and options that name what is not there: refused with a message."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from toolkit.artifacts.archive import write_archive
from toolkit.cli import main
from toolkit.errors import SchemaError, ToolkitError
from toolkit.pipeline.reuse import NOTHING, Bundle, Substitution

ODD = (None, -1, 1.5, 1e308, "", "x", "../../etc/passwd", "a\0b", "z" * 5000, ["a"], [["workspace/rate.json"]], {"a": 1}, "\ud800")


def _sample(name: str, data: list[float], coefficient: str) -> dict[str, Any]:
    return {"name": name, "data": data, "modifiers": [{"name": f"share_{name}", "type": "morphing", "data": {"coefficient": coefficient}}]}


SAMPLES = [_sample("S", [4.0, 2.0], "mu - sqrt(mu)"), _sample("SBI", [9.0, 5.0], "sqrt(mu)"), _sample("B", [10.0, 4.0], "1 - sqrt(mu)")]
WORKSPACE: dict[str, Any] = {
    "version": "1.0.0",
    "channels": [{"name": "c", "samples": SAMPLES}],
    "observations": [{"name": "c", "data": [9.0, 5.0]}],
    "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": [{"name": "mu", "inits": [1.0], "bounds": [[0.0, 6.0]]}]}}],
}
RATE = {
    "mu_hat": 1.0,
    "twice_nll_at_0": 0.3,
    "interval_68": [[0.0, 4.2]],
    "interval_95": [[0.0, 6.0]],
    "scan": {"mu": [0.0, 1.0, 2.0], "twice_delta_nll": [0.3, 0.0, 0.2]},
}
RESULTS = {
    "schema": 1,
    "poi": "mu",
    "asimov": {"mu": 1.0},
    "luminosity_ifb": 140.0,
    "yields": {},
    "methods": {"rate": RATE},
    "closure": [],
    "timing_s": {},
}
INDEX = {"title": "t", "methods": {"rate": {"workspace": "workspace/rate.json", "unbinned": False}}}


def _pack(folder: Path, *, index: Any = INDEX, results: Any = RESULTS, workspace: Any = WORKSPACE) -> Path:
    files = {"results.json": json.dumps(results).encode(), "workspace/rate.json": json.dumps(workspace).encode()}
    write_archive(folder / "a.tar.gz", files, description=index)
    return folder / "a.tar.gz"


def _use(archive: Path, change: Substitution = NOTHING) -> list[float]:
    opened = Bundle.open(archive, archive.parent / "out")
    found = []
    for method in opened.methods:
        likelihood = opened.likelihood(method, change=change)
        found.append(likelihood.twice_nll([1.0] * len(likelihood.parameter_names)))
    return found


def _places(document: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    entries = document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    for key, value in entries:
        yield (*above, key)
        yield from _places(value, (*above, key))


def _changed(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    new = copy.deepcopy(document)
    here = new
    for key in place[:-1]:
        here = here[key]
    here[place[-1]] = value
    return new


@pytest.mark.parametrize(("part", "document"), [("index", INDEX), ("results", RESULTS)])
def test_odd_entries_are_refused_or_harmless(part: str, document: Any, tmp_path: Path) -> None:
    right, outcomes = _use(_pack(tmp_path)), {"used": 0, "refused": 0}
    for place in _places(document):
        for value in ODD:
            try:
                assert _use(_pack(tmp_path, **{part: _changed(document, place, value)})) == right
                outcomes["used"] += 1
            except ToolkitError:
                outcomes["refused"] += 1
    assert outcomes["refused"] > 20


@pytest.mark.parametrize(
    "value", [["workspace/rate.json"], "/etc/passwd", "../out/workspace/rate.json", "a\0b", "z" * 5000, None, 1, "results.json"]
)
def test_workspaces_are_files_of_the_bundle(value: Any, tmp_path: Path) -> None:
    with pytest.raises(ToolkitError):
        _use(_pack(tmp_path, index=_changed(INDEX, ("methods", "rate", "workspace"), value)))


@pytest.mark.parametrize("change", [Substitution({}, {}, {}, "nu"), Substitution({"mu": "k**2"}, {}, {"k": (1.0, 0.0, 2.0)}, "mu")])
def test_a_parameter_of_interest_that_is_not_there_is_refused(
    change: Substitution, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = _pack(tmp_path)
    with pytest.raises(SchemaError, match="--poi") as error:
        _use(archive, change)
    assert error.value.expected in {"one of ['mu']", "one of ['k']"}
    with pytest.raises(SystemExit) as stop:
        main(["reuse", str(archive), "--poi", "nu"])
    assert (stop.value.code, capsys.readouterr().err.splitlines()[:2]) == (2, ["error: --poi", "  got:      nu"])
    broken = _changed(WORKSPACE, ("measurements", 0, "config", "poi"), "nu")
    with pytest.raises(SchemaError, match="parameter of interest of rate"):
        _use(_pack(tmp_path, workspace=broken))
