"""Generated code in a foreign locale, with four threads, and under the sanitisers of the compiler."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from torch import nn

from exports import OnnxExport
from exports.cpp_project import CppProject, write_cpp_project
from tests.unit.exports.cpp_tools import needs_tools, run

PROGRAM = Path(__file__).with_name("threads.cpp")
BUILDS = {"plain": (), "asan-ubsan": ("-fsanitize=address,undefined", "-fno-sanitize-recover=all"), "tsan": ("-fsanitize=thread",)}
LOCALE = "de_DE.UTF-8"
pytestmark = needs_tools


@pytest.fixture(scope="module")
def code(written: tuple[nn.Module, OnnxExport], tmp_path_factory: pytest.TempPathFactory) -> CppProject:
    return write_cpp_project(written[1].path, tmp_path_factory.mktemp("cpp") / "project")


@pytest.fixture(scope="module", params=BUILDS)
def program(code: CppProject, request: pytest.FixtureRequest) -> Path:
    """The program with the generated code inside; skipped where the compiler has no such sanitiser, or it cannot run here."""
    flags, models = BUILDS[request.param], code.onnx.parent
    target = code.folder / f"threads-{request.param}"
    empty = code.folder / "empty.cpp"
    empty.write_text("int main() { return 0; }\n")
    try:
        run("g++", *flags, empty, "-o", code.folder / "empty")
        run(code.folder / "empty")
    except AssertionError as error:
        pytest.skip(f"no {request.param} here: {str(error).strip().splitlines()[0]}")
    include = (f"-I{code.folder / 'include'}", f"-I{models / 'include'}")
    sources = (PROGRAM, models / "ratio_model.cpp")
    run("g++", "-std=c++20", "-O1", "-g1", *flags, *include, *sources, "-lopenblas", "-pthread", "-o", target)
    return target


@pytest.fixture(scope="module")
def german(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the German locale, made here so that the machine needs to have its sources only."""
    folder = tmp_path_factory.mktemp("locales")
    if shutil.which("localedef") is None or not Path("/usr/share/i18n/locales/de_DE").exists():
        pytest.skip(f"no sources of the locale {LOCALE}")
    run("localedef", "-i", "de_DE", "-f", "UTF-8", folder / LOCALE)
    return folder


def check(program: Path, code: CppProject, *locale: str, **environment: str) -> None:
    said = run(program, code.weights, code.onnx.with_name("ratio.reference.json"), *locale, **environment).stdout
    assert said.count(": good") == 14
    assert "WRONG" not in said


def test_comma_in_cpp_streams(program: Path, code: CppProject) -> None:
    check(program, code, "facet")


def test_german_locale(program: Path, code: CppProject, german: Path, tmp_path: Path) -> None:
    known = tmp_path / "leaks"  # the C library keeps the path of locales until the end
    known.write_text("leak:argz_add_sep\n")
    check(program, code, LOCALE, LOCPATH=str(german), LSAN_OPTIONS=f"suppressions={known}:print_suppressions=0")
