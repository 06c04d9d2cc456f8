"""Wheel and source distribution hold what they need and nothing else."""

from __future__ import annotations

import re
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from toolkit import __version__

build = pytest.importorskip("hatchling.build", reason="the build backend comes with the extra `test`")

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("toolkit", "processors", "exports")
DATA = {
    "py.typed",
    *("toolkit/example/demo.yaml", "toolkit/example/*.root"),
    *("toolkit/kinematics/box_network.onnx", "toolkit/kinematics/gg_network.onnx"),
    "toolkit/report/templates/*.j2",
    *(
        "exports/cpp/CMakeLists.txt",
        "exports/cpp/cmake/*.cmake",
        "exports/cpp/cmake/*.in",
        "exports/cpp/examples/*",
        *(f"exports/cpp/frameworks/{own}" for own in ("*.md", "athena/*", "athena/*/*", "cmssw/*", "cmssw/*/*", "rdataframe/*")),
        "exports/cpp/include/h4l/*.h",
        "exports/cpp/src/*.cpp",
        "exports/roofit_macro.C",
    ),
}
"""Files of the wheel besides Python sources."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return zipfile.ZipFile(folder / build.build_wheel(str(folder)))


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("sdist")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        with tarfile.open(folder / build.build_sdist(str(folder))) as archive:
            return {name.partition("/")[2] for name in archive.getnames()}


def _of_packages(names: set[str]) -> set[str]:
    return {name for name in names if name.split("/")[0] in PACKAGES}


def test_the_wheel_holds_every_module_and_the_data_files(wheel: zipfile.ZipFile) -> None:
    names = _of_packages(set(wheel.namelist()))
    modules = {file.relative_to(ROOT).as_posix() for package in PACKAGES for file in (ROOT / package).rglob("*.py")}
    assert {name for name in names if name.endswith(".py")} == modules
    data = names - modules
    assert {f"{package}/py.typed" for package in PACKAGES} <= data
    for pattern in DATA:
        assert [name for name in data if PurePosixPath(name).match(pattern)], pattern
    assert [name for name in data if not any(PurePosixPath(name).match(pattern) for pattern in DATA)] == []


def test_the_wheel_holds_nothing_else(wheel: zipfile.ZipFile) -> None:
    info = f"h4l_toolkit-{__version__}.dist-info/"
    other = set(wheel.namelist()) - _of_packages(set(wheel.namelist()))
    assert {name.removeprefix(info) for name in other} == {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
    assert sum(entry.file_size for entry in wheel.infolist()) < 20e6


def test_metadata_says_what_the_readme_says(wheel: zipfile.ZipFile) -> None:
    info = f"h4l_toolkit-{__version__}.dist-info/"
    metadata = wheel.read(f"{info}METADATA").decode()
    assert re.search(r"^Requires-Python: >=3\.11$", metadata, re.MULTILINE)
    assert re.search(r"^License-Expression: BSD-3-Clause$", metadata, re.MULTILINE)
    assert wheel.read(f"{info}entry_points.txt").decode().split() == ["[console_scripts]", "h4l", "=", "toolkit.cli:main"]


def test_the_source_distribution_can_be_tested_and_built(sources: set[str]) -> None:
    tops = {name.split("/")[0] for name in sources} - {""}
    wanted = {*PACKAGES, "tests", "docs", "benchmarks", "examples", "constraints.txt", "pyproject.toml"}
    wanted |= {"CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md", "LICENSE", "README.md"}
    assert wanted <= tops
    assert tops - wanted <= {".ci", ".gitignore", ".pre-commit-config.yaml", "CITATION.cff", "CONTRIBUTING.md", "PKG-INFO"}
    assert [name for name in sources if "__pycache__" in name or name.endswith((".pyc", ".log"))] == []
