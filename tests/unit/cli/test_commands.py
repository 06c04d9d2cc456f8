"""Commands, options and exit codes of `h4l`, on fake stages."""

from __future__ import annotations

import errno
import os
import signal
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from toolkit import __version__
from toolkit.cli.failures import terminable
from toolkit.errors import SchemaError
from toolkit.pipeline import STAGE_NAMES, StageContext

if TYPE_CHECKING:
    from conftest import CommandLine


def test_run_runs_all_stages_and_prints_the_comparison(h4l: CommandLine) -> None:
    h4l.hooks["report"] = h4l.write_results
    done = h4l("run", h4l.config(), "--out", "there")
    assert done.code == 0, done.stderr
    assert h4l.ran == list(STAGE_NAMES)
    for words in ("rate", "nsbi", "[0.00, 0.40]", "[0.61, 1.85]", "0.35 ± 0.12", "1.10", "[0.00, 6.00]*", "report.html"):
        assert words in done.stdout
    assert "[1/7] process" in done.stderr
    again = h4l("run", h4l.config(), "--out", "there")
    assert (again.code, h4l.ran) == (0, [])
    assert "unchanged, skipped" in again.stderr
    assert again.stdout == done.stdout


def test_the_default_folder_carries_the_name_of_the_config(h4l: CommandLine) -> None:
    h4l.hooks["report"] = h4l.write_results
    assert h4l("run", h4l.config(), "--quiet").code == 0
    assert (h4l.folder / "out" / "tiny" / "results.json").is_file()


def test_quiet_shows_results_only(h4l: CommandLine) -> None:
    h4l.hooks["report"] = h4l.write_results
    done = h4l("run", h4l.config(), "--quiet")
    assert done.stderr == ""
    assert "nsbi" in done.stdout


@pytest.mark.parametrize(("words", "ran"), [(("--from", "fit"), ["fit", "report"]), ((), [])])
def test_from(h4l: CommandLine, words: tuple[str, ...], ran: list[str]) -> None:
    h4l.hooks["report"] = h4l.write_results
    h4l("run", h4l.config())
    assert h4l("run", h4l.config(), *words).code == 0
    assert h4l.ran == ran


def test_single_stages_run_one_after_the_other(h4l: CommandLine) -> None:
    h4l.hooks["report"] = h4l.write_results
    for stage in STAGE_NAMES:
        done = h4l(stage, h4l.config())
        assert (done.code, h4l.ran) == (0, [stage]), done.stderr
    assert "nsbi" in done.stdout
    for words in (("--force",), ("--from", "train")):
        assert h4l("train", h4l.config(), *words).code == 0
        assert h4l.ran == ["train"]


def test_a_single_stage_names_the_one_it_needs(h4l: CommandLine) -> None:
    done = h4l("fit", h4l.config())
    assert done.code == 2
    assert "`h4l process` first" in done.stderr
    assert h4l.ran == []


def test_executor_options_reach_the_stages(h4l: CommandLine) -> None:
    h4l("process", h4l.config(), "--executor", "futures", "--workers", "3")
    assert (h4l.contexts[0].executor.name, h4l.contexts[0].executor.workers) == ("futures", 3)


def test_several_workers_need_no_name_of_an_executor(h4l: CommandLine) -> None:
    h4l("process", h4l.config(), "--workers", "3")
    assert (h4l.contexts[0].executor.name, h4l.contexts[0].executor.workers) == ("futures", 3)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "nothing.yaml"], ["config nothing.yaml", "remedy"]),
        (["run", "{config}", "--from", "trian"], ["trian", "process, histograms, classify, train, export, fit, report"]),
        (["fit", "{config}", "--from", "train"], ["--from", "h4l run"]),
        (["run", "{config}", "--executor", "spark"], ["spark", "futures"]),
        (["run", "{config}", "--workers", "0"], ["--workers"]),
        (
            ["run", "{config}", "--executor", "iterative", "--workers", "4"],
            ["--workers", "got:      4 with --executor iterative", "expected: --executor futures or dask"],
        ),
        (["run", "{config}", "--executor", "futures", "--scheduler", "tcp://a:1"], ["--scheduler", "expected: --executor dask"]),
        (["run", "{config}", "--out", "{config}", "--dry-run"], ["output folder", "a file of that name", "another with --out"]),
        (["status", "{config}"], ["output folder", "got:      a file\n"]),
        (["run", "{config}", "--colour", "red"], ["--colour"]),
        (["run"], ["CONFIG"]),
        (["ruin"], ["ruin"]),
    ],
)
def test_wrong_words_are_explained(h4l: CommandLine, words: list[str], expected: list[str]) -> None:
    config = h4l.config()
    done = h4l(*(word.format(config=config) for word in words))
    assert done.code == 2
    for word in expected:
        assert word in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert {path.name for path in h4l.folder.iterdir()} == {"analysis.yaml"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"luminosity": 3.0}, ["luminosity: unknown key", "luminosity_ifb"]),
        ({"parameter": {"range": [2.0, 6.0]}}, ["excludes the Asimov truth 1.0"]),
        ({"likelihood": {"closure_mu": [7.0]}}, ["closure_mu", "outside"]),
        ({"luminosity_ifb": -1}, ["luminosity_ifb", "greater than 0"]),
        ({"samples": []}, ["samples"]),
    ],
)
def test_wrong_configs_are_explained(h4l: CommandLine, changes: dict[str, object], expected: list[str]) -> None:
    done = h4l("run", h4l.config(**changes))
    assert done.code == 2
    for word in expected:
        assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name for path in h4l.folder.iterdir()} == {"analysis.yaml"}


def test_wrong_input_gives_a_traceback_only_with_debug(h4l: CommandLine) -> None:
    def fail(context: StageContext) -> None:
        raise SchemaError("branch Elektron_pt", got="no such branch", expected="Electron_pt", remedy="correct the config")

    h4l.hooks["process"] = fail
    done = h4l("run", h4l.config())
    assert done.code == 2
    assert done.stderr.endswith(
        "error: branch Elektron_pt\n  got:      no such branch\n  expected: Electron_pt\n  remedy:   correct the config\n"
    )
    assert "Traceback" not in done.stderr
    assert not (h4l.folder / "out").exists()
    assert "Traceback" in h4l("run", h4l.config(), "--debug").stderr


def test_a_defect_of_ours_exits_with_1(h4l: CommandLine) -> None:
    def fail(context: StageContext) -> None:
        raise ZeroDivisionError

    h4l.hooks["process"] = fail
    done = h4l("run", h4l.config())
    assert done.code == 1
    assert "ZeroDivisionError" in done.stderr
    assert "--debug" in done.stderr


def test_sigterm_says_what_an_interruption_says_and_exits_with_143(h4l: CommandLine) -> None:
    h4l.hooks["train"] = lambda context: os.kill(os.getpid(), signal.SIGTERM)
    done = h4l("run", h4l.config())
    assert done.code == 143
    assert "interrupted. Finished stages are kept: run the same command again to go on." in done.stderr
    assert "Traceback" not in done.stderr
    h4l.hooks["train"] = lambda _: None
    h4l.hooks["report"] = h4l.write_results
    assert h4l("run", h4l.config()).code == 0
    assert h4l.ran == ["train", "export", "fit", "report"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_interruption_that_python_ignores_strikes_again(h4l: CommandLine, number: signal.Signals, code: int) -> None:
    """What is raised in the callback of a weak reference is ignored."""

    def interrupted_in_a_callback(context: StageContext) -> None:
        target, ends = {1}, time.monotonic() + 20.0
        kept = weakref.ref(target, lambda _: signal.raise_signal(number))
        del target, context
        while time.monotonic() < ends:
            pass
        del kept

    h4l.hooks["train"] = interrupted_in_a_callback
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # processes in the background start with it ignored
    try:
        done = h4l("run", h4l.config())
    finally:
        signal.signal(signal.SIGINT, usual)
    assert done.code == code
    assert "interrupted. Finished stages are kept" in done.stderr
    assert "ignored" not in done.stderr
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


def test_a_forked_worker_dies_of_sigterm(tmp_path: Path) -> None:
    with terminable():
        worker = os.fork()
        if worker == 0:
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == -signal.SIGTERM


def test_an_interruption_exits_with_130_and_says_how_to_go_on(h4l: CommandLine) -> None:
    def interrupt(context: StageContext) -> None:
        raise KeyboardInterrupt

    h4l.hooks["train"] = interrupt
    done = h4l("run", h4l.config())
    assert done.code == 130
    assert "run the same command again" in done.stderr
    h4l.hooks["train"] = lambda _: None
    h4l.hooks["report"] = h4l.write_results
    assert h4l("run", h4l.config()).code == 0
    assert h4l.ran == ["train", "export", "fit", "report"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_disk_that_cannot_be_written_exits_with_2(h4l: CommandLine, code: int) -> None:
    def fail(context: StageContext) -> None:
        raise OSError(code, "the reason", "table.parquet")

    h4l.hooks["export"] = fail
    done = h4l("run", h4l.config())
    assert done.code == 2
    assert "the reason" in done.stderr
    assert "free disk space" in done.stderr
    assert not (h4l.folder / "out" / "tiny" / "export.txt").exists()


def test_output_folder_that_is_a_file(h4l: CommandLine) -> None:
    Path("taken").write_text("mine")
    done = h4l("run", h4l.config(), "--out", "taken")
    assert done.code == 2
    assert "a file of that name" in done.stderr
    assert Path("taken").read_text() == "mine"


def test_version_and_help(h4l: CommandLine) -> None:
    assert h4l("--version").stdout == f"h4l-toolkit {__version__}\n"
    done = h4l("run", "--help")
    assert done.code == 0
    for option in ("--out", "--from", "--executor", "--workers", "--scheduler", "--data", "--debug", "--quiet"):
        assert option in done.stdout


def test_degenerate_benchmarks_are_refused_before_any_work(h4l: CommandLine) -> None:
    points = {"ggF_B": 0.0, "ggF_SBI": 1.0, "ggF_S": 1.0}
    done = h4l("run", h4l.config(morphing={"basis": "EW", "points": points}))
    assert done.code == 2
    assert "degenerate: ggF_S, ggF_SBI" in " ".join(done.stderr.split())
    assert h4l.ran == []


def general(h4l: CommandLine) -> str:
    """Write a config with two parameters and no events of one benchmark, and return its path."""
    return h4l.config(
        parameters={"mu": {"range": [0, 6]}, "t0": {"kind": "normalisation", "range": [0.2, 3]}},
        processes={"ggF": {"basis": "ggF"}, "qqZZ": {"factor": "t0"}},
        samples=[
            {"name": "ggF_S", "process": "ggF", "files": ["input.root"]},
            {"name": "ggF_B", "process": "ggF", "files": ["input.root"]},
            {"name": "qqZZ", "files": ["input.root"]},
        ],
    )


@pytest.mark.parametrize("words", [["run"], ["run", "--dry-run"], ["validate"], ["fit"]])
def test_a_general_model_is_refused_in_one_message_until_it_can_be_fitted(h4l: CommandLine, words: list[str]) -> None:
    done = h4l(*words, general(h4l))
    said = " ".join(done.stderr.split())
    assert done.code == 2
    assert "cannot be trained and fitted yet" in said
    assert "processes whose samples together lack benchmarks (ggF)" in said
    assert "h4l process" in said
    assert h4l.ran == []


def test_a_general_model_can_be_processed(h4l: CommandLine) -> None:
    assert h4l("process", general(h4l)).code == 0
    assert h4l.ran == ["process"]


@pytest.mark.parametrize("files", ["a" * 5000, "**/**/***/**", "a**b", "", "..", "{data}/x", "/dev/null/x"])
def test_odd_paths_of_a_config_are_wrong_input(h4l: CommandLine, files: str) -> None:
    done = h4l("validate", h4l.config(samples=[{"name": "a", "files": [files]}]))
    assert (done.code, "  got:  " in done.stderr, "internal error" in done.stderr) == (2, True, False), done.stderr
