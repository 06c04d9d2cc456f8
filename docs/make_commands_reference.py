"""Write docs/commands.md from the command line itself: `python docs/make_commands_reference.py`.

The tests check that the file is current.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer.main

from toolkit.cli.app import app
from toolkit.cli.examples import EXAMPLES

TARGET = Path(__file__).with_name("commands.md")
HEAD = """# Commands

Written by `docs/make_commands_reference.py` from the program; do not edit by hand. `h4l COMMAND --help` shows the same on a terminal.

Results go to stdout, progress and messages to stderr. Exit code 0 is success, 2 means that something in the input is wrong, 130 that the
run was interrupted (143 by SIGTERM, as batch systems do; finished work is kept either way), 1 that the toolkit has a defect. A wrong input
gives one message that says what is wrong, what was found, what was expected and what to do.

**On every command:** `--json` prints one JSON document on stdout instead of text, and errors as `{"error": {"what", "got", "expected",
"remedy"}}` with the same exit codes. `--quiet` shows results and errors only. `--debug` shows tracebacks.

**Terminals:** colours and bars need a terminal; elsewhere, with `NO_COLOR=1` or on `TERM=dumb`, everything is plain text, and long
steps write a line with the time left now and then.

**Completion:** `h4l --install-completion` teaches bash, zsh, fish or PowerShell the commands, options, stages and the files that
each argument takes; `--show-completion` prints the script instead.

**Before a long run:** `--dry-run` on `demo`, `run` and every stage says which stages would run and why (the changed key of the config, the
changed module, the changed input file, the missing output), what they would read and write and how much disk they need. It writes nothing.
"""
COMMON = ("--json", "--quiet", "--debug", "--help")
"""Options that every command has; the page says so once."""


def reference() -> str:
    """Return the content of docs/commands.md."""
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    panels: dict[str, list[str]] = {}
    for name, command in commands.items():
        panels.setdefault(str(command.rich_help_panel), []).append(name)
    parts = [HEAD, *_overview(panels, commands)]
    for names in panels.values():
        parts += [_section(name, commands[name]) for name in names]
    return "\n".join(parts)


def _overview(panels: dict[str, list[str]], commands: dict[str, Any]) -> list[str]:
    lines = ["| | command | does |", "|---|---|---|"]
    for panel, names in panels.items():
        for k, name in enumerate(names):
            lines.append(f"| {panel if k == 0 else ''} | [`h4l {name}`](#h4l-{name}) | {_summary(commands[name])} |")
    return lines


def _summary(command: Any) -> str:
    return str(command.help).split("\n\n", maxsplit=1)[0].replace("\n", " ").strip()


def _section(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.opts[0] not in COMMON]
    usage = " ".join(["h4l", name, *(p.metavar for p in arguments), *(["[OPTIONS]"] if options else [])])
    lines = [f"\n## h4l {name}\n", f"{_summary(command)}\n", f"`{usage}`\n"]
    lines += ["```bash", *_examples(name), "```"]
    if arguments or options:
        lines += ["", "| | | default | meaning |", "|---|---|---|---|", *(_row(p) for p in (*arguments, *options))]
    return "\n".join(lines)


def _examples(name: str) -> list[str]:
    width = max(len(words) for words, _ in EXAMPLES[name])
    return [f"{words:<{width}}   # {meaning}" for words, meaning in EXAMPLES[name]]


def _row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        cells = [f"`{parameter.metavar}`", "", "required", parameter.help]
    else:
        names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
        cells = [names, _value(parameter), _default(parameter), parameter.help]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _value(option: Any) -> str:
    if option.is_flag:
        return ""
    choices = getattr(getattr(option, "type_descriptor", None) or option.type, "choices", None)
    if choices:
        return " or ".join(f"`{choice}`" for choice in choices)
    return f"`{option.metavar}`" + (", several times" if option.multiple else "")


def _default(option: Any) -> str:
    if option.required:
        return "required"
    if option.is_flag and not option.secondary_opts:
        return ""
    return "" if option.default in (None, [], ()) else f"`{str(option.default).lower() if option.is_flag else option.default}`"


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
