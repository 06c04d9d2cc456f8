"""What the pages say can be done: links lead somewhere, commands and options exist, snippets import, configs are read."""

from __future__ import annotations

import ast
import doctest
import importlib
import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from typer.main import get_command

from toolkit.cli.app import app
from toolkit.config import Config
from toolkit.example import demo_config

ROOT = Path(__file__).resolve().parents[3]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md"))])
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
COMMANDS: dict[str, click.Command] = get_command(app).commands  # type: ignore[attr-defined]
EXECUTED = ("combine", "effective_theories")
CONFIGS = (
    "add_systematic",
    "classifiers",
    "effective_theories",
    "estimators",
    "intervals",
    "observables",
    "observed",
    "report",
    "systematics",
)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def text_of(page: Path) -> str:
    if page.suffix != ".ipynb":
        return page.read_text(encoding="utf-8")
    cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def blocks(page: Path, language: str) -> list[str]:
    return [body for found, body in BLOCK.findall(text_of(page)) if found == language]


def anchors(page: Path) -> set[str]:
    without_code = re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.+)$", without_code, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*PAGES, *DOCS.rglob("*.ipynb")], ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```|`[^`\n]+`", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    for link in LINK.findall(prose):
        if "://" in link:
            assert link.startswith("https://"), link
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), f"{name(page)} links to {link}"
        assert target.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(target), f"{name(page)} links to {link}; sections: {sorted(anchors(target))}"


def test_every_page_is_in_the_navigation() -> None:
    listed = {"index"}
    for index, folder in ((DOCS / "index.md", ""), (DOCS / "api" / "index.md", "api/")):
        for tree in re.findall(r"^```{toctree}\n(.*?)^```", text_of(index), re.DOTALL | re.MULTILINE):
            listed |= {folder + line for line in tree.splitlines() if line and not line.startswith(":")}
    pages = {str(p.relative_to(DOCS).with_suffix("")) for p in (*DOCS.rglob("*.md"), *DOCS.rglob("*.ipynb"))}
    assert pages == listed, f"in docs/index.md, but no page: {sorted(listed - pages)}; not in docs/index.md: {sorted(pages - listed)}"


def calls(page: Path) -> Iterator[list[str]]:
    """Every call of h4l in the shell snippets of a page."""
    for block in blocks(page, "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"&&|\|\||;", line):
                if part.split()[:1] == ["h4l"]:
                    yield shlex.split(part.replace("[--", " --").replace("]", ""), comments=True)[1:]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_and_options_exist(page: Path) -> None:
    for command, *words in calls(page):
        if command in {"--help", "--version"}:
            continue
        assert command in COMMANDS, f"{name(page)}: h4l {command}"
        known = {option for p in COMMANDS[command].params for option in (*p.opts, *p.secondary_opts)} | {"--help"}
        unknown = [word for word in words if word.startswith("--") and word not in known]
        assert not unknown, f"{name(page)}: h4l {command} {unknown}"


def test_commands_are_found_in_the_pages() -> None:
    found = [call for page in PAGES for call in calls(page)]
    assert len(found) > 20
    assert {"demo", "run", "validate", "cpp", "bundle", "reuse", "predict"} <= {call[0] for call in found}


def with_marks(page: Path) -> Any:
    """Say of a page whether its snippets import what needs torch."""
    imports = re.search(r"^(from|import) (torch|exports|toolkit\.ratios)\b", text_of(page), re.MULTILINE)
    return pytest.param(page, id=name(page), marks=[pytest.mark.torch] if imports else [])


@pytest.mark.parametrize("page", [with_marks(page) for page in PAGES])
def test_python_snippets_parse_and_import_what_exists(page: Path) -> None:
    for block in blocks(page, "python"):
        source = block
        if ">>>" in block:
            source = "".join(example.source for example in doctest.DocTestParser().get_examples(block))
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in {"toolkit", "processors", "exports"}:
                module = importlib.import_module(str(node.module))
                missing = [alias.name for alias in node.names if not hasattr(module, alias.name)]
                assert not missing, f"{name(page)}: {node.module} has no {missing}"


@pytest.mark.parametrize("page", EXECUTED)
def test_doctests_give_what_the_page_says(page: str) -> None:
    found = doctest.testfile(str(DOCS / f"{page}.md"), module_relative=False)
    assert found.attempted > 5
    assert found.failed == 0


@pytest.mark.parametrize("page", CONFIGS)
def test_config_snippets_are_read(page: str) -> None:
    """A snippet that is no whole config completes that of the demo."""
    demo: dict[str, Any] = yaml.safe_load(demo_config().read_text(encoding="utf-8"))
    snippets = blocks(DOCS / f"{page}.md", "yaml")
    assert snippets
    for snippet in snippets:
        document = yaml.safe_load(snippet)
        Config.model_validate(document if "samples" in document else demo | document)


def test_the_change_of_the_tutorial_changes_the_bins_of_m4l(tmp_path: Path) -> None:
    command = next(line for line in text_of(DOCS / "tutorial.md").splitlines() if line.startswith("sed "))
    changed = tmp_path / "mine" / "demo.yaml"
    changed.parent.mkdir()
    shutil.copy(demo_config(), changed)
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True)
    expected = yaml.safe_load(demo_config().read_text(encoding="utf-8"))
    expected["histograms"]["m4l"]["edges"] = [220, 300, 400, 600, 1000, 2001]
    assert yaml.safe_load(changed.read_text(encoding="utf-8")) == expected
