"""One model of the ONNX Runtime for all threads, environments of the caller: with the runtime where it is, with a stub elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from torch import nn

from exports import OnnxExport
from exports.cpp_project import CppProject, write_cpp_project
from tests.unit.exports.cpp_tools import CPP, NLOHMANN, STRICT, compiler, onnxruntime, run

PROGRAM = Path(__file__).with_name("shared_model.cpp")
STUB = Path(__file__).with_name("stubs") / "onnxruntime"
BUILDS = {
    "asan-ubsan": ("g++", "c++17", ("-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")),
    "tsan": ("g++", "c++20", ("-g1", "-fsanitize=thread")),
}
pytestmark = pytest.mark.skipif(not NLOHMANN, reason="not installed: nlohmann-json")


@pytest.fixture(scope="module")
def project(written: tuple[nn.Module, OnnxExport], tmp_path_factory: pytest.TempPathFactory) -> CppProject:
    return write_cpp_project(written[1].path, tmp_path_factory.mktemp("cpp") / "project", sofie=False)


@pytest.fixture(scope="module")
def damaged(project: CppProject, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that are no networks, and for the stub documents alone."""
    folder = tmp_path_factory.mktemp("damaged")
    content = project.onnx.read_bytes()
    (folder / "short.onnx").write_bytes(content[: len(content) // 3])
    (folder / "empty.onnx").write_bytes(b"")
    column = {"name": "m4l", "unit": "GeV", "training_range": [0.0, 1.0]}
    filled = {"schema": 1, "features": [column, {**column, "name": "m_jj_filled"}], "numerators": ["S", "B"], "reference": "B"}
    documents = {
        "filled": {**filled, "fills": {"m_jj": -5.0}, "z1": "harder"},
        "no_features": {k: v for k, v in filled.items() if k != "features"},
        "wrong_type": {**filled, "numerators": [1, 2]},
    }
    for name, document in documents.items():
        (folder / f"{name}.onnx").write_text(json.dumps(document), encoding="utf-8")
    (folder / "no_json.onnx").write_text('{"schema": 1, "features": [}', encoding="utf-8")
    return folder


@pytest.mark.parametrize("build", BUILDS)
def test_threads_and_errors_with_the_stub(build: str, project: CppProject, damaged: Path, tmp_path: Path) -> None:
    command, standard, flags = BUILDS[build]
    empty = tmp_path / "empty.cpp"
    empty.write_text("int main() { return 0; }\n")
    try:
        run(compiler(command), *flags, empty, "-o", tmp_path / "empty")
        run(tmp_path / "empty")
    except AssertionError as error:
        pytest.skip(f"no {build} here: {str(error).strip().splitlines()[0]}")
    include = (f"-I{CPP / 'include'}", f"-I{STUB}")
    sources = (PROGRAM, CPP / "src" / "onnxruntime.cpp")
    run(command, f"-std={standard}", *STRICT, *flags, "-DH4L_STUB", *include, *sources, "-pthread", "-o", tmp_path / "program")
    said = run(tmp_path / "program", project.onnx, project.onnx.with_name("ratio.reference.json"), damaged).stdout
    assert "WRONG" not in said
    for words in ("evaluation: broken", "JSON: ", "no address", "the environment has no thread pool"):
        assert words in said


@pytest.mark.parametrize("build", ["plain", *BUILDS])
def test_threads_and_errors_with_the_runtime(build: str, project: CppProject, damaged: Path, tmp_path: Path) -> None:
    include, library = onnxruntime(tmp_path)
    command, standard, flags = BUILDS.get(build, ("g++", "c++17", ("-O1",)))
    folders = (f"-I{CPP / 'include'}", "-isystem", include)
    sources = (PROGRAM, CPP / "src" / "onnxruntime.cpp")
    link = (library, f"-Wl,-rpath,{tmp_path}", "-pthread")
    run(compiler(command), f"-std={standard}", *STRICT, *flags, *folders, *sources, *link, "-o", tmp_path / "program")
    said = run(tmp_path / "program", project.onnx, project.onnx.with_name("ratio.reference.json"), damaged).stdout
    assert "WRONG" not in said
    assert said.count(": good") == 16
