"""Write the CMake project of a ratio network: `exports/cpp`, the ONNX file with its rows, and the code that SOFIE generates."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import onnx

from exports.cpp_tables import NAME as TABLES
from exports.cpp_tables import matrix_element_tables
from exports.momenta import momenta_document
from exports.onnx_writer import fused_path
from exports.sofie import check_names, open_header, run_sofie, wrapper
from toolkit.artifacts.atomic import make_folder, write_bytes, write_json
from toolkit.artifacts.onnx_metadata import METADATA_KEY
from toolkit.errors import SchemaError
from toolkit.likelihood.onnx_ratio import OnnxRatio

CPP = Path(__file__).parent / "cpp"
_TAKEN = frozenset({path.stem for path in (CPP / "include" / "h4l").glob("*.h")} | {Path(TABLES).stem, "h4l"})


@dataclass(frozen=True)
class CppProject:
    """Say what `write_cpp_project` wrote.

    Attributes:
        folder: The CMake project.
        name: Name of the model: library `h4l::<name>`, function `h4l::open_<name>`.
        onnx: The ONNX file, for the ONNX Runtime.
        weights: Weights of the generated code, None without SOFIE.
    """

    folder: Path
    name: str
    onnx: Path
    weights: Path | None


def write_cpp_project(model: str | Path, folder: str | Path, *, name: str | None = None, sofie: bool = True) -> CppProject:
    """Write a CMake project that evaluates a ratio network from C++.

    Args:
        model: File written by `write_onnx`; its reference rows and its fused form are copied from beside it.
        folder: The project; models of an earlier call stay, so that several networks can share one project.
        name: Name of the model in C++; by default that of the file.
        sofie: Generate code with SOFIE. Without it the ONNX file is for the back end of the ONNX Runtime.

    Returns:
        What was written.

    Raises:
        InputFileError: The model file is missing or damaged.
        ArtifactMismatchError: It is of another form.
        MissingExtraError: SOFIE is not installed.
        SchemaError: SOFIE cannot read the graph, or the name is none of C++.
    """
    path, project = Path(model), Path(folder)
    ratio = OnnxRatio(path, threads=1)
    chosen = _checked_name(name or re.sub(r"\W", "_", path.stem, flags=re.ASCII))
    content = path.read_bytes()
    graph = onnx.load_model_from_string(content)
    check_names(graph.graph, path)
    code = run_sofie(content, chosen, path) if sofie else None
    shutil.copytree(CPP, make_folder(project), dirs_exist_ok=True, ignore=shutil.ignore_patterns("build"))
    write_bytes(project / "include" / "h4l" / TABLES, matrix_element_tables().encode())
    target = make_folder(project / "models" / chosen)
    for old in (f"{chosen}.momenta.json", f"{chosen}.hxx", f"{chosen}.dat", f"{chosen}_model.cpp", f"include/h4l/{chosen}.h"):
        (target / old).unlink(missing_ok=True)  # of an earlier call: no file of another network stays beside this one
    _copy_onnx(path, target / f"{chosen}.onnx")
    document = momenta_document(ratio)
    if document is not None:
        write_json(target / f"{chosen}.momenta.json", document)
    if code is None:
        return CppProject(project, chosen, target / f"{chosen}.onnx", None)
    header, weights = code
    write_bytes(target / f"{chosen}.hxx", header)
    write_bytes(target / f"{chosen}.dat", weights)
    metadata = {entry.key: entry.value for entry in graph.metadata_props}[METADATA_KEY]
    source = wrapper(chosen, metadata, weights=weights, spread=ratio.has_spread, n_out=len(ratio.numerators))
    write_bytes(target / f"{chosen}_model.cpp", source.encode())
    write_bytes(make_folder(target / "include" / "h4l") / f"{chosen}.h", open_header(chosen).encode())
    return CppProject(project, chosen, target / f"{chosen}.onnx", target / f"{chosen}.dat")


def _checked_name(name: str) -> str:
    if name in _TAKEN or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,99}", name):
        what, expected = "name of the model in C++", "letters, digits and _, none of the library's own headers"
        raise SchemaError(what, got=name, expected=expected, remedy="give another --name")
    return name


def _copy_onnx(path: Path, target: Path) -> None:
    """Copy the network, its fused form, and the reference rows of both."""
    for source, copy in ((path, target), (fused_path(path), fused_path(target))):
        for own, new in ((source, copy), (_rows(source), _rows(copy))):
            if own.is_file():
                write_bytes(new, own.read_bytes())
            else:
                new.unlink(missing_ok=True)


def _rows(path: Path) -> Path:
    return path.with_name(f"{path.stem}.reference.json")
