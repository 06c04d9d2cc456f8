"""What the C++ tests need, and how they run it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest

CPP = Path(__file__).parents[3] / "exports" / "cpp"
NLOHMANN = any(Path("/usr").glob("**/include/nlohmann/json.hpp"))
STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror")
ONNXRUNTIME = "H4L_ONNXRUNTIME_INCLUDE"
"""Environment variable: folder with the C++ headers of the ONNX Runtime; its library is that of the Python package."""

MISSING = [
    *(tool for tool in ("g++", "cmake") if shutil.which(tool) is None),
    *(["sofie"] if importlib.util.find_spec("sofie") is None else []),
    *([] if any(Path("/usr").glob("lib*/**/libopenblas.so")) else ["OpenBLAS"]),
    *([] if NLOHMANN else ["nlohmann-json"]),
]
needs_tools = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")


def run(*words: object, expect: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command that must end with this exit code, with BLAS on one thread."""
    variables = {**os.environ, "OPENBLAS_NUM_THREADS": "1", **environment}
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, env=variables)
    assert done.returncode == expect, done.stdout + done.stderr
    return done


def compiler(name: str) -> str:
    """Return a compiler, or skip the test."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"not installed: {name}")
    return found


def onnxruntime(folder: Path) -> tuple[Path, Path]:
    """Return the headers of the ONNX Runtime and its library under a linker's name; skip the test where there are no headers."""
    named = os.environ.get(ONNXRUNTIME)
    places = [Path(named)] if named else [Path("/usr/include/onnxruntime"), Path("/usr/local/include/onnxruntime")]
    include = next((p for p in places if (p / "onnxruntime_cxx_api.h").is_file()), None)
    if include is None:
        pytest.skip(f"no C++ headers of the ONNX Runtime: {ONNXRUNTIME} names their folder")
    package = importlib.util.find_spec("onnxruntime")
    assert package is not None
    assert package.origin is not None
    library = next((Path(package.origin).parent / "capi").glob("libonnxruntime.so.*"), None)
    if library is None:
        pytest.skip("the package onnxruntime has no library of its own")
    for name in ("libonnxruntime.so", f"libonnxruntime.so.{library.name.split('.so.')[1].split('.')[0]}"):
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(library)
    return include, folder / "libonnxruntime.so"


CONSUMER_CMAKE = """
cmake_minimum_required(VERSION 3.18)
project(consumer CXX)
find_package(h4l REQUIRED)
add_executable(consumer consumer.cpp)
target_link_libraries(consumer PRIVATE h4l::ratio)
"""


def consumer_says(prefix: Path, folder: Path, *options: str) -> str:
    """Build another project with an installed package, run it on wrong weights, and return what it prints."""
    shutil.copyfile(Path(__file__).with_name("consumer.cpp"), folder / "consumer.cpp")
    (folder / "CMakeLists.txt").write_text(CONSUMER_CMAKE, encoding="utf-8")
    run("cmake", "-S", folder, "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_BUILD_TYPE=None", *options)
    run("cmake", "--build", folder / "build")
    path = prefix / "share" / "h4l" / "ratio.dat"
    weights = path.read_bytes()
    (folder / "short.dat").write_bytes(weights[:-4])
    (folder / "changed.dat").write_bytes(weights[:500] + bytes([weights[500] ^ 1]) + weights[501:])
    return run(folder / "build" / "consumer", path, folder / "short.dat", folder / "changed.dat").stdout
