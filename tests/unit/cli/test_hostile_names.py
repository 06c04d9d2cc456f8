"""Names in data files are names, whatever they look like: never a key, a path, a command or a colour."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import awkward as ak
import numpy as np
import yaml

from tests.hostile import hostile_names
from toolkit.config import load_config
from toolkit.config.document import parse_document
from toolkit.text import visible

if TYPE_CHECKING:
    from conftest import CommandLine

SECTIONS = {"name", "luminosity_ifb", "samples", "selection", "observables", "histograms", "ratios", "report", "morphing", "parameter"}
SECTIONS |= {"likelihood"}
INJECTIONS = (
    'scale\nmodules: ["evil\\x2epy"]\nname: | #',
    "scale\r\nmodules: [evil\\x2epy]",
    "scale\x85modules: 1\u2028modules: 2",
)
LIMIT_S = 60.0


def _shown(text: str) -> bool:
    return visible(text, keep="\n") == text


def _with_branches(ntuples: ModuleType, path: Path, names: list[str]) -> Path:
    columns: dict[str, Any] = ntuples.nano_columns(ntuples.make_events(20, seed=1))
    columns |= {name: ak.from_regular(ak.Array(np.ones((20, 2), np.float32))) for name in names}
    return Path(ntuples.write_tree(path, columns))


def _writable(names: list[str]) -> list[str]:
    """Leave out what uproot takes for something else than a name: parts of paths, records, and cycles."""
    strange = {".", "\0", "/", ";"}
    return [name for name in dict.fromkeys(names) if name and not set(name) & strange and len(name) < 200]


def test_a_branch_cannot_name_a_module(h4l: CommandLine, ntuples: ModuleType) -> None:
    h4l.folder.joinpath("evil.py").write_text(f"open({str(h4l.folder / 'ran')!r}, 'w')\n")
    for k, name in enumerate(INJECTIONS):
        _with_branches(ntuples, h4l.folder / f"a{k}.root", [name])
        for command in (("init", f"a{k}.root", "--out", f"c{k}.yaml"), ("inspect", f"a{k}.root")):
            done = h4l(*command)
            assert (done.code, _shown(done.stdout)) == (0, True), done.stderr
        text = Path(f"c{k}.yaml").read_text()
        assert set(yaml.safe_load(text)) <= SECTIONS
        assert _shown(text)
        assert load_config(f"c{k}.yaml").modules == ()
    assert not (h4l.folder / "ran").exists()


def test_branches_of_any_name(h4l: CommandLine, ntuples: ModuleType) -> None:
    names = _writable(hostile_names(200))
    began, looked_at = time.process_time(), 0
    for k in range(0, len(names), 40):
        batch = names[k : k + 40]
        made = _writable([*batch, *(f"scale{name}weight" for name in batch)])
        file = _with_branches(ntuples, h4l.folder / f"f{k}.root", made).name
        done = h4l("init", file, "--out", f"{k}.yaml")
        assert done.code == 0, done.stderr
        text = Path(f"{k}.yaml").read_text()
        assert _shown(text)
        assert set(yaml.safe_load(text)) <= SECTIONS
        shown = h4l("inspect", file)
        assert (shown.code, _shown(shown.stdout)) == (0, True)
        report = json.loads(h4l("inspect", file, "--json").stdout)
        assert set(made) <= {name for tree in report["trees"] for name in tree["branches"]}
        assert set(yaml.safe_load(report["config"])) <= SECTIONS
        looked_at += len(batch)
        if time.process_time() - began > LIMIT_S:
            break
    assert looked_at > 100


def test_branches_that_are_paths_end_in_a_message(h4l: CommandLine, ntuples: ModuleType) -> None:
    for k, name in enumerate(("/etc/passwd", "../../x", "a;1", "/*", "Electron/pt")):
        _with_branches(ntuples, h4l.folder / f"p{k}.root", [name])
        assert h4l("inspect", f"p{k}.root").code in {0, 2}


def test_trees_and_files_of_any_name(h4l: CommandLine, ntuples: ModuleType) -> None:
    events = ntuples.make_events(20, seed=1)
    names = [name for name in _writable(hostile_names(500)) if len(name) < 60 and not name.isprintable()]
    for k, name in enumerate((*names[:12], "a[b]*?", "{data}", "'\"", "#: - x")):
        file = f"{name}{k}.root"
        ntuples.write_nano(h4l.folder / file, events, tree=name or "t")
        done = h4l("init", file, "--out", f"t{k}.yaml")
        assert done.code in {0, 2}, done.stderr
        assert _shown(done.stdout + done.stderr)
        document = yaml.safe_load(Path(f"t{k}.yaml").read_text())
        assert set(document) <= SECTIONS
        assert document["samples"][0]["tree"] == name
        if name in {"a[b]*?", "{data}", "'\"", "#: - x"}:
            assert done.code == 0, done.stderr
            assert h4l("validate", f"t{k}.yaml").code == 0


def test_csv_columns_of_any_name(h4l: CommandLine, ntuples: ModuleType) -> None:
    columns = ntuples.flat_columns(ntuples.make_events(20, seed=1))
    for prefix in ("{i.__class__}", "{0}", "a\\n", "[red]", "x: y #", "$(id)"):
        renamed = {name.replace("lep", prefix): values for name, values in columns.items()}
        rows = [",".join(f"{values[i]:.17g}" for values in renamed.values()) for i in range(20)]
        Path("a.csv").write_text("\n".join([",".join(renamed), *rows]) + "\n")
        done = h4l("init", "a.csv", "--force")
        assert done.code == 0, done.stderr
        found = parse_document(Path("config.yaml").read_text(), "config")
        assert found["samples"][0]["layout"]["lepton"] == f"{prefix}{{i}}_{{field}}"
        assert h4l("validate", "config.yaml").code == 0
        assert prefix in h4l("inspect", "a.csv").stdout
