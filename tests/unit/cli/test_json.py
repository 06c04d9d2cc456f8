"""`--json`: one document on stdout whatever happens, progress and messages on stderr."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from toolkit import __version__
from toolkit.cli.screen import plain
from toolkit.errors import SchemaError
from toolkit.pipeline import STAGE_NAMES, StageContext

if TYPE_CHECKING:
    from conftest import CommandLine, Outcome


def _document(done: Outcome) -> dict[str, Any]:
    assert done.stdout.count("\n") == 1
    document = json.loads(done.stdout, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert isinstance(document, dict)
    return document


def test_a_run_gives_stages_files_and_headlines(h4l: CommandLine) -> None:
    h4l.hooks["report"] = h4l.write_results
    done = h4l("run", h4l.config(), "--out", "there", "--json")
    document = _document(done)
    assert (done.code, document["out"]) == (0, "there")
    assert [(s["stage"], s["status"]) for s in document["stages"]] == [(name, "ran") for name in STAGE_NAMES]
    assert Path(document["files"]["results"]).is_file()
    nsbi = document["summary"]["methods"]["nsbi"]
    assert nsbi["best_fit"] == 0.98
    assert nsbi["interval_68"] == [[0.0, 0.4], [0.61, 1.85]]
    assert (nsbi["closure"], document["summary"]["poi"]) == ("compatible", "mu")
    assert "[1/7] process" in done.stderr
    assert [s["status"] for s in _document(h4l("run", h4l.config(), "--out", "there", "--json", "--quiet"))["stages"]] == [
        "unchanged"
    ] * len(STAGE_NAMES)


def test_a_stage_gives_its_outcome(h4l: CommandLine) -> None:
    done = h4l("process", h4l.config(), "--json", "--quiet")
    document = _document(done)
    assert (done.stderr, document["summary"]) == ("", None)
    assert document["stages"][0]["stage"] == "process"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["run", "nothing.yaml"], "config nothing.yaml"),
        (["validate", "nothing.yaml"], "config nothing.yaml"),
        (["inspect", "nothing.root"], "input file nothing.root"),
        (["init", "nothing.root"], "input file nothing.root"),
        (["status", "nothing"], "output folder nothing"),
        (["bundle", "nothing", "b.tar.gz"], "nothing"),
        (["reuse", "nothing.tar.gz"], "nothing.tar.gz"),
        (["predict", "nothing.onnx", "a.root"], "nothing.onnx"),
        (["run", "a.yaml", "--fro", "fit"], "No such option: --fro"),
        (["fit"], "Missing argument"),
        (["ruin"], "No such command 'ruin'"),
    ],
)
def test_errors_are_documents_too(h4l: CommandLine, words: list[str], what: str) -> None:
    done = h4l(*words, "--json")
    error = _document(done)["error"]
    assert done.code == 2
    assert set(error) == {"what", "got", "expected", "remedy"}
    assert what in error["what"]
    assert what in done.stderr


def test_defects_and_interruptions_are_documents_too(h4l: CommandLine) -> None:
    def fail(context: StageContext) -> None:
        raise ZeroDivisionError

    def interrupt(context: StageContext) -> None:
        raise KeyboardInterrupt

    h4l.hooks["process"] = fail
    done = h4l("run", h4l.config(), "--json")
    assert (done.code, _document(done)["error"]["what"]) == (1, "internal error")
    h4l.hooks["process"] = interrupt
    done = h4l("run", h4l.config(), "--json")
    assert (done.code, _document(done)["error"]["what"]) == (130, "interrupted")


def test_error_parts_are_those_of_the_exception(h4l: CommandLine) -> None:
    def fail(context: StageContext) -> None:
        raise SchemaError("branch x", got=[1, 2], expected="one number", remedy="choose")

    h4l.hooks["process"] = fail
    error = _document(h4l("run", h4l.config(), "--json"))["error"]
    assert error == {"what": "branch x", "got": "[1, 2]", "expected": "one number", "remedy": "choose"}


def test_version(h4l: CommandLine) -> None:
    document = _document(h4l("version", "--json"))
    assert document["versions"]["h4l-toolkit"] == __version__
    assert "numpy" in h4l("version").stdout


def test_inspect_and_validate(h4l: CommandLine, ntuples: ModuleType) -> None:
    ntuples.write_nano(h4l.folder / "input.root", ntuples.make_events(30, seed=1))
    report = _document(h4l("inspect", "input.root", "--json"))
    assert (report["layout"], report["tree"], report["first_events"]["kind"]) == ("nanoaod", "Events", "simulation")
    assert report["trees"][0]["weight_lengths"] == {"LHEReweightingWeight": [3]}
    document = _document(h4l("validate", h4l.config(), "--json"))
    assert document["valid"] is True
    (sample,) = document["samples"]
    assert (sample["name"], sample["entries"], sample["benchmarks"]) == ("ggF_SBI", 30, ["ggF_S", "ggF_B", "ggF_SBI"])


def test_status(h4l: CommandLine) -> None:
    h4l("process", h4l.config(), "--out", "there")
    document = _document(h4l("status", "there", "--json"))
    assert [stage["state"] for stage in document["stages"]] == ["done", *["missing"] * (len(STAGE_NAMES) - 1)]
    assert len(document["stages"][0]["key"]) == 32
    assert document["lock"] is None


def test_numbers_that_json_lacks_become_null() -> None:
    assert plain({"a": [math.nan, math.inf, 1.0]}) == {"a": [None, None, 1.0]}
