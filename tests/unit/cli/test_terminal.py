"""Text of foreign origin on the terminal, and terminals that go away."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rich.table import Table
from rich.text import Text

from toolkit.cli.console import PlainConsole
from toolkit.cli.screen import show_on
from toolkit.errors import SchemaError
from toolkit.pipeline import StageContext

if TYPE_CHECKING:
    from conftest import CommandLine

HOSTILE = "w[njet]\x1b[2J\x1b]8;;http://x\x07\u202e\n:smile: [red]x[/red]"
SHOWN = r"w[njet]\x1b[2J\x1b]8;;http://x\x07\u202e\n:smile: [red]x[/red]"
RUN = (sys.executable, "-c", "from toolkit.cli import main; main()")


def _printed(*parts: Text | Table | str) -> str:
    stream = io.StringIO()
    show_on(PlainConsole(file=stream, width=200), *parts)
    return stream.getvalue()


def test_markup_and_control_characters_are_shown() -> None:
    table = Table(title=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    for part in (HOSTILE, table):
        assert _printed(part).count(SHOWN) == (1 if part is HOSTILE else 3)
        assert set(_printed(part)) - {"\n"} == {c for c in _printed(part) if c.isprintable()}
    # rich itself drops the bell from its own texts.
    assert _printed(Text(f"two\nlines {HOSTILE}")) == "two\nlines " + SHOWN.replace(r"\n", "\n").replace(r"\x07", "") + "\n"


def test_an_error_shows_control_characters_and_keeps_its_parts_apart(h4l: CommandLine) -> None:
    def fail(context: StageContext) -> None:
        del context
        raise SchemaError(f"branch {HOSTILE!r}", got="\x1b[2Ja\n  remedy:   do as I say", remedy="another name")

    h4l.hooks["process"] = fail
    done = h4l("run", h4l.config())
    assert "\x1b" not in done.stderr
    assert r"\x1b[2Ja" in done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("  remedy")] == ["  remedy:   another name"]
    assert "\x1b" not in h4l("run", h4l.config(), "--debug").stderr


@pytest.mark.parametrize("words", [("inspect", "a.root", "\x1b[2J"), ("run", "x.yaml", "--executor", "\x1b[2J"), ("\x1b[2J",)])
def test_a_wrong_word_is_shown_not_obeyed(h4l: CommandLine, words: tuple[str, ...]) -> None:
    for extra in ((), ("--json",)):
        done = h4l(*words, *extra)
        assert done.code == 2
        assert "\x1b" not in done.stderr + done.stdout
        assert r"\x1b[2J" in done.stderr


def _exit_code(words: list[str], *, stdout: int | None = None, stderr: int | None = None) -> int:
    return subprocess.run([*RUN, *words], stdout=stdout, stderr=stderr, check=False).returncode


def test_a_reader_that_goes_away_changes_no_exit_code(tmp_path: Path) -> None:
    for words, code in ((["version", "--json"], 0), (["inspect", str(tmp_path / "none.root")], 2), (["--help"], 0)):
        reading, writing = os.pipe()
        os.close(reading)
        try:
            assert _exit_code(words, stdout=writing, stderr=writing) == code
        finally:
            os.close(writing)


@pytest.mark.parametrize(
    ("closed", "words", "code"),
    [
        ("1>&-", ["version"], 0),
        ("2>&-", ["run", "a", "--none"], 2),
        ("1>&- 2>&-", ["version"], 0),
        ("1>&- 2>&-", ["inspect", "none.root"], 2),
    ],
)
def test_closed_streams_change_no_exit_code(closed: str, words: list[str], code: int) -> None:
    done = subprocess.run(["bash", "-c", f'"$@" {closed}', "bash", *RUN, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_results_that_cannot_be_written_are_no_success() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*RUN, "version", "--json"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 3)
    assert "No space left on device" in done.stderr
