"""The C++ project with every compiler, standard and sanitizer at hand: built without a warning, its reference rows run in a German locale.

    python -m benchmarks.cpp_builds MODEL.onnx [--onnxruntime-include DIR] [--only TEXT]

MODEL.onnx is any file written by `write_onnx`; generated code (SOFIE) and the ONNX Runtime take part where they are installed. Headers of
the runtime are not part of its Python package: DIR names their folder. Every build must be free of warnings (-Wall -Wextra -Wpedantic
-Wshadow -Wconversion -Werror) and pass all tests of the project (ctest). Exit code 1 if anything fails.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import print_table
from exports.cpp_project import CppProject, write_cpp_project

WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror")
LOCALE = "de_DE.UTF-8"


@dataclass(frozen=True)
class Build:
    """One way to build.

    Args:
        compiler: Command.
        standard: Version of C++.
        flags: Besides the warnings.
    """

    compiler: str
    standard: int
    flags: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the table calls it."""
        return " ".join((self.compiler, f"C++{self.standard}", *(flag for flag in self.flags if flag.startswith("-fsanitize"))))


def builds() -> list[Build]:
    """List what is tried: both compilers and standards, and the sanitizers of the first."""
    plain = [Build(compiler, standard) for compiler in ("g++", "clang++") for standard in (17, 20)]
    address = ("-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    sanitized = [Build("g++", 17, address), Build("g++", 20, ("-g1", "-fsanitize=thread"))]
    return [*plain, *sanitized]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--onnxruntime-include", type=Path, help="folder with onnxruntime_cxx_api.h")
    parser.add_argument("--only", default="", help="builds whose name has this text")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        sofie = importlib.util.find_spec("sofie") is not None
        code = write_cpp_project(options.model, folder / "project", name="ratio", sofie=sofie)
        runtime = _runtime(options.onnxruntime_include, folder)
        locale = _locale(folder / "locale")
        rows = [[build.name, *_tried(build, code, folder, runtime, locale)] for build in builds() if options.only in build.name]
    print(f"SOFIE: {'yes' if sofie else 'not installed'}; ONNX Runtime: {'yes' if runtime else 'no headers'}")
    print(f"locale of the tests: {locale.get('LC_ALL', 'as it is')}")
    print_table(["build", "tests", "outcome"], rows)
    sys.exit(any(row[-1] not in ("good", "not installed") for row in rows))


def _runtime(include: Path | None, folder: Path) -> tuple[str, ...]:
    """Return the options of CMake for the library of the Python package and these headers."""
    package = importlib.util.find_spec("onnxruntime")
    library = (
        None
        if package is None or package.origin is None
        else next((Path(package.origin).parent / "capi").glob("libonnxruntime.so.*"), None)
    )
    if include is None or library is None:
        return ()
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):
        (folder / name).symlink_to(library)
    return (f"-DONNXRUNTIME_INCLUDE_DIR={include}", f"-DONNXRUNTIME_LIBRARY={folder / 'libonnxruntime.so'}")


def _locale(folder: Path) -> dict[str, str]:
    """Return the variables of a German locale, made here; none where its sources are missing."""
    folder.mkdir()
    if shutil.which("localedef") is None or not Path("/usr/share/i18n/locales/de_DE").exists():
        return {}
    subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", str(folder / LOCALE)], check=False, capture_output=True)
    return {"LOCPATH": str(folder), "LC_ALL": LOCALE}


def _tried(build: Build, code: CppProject, folder: Path, runtime: Sequence[str], locale: dict[str, str]) -> tuple[str, str]:
    """Configure, build and test; return the number of tests and the outcome."""
    if shutil.which(build.compiler) is None:
        return "", "not installed"
    out = folder / build.name.replace(" ", "_")
    # The flags reach the linker as well; little optimisation: warnings and numbers count here, not speed.
    flags = " ".join((*WARNINGS, *build.flags))
    configure = ["cmake", "-S", code.folder, "-B", out, f"-DCMAKE_CXX_COMPILER={build.compiler}", f"-DCMAKE_CXX_FLAGS={flags}", *runtime]
    configure += [f"-DCMAKE_CXX_STANDARD={build.standard}", "-DCMAKE_BUILD_TYPE=None", "-DH4L_FLAGS=-O1;-ffast-math;-mno-recip"]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "LD_LIBRARY_PATH": str(folder), **locale}
    # The library of the ONNX Runtime is not built for the thread sanitizer, which takes its own locks for races; ours is looked at.
    environment["TSAN_OPTIONS"] = "ignore_noninstrumented_modules=1"
    for step in (configure, ["cmake", "--build", out], ["ctest", "--test-dir", out, "--output-on-failure"]):
        done = subprocess.run([str(word) for word in step], capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            print(done.stdout[-3000:], done.stderr[-3000:], sep="\n")
            return "", f"{step[0]} failed"
    summary = next((line for line in done.stdout.splitlines() if "tests passed" in line), "no tests")
    return summary.rpartition(" ")[2], "good" if "100% tests passed" in summary else summary


if __name__ == "__main__":
    main()
