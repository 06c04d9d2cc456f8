"""The starting points for CMSSW and ATLAS, compiled against stubs of the frameworks' headers and run with a model that needs no runtime."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.exports.cpp_tools import CPP, NLOHMANN, STRICT, compiler, run

STUBS = Path(__file__).with_name("stubs")
FRAMEWORKS = CPP / "frameworks"
OWN = ("h4l/", "FourLeptonRatios/")


@pytest.mark.slow
@pytest.mark.skipif(not NLOHMANN, reason="not installed: nlohmann-json")
@pytest.mark.parametrize(
    ("framework", "folders", "command", "standard"),
    [("cmssw", ("plugins",), "g++", "c++20"), ("athena", (".", "Root"), "clang++", "c++17")],
)
def test_the_starting_points_compile_and_run(framework: str, folders: tuple[str, ...], command: str, standard: str, tmp_path: Path) -> None:
    sources = [*(FRAMEWORKS / framework).rglob("*.cc"), *(FRAMEWORKS / framework).rglob("*.cxx"), *(FRAMEWORKS / framework).rglob("*.h")]
    for header in {h for s in sources for h in re.findall(r'#include "([^"]+)"', s.read_text(encoding="utf-8")) if not h.startswith(OWN)}:
        stub = tmp_path / header
        stub.parent.mkdir(parents=True, exist_ok=True)
        stub.write_text(f'#include "{STUBS / framework}.h"\n', encoding="utf-8")
    include = [f"-I{p}" for p in (*(FRAMEWORKS / framework / f for f in folders), CPP / "include", STUBS, tmp_path)]
    run(compiler(command), f"-std={standard}", *STRICT, *include, STUBS / f"{framework}_main.cpp", "-o", tmp_path / "program")
    run(tmp_path / "program")


def test_the_readme_names_every_file() -> None:
    text = (FRAMEWORKS / "README.md").read_text(encoding="utf-8")
    names = ["cmssw/", "athena/", "rdataframe/", "h4l.xml", "plugins/", "log_ratios.C", "log_ratios.py"]
    for name in (*names, "FourLeptonRatioProducer", "FourLeptonRatioTool"):
        assert name in text
    assert sorted(p.name for p in FRAMEWORKS.iterdir()) == ["README.md", "athena", "cmssw", "rdataframe"]
