"""`h4l compare`: files, terminal, exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.analysis.finished_runs import make_run

if TYPE_CHECKING:
    from conftest import CommandLine


def test_it_writes_plots_page_and_numbers(h4l: CommandLine) -> None:
    make_run(Path("a"), seed=1)
    make_run(Path("b"), seed=2, tilt=0.4)
    done = h4l("compare", "a", "b", "--out", "there", "--observables", "m4l,cos_theta_1", "--sample", "qqZZ", "--bins", "8")
    assert done.code == 0, done.stderr
    lines = done.stdout.splitlines()
    first = next(line for line in lines if "qqZZ" in line and "/ 8" in line)
    assert "cos_theta_1" in first  # the smaller p-value first
    names = sorted(path.name for path in Path("there").rglob("*") if path.is_file())
    plots = [f"qqZZ.total.{name}.{kind}" for name in ("cos_theta_1", "m4l") for kind in ("json", "pdf", "png")]
    assert names == sorted([*plots, "compare.html", "compare.json"])
    document = json.loads(Path("there/compare.json").read_text())
    assert document["plots"] == ["qqZZ.total.cos_theta_1", "qqZZ.total.m4l"]
    assert (document["a"]["label"], document["b"]["label"], document["normalised"]) == ("a", "b", False)
    histogram = next(h for h in document["samples"][0]["histograms"] if h["observable"] == "cos_theta_1")
    assert (histogram["ndf"], len(histogram["ratio"])) == (8, 8)
    page = Path("there/compare.html").read_text()
    assert "qqZZ" in page
    assert page.count("data:image/png") == 2


def test_the_document_is_the_file(h4l: CommandLine) -> None:
    make_run(Path("a"), seed=1)
    make_run(Path("b"), seed=2)
    done = h4l("compare", "a", "b", "--json", "--quiet", "--normalise", "--observables", "m4l", "--sample", "qqZZ")
    assert (done.code, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    files = document.pop("files")
    assert document == json.loads(Path(files["numbers"]).read_text())
    histogram = document["samples"][0]["histograms"][0]
    assert histogram["ndf"] == len(histogram["ratio"]) - 1
    assert Path(files["page"]).parent == Path("h4l-compare")


def test_the_same_events_are_said_on_terminal_and_page(h4l: CommandLine) -> None:
    make_run(Path("a"), seed=1)
    done = h4l("compare", "a", "a", "--observables", "m4l", "--sample", "qqZZ")
    assert done.code == 0
    assert "3000 events are in both runs: A and B are not independent" in " ".join(done.stdout.split())
    assert "3000 events are in both runs" in Path("h4l-compare/compare.html").read_text()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["a", "nothing"], "run nothing"),
        (["a", "."], "run ."),
        (["a", "b", "--sample", "ttZ"], "sample"),
        (["a", "b", "--observables", "m_jj"], "observable of sample ggF_SBI"),
        (["a", "b", "--observables", " , "], "--observables"),
        (["a", "b", "--bins", "0"], "--bins"),
        (["a", "b", "--out", "b"], "--out"),
        (["a", "other"], "sample"),
    ],
)
def test_wrong_input_exits_with_2(h4l: CommandLine, words: list[str], what: str) -> None:
    make_run(Path("a"), seed=1, n=50)
    make_run(Path("b"), seed=2, n=50)
    make_run(Path("other"), seed=3, n=50, samples=[{"name": "VVV", "files": ["v.root"]}])
    done = h4l("compare", *words, "--json")
    error = json.loads(done.stdout)["error"]
    assert done.code == 2
    assert what in error["what"]
    assert error["got"]
    assert not Path("h4l-compare").exists()
