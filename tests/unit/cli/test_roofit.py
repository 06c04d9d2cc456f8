"""h4l export-roofit: of a run, of a file, and of what is neither."""

from __future__ import annotations

import json

import pytest

from tests.unit.cli.conftest import CommandLine
from tests.unit.likelihood.binned_workspace import binned
from toolkit.likelihood import Workspace


@pytest.fixture(autouse=True)
def without_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("H4L_ROOT_PYTHON", raising=False)
    monkeypatch.setattr("exports.roofit._has_root", lambda: False)


def test_all_methods_of_a_run_or_those_asked_for(h4l: CommandLine) -> None:
    folder = h4l.folder / "run" / "workspace"
    folder.mkdir(parents=True)
    for name in ("m4l", "score"):
        Workspace(binned()).save(folder / f"{name}.json")
    (folder / "m4l.pyhf.json").write_text("{}")
    (folder / "comparison.json").write_text("{}")
    found = h4l("export-roofit", str(folder.parent))
    assert found.code == 0
    assert "no ROOT here" in found.stderr
    assert sorted(p.name for p in (folder.parent / "roofit").iterdir()) == ["m4l.C", "m4l_events.root", "score.C", "score_events.root"]
    assert [line.rpartition(" ")[2] for line in found.stdout.splitlines()] == ["m4l.C", "score.C"]
    one = h4l("export-roofit", str(folder.parent), "--method", "score", "--out", str(h4l.folder / "one"), "--json")
    assert list(json.loads(one.stdout)["workspaces"]) == ["score"]
    assert h4l("export-roofit", str(folder / "m4l.json"), "--out", str(h4l.folder / "two")).code == 0
    assert (h4l.folder / "two" / "m4l.C").is_file()


def test_wrong_input_exits_with_2(h4l: CommandLine) -> None:
    for words, what in ((["nowhere.json"], "nowhere.json"), ([str(h4l.folder)], "no workspaces")):
        found = h4l("export-roofit", *words)
        assert (found.code, what in found.stderr) == (2, True)
