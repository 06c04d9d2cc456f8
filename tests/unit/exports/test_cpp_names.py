"""Names from ONNX files stand in C++ as texts and nothing else."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
from pathlib import Path

import onnx
import pytest
from torch import nn

from exports.cpp_project import write_cpp_project
from exports.onnx_writer import OnnxExport
from exports.sofie import check_names, cpp_literal, wrapper
from tests.hostile import hostile_names
from toolkit.errors import SchemaError

NAMES = [name for name in hostile_names(500) if name]
METADATA = json.dumps({"numerators": NAMES, "raw": ')h4l"; system("id"); //', "keys": "@SIZE@ @NAME@ @BUFFER@"}, ensure_ascii=False)


def test_a_literal_holds_the_text_byte_for_byte() -> None:
    for name in (*NAMES, "", METADATA):
        lines = cpp_literal(name).splitlines()
        assert b"".join(ast.literal_eval(f"b{line}") for line in lines) == name.encode()
        assert all(line.isascii() and line.isprintable() for line in lines)


def test_a_name_that_looks_like_a_key_stays_a_name() -> None:
    text = wrapper("net", METADATA, weights=b"1", spread=True, n_out=2)
    literal = text.split("metadata_ = ")[1].split(";\n};")[0]
    assert b"".join(ast.literal_eval(f"b{line}") for line in literal.splitlines()) == METADATA.encode()


@pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler")
def test_a_compiler_reads_the_same_bytes(tmp_path: Path) -> None:
    main = "int main() { fwrite(text, 1, sizeof text - 1, stdout); }"
    program = f"#include <cstdio>\nstatic const char text[] = {cpp_literal(METADATA)};\n{main}\n"
    (tmp_path / "a.cpp").write_text(program)
    subprocess.run(["g++", "-std=c++17", "-Wall", "-Werror", "-o", str(tmp_path / "a"), str(tmp_path / "a.cpp")], check=True)
    assert subprocess.run([str(tmp_path / "a")], capture_output=True, check=True).stdout == METADATA.encode()


def test_graphs_with_names_that_are_code_are_refused(written: tuple[nn.Module, OnnxExport], tmp_path: Path) -> None:
    model = onnx.load(written[1].path)
    check_names(model.graph, written[1].path)
    model.graph.node[0].name = 'a; system("id"); //'
    onnx.save(model, tmp_path / "evil.onnx")
    with pytest.raises(SchemaError, match="letters, digits and _"):
        write_cpp_project(tmp_path / "evil.onnx", tmp_path / "project")
    assert not (tmp_path / "project").exists()


def test_names_of_models_are_plain(written: tuple[nn.Module, OnnxExport], tmp_path: Path) -> None:
    for name in ("é", "aé", "a b", "a" * 200, "a;b", "a\n", "@NAME@"):
        with pytest.raises(SchemaError, match="--name"):
            write_cpp_project(written[1].path, tmp_path / "project", name=name)
