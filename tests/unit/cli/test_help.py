"""Help, examples, completion and screens of every command."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer.main

from toolkit.cli.app import app
from toolkit.cli.examples import EXAMPLES
from toolkit.pipeline import STAGE_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import CommandLine

ROOT = typer.main.get_command(app)
COMMANDS = sorted(ROOT.commands)  # type: ignore[attr-defined]
H4L = Path(sys.executable).with_name("h4l")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_its_examples(h4l: CommandLine, name: str) -> None:
    done = h4l(name, "--help")
    assert done.code == 0
    text = " ".join(done.stdout.split())
    for words, meaning in EXAMPLES[name]:
        assert words in text
        assert meaning in text
    for option in ("--json", "--quiet", "--debug"):
        assert option in text


def test_examples_belong_to_commands() -> None:
    assert set(EXAMPLES) == {"", *COMMANDS}


@pytest.mark.parametrize("words", [words for lines in EXAMPLES.values() for words, _ in lines])
def test_every_example_parses(words: str) -> None:
    program, name, *rest = shlex.split(words.partition(" > ")[0])  # what is behind > is the shell's
    command = ROOT.commands[name]  # type: ignore[attr-defined]
    context = command.make_context(name, list(rest))
    assert (program, context.args) == ("h4l", [])


def test_the_examples_that_need_no_files_run(h4l: CommandLine) -> None:
    for words, _ in (*EXAMPLES["version"], ("h4l demo --dry-run", "")):
        assert h4l(*shlex.split(words)[1:]).code == 0


@pytest.fixture
def complete(h4l: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Ask for completions as bash does."""

    def ask(line: str) -> list[str]:
        monkeypatch.setenv("_H4L_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        done = h4l()
        assert (done.code, done.stderr) == (0, "")
        return done.stdout.split()

    return ask


def test_completion(complete: Callable[[str], list[str]], tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yml", "notes.txt", "events.root"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "c.yaml").touch()
    assert complete("h4l run ") == ["a.yaml", "b.yml", "folder/"]
    assert complete("h4l run folder/") == ["folder/c.yaml"]
    assert complete("h4l run a.yaml --from ") == list(STAGE_NAMES)
    assert complete("h4l run a.yaml --from e") == ["export"]
    assert complete("h4l inspect ") == ["events.root", "folder/"]
    assert complete("h4l status f") == ["folder/"]
    assert complete("h4l rep") == ["report"]
    assert "--dry-run" in complete("h4l fit a.yaml --d")


def test_the_script_for_the_shell_is_shown() -> None:
    done = subprocess.run([H4L], env={**os.environ, "_H4L_COMPLETE": "source_bash"}, capture_output=True, text=True, check=True)
    assert "_H4L_COMPLETE=complete_bash" in done.stdout
    assert {"--install-completion", "--show-completion"} <= {option for parameter in ROOT.params for option in parameter.opts}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["run", "a.yaml", "--form", "fit"], "--from"),
        (["proces", "a.yaml"], "process"),
        (["run", "{config}", "--from", "trian"], "did you mean 'train'?"),
    ],
)
def test_typos_suggest_the_nearest_name(h4l: CommandLine, words: list[str], expected: str) -> None:
    config = h4l.config()
    done = h4l(*(word.format(config=config) for word in words))
    assert done.code == 2
    assert expected in " ".join(done.stderr.split())


def test_typos_of_config_keys_suggest_the_nearest_key(h4l: CommandLine) -> None:
    done = h4l("validate", h4l.config(likelyhood={"seed": 1}, ratios={"epoch": 3}))
    assert "likelyhood: unknown key; did you mean 'likelihood'?" in done.stderr
    assert "ratios.epoch: unknown key; did you mean 'epochs'?" in done.stderr


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1", "FORCE_COLOR": ""}, {"TERM": "dumb"}])
def test_no_control_codes_outside_a_terminal(h4l: CommandLine, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    h4l.hooks["report"] = h4l.write_results
    config = h4l.config()
    for words in (["run", config], ["run", config, "--dry-run"], ["status", "out/tiny"], ["validate", config], ["version"]):
        done = h4l(*words)
        assert "\x1b" not in done.stdout + done.stderr


def test_a_narrow_screen_cuts_no_number(h4l: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    h4l.hooks["report"] = h4l.write_results
    config = h4l.config()
    monkeypatch.setattr("toolkit.cli.console.FILE_WIDTH", 80)
    done = h4l("run", config)
    for number in ("[0.00, 0.40]", "[0.61, 1.85]", "[0.00, 6.00]*"):
        assert number in done.stdout
    h4l("process", config, "--force")
    status = h4l("status", "out/tiny").stdout
    assert re.search(r"process +│ done +│ \d{4}-\d\d-\d\d \d\d:\d\d │ +\d+\.\d s │ +\d+ B │ [0-9a-f]{10} │", status)
    assert max(len(line.rstrip()) for line in status.splitlines() if line[0] in "┏┃┡│└") <= 80
