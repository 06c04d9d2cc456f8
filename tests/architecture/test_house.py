"""Files of the house agree with each other."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEST_MARKERS = re.compile(r"<!-- tests:begin -->\n```bash\n(.+)\n```\n<!-- tests:end -->")


def _readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_readme_has_one_command_for_the_tests() -> None:
    match = TEST_MARKERS.search(_readme())
    assert match is not None
    assert match.group(1).endswith("python -m pytest -n 2 --dist loadfile")


def test_links_of_the_readme_exist() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", _readme())
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_readme_names_every_command() -> None:
    listed = subprocess.run([Path(sys.executable).with_name("h4l"), "--help"], capture_output=True, text=True, check=True).stdout
    for name in ("demo", "run", "process", "classify", "train", "export", "fit", "report", "inspect", "validate"):
        assert re.search(rf"\b{name}\b", listed), name
        assert re.search(rf"\b{name}\b", _readme()), name


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {line.partition("==")[0] for line in lines if line and not line.startswith("#")}
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["test"], *extras["dev"]]
    names = {re.split(r"[\[<>=]", requirement)[0].lower() for requirement in wanted} - {"h4l-toolkit"}
    assert names - pins == set()


def test_torch_of_the_readme_is_the_pinned_one() -> None:
    pinned = re.search(r"^(torch==\S+)", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert pinned is not None
    assert set(re.findall(r"torch==[\d.]+", _readme())) == {pinned.group(1)}
    assert pinned.group(1) in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
